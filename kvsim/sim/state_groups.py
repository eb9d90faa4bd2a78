"""Recurrent layers: a state of fixed size in place of keys and values, cached or not."""

from collections.abc import Sequence
from dataclasses import dataclass

from kvsim.engines.vllm_specs import MambaSpec
from kvsim.sim.block_pool import NULL_BLOCK, BlockPool
from kvsim.sim.content import Identity
from kvsim.sim.groups import CacheGroup, CacheRules, Finding, FoundBlocks
from kvsim.sim.request import NEVER, BlockTable, RunningRequest
from kvsim.sim.state_chunks import Checkpoints
from kvsim.units import ceil_div


@dataclass(slots=True, eq=False)
class StateTable(BlockTable):
    """A block table in which entry i is the state after (i + 1) blocks of tokens.

    Between them lie null blocks: a state makes those before it worthless, except to others.
    """

    has_running_state: bool = False  # a block of its own was allocated, not only found
    copied_from: int | None = None  # where the state before the running one lies
    num_retired: int = 0  # entries that are null for good
    checkpoint: int | None = None  # the entry that the step under way saves beside the last

    def clear(self) -> None:
        """Forget everything; the blocks were given back."""
        BlockTable.clear(self)
        self.has_running_state = False
        self.copied_from = None
        self.num_retired = 0
        self.checkpoint = None


class StateGroup(CacheGroup):
    """Layers with a state of fixed size, kept for the last token alone.

    A hit needs the single state at its end, and a state that the step under way computes cannot
    be read in it.

    Source:
        vLLM `MambaManager`, single_type_kv_cache_manager.py, 0.32.0.
    """

    keeps_all = False
    fills_up = False

    def __init__(
        self, pool: BlockPool, rules: CacheRules, spec: MambaSpec, *, index: int, block_size: int
    ) -> None:
        super().__init__(pool, rules, index=index, block_size=block_size)
        self._num_draft_blocks = spec.num_speculative_blocks
        self._fresh: set[Identity] = set()  # states that the step under way computes

    def begin_step(self) -> None:
        """What the last step computed is there now."""
        self._fresh.clear()

    def num_tokens_behind(self, num_computed_tokens: int) -> int:
        """All but the last: the state holds them."""
        return max(0, num_computed_tokens - 1)

    def num_blocks_missing(
        self,
        request: RunningRequest,
        *,
        num_tokens: int,
        num_slots: int,
        num_computed_tokens: int,
        found: Sequence[int],
        admission: bool,
    ) -> int:
        """More than there are if a found state is not computed yet: the request waits a step."""
        if found and self._pool.identity(found[-1]) in self._fresh:
            return self._pool.num_gpu_blocks + 1
        return super().num_blocks_missing(
            request,
            num_tokens=num_tokens,
            num_slots=num_slots + self._num_draft_blocks * self.block_size,
            num_computed_tokens=num_computed_tokens,
            found=found,
            admission=admission,
        )

    def grow(self, request: RunningRequest, *, num_tokens: int, num_slots: int) -> None:
        """A block for the state, and those for drafts."""
        num_slots += self._num_draft_blocks * self.block_size
        super().grow(request, num_tokens=num_tokens, num_slots=num_slots)

    def publish(self, request: RunningRequest, num_tokens: int) -> None:
        """Let others find the states, from the next step on."""
        table = request.tables[self.index]
        first = table.num_published
        super().publish(request, num_tokens)
        for i in range(first, table.num_published):
            self._mark_fresh(request, i)

    def _mark_fresh(self, request: RunningRequest, entry: int) -> None:
        block_id = request.tables[self.index].blocks[entry]
        if block_id != NULL_BLOCK and self._pool.is_published(block_id):
            self._fresh.add(request.content.identity((entry + 1) * self.block_size))

    def reachable(self, request: RunningRequest, first: int, last: int) -> Sequence[int]:
        """States at the places where hits can end, as the retention interval says."""
        interval = self._rules.retention_interval
        if interval is None:
            return range(first, last)
        kept: set[int] = set()
        if interval:
            segment = interval // self.block_size
            if segment <= 1:
                return range(first, last)
            kept.update(i for i in range(first, last) if (i + 1) % segment == 0)
        for end in (request.num_prompt_tokens - 1, request.shared_prefix_end):
            i = self._aligned(end) // self.block_size - 1
            if first <= i < last:
                kept.add(i)
        return sorted(kept)

    def quiet_until(self, request: RunningRequest, num_settled_tokens: int) -> int:  # noqa: ARG002
        """For good if one block lasts, else never: what is fresh changes with every step."""
        rules = self._rules
        one_block = self.block_size >= rules.max_model_len
        return NEVER if one_block and not rules.enable_prefix_caching else 0

    def find(self, request: RunningRequest, groups: Sequence[int], max_tokens: int) -> FoundBlocks:
        """The latest state that is cached, right to left; null blocks stand before it."""
        for i in range(max_tokens // self.block_size - 1, -1, -1):
            end = (i + 1) * self.block_size
            blocks = self._pool.find(groups, request.content.identity(end))
            if blocks is not None and end % self._rules.hit_alignment == 0:
                return FoundBlocks([[NULL_BLOCK] * i + [block_id] for block_id in blocks], end)
        nothing: Finding = [[] for _ in groups]
        return FoundBlocks(nothing, 0)

    def _aligned(self, num_tokens: int) -> int:
        return num_tokens - num_tokens % self._rules.hit_alignment


class AlignedStateGroup(StateGroup):
    """Layers whose states are cached at block borders; a step reads one block, writes another.

    A request holds the running state, the one it was copied from until the next step, and
    blocks for drafts. Some kernels save a second state in the step that ends a prompt, at the
    last border that a repeated prompt can use.

    Source:
        vLLM `MambaManager` with mamba_cache_mode="align", single_type_kv_cache_manager.py, 0.32.0.
    """

    def __init__(
        self, pool: BlockPool, rules: CacheRules, spec: MambaSpec, *, index: int, block_size: int
    ) -> None:
        super().__init__(pool, rules, spec, index=index, block_size=block_size)
        can_save = spec.num_prefill_checkpoint_blocks > 0
        self._checkpoints = Checkpoints(
            block_size=block_size,
            alignment=spec.prefill_checkpoint_alignment if can_save else None,
        )

    def new_table(self) -> StateTable:
        """The block table of a request that holds nothing."""
        return StateTable()

    def num_blocks_missing(
        self,
        request: RunningRequest,
        *,
        num_tokens: int,
        num_slots: int,  # noqa: ARG002
        num_computed_tokens: int,
        found: Sequence[int],
        admission: bool,
    ) -> int:
        """One block for the running state, one to save another, and at first those for drafts."""
        if found and self._pool.identity(found[-1]) in self._fresh:
            return self._pool.num_gpu_blocks + 1
        table = self._table(request)
        checkpoint = self._checkpoint(request, start=num_computed_tokens, end=num_tokens)
        if not admission:
            table.checkpoint = checkpoint
        missing = self._num_entries(num_tokens) - len(found) - len(table.blocks)
        most = 1 if checkpoint is None else 2
        if not table.has_running_state:
            most += self._num_draft_blocks
        return max(0, min(missing, most)) + self._pool.num_evictable(found)

    def _checkpoint(self, request: RunningRequest, *, start: int, end: int) -> int | None:
        """The entry that a chunk saves beside the state at its end; None if it saves none."""
        entry = ceil_div(end, self.block_size) - 2
        if self._rules.retention_interval == 0 and end < request.prefill_end:
            return None  # only what the prompt's end saves would be kept
        position = self._checkpoints.last_before(end)
        if entry < 0 or not self._checkpoints.can_save(position, start=start, end=end):
            return None
        table = self._table(request)
        is_free = entry >= len(table.blocks) or table.blocks[entry] == NULL_BLOCK
        first_draft = len(table.blocks) - self._num_draft_blocks
        return entry if is_free or (table.has_running_state and entry >= first_draft) else None

    def release_behind(self, request: RunningRequest, num_settled_tokens: int) -> None:
        """Free the states before the last settled one, and the one that was copied."""
        table = self._table(request)
        last = min(self.num_tokens_behind(num_settled_tokens) // self.block_size, len(table.blocks))
        if last > table.num_retired:
            retired = range(last - 1, table.num_retired - 1, -1)
            self._retire(table, [i for i in retired if table.blocks[i] != NULL_BLOCK])
            table.num_retired = last
        copied = table.copied_from
        if copied is not None and copied < ceil_div(num_settled_tokens, self.block_size) - 1:
            self._retire(table, [copied] if table.blocks[copied] != NULL_BLOCK else [])

    def grow(self, request: RunningRequest, *, num_tokens: int, num_slots: int) -> None:  # noqa: ARG002
        """A block for the state after `num_tokens`, null blocks for those that are skipped."""
        table = self._table(request)
        blocks, held, drafts = table.blocks, len(table.blocks), self._num_draft_blocks
        needed = self._num_entries(num_tokens)
        if needed > held or table.checkpoint is not None:
            if table.has_running_state:
                table.copied_from = held - 1 - drafts
            elif held:
                table.copied_from = held - 1
            first_written = needed - drafts - (1 if table.checkpoint is None else 2)
            blocks += [NULL_BLOCK] * (first_written - held)
            if table.has_running_state:
                self._move_draft_blocks(blocks, range(held - drafts, min(held, first_written)))
            blocks += self._pool.allocate(max(0, needed - len(blocks)))
        table.has_running_state = True

    def publish(self, request: RunningRequest, num_tokens: int) -> None:
        """As states do; what a prompt saves at its last border is fresh in every step there."""
        table = self._table(request)
        if table.checkpoint is not None:
            self._publish_checkpoint(request, num_tokens, table.checkpoint)
            return
        super().publish(request, num_tokens)
        if num_tokens and num_tokens == self._aligned(request.num_prompt_tokens - 1):
            self._mark_fresh(request, num_tokens // self.block_size - 1)

    def _publish_checkpoint(self, request: RunningRequest, num_tokens: int, entry: int) -> None:
        """Publish, but a checkpoint only where a hit can end: else its block is overwritten."""
        table = self._table(request)
        first, block_id = table.num_published, table.blocks[entry]
        end = (entry + 1) * self.block_size
        CacheGroup.publish(self, request, num_tokens)
        interval = self._rules.retention_interval
        is_kept = interval is None or (interval > 0 and end % interval == 0)
        ends = (self._aligned(request.num_prompt_tokens - 1), request.shared_prefix_end)
        if not is_kept and end not in ends:
            self._pool.forget(block_id)
        elif block_id != NULL_BLOCK and not self._pool.is_published(block_id):
            self._pool.publish(block_id, self.index, request.content.identity(end))
            self._mark_fresh(request, entry)
        for i in range(first, table.num_published):
            self._mark_fresh(request, i)

    def _table(self, request: RunningRequest) -> StateTable:
        table = request.tables[self.index]
        assert isinstance(table, StateTable)
        return table

    def _num_entries(self, num_tokens: int) -> int:
        return ceil_div(num_tokens, self.block_size) + self._num_draft_blocks

    def _retire(self, table: StateTable, entries: list[int]) -> None:
        self._pool.release([table.blocks[i] for i in entries])
        for i in entries:
            table.blocks[i] = NULL_BLOCK

    def _move_draft_blocks(self, blocks: list[int], entries: range) -> None:
        for i in entries:
            blocks.append(blocks[i])
            blocks[i] = NULL_BLOCK
