"""SmallChat: a talk of two turns with a shared system prompt, small enough to be drawn."""

from dataclasses import dataclass

from kvsim.errors import SpecError
from kvsim.specs.attention import check_positive
from kvsim.specs.lengths import Lengths, constant
from kvsim.specs.option import option
from kvsim.specs.traffic import Arrivals, PrefixLevel, Traffic

SPREAD = 4
"""The shortest length is the median over this, the longest the median times it; assumed."""

TURNS, TURN_GAP_S = 2, 20.0
"""Each user asks twice; the second prompt repeats the first and its answer; assumed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SmallChat:
    """A few users of one assistant, their requests short enough to look at block by block."""

    system_tokens: int = option(64, "tokens of the system prompt that all requests begin with")
    question_tokens: int = option(30, "median question, tokens")
    reply_tokens: int = option(50, "median answer, tokens")
    rate_per_s: float = option(0.25, "requests per second; a second is a step where a step is one")
    max_tokens: int = option(512, "longest prompt and answer together, tokens")

    def __post_init__(self) -> None:
        check_positive(question_tokens=self.question_tokens, reply_tokens=self.reply_tokens)
        if self.system_tokens < 0:
            msg = f"system_tokens={self.system_tokens} must be >= 0"
            raise SpecError(msg)

    def traffic(self) -> Traffic:
        """The same as a description that requests can be generated from."""
        system = PrefixLevel(num_choices=1, num_tokens=self.system_tokens or 1)
        return Traffic(
            name="small-chat",
            prompt_tokens=_around(self.question_tokens),
            output_tokens=_around(self.reply_tokens),
            prefix_tree=(system,) if self.system_tokens else (),
            num_turns=constant(TURNS),
            turn_gap_s=TURN_GAP_S,
            max_tokens=self.max_tokens,
            arrivals=Arrivals(rate_per_s=self.rate_per_s),
            source="made up to be drawn",
        )


def _around(median: int) -> Lengths:
    return Lengths(
        probabilities=(0.0, 0.5, 1.0),
        tokens=(median / SPREAD, float(median), float(median * SPREAD)),
    )
