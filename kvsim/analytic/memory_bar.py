"""One device's memory as a bar: named segments in order, each split at the budget's end."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from kvsim.analytic.budget import Budget


class SegmentName(StrEnum):
    """What a stretch of a device's memory is taken by."""

    WEIGHTS = "weights"
    ACTIVATION_PEAK = "activation_peak"
    NON_TORCH = "non_torch"
    CUDA_GRAPHS = "cuda_graphs"
    RUNTIME = "runtime"  # before the weights are loaded
    BUFFERS = "buffers"  # beside the weights: activations, graphs
    KV_USED = "kv_used"  # by the requests that are asked for
    KV_FREE = "kv_free"  # cache that they leave
    OUTSIDE = "outside"  # not the engine's to use
    OTHER_PROCESSES = "other_processes"


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A stretch of the bar; `beyond_bytes` of it lie past the limit that holds for it."""

    name: SegmentName
    start_bytes: int
    within_bytes: int
    beyond_bytes: int

    @property
    def num_bytes(self) -> int:
        """The whole stretch."""
        return self.within_bytes + self.beyond_bytes

    @property
    def split_bytes(self) -> int:
        """Where the part beyond the limit starts; the end where none is."""
        return self.start_bytes + self.within_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryBar:
    """One device at the likely estimates.

    The segments lie end to end from 0 to `end_bytes`. What the engine takes is limited by
    `budget_bytes`, everything by `total_bytes`; with room to spare `end_bytes` is the total.
    """

    segments: tuple[Segment, ...]
    budget_bytes: int
    total_bytes: int

    @property
    def end_bytes(self) -> int:
        """Where the last segment ends."""
        last = self.segments[-1]
        return last.start_bytes + last.num_bytes


def memory_bar(budget: Budget, *, needed_bytes: int) -> MemoryBar:
    """The budget's parts, the cache that the asked requests take, and what is left.

    Args:
        budget: one device's budget.
        needed_bytes: cache that the asked requests take (bytes, >= 0).
    """
    taken = {
        SegmentName.WEIGHTS: budget.weights_bytes.best,
        SegmentName.ACTIVATION_PEAK: budget.activation_peak_bytes.best,
        SegmentName.NON_TORCH: budget.non_torch_bytes.best,
        SegmentName.CUDA_GRAPHS: budget.cuda_graph_bytes.best,
    }
    return stacked(
        taken,
        cache_bytes=budget.kv_cache_bytes.best,
        needed_bytes=needed_bytes,
        free_bytes=budget.free_bytes.best,
        total_bytes=budget.total_bytes.best,
    )


def stacked(
    taken: Mapping[SegmentName, int],
    *,
    cache_bytes: int,
    needed_bytes: int,
    free_bytes: int,
    total_bytes: int,
) -> MemoryBar:
    """What an engine takes end to end, the cache behind it, then what it leaves alone.

    Args:
        taken: what lies before the cache, in order.
        cache_bytes: what the engine gives the cache; negative where the rest passes its budget.
        needed_bytes: cache that the asked requests take.
        free_bytes: what the engine finds free when it starts.
        total_bytes: of the device.
    """
    limit = sum(taken.values()) + cache_bytes
    held = total_bytes - free_bytes
    segments: list[Segment] = []

    def add(name: SegmentName, num_bytes: int, limit: int) -> None:
        start = segments[-1].start_bytes + segments[-1].num_bytes if segments else 0
        beyond = min(num_bytes, max(0, start + num_bytes - limit))
        within = num_bytes - beyond
        segments.append(
            Segment(name=name, start_bytes=start, within_bytes=within, beyond_bytes=beyond)
        )

    for name, num_bytes in taken.items():
        add(name, num_bytes, limit)
    add(SegmentName.KV_USED, needed_bytes, limit)
    add(SegmentName.KV_FREE, max(0, cache_bytes - needed_bytes), limit)
    end = segments[-1].start_bytes + segments[-1].num_bytes
    add(SegmentName.OUTSIDE, max(0, total_bytes - held - end), total_bytes)
    add(SegmentName.OTHER_PROCESSES, held, total_bytes)
    kept = tuple(segment for segment in segments if segment.num_bytes)
    return MemoryBar(segments=kept, budget_bytes=limit, total_bytes=total_bytes)
