"""Pareto fronts over cost, throughput and latency."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple


class Objectives(NamedTuple):
    """What is weighed: a cost and a latency, less is better; a throughput, more is."""

    cost: float
    output_tokens_per_s: float
    latency_s: float

    def dominates(self, other: "Objectives") -> bool:
        """Whether this is as good in all, and better in something."""
        return (
            self != other
            and self.cost <= other.cost
            and self.output_tokens_per_s >= other.output_tokens_per_s
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
