"""A run's records as tables: a row per request, per step, per preemption."""

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from kvsim.errors import SpecError
from kvsim.sim.latency import queue_times
from kvsim.sim.series import PreemptionSeries, RequestSeries, StepSeries

if TYPE_CHECKING:
    from polars import DataFrame

    from kvsim.sim.simulation import Simulation

Column: TypeAlias = NDArray[Any]
Columns = Mapping[str, Column]


class TableName(StrEnum):
    """Which records of a run."""

    REQUESTS = "requests"
    STEPS = "steps"
    PREEMPTIONS = "preemptions"


def request_columns(done: "Simulation") -> Columns:
    """The finished requests: their records, and the times that follow from them."""
    return _request_columns(done.requests, queue_times(done.steps, done.requests))


def _request_columns(requests: RequestSeries, queue_s: Column) -> Columns:
    return _own_columns(requests) | {
        "num_stalls": np.bincount(requests.stalls["row"], minlength=len(requests)),
        "queue_s": queue_s,
        "ttft_s": requests.ttft_s,
        "tpot_s": requests.tpot_or_nan_s,
        "e2e_s": requests.e2e_s,
    }


def step_columns(done: "Simulation") -> Columns:
    """Every step."""
    return _own_columns(done.steps)


def preemption_columns(done: "Simulation") -> Columns:
    """Every preemption."""
    return _own_columns(done.preemptions)


def _own_columns(series: StepSeries | RequestSeries | PreemptionSeries) -> dict[str, Column]:
    return {name: np.ascontiguousarray(series.rows[name]) for name in series.columns.names or ()}


COLUMNS: Mapping[TableName, Callable[["Simulation"], Columns]] = {
    TableName.REQUESTS: request_columns,
    TableName.STEPS: step_columns,
    TableName.PREEMPTIONS: preemption_columns,
}


def frame(done: "Simulation", table: str) -> "DataFrame":
    """A table of a run.

    Raises:
        SpecError: for an unknown table.
    """
    if table not in list(TableName):
        msg = f"table={table[:40]} must be one of {', '.join(TableName)}"
        raise SpecError(msg)
    return _frame(COLUMNS[TableName(table)](done))


def request_frame(requests: RequestSeries, queue_s: Column) -> "DataFrame":
    """The table of some requests, as `frame` makes it.

    Args:
        requests: that are finished.
        queue_s: how long each waited until it was first part of a step.
    """
    return _frame(_request_columns(requests, queue_s))


def _frame(columns: Columns) -> "DataFrame":
    """A table whose columns have the same types in every run, with rows or without."""
    import polars as pl  # noqa: PLC0415 - heavy, and only who wants tables needs it

    schema = {
        name: pl.Float64
        if name.endswith(("_s", "_blocks")) and not name.startswith("num_")
        else pl.Int64
        for name in columns
    }
    return pl.DataFrame(columns, schema=schema, nan_to_null=True)
