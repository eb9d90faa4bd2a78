"""From an accelerator's memory to the cache's share of it, as a breakdown."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from kvsim.analytic.device_memory import free_bytes, total_bytes
from kvsim.analytic.overhead import OverheadBytes
from kvsim.analytic.weights import WeightsBytes
from kvsim.message import Message
from kvsim.specs.deployment import Deployment
from kvsim.specs.overheads import Interval, OverheadModel, exact


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """One accelerator's memory; `kv_cache_bytes` is what the other parts leave.

    `kv_cache_bytes` may be negative: then weights and overheads alone pass the budget.
    `free_bytes` is what the engine finds free when it starts.
    """

    total_bytes: Interval
    free_bytes: Interval
    usable_bytes: Interval
    weights_bytes: Interval
    activation_peak_bytes: Interval
    non_torch_bytes: Interval
    cuda_graph_bytes: Interval
    kv_cache_bytes: Interval

    @property
    def leaves_cache(self) -> bool:
        """Whether the engine would start, and have memory left to cache in."""
        is_free = self.free_bytes.best >= self.usable_bytes.best
        return is_free and self.kv_cache_bytes.best > 0


def loaded_stages_bytes(
    weights: WeightsBytes, model: OverheadModel, beside: Sequence[Interval]
) -> tuple[Interval, ...]:
    """What the engine reports after loading, on one rank of every pipeline stage.

    Args:
        weights: the tensors.
        model: how far reports were seen to be from what tensors and the rest add up to.
        beside: what loading takes beside the tensors, by stage.
    """
    return tuple(
        _loaded_bytes(size, weights.format, model, taken)
        for size, taken in zip(weights.stage_bytes, beside, strict=True)
    )


def loaded_weights_bytes(
    weights: WeightsBytes, model: OverheadModel, beside: Interval | None = None
) -> Interval:
    """What the engine reports after loading: the tensors, and what it keeps beside them.

    Source:
        `weights_gib` of unquantised rows in published start-up logs.
    """
    return _loaded_bytes(weights.total_bytes, weights.format, model, beside)


def _loaded_bytes(size: int, fmt: str, model: OverheadModel, beside: Interval | None) -> Interval:
    extra = model.weights_extra_bytes
    loaded = Interval(
        size + round(extra.low), size + round(extra.best), size + round(extra.high), extra.source
    )
    source = extra.source
    if beside is not None:
        loaded, source = loaded + beside, Message.of_all((beside.source, extra.source))
    return replace(
        loaded, source=Message("parameters in {format}; {source}", format=fmt, source=source)
    )


def on_device(weights: Interval, on_host_bytes: int) -> Interval:
    """Weights that stay on the device; none are negative."""
    if not on_host_bytes:
        return weights
    low, best, high = (max(0, w - on_host_bytes) for w in (weights.low, weights.best, weights.high))
    return Interval(low, best, high, f"{weights.source}, less what stays in host memory")


def budget(deployment: Deployment, *, weights: Interval, overheads: OverheadBytes) -> Budget:
    """The memory budget of vLLM on one accelerator.

    Raises:
        SpecError: if other processes hold more than there is.

    Source:
        vLLM `request_memory`, v1/worker/utils.py, and `determine_available_memory`,
        v1/worker/gpu_worker.py, 0.32.0: requested = ceil(total x utilisation); the cache gets
        requested - (weights + non-torch) - activation peak - graphs.
    """
    total = total_bytes(deployment)
    engine = deployment.engine
    weights = on_device(weights, deployment.weights_on_host_bytes)
    usable = Interval(
        math.ceil(total.low * engine.gpu_memory_utilization),
        math.ceil(total.best * engine.gpu_memory_utilization),
        math.ceil(total.high * engine.gpu_memory_utilization),
        Message(
            "total x gpu_memory_utilization={share}", share=f"{engine.gpu_memory_utilization:g}"
        ),
    )
    if engine.kv_cache_memory_bytes is not None:
        cache = exact(engine.kv_cache_memory_bytes, "kv_cache_memory_bytes")
    else:
        taken = weights + overheads.activation_peak_bytes
        taken = taken + overheads.non_torch_bytes + overheads.cuda_graph_bytes
        cache = usable - taken
    return Budget(
        total_bytes=total,
        free_bytes=free_bytes(deployment, total),
        usable_bytes=usable,
        weights_bytes=weights,
        activation_peak_bytes=overheads.activation_peak_bytes,
        non_torch_bytes=overheads.non_torch_bytes,
        cuda_graph_bytes=overheads.cuda_graph_bytes,
        kv_cache_bytes=cache,
    )
