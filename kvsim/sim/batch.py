"""Batch: what one step computes."""

from dataclasses import dataclass, field

from kvsim.sim.request import RunningRequest


@dataclass(frozen=True, slots=True)
class Admission:
    """A request that begins, or comes back, and what of it the device's cache had."""

    request: RunningRequest
    num_hit_tokens: int
    num_loaded_tokens: int = 0  # from outside the device


@dataclass(frozen=True, slots=True)
class Eviction:
    """A request that lost its blocks, and the one that took them: itself, if it was the last."""

    request: RunningRequest
    by: RunningRequest
    num_lost_tokens: int  # keys and values that it had


@dataclass(slots=True, eq=False)
class Batch:
    """Tokens per request that one step computes, filled by the scheduler.

    `sampling` are the requests whose next token the step brings; of a prompt's other chunks
    nothing comes back. `num_hit_tokens` were found in the cache by requests that start in this
    step, `num_resume_hit_tokens` by those that come back from a preemption.

    Invariant: what `tokens` hold and `budget` together are the step's token budget.
    """

    budget: int  # tokens that the step can still take
    tokens: dict[RunningRequest, int] = field(default_factory=dict)
    sampling: list[RunningRequest] = field(default_factory=list)
    drafts: dict[RunningRequest, int] = field(default_factory=dict)  # guesses that it checks
    pads_drafts: bool = False  # no request that ran before is still in its prompt
    continues: bool = False  # some request ran before
    preempted: list[Eviction] = field(default_factory=list)
    admitted: list[Admission] = field(default_factory=list)
    num_tokens: int = 0
    num_query_tokens: int = 0
    num_hit_tokens: int = 0
    num_resume_query_tokens: int = 0
    num_resume_hit_tokens: int = 0

    def drop(self, request: RunningRequest, *, by: RunningRequest) -> None:
        """Take a request out that is preempted, maybe after it was scheduled."""
        self.budget += self.tokens.pop(request, 0)
        self.drafts.pop(request, None)
        self.preempted.append(Eviction(request, by, request.num_computed_tokens))

    def admit(
        self,
        request: RunningRequest,
        *,
        num_tokens: int,
        num_hit_tokens: int,
        num_cached_tokens: int | None = None,
        num_loaded_tokens: int = 0,
    ) -> None:
        """Take a request in whose first `num_hit_tokens` tokens need no computing.

        Of these the device had `num_cached_tokens` (None: all), and `num_loaded_tokens` came
        from outside it.
        """
        self.tokens[request] = num_tokens
        self.budget -= num_tokens
        drafts = num_hit_tokens + num_tokens - request.num_tokens
        if drafts > 0:
            self.drafts[request] = drafts
        cached = num_hit_tokens if num_cached_tokens is None else num_cached_tokens
        self.admitted.append(Admission(request, cached, num_loaded_tokens))

    def count_lookup(self, request: RunningRequest, *, num_hit_tokens: int) -> None:
        """Count what the prefix cache was asked for and had, first comers apart."""
        if request.num_preemptions:
            self.num_resume_query_tokens += request.num_tokens
            self.num_resume_hit_tokens += num_hit_tokens
        else:
            self.num_query_tokens += request.num_tokens
            self.num_hit_tokens += num_hit_tokens


@dataclass(frozen=True, slots=True)
class Settled:
    """What became known when a step's outputs arrived."""

    first_tokens: list[RunningRequest] = field(default_factory=list)
    finished: list[RunningRequest] = field(default_factory=list)
