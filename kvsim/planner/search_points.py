"""Points of a search: what a worker is asked for, by number."""

from dataclasses import dataclass
from typing import NamedTuple


class SeedRun(NamedTuple):
    """A further seed of a candidate: its place among the seeds, from 1 on."""

    candidate: int
    seed_place: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchPoints:
    """Point `i` is candidate `i` with the first seed; then come the further seeds of each.

    Example:
        >>> points = SearchPoints(num_candidates=10, num_seeds=3)
        >>> points.further(1), points.seed_run(13)
        (range(12, 14), SeedRun(candidate=1, seed_place=2))
    """

    num_candidates: int
    num_seeds: int

    def further(self, candidate: int) -> range:
        """The points that are a candidate's further seeds."""
        first = self.num_candidates + candidate * (self.num_seeds - 1)
        return range(first, first + self.num_seeds - 1)

    def seed_run(self, point: int) -> SeedRun:
        """What a point beyond the candidates is."""
        candidate, place = divmod(point - self.num_candidates, self.num_seeds - 1)
        return SeedRun(candidate, 1 + place)
