"""From records to waiting times: gaps between tokens, queueing, and who kept what limits."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import accumulate, pairwise
from typing import NamedTuple

from kvsim.sim.metrics import Spread
from kvsim.sim.records import RequestRecord, StepRecord
from kvsim.specs.limits import ServiceLimits

Json = dict[str, object]


class Gap(NamedTuple):
    """Seconds between two outputs of a request, and how often they occurred."""

    seconds: float
    times: int


class StepEnds:
    """When the steps that computed anything ended: the times at which tokens came."""

    def __init__(self, steps: Iterable[StepRecord]) -> None:
        self._ends = [step.end_s for step in steps if step.num_tokens]

    def gaps(self, requests: Iterable[RequestRecord]) -> Iterator[Gap]:
        """Every gap between two outputs in a row, over all requests.

        A step that accepts several drafted tokens is one output, as clients see it.
        """
        changes = [0] * (len(self._ends) + 1)  # entry i: of the gap that ends at step end i
        for request in requests:
            self._add(changes, request.first_token_s, request.finish_s, 1)
            for stall in request.stalls:
                self._add(changes, stall.from_s, stall.until_s, -1)
                yield Gap(stall.until_s - stall.from_s, 1)
        counts = accumulate(changes[1:])
        for (before, after), count in zip(pairwise(self._ends), counts, strict=False):
            if count:
                yield Gap(after - before, count)

    def _add(self, changes: list[int], from_s: float, until_s: float, count: int) -> None:
        """Count the gaps that end after `from_s` and up to `until_s`."""
        first, last = bisect_left(self._ends, from_s), bisect_left(self._ends, until_s)
        if first < last:
            changes[first + 1] += count
            if last + 1 < len(changes):
                changes[last + 1] -= count

    def widest_s(self, request: RequestRecord) -> float:
        """The widest gap of one request; 0 of a single token."""
        first = bisect_left(self._ends, request.first_token_s)
        last = bisect_left(self._ends, request.finish_s)
        stalled = {bisect_left(self._ends, stall.from_s): stall for stall in request.stalls}
        widest, i = 0.0, first
        while i < last:
            stall = stalled.get(i)
            after = i + 1 if stall is None else bisect_left(self._ends, stall.until_s)
            widest = max(widest, self._ends[after] - self._ends[i])
            i = after
        return widest


def weighted_spread(gaps: Iterable[Gap]) -> Spread | None:
    """Mean and percentiles, each value as often as it is counted; None of nothing.

    Example:
        >>> weighted_spread([Gap(3.0, 1), Gap(1.0, 1)])
        Spread(mean=2.0, p50=2.0, p90=2.8, p99=2.98)
    """
    ordered = sorted(gaps)
    tops = list(accumulate(gap.times for gap in ordered))
    if not tops:
        return None
    total = tops[-1]

    def ranked(rank: int) -> float:
        return ordered[bisect_left(tops, rank + 1)].seconds

    def percentile(percent: int) -> float:
        below, rest = divmod((total - 1) * percent, 100)
        low = ranked(below)
        return low + (ranked(min(below + 1, total - 1)) - low) * rest / 100

    return Spread(
        mean=sum(gap.seconds * gap.times for gap in ordered) / total,
        p50=percentile(50),
        p90=percentile(90),
        p99=percentile(99),
    )


def queue_times(steps: Sequence[StepRecord], requests: Iterable[RequestRecord]) -> Iterator[float]:
    """Seconds that each request waited until it was first part of a step.

    Source:
        vLLM `FinishedRequestStats.queued_time`, vllm/v1/metrics/stats.py, 0.32.0.
    """
    for request in requests:
        yield max(0.0, steps[request.first_step].start_s - request.arrival_s)


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
    steps: Sequence[StepRecord],
    requests: Sequence[RequestRecord],
    limits: ServiceLimits,
    *,
    num_asked: int,
) -> Goodput:
    """The requests that kept the limits, of those asked; who has not finished has not.

    Source:
        Zhong et al., DistServe, OSDI 2024, which defines goodput.
    """
    ends = StepEnds(steps)
    num_kept = sum(_keeps(request, limits, ends) for request in requests)
    duration_s = steps[-1].end_s if steps else 0.0
    return Goodput(
        limits=limits,
        requests=num_kept,
        share=num_kept / num_asked,
        requests_per_s=num_kept / duration_s if duration_s else 0.0,
    )


def _keeps(request: RequestRecord, limits: ServiceLimits, ends: StepEnds) -> bool:
    taken = [
        (limits.slo_ttft_s, request.ttft_s),
        (limits.slo_tpot_s, request.tpot_s or 0.0),
        (limits.slo_e2e_s, request.e2e_s),
    ]
    if limits.slo_itl_s is not None:
        taken.append((limits.slo_itl_s, ends.widest_s(request)))
    return all(limit is None or seconds <= limit for limit, seconds in taken)
