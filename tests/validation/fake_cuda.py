"""`torch.cuda` as its documentation describes it: rounding, segments, a context, other processes.

Tensors up to 1 MiB are cut from segments of 2 MiB, up to 10 MiB from segments of 20 MiB, larger
ones get a segment of their own in whole 2 MiB. A block is freed into its segment; `empty_cache`
gives back segments without blocks. With `expandable_segments` each pool is one range of addresses
that grows by whole pages of 2 or 20 MiB, and free neighbours become one.

`counting` lets a device see the tensors that torch makes, so that real models run on it.
"""

import contextlib
from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest

torch = pytest.importorskip("torch")
StorageWeakRef = pytest.importorskip("torch.multiprocessing.reductions").StorageWeakRef
TorchDispatchMode = pytest.importorskip("torch.utils._python_dispatch").TorchDispatchMode
tree_leaves = pytest.importorskip("torch.utils._pytree").tree_leaves

MIB = 2**20
GRAIN = 512
SMALL, MEDIUM = MIB, 10 * MIB
SMALL_SEGMENT, MEDIUM_SEGMENT, LARGE_GRAIN = 2 * MIB, 20 * MIB, 2 * MIB


@dataclass
class Segment:
    """Device memory that the allocator holds: its blocks, by handle."""

    size: int
    pool: int
    blocks: dict[int, int] = field(default_factory=dict)

    @property
    def free(self):
        return self.size - sum(self.blocks.values())


@dataclass
class Range:
    """One pool's expandable range: where each block starts and ends, and the pages held."""

    page: int
    blocks: dict[int, tuple[int, int]] = field(default_factory=dict)
    pages: set[int] = field(default_factory=set)

    def place(self, size):
        """The start of the smallest hole that fits, else the end of the last block."""
        start, holes = 0, []
        for first, last in sorted(self.blocks.values()):
            if first - start >= size:
                holes.append((first - start, start))
            start = last
        return min(holes)[1] if holes else start

    def pages_of(self, start, stop):
        return set(range(start // self.page, -(-stop // self.page)))

    def held(self):
        return {page for block in self.blocks.values() for page in self.pages_of(*block)}


class FakeCuda:
    """Stands in for the module `torch.cuda`; device 0 unless an index says otherwise."""

    def __init__(
        self, *, total=24 * 1024 * MIB, context=400 * MIB, others=0, count=1, expandable=False
    ):
        self.gpus = [Gpu(total, context, others, expandable) for _ in range(count)]
        self.calls = []

    def allocate(self, size, index=0):
        """A tensor's block; the handle frees it."""
        return self.gpus[index].allocate(size)

    def free(self, handle, index=0):
        """The block goes back to its segment."""
        self.gpus[index].free(handle)

    def memory_allocated(self, index):
        return self.gpus[index].allocated()

    def memory_reserved(self, index):
        return self.gpus[index].reserved()

    def max_memory_allocated(self, index):
        self.gpus[index].allocated()
        return self.gpus[index].peak

    def reset_peak_memory_stats(self, index):
        self.gpus[index].peak = self.gpus[index].allocated()

    def mem_get_info(self, index):
        gpu = self.gpus[index]
        return gpu.total - gpu.context - gpu.others - gpu.reserved(), gpu.total

    def empty_cache(self):
        for gpu in self.gpus:
            gpu.empty()

    def synchronize(self, _index):
        self.calls.append("synchronize")

    def get_device_name(self, _index):
        return "Fake"

    def get_device_properties(self, index):
        return SimpleNamespace(uuid=f"fake-{index}")

    def device_count(self):
        return len(self.gpus)


class Gpu:
    """One device's memory and its caching allocator."""

    def __init__(self, total, context, others, expandable):
        self.total, self.context, self.others = total, context, others
        self.segments, self.handles, self.peak = [], 0, 0
        self.ranges = {p: Range(p) for p in (SMALL_SEGMENT, MEDIUM_SEGMENT)} if expandable else {}
        self.expired = lambda: ()

    def allocate(self, size):
        self.sweep()
        size = -(-size // GRAIN) * GRAIN
        self.handles += 1
        if self.ranges:
            pool = self.ranges[SMALL_SEGMENT if size <= SMALL else MEDIUM_SEGMENT]
            start = pool.place(size)
            pool.pages |= pool.pages_of(start, start + size)
            pool.blocks[self.handles] = (start, start + size)
        else:
            self._segment_for(size).blocks[self.handles] = size
        self.peak = max(self.peak, self.allocated())
        return self.handles

    def _segment_for(self, size):
        pool = SMALL if size <= SMALL else MEDIUM if size <= MEDIUM else 0
        for segment in self.segments:
            if segment.pool == pool and segment.free >= size:
                return segment
        sizes = {SMALL: SMALL_SEGMENT, MEDIUM: MEDIUM_SEGMENT}
        whole = sizes.get(pool, -(-size // LARGE_GRAIN) * LARGE_GRAIN)
        if self.context + self.others + self.reserved() + whole > self.total:
            message = f"CUDA out of memory. Tried to allocate {size} bytes."
            raise torch.OutOfMemoryError(message)
        self.segments.append(Segment(whole, pool))
        return self.segments[-1]

    def free(self, handle):
        for holder in (*self.segments, *self.ranges.values()):
            holder.blocks.pop(handle, None)

    def sweep(self):
        for handle in self.expired():
            self.free(handle)

    def allocated(self):
        self.sweep()
        ranges = (stop - start for r in self.ranges.values() for start, stop in r.blocks.values())
        return sum(s.size - s.free for s in self.segments) + sum(ranges)

    def reserved(self):
        pages = sum(r.page * len(r.pages) for r in self.ranges.values())
        return sum(s.size for s in self.segments) + pages

    def empty(self):
        self.sweep()
        self.segments = [s for s in self.segments if s.blocks]
        for pool in self.ranges.values():
            pool.pages = pool.held()


@contextlib.contextmanager
def counting(fake, index=0):
    """Every storage that torch makes meanwhile is a block of the device until torch frees it."""
    gpu, held = fake.gpus[index], {}

    def expired():
        gone = [key for key, (seen, _) in held.items() if seen.expired()]
        return [held.pop(key)[1] for key in gone]

    class Counting(TorchDispatchMode):
        def __torch_dispatch__(self, func, _types, args=(), kwargs=None):
            gpu.sweep()
            made = func(*args, **(kwargs or {}))
            for leaf in tree_leaves(made):
                if hasattr(leaf, "untyped_storage"):
                    storage = leaf.untyped_storage()
                    if storage._cdata not in held:
                        block = gpu.allocate(storage.nbytes())
                        held[storage._cdata] = (StorageWeakRef(storage), block)
            return made

    gpu.expired = expired
    with Counting():
        yield
