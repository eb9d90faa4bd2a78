"""A run's records as tables: a row per request, per step, per preemption."""

from collections.abc import Callable, Mapping
from dataclasses import fields
from enum import StrEnum
from typing import TYPE_CHECKING

from kvsim.errors import SpecError
from kvsim.sim.latency import queue_times
from kvsim.sim.records import Preemption, RequestRecord, StepRecord

if TYPE_CHECKING:
    from polars import DataFrame

    from kvsim.sim.simulation import Simulation

Columns = Mapping[str, list[int] | list[float] | list[float | None]]

LISTS = {"stalls"}
"""Fields that are no cell of a table; their number is."""


class TableName(StrEnum):
    """Which records of a run."""

    REQUESTS = "requests"
    STEPS = "steps"
    PREEMPTIONS = "preemptions"


def request_columns(done: "Simulation") -> Columns:
    """The finished requests: their records, and the times that follow from them."""
    requests = done.requests
    columns: dict[str, list[int] | list[float] | list[float | None]] = {
        f.name: [getattr(request, f.name) for request in requests]
        for f in fields(RequestRecord)
        if f.name not in LISTS
    }
    return columns | {
        "num_stalls": [len(request.stalls) for request in requests],
        "queue_s": list(queue_times(done.steps, requests)),
        "ttft_s": [request.ttft_s for request in requests],
        "tpot_s": [request.tpot_s for request in requests],
        "e2e_s": [request.e2e_s for request in requests],
    }


def step_columns(done: "Simulation") -> Columns:
    """Every step."""
    return {f.name: [getattr(step, f.name) for step in done.steps] for f in fields(StepRecord)}


def preemption_columns(done: "Simulation") -> Columns:
    """Every preemption."""
    return {f.name: [getattr(p, f.name) for p in done.preemptions] for f in fields(Preemption)}


COLUMNS: Mapping[TableName, Callable[["Simulation"], Columns]] = {
    TableName.REQUESTS: request_columns,
    TableName.STEPS: step_columns,
    TableName.PREEMPTIONS: preemption_columns,
}


def frame(done: "Simulation", table: str) -> "DataFrame":
    """A table of a run; its columns have the same types in every run, with rows or without.

    Raises:
        SpecError: for an unknown table.
    """
    import polars as pl  # noqa: PLC0415 - heavy, and only who wants tables needs it

    if table not in list(TableName):
        msg = f"table={table[:40]} must be one of {', '.join(TableName)}"
        raise SpecError(msg)
    columns = COLUMNS[TableName(table)](done)
    schema = {
        name: pl.Float64
        if name.endswith(("_s", "_blocks")) and not name.startswith("num_")
        else pl.Int64
        for name in columns
    }
    return pl.DataFrame(columns, schema=schema)
