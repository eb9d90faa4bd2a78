"""The cache of all groups together: hits, slots, publication, release."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from kvsim.sim.block_pool import BlockPool
from kvsim.sim.groups import CacheGroup, CacheRules
from kvsim.sim.request import NEVER, RunningRequest
from kvsim.sim.state_groups import StateGroup


@dataclass(frozen=True, slots=True)
class Hit:
    """A cached prefix: blocks per group, and how many tokens need no computing.

    `shared_prefix_end` is where a group that keeps more would have let the hit end: others share
    the prefix up to there, so it is worth keeping. 0 if all groups agree.
    """

    blocks: tuple[list[int], ...]
    num_tokens: int = 0
    shared_prefix_end: int = 0


class Occupancy(NamedTuple):
    """Blocks that requests hold, and what part of them holds no token, in blocks."""

    num_used_blocks: int
    reserved_blocks: float  # slots that tokens will fill
    idle_blocks: float  # slots that no token will ever fill


@dataclass(frozen=True, slots=True)
class EqualGroups:
    """Groups of equal layers: a hit in one of them must be a hit in all."""

    first: CacheGroup
    indices: tuple[int, ...]


class KVCache:
    """Gives requests slots for tokens, and remembers content for later requests.

    Invariant: every block that is not free stands in the tables of as many requests as its
    reference count says.

    Source:
        vLLM `KVCacheManager`, vllm/v1/core/kv_cache_manager.py, and the coordinators in
        kv_cache_coordinator.py, 0.32.0.
    """

    def __init__(
        self,
        pool: BlockPool,
        groups: Sequence[CacheGroup],
        equals: Sequence[EqualGroups],
        rules: CacheRules,
    ) -> None:
        self.pool = pool
        self.groups = tuple(groups)
        self._equals = sorted(equals, key=lambda one: not one.first.keeps_all)
        self._rules = rules
        self._states = [group for group in groups if isinstance(group, StateGroup)]

    def occupancy(self, num_computed_tokens: int) -> Occupancy:
        """Who holds the pool, and for what.

        Args:
            num_computed_tokens: of all requests that hold blocks.
        """
        reserved = idle = 0.0
        for group in self.groups:
            if group.fills_up:
                empty = group.num_slots - num_computed_tokens
                reserved += (empty - group.num_idle_slots) / group.block_size
                idle += group.num_idle_slots / group.block_size
        return Occupancy(self.pool.num_used, reserved, idle)

    def begin_step(self) -> None:
        """What the step before computed can be read now."""
        for group in self._states:
            group.begin_step()

    def find(self, request: RunningRequest) -> Hit:
        """The longest cached prefix of a request; its last token is always computed."""
        nothing = Hit(tuple([] for _ in self.groups))
        if not self._rules.enable_prefix_caching or not self._equals:
            return nothing
        if len(self.groups) == 1:
            only = self._equals[0]
            found = only.first.find(request, only.indices, request.num_tokens - 1)
            return Hit(tuple(found.blocks), found.num_tokens)
        return self._find_in_all(request)

    def _find_in_all(self, request: RunningRequest) -> Hit:
        """The longest prefix on which all groups agree.

        Each group in turn accepts the candidate or shortens it, until none shortens it. A group
        that keeps everything holds every shorter prefix too, so it is looked up once.
        """
        blocks: dict[int, list[int]] = {}
        num_tokens, longest = request.num_tokens - 1, 0
        most = num_tokens
        one_pass = len(self._equals) == 2 and self._equals[0].first.keeps_all
        while True:
            before = num_tokens
            for equal in self._equals:
                if equal.first.keeps_all and equal.indices[0] in blocks:
                    num_tokens = min(num_tokens, most)
                    continue
                found = equal.first.find(request, equal.indices, num_tokens)
                num_tokens = found.num_tokens
                longest = max(longest, num_tokens)
                blocks.update(zip(equal.indices, found.blocks, strict=True))
                if equal.first.keeps_all:
                    most = num_tokens
            if num_tokens >= before or one_pass:
                break
        for equal in self._equals:
            if equal.first.keeps_all:
                for index in equal.indices:
                    del blocks[index][num_tokens // equal.first.block_size :]
        return Hit(
            tuple(blocks.get(i, []) for i in range(len(self.groups))),
            num_tokens,
            longest if longest > num_tokens else 0,
        )

    def allocate(
        self,
        request: RunningRequest,
        num_new_tokens: int,
        *,
        hit: Hit | None = None,
        num_loaded_tokens: int = 0,
        whole_prompt: bool = False,
        num_spare_blocks: int = 0,
        num_reserved_blocks: int = 0,
    ) -> bool:
        """Give the request slots for its next tokens; False, and nothing taken, if they lack.

        `hit` is a cached prefix that a request from the queue starts with; `num_loaded_tokens`
        after it will be written from outside, and are published when they are there. With
        `whole_prompt` the whole request so far must have room, not this chunk alone. With
        `num_spare_blocks` so many blocks must stay free, and `num_reserved_blocks` more of those
        that this chunk could take.
        """
        rules = self._rules
        found: Sequence[Sequence[int]] = hit.blocks if hit else [()] * len(self.groups)
        computed = request.num_computed_tokens + (hit.num_tokens if hit else 0)
        computed += num_loaded_tokens
        room = self.pool.num_free - num_spare_blocks
        if whole_prompt:
            whole = min(request.num_tokens, rules.max_model_len)
            if self._missing(request, (whole, whole), computed, found, admission=True) > room:
                return False
        end = computed + num_new_tokens
        settled = max(0, computed - request.num_in_flight_tokens)
        for group in self.groups:
            group.release_behind(request, settled)
        room = self.pool.num_free - num_spare_blocks - num_reserved_blocks
        lookahead = 0 if num_loaded_tokens else rules.num_lookahead_tokens
        slots = min(end + lookahead, rules.max_model_len)
        if self._missing(request, (end, slots), computed, found, admission=False) > room:
            return False
        if hit and (any(hit.blocks) or num_loaded_tokens):
            for group, blocks in zip(self.groups, hit.blocks, strict=True):
                group.adopt(request, blocks, computed)
        for group in self.groups:
            group.grow(request, num_tokens=end, num_slots=slots)
        if not num_loaded_tokens:
            self.publish(request, min(end, request.num_tokens))
        request.quiet_until = self._quiet_until(request, settled)
        return True

    def _quiet_until(self, request: RunningRequest, num_settled_tokens: int) -> int:
        """Computed tokens up to which nothing about the request's blocks changes."""
        quiet = min(group.quiet_until(request, num_settled_tokens) for group in self.groups)
        return min(quiet, request.next_publication - 1)

    def _missing(
        self,
        request: RunningRequest,
        wanted: tuple[int, int],
        num_computed_tokens: int,
        found: Sequence[Sequence[int]],
        *,
        admission: bool,
    ) -> int:
        num_tokens, num_slots = wanted
        return sum(
            group.num_blocks_missing(
                request,
                num_tokens=num_tokens,
                num_slots=num_slots,
                num_computed_tokens=num_computed_tokens,
                found=found[i],
                admission=admission,
            )
            for i, group in enumerate(self.groups)
        )

    def num_missing(self, request: RunningRequest) -> int:
        """Free blocks that a request which holds some still needs for all that is known of it."""
        whole = min(request.num_tokens, self._rules.max_model_len)
        nothing: Sequence[Sequence[int]] = [()] * len(self.groups)
        computed = request.num_computed_tokens
        return self._missing(request, (whole, whole), computed, nothing, admission=True)

    def publish(self, request: RunningRequest, num_tokens: int) -> None:
        """Let others find the content of the first `num_tokens` tokens, as far as hits can end."""
        rules = self._rules
        if not rules.enable_prefix_caching:
            return
        border = rules.scheduler_block_size
        aligned = num_tokens // border * border
        for group in self.groups:
            group.publish(request, aligned if len(self.groups) > 1 else num_tokens)
        request.next_publication = aligned + border

    def release_behind(self, request: RunningRequest) -> None:
        """Free the blocks that no later token of a request attends to."""
        settled = max(0, request.num_computed_tokens - request.num_in_flight_tokens)
        for group in self.groups:
            group.release_behind(request, settled)

    def free(self, request: RunningRequest) -> None:
        """Take all blocks back, group by group."""
        for group in self.groups:
            group.release_all(request)
        request.quiet_until = 0
        request.next_publication = NEVER
