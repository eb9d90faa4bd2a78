"""What tutorials say of caches, each sentence with one deployment's number and a verdict."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

Json = dict[str, object]
Figures = Mapping[str, int | float]


class ClaimName(StrEnum):
    """The sentences, in the order of a tutorial."""

    SAME_ANSWER = "the answer is the same with a cache"
    CONSTANT_WORK = "per-token work is almost constant"
    QUADRATIC_TO_LINEAR = "total goes from quadratic to linear"
    EXPONENTIAL = "without a cache the cost explodes exponentially"
    STABLE_SPEED = "speed stays stable however long the answer"
    OUTGROWS_WEIGHTS = "the cache can outgrow the weights"
    MEMORY_BOUND = "the bottleneck is memory, not arithmetic"
    MQA_SAVES = "MQA cuts the cache to a few tens of a part"
    GQA_KEEPS_QUALITY = "GQA keeps quality and cuts memory"
    PAGING_FILLS = "paging brings utilisation to almost 100 %"
    PAGING_SPEEDS = "paging raises throughput"
    QUANTISING_HALVES = "quantising saves more than half"
    QUANTISING_HARMLESS = "quantising hardly hurts"


class ClaimVerdict(StrEnum):
    """How far a sentence holds; the threshold of the bounded ones counts tokens."""

    TRUE = "true"
    TRUE_BELOW = "true below"
    TRUE_FROM = "true from"
    PARTLY = "partly true"
    FALSE = "false"
    UNKNOWN = "not known"


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One sentence, its verdict, and the figures that decided it, each with its unit in its name.

    `reason` says why a verdict is not known.
    """

    name: ClaimName
    verdict: ClaimVerdict
    threshold_tokens: int | None = None
    figures: Figures = field(default_factory=dict)
    reason: str | None = None

    def as_dict(self) -> Json:
        """Plain values."""
        return {
            "claim": str(self.name),
            "verdict": str(self.verdict),
            "threshold_tokens": self.threshold_tokens,
            "figures": dict(self.figures),
            "reason": self.reason,
        }


def bounded(name: ClaimName, threshold: int | None, figures: Figures) -> Claim:
    """True below the threshold; true everywhere where there is none."""
    verdict = ClaimVerdict.TRUE if threshold is None else ClaimVerdict.TRUE_BELOW
    return Claim(name=name, verdict=verdict, threshold_tokens=threshold, figures=figures)


def unknown(name: ClaimName, reason: str) -> Claim:
    """A sentence that this deployment has no number for."""
    return Claim(name=name, verdict=ClaimVerdict.UNKNOWN, reason=reason)
