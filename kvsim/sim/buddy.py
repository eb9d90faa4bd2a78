"""Allocators of contiguous memory: fixed partitions, and the buddy system."""

from bisect import bisect_left, insort
from dataclasses import dataclass
from typing import Protocol

from kvsim.errors import SpecError
from kvsim.specs.attention import check_positive


@dataclass(frozen=True, slots=True)
class Extent:
    """Slots that lie side by side: `start` .. `start + num_slots - 1`."""

    start: int
    num_slots: int


class ContiguousAllocator(Protocol):
    """Hands out runs of slots; a run never moves."""

    @property
    def num_slots(self) -> int:
        """Slots of the pool."""
        ...

    def allocate(self, num_slots: int) -> Extent | None:
        """At least so many slots, side by side; None where no hole is large enough."""
        ...

    def free(self, extent: Extent) -> None:
        """Take back what `allocate` gave."""
        ...


class Partitions:
    """Equal partitions, one per sequence: a static cache of the longest length.

    Invariant: each partition is held by one sequence or listed as free, lowest first.
    """

    def __init__(self, num_slots: int, *, partition_slots: int) -> None:
        check_positive(num_slots=num_slots, partition_slots=partition_slots)
        self.num_slots = num_slots
        self._size = partition_slots
        self._free = list(range(num_slots // partition_slots))

    def allocate(self, num_slots: int) -> Extent | None:
        """The lowest free partition; None if all are held or none is large enough."""
        if num_slots > self._size or not self._free:
            return None
        return Extent(self._free.pop(0) * self._size, self._size)

    def free(self, extent: Extent) -> None:
        """Take a partition back."""
        insort(self._free, extent.start // self._size)


class Buddies:
    """Binary buddies: runs of powers of two, each aligned to its size; equal halves merge.

    A pool that is no power of two starts as the largest aligned runs that fit into it.

    Invariant: extents that are held and runs that are free cover the pool without overlap, and
    no two free runs are halves of one run that fits.

    Source:
        Knowlton, A fast storage allocator, CACM 8(10), 1965. That Orca's reservations are served
        by it is the assumption of Kwon et al., PagedAttention, SOSP 2023, section 6.1.
    """

    def __init__(self, num_slots: int) -> None:
        check_positive(num_slots=num_slots)
        self.num_slots = num_slots
        self._free: list[list[int]] = [[] for _ in range(num_slots.bit_length())]
        start = 0
        for order in reversed(range(num_slots.bit_length())):
            if num_slots >> order & 1:
                self._free[order].append(start)
                start += 1 << order

    def allocate(self, num_slots: int) -> Extent | None:
        """The lowest run of the smallest power of two that fits; None where there is none."""
        wanted = (num_slots - 1).bit_length()
        order = next((o for o in range(wanted, len(self._free)) if self._free[o]), None)
        if order is None:
            return None
        start = self._free[order].pop(0)
        while order > wanted:
            order -= 1
            insort(self._free[order], start + (1 << order))
        return Extent(start, 1 << wanted)

    def free(self, extent: Extent) -> None:
        """Take a run back, and merge it with its free other half as often as there is one."""
        start, order = extent.start, extent.num_slots.bit_length() - 1
        while True:
            half = start ^ (1 << order)
            place = bisect_left(self._free[order], half)
            if self._free[order][place : place + 1] != [half]:
                insort(self._free[order], start)
                return
            del self._free[order][place]
            start, order = min(start, half), order + 1

    @property
    def num_free(self) -> int:
        """Slots in free runs."""
        return sum(len(runs) << order for order, runs in enumerate(self._free))


def check_fits(allocator: ContiguousAllocator, num_slots: int, *, what: str) -> None:
    """SpecError if an empty pool has no room: the request would wait for ever."""
    extent = allocator.allocate(num_slots)
    if extent is None:
        msg = f"{what}: {num_slots} slots side by side must fit into num_slots="
        raise SpecError(msg + str(allocator.num_slots))
    allocator.free(extent)
