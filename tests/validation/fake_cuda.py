"""`torch.cuda` as its documentation describes it: rounding, segments, a context, other processes.

Tensors up to 1 MiB are cut from segments of 2 MiB, up to 10 MiB from segments of 20 MiB, larger
ones get a segment of their own in whole 2 MiB. A block is freed into its segment; `empty_cache`
gives back segments without blocks.
"""

from dataclasses import dataclass, field

MIB = 2**20
GRAIN = 512
SMALL, MEDIUM = MIB, 10 * MIB
SMALL_SEGMENT, MEDIUM_SEGMENT, LARGE_GRAIN = 2 * MIB, 20 * MIB, 2 * MIB


class OutOfMemoryError(RuntimeError):
    """What torch raises when the device has no segment left."""


@dataclass
class Segment:
    """Device memory that the allocator holds: its blocks, by handle."""

    size: int
    pool: int
    blocks: dict[int, int] = field(default_factory=dict)

    @property
    def free(self):
        return self.size - sum(self.blocks.values())


class FakeCuda:
    """Stands in for the module `torch.cuda`."""

    def __init__(self, *, total=24 * 1024 * MIB, context=400 * MIB, others=0):
        self.total, self.context, self.others = total, context, others
        self.segments, self.handles, self.peak = [], 0, 0
        self.calls = []

    def allocate(self, size):
        """A tensor's block; the handle frees it."""
        size = -(-size // GRAIN) * GRAIN
        pool = SMALL if size <= SMALL else MEDIUM if size <= MEDIUM else 0
        fits = (s for s in self.segments if s.pool == pool and s.free >= size)
        segment = next(fits, None) or self._new_segment(size, pool)
        self.handles += 1
        segment.blocks[self.handles] = size
        self.peak = max(self.peak, self.memory_allocated(0))
        return self.handles

    def _new_segment(self, size, pool):
        sizes = {SMALL: SMALL_SEGMENT, MEDIUM: MEDIUM_SEGMENT}
        size = sizes.get(pool, -(-size // LARGE_GRAIN) * LARGE_GRAIN)
        if size > self.mem_get_info(0)[0]:
            raise OutOfMemoryError
        self.segments.append(Segment(size, pool))
        return self.segments[-1]

    def free(self, handle):
        """The block goes back to its segment."""
        for segment in self.segments:
            segment.blocks.pop(handle, None)

    def memory_allocated(self, _index):
        return sum(s.size - s.free for s in self.segments)

    def memory_reserved(self, _index):
        return sum(s.size for s in self.segments)

    def max_memory_allocated(self, _index):
        return self.peak

    def reset_peak_memory_stats(self, _index):
        self.peak = self.memory_allocated(0)

    def mem_get_info(self, _index):
        taken = self.context + self.others + self.memory_reserved(0)
        return self.total - taken, self.total

    def empty_cache(self):
        self.segments = [s for s in self.segments if s.blocks]

    def synchronize(self, _index):
        self.calls.append("synchronize")

    def get_device_name(self, _index):
        return "Fake"

    def device_count(self):
        return 1
