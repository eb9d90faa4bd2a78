"""Pareto fronts over cost, throughput and latency."""

from collections.abc import Iterable, Mapping
from math import floor, log
from typing import NamedTuple

THROUGHPUT_STEP = 0.1
"""Share by which throughputs must differ to count: a capacity is found within a tolerance, and
another seed moves it."""


def throughput_level(output_tokens_per_s: float) -> int:
    """Steps of a tenth from one token a second.

    Example:
        >>> throughput_level(1000.0), throughput_level(1050.0), throughput_level(1100.0)
        (72, 72, 73)
    """
    return floor(log(output_tokens_per_s) / log(1 + THROUGHPUT_STEP))


class Objectives(NamedTuple):
    """What is weighed: a cost and a latency, less is better; a throughput in steps, more is."""

    cost: float
    throughput_level: int
    latency_s: float

    def dominates(self, other: "Objectives") -> bool:
        """Whether this is as good in all, and better in something."""
        return (
            self != other
            and self.cost <= other.cost
            and self.throughput_level >= other.throughput_level
            and self.latency_s <= other.latency_s
        )


def dominator(one: Objectives, others: Mapping[int, Objectives]) -> int | None:
    """The cheapest of the others that dominates it; of equally cheap ones, the first."""
    found = [(other.cost, index) for index, other in others.items() if other.dominates(one)]
    return min(found)[1] if found else None


def front(found: Mapping[int, Objectives], among: Iterable[int]) -> list[int]:
    """Those that none of all dominates, the cheapest first."""
    members = [index for index in among if dominator(found[index], found) is None]
    return sorted(members, key=lambda index: (found[index].cost, index))
