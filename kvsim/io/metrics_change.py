"""What grew between two metrics pages of one server."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

from kvsim.errors import SpecError
from kvsim.io.limits import MAX_COUNT, MAX_REQUEST_TOKENS
from kvsim.specs.metrics import UNBOUNDED, Histogram, Labels, MetricsPage


@dataclass(frozen=True, slots=True)
class Change:
    """What grew from one page to the next; nothing but gauges ever falls."""

    before: MetricsPage
    after: MetricsPage

    def counter(self, names: tuple[str, ...]) -> float | None:
        """Growth of the first of these counters that is there, over all its series."""
        for name in names:
            if name in self.after.samples:
                return sum(self._grown(name).values())
        return None

    def gauge(self, name: str) -> float:
        """Change of a gauge; of a tensor-parallel group the first rank speaks for all."""
        return _level(self.after, name) - _level(self.before, name)

    def histogram(self, name: str, hint: str) -> Histogram:
        """Growth of a histogram, over all its series.

        Raises:
            SpecError: if it is not there, or its buckets are not those of the first page.
        """
        if f"{name}_bucket" not in self.after.samples or f"{name}_sum" not in self.after.samples:
            msg = f"{self.after.name}: {name} is missing: {hint}"
            raise SpecError(msg)
        old = _bounds(self.before, name)
        bounds = sorted(_bounds(self.after, name))
        if old and old != set(bounds):
            msg = f"{name}: the buckets of {self.after.name} must be those of {self.before.name}"
            raise SpecError(msg)
        up_to = dict.fromkeys(bounds, 0.0)
        for labels, grown in self._grown(f"{name}_bucket").items():
            up_to[_bound(labels)] += grown
        counts = [up_to[bounds[0]], *(up_to[b] - up_to[a] for a, b in pairwise(bounds))]
        if bounds[-1] != UNBOUNDED or min(counts) < 0:
            msg = f"{self.after.name}: {name}_bucket must rise to le=+Inf"
            raise SpecError(msg)
        total = sum(self._grown(f"{name}_sum").values())
        return Histogram(bounds=tuple(bounds), counts=tuple(counts), total=total)

    def _grown(self, name: str) -> Mapping[Labels, float]:
        """Growth of each series; one that was not there began at 0.

        Raises:
            SpecError: if one fell or vanished: the server was restarted, or is another.
        """
        old, new = self.before.samples.get(name, {}), self.after.samples[name]
        gone = min(old.keys() - new.keys(), default=None)
        if gone is not None:
            msg = f"{name}: the series {dict(gone)} of {self.before.name} is gone"
            raise SpecError(msg)
        for labels, value in new.items():
            least = old.get(labels, 0.0)
            if not value <= MAX_COUNT:
                msg = f"{name}={value:g} of {self.after.name} must be at most {MAX_COUNT:g}"
                raise SpecError(msg)
            if value < least:
                msg = (
                    f"{name}={value:g} of {self.after.name} must be >= {least:g} as in "
                    f"{self.before.name}: the counter was reset"
                )
                raise SpecError(msg)
        return {labels: value - old.get(labels, 0.0) for labels, value in new.items()}


def _level(page: MetricsPage, name: str) -> float:
    rows = page.samples.get(name, {})
    level = sum(v for labels, v in rows.items() if dict(labels).get("tp_rank", "0") == "0")
    if not 0 <= level <= MAX_COUNT:
        msg = f"{name}={level:g} of {page.name} must be in [0, {MAX_COUNT:g}]"
        raise SpecError(msg)
    return level


def _bounds(page: MetricsPage, name: str) -> set[float]:
    return {_bound(labels) for labels in page.samples.get(f"{name}_bucket", {})}


def _bound(labels: Labels) -> float:
    text = dict(labels).get("le", "")
    try:
        bound = float(text)
    except ValueError:
        bound = 0.0
    if bound == UNBOUNDED or 0 < bound <= MAX_REQUEST_TOKENS:
        return bound
    msg = f"le={text[:20]!r} must be a number of tokens > 0, or +Inf"
    raise SpecError(msg)
