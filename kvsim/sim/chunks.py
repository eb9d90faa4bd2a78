"""How many tokens of a request one step computes."""

from dataclasses import dataclass

from kvsim.sim.batch import Batch
from kvsim.sim.config import SchedulerConfig
from kvsim.sim.request import NEVER, RunningRequest
from kvsim.sim.state_chunks import StateChunks


@dataclass(frozen=True, slots=True)
class Chunks:
    """Sizes of the pieces in which prompts are computed; answers come a token at a time.

    Source:
        vLLM `Scheduler.schedule`, vllm/v1/core/sched/scheduler.py, 0.32.0.
    """

    config: SchedulerConfig
    states: StateChunks | None  # where recurrent states are cached at block borders

    def most_tokens(self, num_requests: int) -> int:
        """Most tokens of one request in a step; a request that is alone starves nobody."""
        limit = self.config.long_prefill_token_threshold
        if limit == 0 or num_requests < 2:
            return NEVER
        if self.config.long_prefill_token_threshold_adaptive:
            return max(limit, self.config.max_num_batched_tokens // num_requests)
        return limit

    def of_running(self, request: RunningRequest, most_tokens: int) -> int:
        """Tokens that a running request computes next; 0 if it has to wait for a step to settle.

        The last token that a context can hold is sampled, never computed.
        """
        computed = request.num_computed_tokens
        known = request.num_tokens + request.num_draft_tokens + request.num_placeholders
        n = min(known - computed, most_tokens, self.config.max_model_len - 1 - computed)
        return n if self.states is None else self.states.clip(request, n, start=computed)

    def of_waiting(
        self, request: RunningRequest, batch: Batch, *, num_hit_tokens: int, most_tokens: int
    ) -> int:
        """Tokens that a request from the queue would compute; 0 if it has to wait.

        Args:
            request: who waits.
            batch: the step so far, with its budget.
            num_hit_tokens: tokens that the prefix cache has.
            most_tokens: what `most_tokens` allows each request.
        """
        missing = n = request.num_tokens - num_hit_tokens
        if missing == 1 and self._pads_drafts(batch, num_hit_tokens=num_hit_tokens):
            n += self.config.num_speculative_tokens
            if n > batch.budget:
                return 0
        n = min(n, most_tokens)
        if n > batch.budget:
            if not self.config.enable_chunked_prefill:
                return 0
            n = batch.budget
        if self.states is None:
            return n
        clipped = self.states.clip(request, n, start=num_hit_tokens)
        return 1 if n > missing and clipped != n else clipped

    def _pads_drafts(self, batch: Batch, *, num_hit_tokens: int) -> bool:
        """Whether a request that lacks one token is given drafts, to be as wide as the others.

        All requests of a step that only decodes check equally many, so one graph serves them.
        """
        if not batch.pads_drafts or not (batch.continues or num_hit_tokens):
            return False
        padded = 1 + self.config.num_speculative_tokens
        return num_hit_tokens + padded + 1 <= self.config.max_model_len
