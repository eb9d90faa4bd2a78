"""Traffic: what kind of requests come, how often, and what their prompts share."""

from dataclasses import dataclass, replace
from enum import StrEnum

from kvsim.errors import SpecError
from kvsim.message import Message
from kvsim.specs.attention import check_positive
from kvsim.specs.lengths import Lengths, constant
from kvsim.specs.option import option


class ArrivalProcess(StrEnum):
    """How requests are spread over time; a conversation counts as its first turn."""

    AT_ONCE = "at-once"  # all at second 0
    CONSTANT = "constant"  # equal gaps
    POISSON = "poisson"  # independent of each other
    GAMMA = "gamma"  # gaps of a stated variation: above 1, bursts
    DIURNAL = "diurnal"  # Poisson, the rate a sine over a period
    CLOSED = "closed"  # so many users, each asking again after its answer and a pause


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrivals:
    """An arrival process with its numbers; those that it does not use are ignored.

    `rate_per_s` counts requests, later turns of a conversation among them. In the closed loop it
    follows from the users, who wait for their answers however long these take; where nothing
    answers, as in a summary or an exported trace, an answer is taken to need `response_s`.
    """

    process: ArrivalProcess = option(ArrivalProcess.POISSON, "how requests are spread over time")
    rate_per_s: float = option(1.0, "requests per second")
    variation: float = option(1.0, "gamma: standard deviation of the gaps over their mean")
    amplitude: float = option(0.5, "diurnal: the rate swings by this share of its mean")
    period_s: float = option(86_400.0, "diurnal: seconds of a swing")
    num_users: int = option(16, "closed: users, each with one request at a time")
    think_time_s: float = option(30.0, "closed: mean pause after an answer, seconds")
    response_s: float = option(10.0, "closed: seconds of an answer where none is simulated")

    def __post_init__(self) -> None:
        if self.process not in list(ArrivalProcess):
            msg = f"arrivals={str(self.process)[:40]} must be one of {', '.join(ArrivalProcess)}"
            raise SpecError(msg)
        object.__setattr__(self, "process", ArrivalProcess(self.process))
        check_positive(num_users=self.num_users)
        for name in ("rate_per_s", "variation", "period_s", "response_s"):
            if not 0 < getattr(self, name) < float("inf"):
                msg = Message(
                    "{name}={value} must be > 0", name=name, value=f"{getattr(self, name):g}"
                )
                raise SpecError(msg)
        if not 0 <= self.think_time_s < float("inf"):
            msg = Message(
                "think_time_s={think_time_s} must be >= 0", think_time_s=f"{self.think_time_s:g}"
            )
            raise SpecError(msg)
        if not 0 <= self.amplitude <= 1:
            msg = f"amplitude={self.amplitude:g} must be in [0, 1]"
            raise SpecError(msg)


@dataclass(frozen=True, slots=True, kw_only=True)
class PrefixLevel:
    """One level of a tree of prefixes: each node has so many children of so many tokens.

    Child i is chosen with a weight of 1 / (i + 1)^skew: 0 is even, 1 is Zipf's law.
    """

    num_choices: int
    num_tokens: int
    skew: float = 0.0

    def __post_init__(self) -> None:
        check_positive(num_choices=self.num_choices, num_tokens=self.num_tokens)
        if not 0 <= self.skew < float("inf"):
            msg = f"skew={self.skew:g} must be >= 0"
            raise SpecError(msg)


ONE_TURN = constant(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """Requests to generate: a path through the prefix tree, then what is said.

    A shared system prompt is a tree of one level with one choice. Each conversation has
    `num_turns` turns; a later prompt repeats all before it and adds `turn_tokens`. A turn comes
    `turn_gap_s` after the one before, on average. A conversation ends before it would pass
    `max_tokens`. Of each first prompt, `repeated_share` is the beginning of one text that is the
    same for all, in whole blocks of `repeated_block_size` tokens, as caches count hits.
    """

    name: str
    prompt_tokens: Lengths
    output_tokens: Lengths
    arrivals: Arrivals
    prefix_tree: tuple[PrefixLevel, ...] = ()
    num_turns: Lengths = ONE_TURN
    turn_tokens: Lengths | None = None  # None: as the first prompt
    turn_output_tokens: Lengths | None = None  # None: as the first answer
    turn_gap_s: float = 60.0
    max_tokens: int = 131_072
    repeated_share: float = 0.0
    repeated_block_size: int = 16
    doc: str = ""
    source: str = ""

    def __post_init__(self) -> None:
        check_positive(max_tokens=self.max_tokens, repeated_block_size=self.repeated_block_size)
        if not 0 <= self.repeated_share <= 1:
            msg = f"repeated_share={self.repeated_share:g} must be in [0, 1]"
            raise SpecError(msg)
        if not 0 <= self.turn_gap_s < float("inf"):
            msg = f"turn_gap_s={self.turn_gap_s:g} must be >= 0"
            raise SpecError(msg)
        if self.prefix_tokens + 2 > self.max_tokens:
            msg = f"prefix tree of {self.prefix_tokens} tokens must fit into {self.max_tokens}"
            raise SpecError(msg)

    def arriving(self, **changes: object) -> "Traffic":
        """The same with some fields of its arrivals changed."""
        arrivals = replace(self.arrivals, **changes)  # type: ignore[arg-type]
        return replace(self, arrivals=arrivals)

    @property
    def prefix_tokens(self) -> int:
        """Tokens of a path through the tree."""
        return sum(level.num_tokens for level in self.prefix_tree)
