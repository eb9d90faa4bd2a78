"""Where a chunk of a prompt must end so that a recurrent state can be cached."""

from dataclasses import dataclass

from kvsim.sim.request import RunningRequest
from kvsim.units import ceil_div


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoints:
    """Where a kernel can save a state inside a chunk, so that the chunk need not end there."""

    block_size: int
    alignment: int | None  # tokens from the chunk's start that it works in; None: it cannot

    def last_before(self, end: int) -> int:
        """The last block border before `end`: with one token left to compute, a hit ends here."""
        return (end - 1) // self.block_size * self.block_size

    def can_save(self, position: int, *, start: int, end: int) -> bool:
        """Whether the chunk from `start` to `end` can save the state at `position` within it.

        Source:
            vLLM `is_mamba_prefill_checkpoint_valid`, vllm/v1/kv_cache_interface.py, 0.32.0.
        """
        size = self.block_size
        if self.alignment is None or start % size or (position - start) % self.alignment:
            return False
        begins_later = ceil_div(end, size) - 2 > (start - 1) // size
        return begins_later and start + size <= position < end


@dataclass(frozen=True, slots=True)
class StateChunks:
    """Chunk ends of models with aligned recurrent states: a state exists where a chunk ends.

    Source:
        vLLM `Scheduler._mamba_block_aligned_split`, vllm/v1/core/sched/scheduler.py, 0.32.0.
    """

    checkpoints: Checkpoints
    max_chunk_tokens: int  # most tokens that a step computes of one request

    def clip(self, request: RunningRequest, num_new_tokens: int, *, start: int) -> int:
        """Tokens of the next chunk, at most `num_new_tokens`; 0 if it must wait for more budget.

        Chunks end at block borders, except the prompt's last, which decoding carries to the
        next border. A block that no step can compute whole is crossed in pieces.

        Args:
            request: whose prompt is computed.
            num_new_tokens: tokens that budget and limits allow.
            start: tokens computed before, cached ones among them.
        """
        checkpoints, prefill_end = self.checkpoints, request.prefill_end
        if start >= prefill_end:
            return num_new_tokens
        end, size = start + num_new_tokens, checkpoints.block_size
        stops = []
        reusable = checkpoints.last_before(prefill_end)
        if end < prefill_end or not checkpoints.can_save(reusable, start=start, end=end):
            stops.append(checkpoints.last_before(request.num_tokens))
            if start % size:
                stops.append((start // size + 1) * size)
        if end < prefill_end:
            aligned = end // size * size
            if aligned > start or size <= self.max_chunk_tokens:
                end = aligned
        shared = request.shared_prefix_end
        if start < shared < end:
            stops.append(start + (shared - start) // size * size)
        return max(0, min((s for s in stops if start < s < end), default=end) - start)
