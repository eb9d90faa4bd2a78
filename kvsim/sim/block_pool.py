"""The paged allocator: blocks are ids, ownership is a reference count, free blocks may remember."""

from collections import OrderedDict
from collections.abc import Iterable, Sequence

from kvsim.errors import SpecError
from kvsim.sim.content import Identity

NULL_BLOCK = 0
"""Stands in a block table for "no block here"; nobody owns it and it is never free."""


class BlockPool:
    """Hands out block ids, takes them back, and knows which content blocks still hold.

    Invariant: a block is free exactly when its reference count is 0. A free block that content
    is published for waits in `_cached`, longest free first; any other lies on `_blank`, last in
    on top. Blank blocks are taken first, so cached content lives as long as it can.

    Source:
        vLLM `BlockPool`, vllm/v1/core/block_pool.py, 0.32.0.
    """

    def __init__(self, num_gpu_blocks: int, *, num_groups: int) -> None:
        if num_gpu_blocks < 2:
            msg = f"num_gpu_blocks={num_gpu_blocks} must be >= 2: the null block holds nothing"
            raise SpecError(msg)
        self.num_gpu_blocks = num_gpu_blocks
        self._ref_count = [0] * num_gpu_blocks
        self._blank = list(range(num_gpu_blocks - 1, NULL_BLOCK, -1))
        self._cached: OrderedDict[int, None] = OrderedDict()
        self._holders: list[dict[Identity, list[int]]] = [{} for _ in range(num_groups)]
        self._published: dict[int, tuple[int, Identity]] = {}
        self.num_allocated = 0  # blocks taken so far, each time counted
        self.num_evicted = 0  # of these, blocks that lost their content for it

    @property
    def num_usable(self) -> int:
        """Blocks that requests can hold."""
        return self.num_gpu_blocks - 1

    @property
    def num_free(self) -> int:
        """Blocks that can be allocated now, those with cached content among them."""
        return len(self._blank) + len(self._cached)

    @property
    def num_used(self) -> int:
        """Blocks that requests hold now."""
        return self.num_usable - self.num_free

    def ref_count(self, block_id: int) -> int:
        """Requests that hold a block."""
        return self._ref_count[block_id]

    def allocate(self, n: int) -> list[int]:
        """Take `n` blocks: blank ones first, then the longest free, which lose their content.

        Whoever asks has seen that `num_free` suffices; nothing is taken otherwise.
        """
        assert n <= self.num_free, f"{n} blocks asked for, {self.num_free} free"
        taken = []
        for _ in range(n):
            if self._blank:
                block_id = self._blank.pop()
            else:
                block_id, _ = self._cached.popitem(last=False)
                self.forget(block_id)
                self.num_evicted += 1
            self._ref_count[block_id] = 1
            taken.append(block_id)
        self.num_allocated += n
        return taken

    def share(self, block_ids: Iterable[int]) -> None:
        """Add a reference to each block; free ones leave the queue with what they hold."""
        for block_id in block_ids:
            if block_id == NULL_BLOCK:
                continue
            if self._ref_count[block_id] == 0:
                del self._cached[block_id]
            self._ref_count[block_id] += 1

    def release(self, block_ids: Sequence[int]) -> None:
        """Drop a reference from each block; the first given is the first to be taken again."""
        blank = []
        for block_id in block_ids:
            if block_id == NULL_BLOCK:
                continue
            self._ref_count[block_id] -= 1
            if self._ref_count[block_id]:
                continue
            if block_id in self._published:
                self._cached[block_id] = None
            else:
                blank.append(block_id)
        self._blank.extend(reversed(blank))

    def publish(self, block_id: int, group: int, identity: Identity) -> None:
        """Let a block be found by its content; equal content in other blocks stays as it is."""
        self._published[block_id] = (group, identity)
        self._holders[group].setdefault(identity, []).append(block_id)

    def forget(self, block_id: int) -> None:
        """Let a block be found no more."""
        published = self._published.pop(block_id, None)
        if published is None:
            return
        group, identity = published
        holders = self._holders[group][identity]
        holders.remove(block_id)
        if not holders:
            del self._holders[group][identity]

    def identity(self, block_id: int) -> Identity | None:
        """The content that a block can be found by."""
        published = self._published.get(block_id)
        return None if published is None else published[1]

    def published_group(self, block_id: int) -> int | None:
        """The group whose content a block can be found by."""
        published = self._published.get(block_id)
        return None if published is None else published[0]

    def is_published(self, block_id: int) -> bool:
        """Whether a block can be found by its content."""
        return block_id in self._published

    def find(self, groups: Sequence[int], identity: Identity) -> list[int] | None:
        """The oldest block with this content in each group; None if a group lacks it."""
        found = []
        for group in groups:
            holders = self._holders[group].get(identity)
            if holders is None:
                return None
            found.append(holders[0])
        return found

    def num_evictable(self, block_ids: Iterable[int]) -> int:
        """Blocks among these that are free now, and would not be once they are shared."""
        return sum(1 for b in block_ids if b != NULL_BLOCK and not self._ref_count[b])
