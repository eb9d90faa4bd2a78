"""One group of layers under one block table: what it needs, frees, publishes and finds."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from kvsim.sim.block_pool import NULL_BLOCK, BlockPool
from kvsim.sim.request import NEVER, BlockTable, RunningRequest
from kvsim.units import ceil_div

Finding = list[list[int]]
"""Blocks found for each of several groups, null blocks where a hit needs none."""


class FoundBlocks(NamedTuple):
    """A prefix found for groups that are looked up together."""

    blocks: Finding
    num_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheRules:
    """What all groups of a model share."""

    enable_prefix_caching: bool
    scheduler_block_size: int  # tokens to which all groups' blocks align
    hit_alignment: int  # tokens that a hit is a multiple of
    retention_interval: int | None
    num_lookahead_tokens: int
    max_model_len: int


class CacheGroup:
    """Layers that keep every token: blocks are added as the request grows, and all stay.

    The base of the other groups, which override what differs.

    Source:
        vLLM `SingleTypeKVCacheManager` and `FullAttentionManager`,
        vllm/v1/core/single_type_kv_cache_manager.py, 0.32.0.
    """

    keeps_all = True  # every prefix of what is cached is cached too
    fills_up = True  # blocks are added before their tokens come, one token after the other

    def __init__(
        self,
        pool: BlockPool,
        rules: CacheRules,
        *,
        index: int,
        block_size: int,
        max_blocks: int | None = None,
    ) -> None:
        self.index = index
        self.block_size = block_size
        self._max_blocks = max_blocks  # that a request can hold at once; None: no such limit
        self._pool = pool
        self._rules = rules
        self.num_slots = 0  # that all tables have, those of freed blocks among them
        self.num_idle_slots = 0  # of these, slots that no token will ever fill

    def new_table(self) -> BlockTable:
        """The block table of a request that holds nothing."""
        return BlockTable()

    def num_tokens_behind(self, num_computed_tokens: int) -> int:  # noqa: ARG002
        """Tokens that the next one no longer attends to."""
        return 0

    def num_blocks_missing(
        self,
        request: RunningRequest,
        *,
        num_tokens: int,  # noqa: ARG002
        num_slots: int,
        num_computed_tokens: int,
        found: Sequence[int],
        admission: bool,
    ) -> int:
        """Free blocks that must be there before `num_slots` tokens have a slot.

        Blocks found in the cache count if they are free now: they leave the queue.
        """
        held = len(request.tables[self.index].blocks)
        needed = ceil_div(num_slots, self.block_size)
        if admission and self._max_blocks is not None:
            needed = min(needed, self._max_blocks)
        behind = self.num_tokens_behind(num_computed_tokens) // self.block_size
        evictable = self._pool.num_evictable(found[max(0, behind - held) :])
        return max(0, needed - max(behind, held + len(found))) + evictable

    def release_behind(self, request: RunningRequest, num_settled_tokens: int) -> None:
        """Free what no later token attends to, and leave null blocks in its place."""
        table = request.tables[self.index].blocks
        behind = self.num_tokens_behind(num_settled_tokens) // self.block_size
        released = []
        for i in range(min(behind, len(table)) - 1, -1, -1):
            if table[i] == NULL_BLOCK:
                break
            released.append(table[i])
            table[i] = NULL_BLOCK
        self._pool.release(released)

    def adopt(self, request: RunningRequest, found: Sequence[int], num_tokens: int) -> None:
        """Begin the table with blocks found in the cache, without those that are behind."""
        table = request.tables[self.index]
        behind = self.num_tokens_behind(num_tokens) // self.block_size
        self._pool.share(found[behind:])
        table.blocks += [NULL_BLOCK] * behind
        table.blocks += found[behind:]
        table.num_published = len(table.blocks)
        self._count_slots(request, 0, len(table.blocks))

    def grow(self, request: RunningRequest, *, num_tokens: int, num_slots: int) -> None:  # noqa: ARG002
        """Add blocks until `num_slots` tokens have a slot, drafts beyond `num_tokens` included."""
        table = request.tables[self.index].blocks
        missing = ceil_div(num_slots, self.block_size) - len(table)
        if missing > 0:
            table += self._pool.allocate(missing)
            self._count_slots(request, len(table) - missing, len(table))

    def publish(self, request: RunningRequest, num_tokens: int) -> None:
        """Let others find the full blocks of the first `num_tokens` tokens."""
        table = request.tables[self.index]
        first, last = table.num_published, num_tokens // self.block_size
        if first >= last:
            return
        for i in self.reachable(request, first, last):
            if table.blocks[i] != NULL_BLOCK:
                identity = request.content.identity((i + 1) * self.block_size)
                self._pool.publish(table.blocks[i], self.index, identity)
        table.num_published = last

    def reachable(self, request: RunningRequest, first: int, last: int) -> Sequence[int]:  # noqa: ARG002
        """Blocks among `first` .. `last` - 1 at which a later hit could use this group."""
        return range(first, last)

    def release_all(self, request: RunningRequest) -> None:
        """Give every block back, the last first, so that prefixes outlive tails."""
        table = request.tables[self.index]
        self._pool.release(table.blocks[::-1])
        self._count_slots(request, len(table.blocks), 0)
        table.clear()

    def _count_slots(self, request: RunningRequest, before: int, after: int) -> None:
        """Note that a table has `after` blocks instead of `before`."""
        size, last = self.block_size, request.num_tokens_at_end - 1  # the end is never computed
        self.num_slots += (after - before) * size
        self.num_idle_slots += max(0, after * size - last) - max(0, before * size - last)

    def quiet_until(self, request: RunningRequest, num_settled_tokens: int) -> int:  # noqa: ARG002
        """Computed tokens up to which this group neither takes nor frees a block."""
        slots = len(request.tables[self.index].blocks) * self.block_size
        if slots >= self._rules.max_model_len:
            return NEVER
        return slots - self._rules.num_lookahead_tokens

    def find(self, request: RunningRequest, groups: Sequence[int], max_tokens: int) -> FoundBlocks:
        """The longest prefix up to `max_tokens` whose blocks all these groups hold, left to right.

        Args:
            request: whose content is looked for.
            groups: this group and its equals, which must agree.
            max_tokens: longest prefix of interest.
        """
        found: Finding = [[] for _ in groups]
        for i in range(max_tokens // self.block_size):
            identity = request.content.identity((i + 1) * self.block_size)
            blocks = self._pool.find(groups, identity)
            if blocks is None:
                break
            for held, block_id in zip(found, blocks, strict=True):
                held.append(block_id)
        return self.aligned(found)

    def aligned(self, found: Finding) -> FoundBlocks:
        """Blocks cut back until their tokens end at a border of every group."""
        num_tokens = len(found[0]) * self.block_size
        num_tokens -= num_tokens % self._rules.hit_alignment
        for held in found:
            del held[num_tokens // self.block_size :]
        return FoundBlocks(found, num_tokens)
