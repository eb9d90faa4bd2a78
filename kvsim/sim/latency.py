"""From records to waiting times: gaps between tokens, queueing, and who kept what limits."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from kvsim.sim.metrics import Spread
from kvsim.sim.series import RequestSeries, StepSeries
from kvsim.specs.limits import ServiceLimits

Json = dict[str, object]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class Gaps(NamedTuple):
    """Seconds between two outputs of a request, and how often they occurred."""

    seconds: Floats
    times: Ints


class StepEnds:
    """When the steps that computed anything ended: the times at which tokens came, ascending."""

    def __init__(self, ends_s: Floats) -> None:
        self._ends = ends_s

    @classmethod
    def of(cls, steps: StepSeries) -> Self:
        """Those of a run."""
        return cls(steps.floats("end_s")[steps.ints("num_tokens") > 0])

    def gaps(self, requests: RequestSeries) -> Gaps:
        """Every gap between two outputs in a row, over all requests.

        A step that accepts several drafted tokens is one output, as clients see it.
        """
        counts = np.cumsum(self.changes(requests))[:-1]
        seconds, is_any = np.diff(self._ends, append=np.inf), counts > 0
        return joined_gaps([Gaps(seconds[is_any], counts[is_any]), stall_gaps(requests)])

    def changes(self, requests: RequestSeries) -> Ints:
        """How many more requests wait from one end to the next than from the one before.

        Entry i is of the gap that begins at end i; one entry more than ends.
        """
        stalls, size = requests.stalls, len(self._ends) + 1
        began, ended = requests.rows["first_token_s"], requests.rows["finish_s"]
        more = self._count(began, size) - self._count(ended, size)
        return more - self._count(stalls["from_s"], size) + self._count(stalls["until_s"], size)

    def _count(self, times_s: Floats, size: int) -> Ints:
        return np.bincount(np.searchsorted(self._ends, times_s), minlength=size)

    def widest_s(self, requests: RequestSeries) -> Floats:
        """The widest gap of each request; 0 of a single token."""
        rows, stalls = requests.rows, requests.stalls
        owner = np.concatenate([np.arange(len(rows)), stalls["row"]])
        begins = np.concatenate([rows["first_token_s"], stalls["until_s"]])
        ends = np.concatenate([rows["finish_s"], stalls["from_s"]])
        by_time = np.lexsort((begins, owner)), np.lexsort((ends, owner))
        first, last = (
            np.searchsorted(self._ends, times[order])
            for times, order in zip((begins, ends), by_time, strict=True)
        )
        widest = np.zeros(len(rows))
        unit = largest_between(np.diff(self._ends), first, last)
        np.maximum.at(widest, owner[by_time[0]], unit)
        np.maximum.at(widest, stalls["row"], stalls["until_s"] - stalls["from_s"])
        return widest


def largest_between(values: Floats, first: Ints, last: Ints) -> Floats:
    """The largest of `values[first:last]`, entry by entry; 0 where that is empty.

    Example:
        >>> largest_between(np.array([3.0, 1.0, 2.0]), np.array([0, 1, 2]), np.array([3, 3, 2]))
        array([3., 2., 0.])
    """
    found, length = np.zeros(len(first)), last - first
    tops, span = values, 1  # tops[i]: the largest of values[i : i + span]
    while (length >= span).any():
        fits = (span <= length) & (length < 2 * span)
        found[fits] = np.maximum(tops[first[fits]], tops[last[fits] - span])
        tops = np.maximum(tops[:-span], tops[span:])
        span *= 2
    return found


def stall_gaps(requests: RequestSeries) -> Gaps:
    """The gaps longer than a step."""
    stalls = requests.stalls
    return Gaps(stalls["until_s"] - stalls["from_s"], np.ones(len(stalls), np.int64))


def joined_gaps(parts: list[Gaps]) -> Gaps:
    """All of them."""
    seconds, times = zip(*parts, strict=True)
    return Gaps(np.concatenate(seconds), np.concatenate(times))


def weighted_spread(gaps: Gaps) -> Spread | None:
    """Mean and percentiles, each value as often as it is counted; None of nothing.

    Example:
        >>> weighted_spread(Gaps(np.array([3.0, 1.0]), np.array([1, 1])))
        Spread(mean=2.0, p50=2.0, p90=2.8, p99=2.98)
    """
    if not len(gaps.seconds):
        return None
    values, place = np.unique(gaps.seconds, return_inverse=True)
    times = np.zeros(len(values), np.int64)
    np.add.at(times, place, gaps.times)
    tops = np.cumsum(times)
    total = int(tops[-1])

    def ranked(rank: int) -> float:
        return float(values[np.searchsorted(tops, rank, side="right")])

    def percentile(percent: int) -> float:
        below, rest = divmod((total - 1) * percent, 100)
        low = ranked(below)
        return low + (ranked(min(below + 1, total - 1)) - low) * rest / 100

    return Spread(
        mean=float((values * times).sum()) / total,
        p50=percentile(50),
        p90=percentile(90),
        p99=percentile(99),
    )


def queue_times(steps: StepSeries, requests: RequestSeries) -> Floats:
    """Seconds that each request waited until it was first part of a step.

    Source:
        vLLM `FinishedRequestStats.queued_time`, vllm/v1/metrics/stats.py, 0.32.0.
    """
    starts = steps.rows["start_s"][requests.rows["first_step"]]
    waited: Floats = np.maximum(0.0, starts - requests.rows["arrival_s"])
    return waited


@dataclass(frozen=True, slots=True, kw_only=True)
class Goodput:
    """Requests that kept every limit: how many, their share of all asked, and per second."""

    limits: ServiceLimits
    requests: int
    share: float
    requests_per_s: float

    @property
    def is_met(self) -> bool:
        """Whether as many kept the limits as must."""
        return self.share >= self.limits.slo_share

    def as_dict(self) -> Json:
        """Plain values."""
        return {
            **asdict(self.limits),
            "requests": self.requests,
            "share": self.share,
            "requests_per_s": self.requests_per_s,
            "met": self.is_met,
        }


def goodput(
    steps: StepSeries, requests: RequestSeries, limits: ServiceLimits, *, num_asked: int
) -> Goodput:
    """The requests that kept the limits, of those asked; who has not finished has not.

    Source:
        Zhong et al., DistServe, OSDI 2024, which defines goodput.
    """
    num_kept = num_keeping(steps, requests, limits)
    duration_s = steps[-1].end_s if len(steps) else 0.0
    return goodput_of(num_kept, limits, num_asked=num_asked, duration_s=duration_s)


def goodput_of(
    num_kept: int, limits: ServiceLimits, *, num_asked: int, duration_s: float
) -> Goodput:
    """So many requests kept the limits, of those asked, in so many seconds."""
    return Goodput(
        limits=limits,
        requests=num_kept,
        share=num_kept / num_asked,
        requests_per_s=num_kept / duration_s if duration_s else 0.0,
    )


def num_keeping(steps: StepSeries, requests: RequestSeries, limits: ServiceLimits) -> int:
    """How many requests of an engine keep every limit."""
    taken = {"ttft_s": requests.ttft_s, "tpot_s": requests.tpot_or_nan_s, "e2e_s": requests.e2e_s}
    if limits.slo_itl_s is not None:
        taken["itl_s"] = StepEnds.of(steps).widest_s(requests)
    return count_keeping(taken, limits)


def count_keeping(taken: Mapping[str, Floats], limits: ServiceLimits) -> int:
    """How many requests keep every limit.

    Args:
        taken: what each took: `ttft_s`, `tpot_s` (NaN of one token), `e2e_s`, and `itl_s` where
            that is limited.
        limits: to be kept.
    """
    kept = np.ones(len(taken["ttft_s"]), bool)
    for name, seconds in taken.items():
        limit: float | None = getattr(limits, f"slo_{name}")
        if limit is not None:
            kept &= ~(seconds > limit)
    return int(kept.sum())
