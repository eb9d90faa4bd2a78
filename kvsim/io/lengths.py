"""Reads the shipped lengths (`data/lengths.toml`) and the published study of paging."""

import functools
import tomllib
from dataclasses import dataclass
from importlib import resources
from typing import Any

from kvsim.errors import UnknownNameError
from kvsim.specs.lengths import Lengths
from kvsim.specs.paging_study import BatchTime, PagingStudy, StudiedWorkload, WasteSetting


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedTrace:
    """Quantiles of a trace's lengths, by name; the trace is not here."""

    name: str
    source: str
    licence: str
    num_requests: int
    lengths: dict[str, Lengths]


@functools.cache
def fitted_traces() -> dict[str, FittedTrace]:
    """Every fitted trace, by name."""
    table = _read("lengths.toml")
    steps = tuple(table.pop("probabilities"))
    return {name: _trace(name, row, steps) for name, row in table.items()}


def fitted_trace(name: str) -> FittedTrace:
    """The fit of that name.

    Raises:
        UnknownNameError: if there is none.
    """
    traces = fitted_traces()
    if name not in traces:
        raise UnknownNameError(what="lengths", name=name[:40], nearest=sorted(traces))
    return traces[name]


@functools.cache
def paging_study() -> PagingStudy:
    """What the PagedAttention paper measured, and where."""
    table = _read("pagedattention.toml")
    ratio = table["sustained_over_oracle"]
    return PagingStudy(
        source=table["source"],
        setting=WasteSetting(**table["setting"], batch_time=BatchTime(**table["step_time"])),
        workloads=tuple(_workload(name, row) for name, row in table["workloads"].items()),
        sustained_low=ratio["low"],
        sustained_high=ratio["high"],
    )


def _workload(name: str, row: dict[str, Any]) -> StudiedWorkload:
    shape = fitted_trace(row["shape"]).lengths
    return StudiedWorkload(
        name=name,
        rate_per_s=row["rate_per_s"],
        prompt_mean=row["prompt_mean"],
        output_mean=row["output_mean"],
        prompt_shape=shape["prompt_tokens"],
        output_shape=shape["output_tokens"],
        batch=row["batch"],
        shares=row.get("shares", {}),
    )


def _trace(name: str, row: dict[str, Any], steps: tuple[float, ...]) -> FittedTrace:
    return FittedTrace(
        name=name,
        source=row["source"],
        licence=row["licence"],
        num_requests=row["num_requests"],
        lengths={
            key: Lengths(probabilities=steps, tokens=tuple(map(float, value["tokens"])))
            for key, value in row.items()
            if isinstance(value, dict)
        },
    )


def _read(name: str) -> dict[str, Any]:
    return tomllib.loads(resources.files("kvsim.io").joinpath(f"data/{name}").read_text("utf-8"))
