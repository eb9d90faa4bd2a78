"""Lengths: how many tokens prompts and answers have, as a quantile function."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import log

from kvsim.errors import SpecError


@dataclass(frozen=True, slots=True, kw_only=True)
class Lengths:
    """A distribution of lengths by its quantiles; between two, the logarithm grows evenly.

    `tokens[i]` is the length below which the share `probabilities[i]` lies.
    """

    probabilities: tuple[float, ...]
    tokens: tuple[float, ...]

    def __post_init__(self) -> None:
        steps, tokens = self.probabilities, self.tokens
        if len(steps) != len(tokens) or len(steps) < 2:
            msg = f"probabilities={len(steps)} and tokens={len(tokens)} must be as many, >= 2"
            raise SpecError(msg)
        if steps[0] != 0 or steps[-1] != 1 or any(b <= a for a, b in _pairs(steps)):
            msg = f"probabilities={list(steps)} must rise from 0 to 1"
            raise SpecError(msg)
        if not tokens[0] > 0 or any(b < a for a, b in _pairs(tokens)):
            msg = f"tokens={list(tokens)} must be > 0 and not fall"
            raise SpecError(msg)

    def quantile(self, probability: float) -> float:
        """The length below which this share lies, tokens.

        Example:
            >>> Lengths(probabilities=(0, 0.5, 1), tokens=(1, 100, 100)).quantile(0.25)
            10.0
        """
        steps, tokens = self.probabilities, self.tokens
        i = min(bisect_right(steps, probability), len(steps) - 1)
        share = (probability - steps[i - 1]) / (steps[i] - steps[i - 1])
        low, high = tokens[i - 1], tokens[i]
        return float(low) if low == high else round(low * (high / low) ** share, 9)

    @property
    def mean(self) -> float:
        """Mean length, tokens; exact, before lengths are rounded."""
        total = 0.0
        for (p, q), (low, high) in zip(
            _pairs(self.probabilities), _pairs(self.tokens), strict=True
        ):
            mean = low if low == high else (high - low) / log(high / low)
            total += (q - p) * mean
        return total

    @property
    def log_std(self) -> float:
        """Standard deviation of the natural logarithm of the length."""
        first = second = 0.0
        logs = [log(length) for length in self.tokens]
        for (p, q), (low, high) in zip(_pairs(self.probabilities), _pairs(logs), strict=True):
            first += (q - p) * (low + high) / 2
            second += (q - p) * (low * low + low * high + high * high) / 3
        return float((second - first * first) ** 0.5)


def constant(num_tokens: int) -> Lengths:
    """Always so many tokens."""
    return Lengths(probabilities=(0.0, 1.0), tokens=(num_tokens, num_tokens))


def _pairs(values: Sequence[float]) -> list[tuple[float, float]]:
    return list(pairwise(values))
