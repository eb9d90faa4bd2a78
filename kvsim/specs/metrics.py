"""Metrics pages: families of samples as a serving engine exposes them, read or to be written."""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from itertools import accumulate
from math import ceil

from kvsim.specs.lengths import Lengths
from kvsim.specs.traffic import ArrivalProcess, Arrivals, Traffic

Labels = tuple[tuple[str, str], ...]
"""Names and values, in order of the names; none is `le`, which tells buckets apart."""

DEFAULT_BLOCK_SIZE = 16
"""Tokens per block where the page does not say: what engines take by themselves on a GPU."""

UNBOUNDED = float("inf")
"""The bound of a histogram's last bucket."""


class MetricKind(StrEnum):
    """What a family's samples mean, in the exposition format's own words."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True, kw_only=True)
class Histogram:
    """Observations by bucket: `counts[i]` lie above the bound before and up to `bounds[i]`.

    The last bound is infinite; `total` is the sum of what was observed.
    """

    bounds: tuple[float, ...]
    counts: tuple[float, ...]
    total: float

    @property
    def num_observed(self) -> float:
        """Observations."""
        return sum(self.counts)

    @property
    def mean(self) -> float | None:
        """Mean observation; None of nothing."""
        count = self.num_observed
        return self.total / count if count else None

    @property
    def cumulative(self) -> tuple[float, ...]:
        """Observations up to each bound."""
        return tuple(accumulate(self.counts))


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """One metric with its value, or its histogram, by labels."""

    name: str  # without `_total`, which the format appends to a counter's samples
    kind: MetricKind
    doc: str
    values: Mapping[Labels, float] = field(default_factory=dict)
    histograms: Mapping[Labels, Histogram] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricsPage:
    """Every sample of a page, by name and labels, as it stands there.

    `read_s` is when it was read, in seconds of some clock, and `clock` which one; None where
    that is not known. Pages of different clocks tell no time between them.
    """

    name: str
    samples: Mapping[str, Mapping[Labels, float]]
    read_s: float | None = None
    clock: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Elapsed:
    """Seconds between two pages, and who says so."""

    seconds: float
    source: str


def observed(values: Sequence[float], bounds: Sequence[float]) -> Histogram:
    """The histogram of some values; a value at a bound is in the bucket below it.

    Example:
        >>> observed([1, 2, 3], [1, 2]).counts
        (1, 1, 1)
    """
    counts = [0] * (len(bounds) + 1)
    for value in values:
        counts[bisect_left(bounds, value)] += 1
    return Histogram(bounds=(*bounds, UNBOUNDED), counts=tuple(counts), total=sum(values))


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredTraffic:
    """What a server did between two scrapes of its metrics page.

    `num_arrived` counts requests that came, `num_finished` those that were answered: lengths are
    of the latter. Rates are None where nobody says how much time passed, or nothing was asked.
    """

    engine: str
    model_name: str
    elapsed: Elapsed | None
    num_arrived: int
    num_finished: int
    prompt_tokens: Lengths
    output_tokens: Lengths
    prompt_mean: float
    output_mean: float
    token_hit_rate: float | None  # hit over query tokens of the prefix cache
    num_preemptions: int | None
    block_size: int | None
    max_model_len: int | None
    not_modeled: tuple[str, ...] = ()

    @property
    def rate_per_s(self) -> float | None:
        """Requests that came per second."""
        if self.elapsed is None or not self.num_arrived:
            return None
        return self.num_arrived / self.elapsed.seconds

    @property
    def traffic(self) -> Traffic:
        """Requests of these lengths at this rate, of which as much is found cached.

        Without a rate all of them are there at the start.
        """
        rate = self.rate_per_s
        arrivals = Arrivals(process=ArrivalProcess.AT_ONCE)
        if rate is not None:
            arrivals = Arrivals(process=ArrivalProcess.POISSON, rate_per_s=rate)
        longest = ceil(self.prompt_tokens.tokens[-1]) + ceil(self.output_tokens.tokens[-1])
        return Traffic(
            name=self.model_name or self.engine,
            prompt_tokens=self.prompt_tokens,
            output_tokens=self.output_tokens,
            arrivals=arrivals,
            max_tokens=self.max_model_len or longest,
            repeated_share=self.token_hit_rate or 0.0,
            repeated_block_size=self.block_size or DEFAULT_BLOCK_SIZE,
            source=f"metrics of {self.engine}: {self.num_finished} finished requests",
        )

    def as_dict(self) -> dict[str, object]:
        """Plain values, lengths by their quantiles."""
        return {
            "engine": self.engine,
            "model_name": self.model_name,
            "elapsed": None if self.elapsed is None else asdict(self.elapsed),
            "num_arrived": self.num_arrived,
            "num_finished": self.num_finished,
            "rate_per_s": self.rate_per_s,
            "prompt_tokens": _quantiles(self.prompt_tokens, self.prompt_mean),
            "output_tokens": _quantiles(self.output_tokens, self.output_mean),
            "token_hit_rate": self.token_hit_rate,
            "preemptions": self.num_preemptions,
            "block_size": self.block_size,
            "max_model_len": self.max_model_len,
            "not_modeled": list(self.not_modeled),
        }


def _quantiles(lengths: Lengths, mean: float) -> dict[str, float]:
    shares = {"p50": 0.5, "p90": 0.9, "p99": 0.99}
    return {"mean": mean} | {
        name: max(1.0, round(lengths.quantile(share))) for name, share in shares.items()
    }
