"""A request as the engine sees it while it is served."""

from dataclasses import dataclass, field
from enum import StrEnum

from kvsim.sim.content import Content

NEVER = 2**62
"""More tokens than any request has."""


class Status(StrEnum):
    """Where a request stands, in the engine's words."""

    WAITING = "waiting"
    RUNNING = "running"
    PREEMPTED = "preempted"
    FINISHED = "finished"


@dataclass(slots=True, eq=False)
class BlockTable:
    """One request's blocks in one group, in the order of the tokens they hold.

    Invariant: the first `num_published` entries are settled for the prefix cache: published, or
    never to be.
    """

    blocks: list[int] = field(default_factory=list)
    num_published: int = 0

    def clear(self) -> None:
        """Forget everything; the blocks were given back."""
        self.blocks.clear()
        self.num_published = 0


@dataclass(slots=True, eq=False)
class RunningRequest:
    """What changes while a request is served; the scheduler and its cache alone mutate it.

    Invariant: `num_computed_tokens` <= `num_tokens` + `num_placeholders` between steps: what is
    scheduled counts as computed, and a placeholder stands for each token not yet known.
    """

    index: int  # its place in the workload: the order of arrival
    priority: int
    num_prompt_tokens: int
    num_tokens_at_end: int  # prompt plus answer, cut at max_model_len
    num_encoder_tokens: int
    content: Content
    tables: tuple[BlockTable, ...]  # one per group

    num_tokens: int = 0  # prompt, and what has been generated
    num_computed_tokens: int = 0  # tokens whose keys and values are in the cache
    is_prefilling: bool = False  # the last chunk left some of its known tokens uncomputed
    num_draft_tokens: int = 0  # guesses that the next step checks
    num_placeholders: int = 0  # tokens that a step under way will bring
    num_in_flight_tokens: int = 0  # tokens of steps under way
    num_stale_tokens: int = 0  # of these, scheduled before a preemption
    num_preemptions: int = 0
    num_starved: int = 0  # times in a row that it preempted itself although it was alone
    num_tokens_starved: int = 0  # its tokens when it last did
    status: Status = Status.WAITING
    shared_prefix_end: int = 0  # where others were seen to continue differently; 0: nowhere
    quiet_until: int = 0  # up to so many computed tokens its blocks stay as they are
    next_publication: int = NEVER  # with so many settled tokens, blocks can be published

    @property
    def prefill_end(self) -> int:
        """Tokens computed before the next one is sampled; a resumed request replays its answer."""
        return max(self.num_prompt_tokens, self.num_tokens - 1)
