"""Points of a search: what a worker is asked for, by number."""

from dataclasses import dataclass
from typing import NamedTuple


class SeedRun(NamedTuple):
    """A further seed of a candidate: its place among the seeds, from 1 on."""

    candidate: int
    seed_place: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchPoints:
    """Point `i` is candidate `i`'s capacity; then come its trial, and its further seeds.

    Example:
        >>> points = SearchPoints(num_candidates=10, num_seeds=3)
        >>> points.trial(1), points.further(1), points.seed_run(23)
        (11, range(22, 24), SeedRun(candidate=1, seed_place=2))
    """

    num_candidates: int
    num_seeds: int

    def is_trial(self, point: int) -> bool:
        """Whether it is the one run of a candidate's trial."""
        return self.num_candidates <= point < 2 * self.num_candidates

    def trial(self, candidate: int) -> int:
        """The point that is a candidate's trial."""
        return self.num_candidates + candidate

    def tried(self, point: int) -> int:
        """The candidate of a trial."""
        return point - self.num_candidates

    def further(self, candidate: int) -> range:
        """The points that are a candidate's further seeds."""
        first = 2 * self.num_candidates + candidate * (self.num_seeds - 1)
        return range(first, first + self.num_seeds - 1)

    def seed_run(self, point: int) -> SeedRun:
        """What a point beyond the candidates is."""
        candidate, place = divmod(point - 2 * self.num_candidates, self.num_seeds - 1)
        return SeedRun(candidate, 1 + place)
