"""What a run leaves behind: a record per step and per request, and nothing else."""

from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRecord:
    """One step, seen right after it was scheduled and before its outputs are settled.

    `num_used_blocks` leaves out the null block and free blocks that still hold content.
    """

    step: int
    start_s: float
    end_s: float
    num_tokens: int  # computed in this step; 0 where only the step before is awaited
    num_running: int
    num_waiting: int
    num_used_blocks: int
    reserved_blocks: float  # of the used ones, slots that tokens will fill, in blocks
    idle_blocks: float  # of the used ones, slots that no token will ever fill, in blocks
    num_preempted: int
    num_query_tokens: int  # of requests that start in this step
    num_hit_tokens: int  # of these, found in the prefix cache
    num_resume_query_tokens: int  # of requests that come back from a preemption
    num_resume_hit_tokens: int


class Stall(NamedTuple):
    """Two tokens in a row that did not come in steps in a row: the times of both."""

    from_s: float
    until_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Preemption:
    """A request that lost its blocks to another, or to itself where it was the last."""

    step: int
    time_s: float  # when the step was scheduled
    index: int  # of the request in the workload
    sample: int
    by_index: int
    by_sample: int
    num_lost_tokens: int  # keys and values that it had


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestRecord:
    """One request's life. Steps count from 0; a step's time is when its computation ended.

    From its first token to its last, one came at the end of every step but in its `stalls`.
    """

    index: int  # in the workload
    sample: int  # which of the answers to one prompt
    num_prompt_tokens: int
    num_output_tokens: int
    num_cached_tokens: int  # found in the prefix cache when it first started
    num_preemptions: int
    arrival_s: float
    first_step: int  # the step that it was first part of
    first_token_step: int  # the step after which its first token was known
    last_step: int  # the step after which its last token was known
    first_token_s: float
    finish_s: float
    num_recomputed_tokens: int = 0  # had before a preemption, and not found cached after it
    stalls: tuple[Stall, ...] = ()
    num_loaded_tokens: int = 0  # beyond the cached ones, from a tier below or another engine

    @property
    def ttft_s(self) -> float:
        """Time to first token."""
        return self.first_token_s - self.arrival_s

    @property
    def e2e_s(self) -> float:
        """Time to last token."""
        return self.finish_s - self.arrival_s

    @property
    def tpot_s(self) -> float | None:
        """Mean time per later token; None for a single one."""
        if self.num_output_tokens < 2:
            return None
        return (self.finish_s - self.first_token_s) / (self.num_output_tokens - 1)
