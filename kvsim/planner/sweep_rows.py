"""Columns of a sweep's table: the grid's fields, what a plan or a run gave, and refusals."""

from collections.abc import Mapping, Sequence
from typing import Any

from kvsim.planner.plan import Evaluation
from kvsim.sim.simulation import Simulation
from kvsim.specs.limits import ServiceLimits
from kvsim.specs.sweep import Point, SweepGrid
from kvsim.specs.sweep_fields import find_field

Cell = str | int | float | bool | None
Row = tuple[Cell, ...]
Columns = Mapping[str, type]
"""Names to int, float, bool or str, in the table's order; every column may hold None."""

REFUSAL = {"refusal": str, "not_modeled": str}
"""Why a point has no figures; what its figures leave out, joined by semicolons."""

PLANNED: Columns = {
    "fits": bool,
    "verdict": str,
    "engine_max_model_len": int,
    "budget_weights_bytes": int,
    "kv_cache_bytes": int,
    "kv_cache_low_bytes": int,
    "kv_cache_high_bytes": int,
    "num_gpu_blocks": int,
    "tokens_per_block": int,
    "kv_cache_tokens": int,
    "max_concurrency": float,
    "max_requests": int,
    "longest_model_len": int,
    "request_bytes": int,
    "bytes_per_token": int,
    "needed_bytes": int,
    "available_bytes": int,
}
SPREADS = ("ttft_s", "tpot_s", "e2e_s")
PERCENTILES = ("mean", "p50", "p90", "p99")
PARTS = ("used", "reserved", "internal", "external")
SIMULATED: Columns = {
    "requests": int,
    "steps": int,
    "duration_s": float,
    "scheduled_tokens": int,
    "generated_tokens": int,
    "preemptions": int,
    "num_gpu_blocks": int,
    "tokens_per_block": int,
    "peak_blocks": int,
    "peak_running": int,
    "peak_waiting": int,
    "mean_block_utilization": float,
    **{f"waste_{part}": float for part in PARTS},
    "prefix_hit_tokens": int,
    "prefix_query_tokens": int,
    **{f"{name}_{one}": float for name in SPREADS for one in PERCENTILES},
    "slo_met": bool,
    "goodput_share": float,
    "goodput_requests_per_s": float,
    "step_time": str,
}


def columns(grid: SweepGrid) -> Columns:
    """The table's columns: the grid's fields in its order, then the figures."""
    kinds = {axis.name: find_field(axis.name, simulate=grid.simulate).kind for axis in grid.axes}
    fields = {name: str if kind is tuple else kind for name, kind in kinds.items()}
    return {**fields, **REFUSAL, **figures(grid)}


def figures(grid: SweepGrid) -> Columns:
    """What every point gives."""
    return SIMULATED if grid.simulate else PLANNED


def row(point: Point, found: Mapping[str, Cell], names: Sequence[str]) -> Row:
    """A point's row; figures that were not found are None."""
    cells = {name: _cell(value) for name, value in point.items()}
    return tuple({**cells, **found}.get(name) for name in names)


def _cell(value: object) -> Cell:
    if isinstance(value, tuple):
        return "+".join(value)
    return str(value) if isinstance(value, str) else value  # type: ignore[return-value]


def planned(evaluation: Evaluation) -> dict[str, Cell]:
    """The figures of a plan, at the likely estimates where nothing else is said."""
    held, memory, fit = evaluation.capacity, evaluation.budget, evaluation.fit
    return {
        "not_modeled": "; ".join(evaluation.not_modeled) or None,
        "fits": fit.verdict.fits,
        "verdict": str(fit.verdict),
        "engine_max_model_len": evaluation.resolved.max_model_len,
        "budget_weights_bytes": memory.weights_bytes.best,
        "kv_cache_bytes": memory.kv_cache_bytes.best,
        "kv_cache_low_bytes": memory.kv_cache_bytes.low,
        "kv_cache_high_bytes": memory.kv_cache_bytes.high,
        "num_gpu_blocks": held.best.num_gpu_blocks,
        "tokens_per_block": held.best.block_size,
        "kv_cache_tokens": held.best.kv_cache_tokens,
        "max_concurrency": held.best.max_concurrency,
        "max_requests": fit.max_requests,
        "longest_model_len": held.best.longest_model_len,
        "request_bytes": held.request.total_bytes,
        "bytes_per_token": held.cost.bytes_per_token,
        "needed_bytes": fit.needed_bytes,
        "available_bytes": fit.available_bytes,
    }


def simulated(done: Simulation, limits: ServiceLimits) -> dict[str, Cell]:
    """The figures of a run; those of nothing done, or of limits that nobody stated, are None."""
    found: dict[str, Any] = done.as_dict()
    waste, hits = found["waste"] or {}, found["prefix_cache"]
    spreads = {name: found[name] or {} for name in SPREADS}
    same = set(SIMULATED) & set(found) - {"step_time"}
    return {
        **{name: found[name] for name in same},
        "not_modeled": "; ".join(found["not_modeled"]) or None,
        "generated_tokens": found["output_tokens"],
        "tokens_per_block": found["block_size"],
        **{f"waste_{part}": waste.get(part) for part in PARTS},
        "prefix_hit_tokens": hits["hit_tokens"],
        "prefix_query_tokens": hits["query_tokens"],
        **{f"{name}_{one}": spreads[name].get(one) for name in SPREADS for one in PERCENTILES},
        "step_time": found["step_time"]["source"],
        **({} if limits.is_open else _kept(done, limits)),
    }


def _kept(done: Simulation, limits: ServiceLimits) -> dict[str, Cell]:
    kept = done.goodput(limits)
    return {
        "slo_met": kept.is_met,
        "goodput_share": kept.share,
        "goodput_requests_per_s": kept.requests_per_s,
    }
