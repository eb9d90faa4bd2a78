"""Where a chunk of a prompt must end so that a recurrent state can be cached."""

from dataclasses import dataclass

from kvsim.sim.request import RunningRequest


@dataclass(frozen=True, slots=True)
class StateChunks:
    """Chunk ends of models with aligned recurrent states: a state exists where a chunk ends.

    Source:
        vLLM `Scheduler._mamba_block_aligned_split`, vllm/v1/core/sched/scheduler.py, 0.32.0.
    """

    block_size: int
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
        size, prefill_end = self.block_size, request.prefill_end
        if start >= prefill_end:
            return num_new_tokens
        end = start + num_new_tokens
        if end < prefill_end:
            aligned = end // size * size
            if aligned > start or size <= self.max_chunk_tokens:
                end = aligned
        stops = [(request.num_tokens - 1) // size * size]  # the last state that can be reused
        if start % size:
            stops.append((start // size + 1) * size)
        shared = request.shared_prefix_end
        if start < shared < end:
            stops.append(start + (shared - start) // size * size)
        return max(0, min((s for s in stops if start < s < end), default=end) - start)
