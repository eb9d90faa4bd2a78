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


JUMP = 1e-6
"""Share of a bucket's requests over which the quantile function rises to it, over empty ones."""

ROUNDS = 40
"""Halvings after which u is known to a part in 10^12."""


def counted_lengths(
    bounds: Sequence[float], counts: Sequence[float], *, mean: float, longest: int
) -> Lengths:
    """Lengths that fall into buckets as counted, and have the mean that was measured.

    In each bucket the share 1 - u of its requests lies below the share u of its width, in
    logarithms; u is one and the same for all, and what gives the mean.

    Args:
        bounds: most tokens in each bucket, rising; the last one is infinite.
        counts: requests in each bucket.
        mean: over all requests, tokens.
        longest: most tokens of a request in the last bucket.

    Raises:
        SpecError: if no request was counted.

    Example:
        >>> lengths = counted_lengths([10, 100, float("inf")], [1, 1, 0], mean=40, longest=1000)
        >>> round(lengths.quantile(0.5)), round(lengths.mean, 6)
        (10, 40.0)
    """
    total = sum(counts)
    if not total > 0:
        msg = f"requests={total:g} must be > 0 in a histogram of lengths"
        raise SpecError(msg)
    tops = [*bounds[:-1], max(longest, *bounds[:-1], 1)]
    low, high = 2 * JUMP, 1 - 2 * JUMP
    for _ in range(ROUNDS):
        bend = (low + high) / 2
        lengths = _bucketed(tops, counts, total=total, bend=bend)
        low, high = (bend, high) if lengths.mean < mean else (low, bend)
    return lengths


def _bucketed(
    tops: Sequence[float], counts: Sequence[float], *, total: float, bend: float
) -> Lengths:
    """Three knots per bucket that holds anything; lengths are rounded, so borders lie between."""
    steps, tokens = [0.0], [0.5]
    below, done = 0.5, 0.0
    for top, count in zip(tops, counts, strict=True):
        above = top + 0.5
        if count:
            if tokens[-1] < below:
                steps.append((done + JUMP * count) / total)
                tokens.append(below)
            steps += [(done + count * (1 - bend)) / total, (done + count) / total]
            tokens += [below * (above / below) ** bend, above]
            done += count
        below = above
    steps[-1] = 1.0
    return Lengths(probabilities=tuple(steps), tokens=tuple(tokens))


def _pairs(values: Sequence[float]) -> list[tuple[float, float]]:
    return list(pairwise(values))
