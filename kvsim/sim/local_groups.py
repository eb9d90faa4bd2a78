"""Groups that let go of old tokens or never grow: windows, chunks, encoder output, rings."""

from collections.abc import Sequence

from kvsim.engines.vllm_specs import ChunkedLocalAttentionSpec, SlidingWindowSpec
from kvsim.sim.block_pool import NULL_BLOCK, BlockPool
from kvsim.sim.groups import CacheGroup, CacheRules, Finding, FoundBlocks
from kvsim.sim.request import NEVER, RunningRequest
from kvsim.units import ceil_div


class WindowGroup(CacheGroup):
    """Layers with a sliding window: blocks wholly below it are freed.

    A prefix is found where the window's worth of blocks before its end is cached, so blocks
    that no such end can use are never published.

    Source:
        vLLM `SlidingWindowManager`, vllm/v1/core/single_type_kv_cache_manager.py, 0.32.0.
    """

    keeps_all = False

    def __init__(
        self,
        pool: BlockPool,
        rules: CacheRules,
        spec: SlidingWindowSpec,
        *,
        index: int,
        block_size: int,
        max_blocks: int,
    ) -> None:
        super().__init__(pool, rules, index=index, block_size=block_size, max_blocks=max_blocks)
        self._kept_behind = spec.sliding_window - 1 + spec.extra_retained_tokens
        self._run = ceil_div(spec.sliding_window - 1, block_size)  # blocks that make a hit

    def num_tokens_behind(self, num_computed_tokens: int) -> int:
        """Tokens below the window of the next one."""
        return max(0, num_computed_tokens - self._kept_behind)

    def quiet_until(self, request: RunningRequest, num_settled_tokens: int) -> int:
        """Until another block slides out, or one is needed."""
        behind = self.num_tokens_behind(num_settled_tokens) // self.block_size
        slides_at = self._kept_behind + (behind + 1) * self.block_size
        return min(super().quiet_until(request, num_settled_tokens), slides_at)

    def reachable(self, request: RunningRequest, first: int, last: int) -> Sequence[int]:
        """The window before each place where hits can end, as the retention interval says."""
        rules = self._rules
        if rules.hit_alignment % self.block_size:
            return range(first, last)
        kept: set[int] = set()
        interval = rules.retention_interval
        if interval != 0:
            segment = (interval or rules.hit_alignment) // self.block_size
            if self._run >= segment:
                return range(first, last)
            kept.update(i for i in range(first, last) if i % segment >= segment - self._run)
        if interval is not None:
            for end_tokens in (request.num_prompt_tokens - 1, request.shared_prefix_end):
                end = end_tokens // rules.hit_alignment * rules.hit_alignment // self.block_size
                kept.update(range(max(first, end - self._run), min(last, end)))
        return sorted(kept)

    def find(self, request: RunningRequest, groups: Sequence[int], max_tokens: int) -> FoundBlocks:
        """The latest end before which a window of blocks is cached, right to left.

        Failing that, the first blocks of the request, as far as they are cached: their window
        is not yet full.
        """
        size, alignment = self.block_size, self._rules.hit_alignment
        num_blocks = max_tokens // size
        found: Finding = [[NULL_BLOCK] * num_blocks for _ in groups]
        run = 0
        for i in range(num_blocks - 1, -1, -1):
            blocks = self._pool.find(groups, request.content.identity((i + 1) * size))
            if blocks is None:
                run = 0
                continue
            if run == 0 and (i + 1) * size % alignment:
                continue
            for held, block_id in zip(found, blocks, strict=True):
                held[i] = block_id
            run += 1
            if run >= self._run:
                for held in found:
                    del held[i + run :]
                return FoundBlocks(found, (i + run) * size)
        for held in found:
            del held[run:]
        return self.aligned(found)


class ChunkGroup(CacheGroup):
    """Layers that attend inside chunks: blocks of earlier chunks are freed.

    Source:
        vLLM `ChunkedLocalAttentionManager`, single_type_kv_cache_manager.py, 0.32.0.
    """

    keeps_all = False

    def __init__(
        self,
        pool: BlockPool,
        rules: CacheRules,
        spec: ChunkedLocalAttentionSpec,
        *,
        index: int,
        block_size: int,
        max_blocks: int,
    ) -> None:
        super().__init__(pool, rules, index=index, block_size=block_size, max_blocks=max_blocks)
        self._chunk = spec.attention_chunk_size

    def num_tokens_behind(self, num_computed_tokens: int) -> int:
        """Tokens of the chunks before the next token's."""
        return num_computed_tokens // self._chunk * self._chunk

    def quiet_until(self, request: RunningRequest, num_settled_tokens: int) -> int:
        """Until the next chunk begins, or a block is needed."""
        next_chunk = self.num_tokens_behind(num_settled_tokens) + self._chunk
        return min(super().quiet_until(request, num_settled_tokens), next_chunk)

    def find(self, request: RunningRequest, groups: Sequence[int], max_tokens: int) -> FoundBlocks:
        """Null blocks for the chunks before `max_tokens`, then what its chunk has cached."""
        size = self.block_size
        first = self.num_tokens_behind(max_tokens) // size
        found: Finding = [[NULL_BLOCK] * first for _ in groups]
        for i in range(first, max_tokens // size):
            blocks = self._pool.find(groups, request.content.identity((i + 1) * size))
            if blocks is None:
                break
            for held, block_id in zip(found, blocks, strict=True):
                held.append(block_id)
        return FoundBlocks(found, len(found[0]) * size)


class CrossGroup(CacheGroup):
    """Layers that attend to the encoder's output: blocks come once, with the first tokens.

    Source:
        vLLM `CrossAttentionManager`, single_type_kv_cache_manager.py, 0.32.0.
    """

    fills_up = False

    def num_blocks_missing(
        self,
        request: RunningRequest,
        *,
        num_tokens: int,  # noqa: ARG002
        num_slots: int,  # noqa: ARG002
        num_computed_tokens: int,  # noqa: ARG002
        found: Sequence[int],  # noqa: ARG002
        admission: bool,  # noqa: ARG002
    ) -> int:
        """Blocks for the encoder's output, until they are there."""
        held = len(request.tables[self.index].blocks)
        return max(0, ceil_div(request.num_encoder_tokens, self.block_size) - held)

    def grow(self, request: RunningRequest, *, num_tokens: int, num_slots: int) -> None:  # noqa: ARG002
        """All blocks at once."""
        num_slots = request.num_encoder_tokens
        super().grow(request, num_tokens=num_slots, num_slots=num_slots)

    def publish(self, request: RunningRequest, num_tokens: int) -> None:
        """Nothing: an encoder's output belongs to one request."""

    def quiet_until(self, request: RunningRequest, num_settled_tokens: int) -> int:  # noqa: ARG002
        """For good."""
        return NEVER


class RingGroup(CrossGroup):
    """One block per request, reused in a ring and shared with nobody.

    Source:
        vLLM `CircularBufferManager`, single_type_kv_cache_manager.py, 0.32.0.
    """

    def num_blocks_missing(
        self,
        request: RunningRequest,
        *,
        num_tokens: int,  # noqa: ARG002
        num_slots: int,  # noqa: ARG002
        num_computed_tokens: int,  # noqa: ARG002
        found: Sequence[int],  # noqa: ARG002
        admission: bool,  # noqa: ARG002
    ) -> int:
        """The ring, until it is there."""
        return 0 if request.tables[self.index].blocks else 1

    def grow(self, request: RunningRequest, *, num_tokens: int, num_slots: int) -> None:  # noqa: ARG002
        """The ring."""
        table = request.tables[self.index].blocks
        if not table:
            table += self._pool.allocate(1)
