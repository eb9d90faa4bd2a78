"""The calibration that a log's printed figures make."""

from kvsim.planner.reconciliation import numbers, printed, whole_number
from kvsim.specs.calibration import Calibration
from kvsim.specs.engine_log import EngineLog
from kvsim.specs.overheads import Interval, Overheads
from kvsim.units import GiB

FIGURES = (
    ("total_bytes", "total_gpu_gib"),
    ("weights_bytes", "weights_gib"),
    ("activation_peak_bytes", "activation_peak_gib"),
    ("non_torch_bytes", "non_torch_gib"),
    ("cuda_graph_bytes", "cudagraph_est_gib"),
)
"""A plan's figures, and where logs print them; the graphs' estimate is what a plan takes off."""

WITHIN_PEAK = {"cuda_graph_bytes": "activation_peak_gib"}
"""Figures that another one contains where it is printed too."""


def log_calibration(log: EngineLog) -> Calibration | None:
    """Printed memory of one rank, as wide as its rounding and the ranks; None without any."""
    found: dict[str, Interval] = {}
    source = f"start-up log of {log.engine}" + (f" {log.version}" if log.version else "")
    for name, figure in FIGURES:
        values = [printed(value, GiB) for value in numbers(log, figure)]
        if not values or min(value.low for value in values) < -GiB // 100:
            continue
        if name in WITHIN_PEAK and numbers(log, WITHIN_PEAK[name]):
            continue
        ends = [max(0, value.low) for value in values], [value.high for value in values]
        best = max(value.best for value in values)
        found[name] = Interval(min(ends[0]), max(0, best), max(ends[1]), f"measured: {source}")
    if not found:
        return None
    return Calibration(
        provenance={
            "source": source,
            "engine": str(log.engine),
            "engine_version": log.version,
            "model": log.model,
            "gpu": log.gpu,
            "settings": dict(log.settings),
        },
        overheads=Overheads(**found),
        tensor_parallel_size=_degree(log, "tensor_parallel_size", "tp_size"),
        pipeline_parallel_size=_degree(log, "pipeline_parallel_size", "pp_size"),
    )


def _degree(log: EngineLog, *names: str) -> int | None:
    return next((found for name in names if (found := whole_number(log, name))), None)
