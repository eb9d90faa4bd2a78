"""One candidate of a search: the highest arrival rate that keeps the goal, by bisection."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from math import ceil, sqrt

import numpy as np

from kvsim.planner.replica import Replica
from kvsim.planner.search_floor import Floor
from kvsim.planner.serving_level import level
from kvsim.sim.brief import BriefRun
from kvsim.sim.metrics import Spread
from kvsim.sim.request_arrays import RequestArrays
from kvsim.sim.simulation import Simulation
from kvsim.specs.limits import ServiceLimits

RATE_TOLERANCE = 0.03
"""Share by which a rate that keeps the goal may be below one that does not."""

ALONE = 0.1
"""Requests in service on average, if each were alone, at the rate at which they are taken to be."""

SAMPLE = 5
"""A first look is taken at the first of so many parts of the requests: it says where to look."""

LEAST_SAMPLE = 1000
"""Requests of a first look, at least: fewer say nothing of a tail, and save nothing."""

TRIES = 2
"""Halvings of the rate that fail before it is asked whether requests keep the goal even alone."""

MORE_REPLICAS = 8
"""Replicas that are added at most where a share of the demanded rate fails below the capacity:
what keeps the goal at one rate can miss it a little lower, by chance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """A run at one rate, and what its limits would have had to be, as shares of the limits."""

    rate_per_s: float
    share: float  # of the requests, that kept every limit
    latencies: Mapping[str, Spread]  # a latency that no request has is left out
    num_preemptions: int
    excess: float
    num_gpu_blocks: int
    not_modeled: tuple[str, ...]


Kept = Callable[[float], Probe | None]
"""The run at a rate, if it keeps the goal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """The run at the highest rate that keeps the goal, and that of each replica of a fleet.

    `best` is None where requests miss the goal even alone: then `alone` is that run.
    """

    best: Probe | None
    alone: Probe | None
    shared: Probe | None  # at a fleet's share of the demanded rate
    replicas: int | None
    num_runs: int


def at_rate(requests: RequestArrays, rate_per_s: float) -> RequestArrays:
    """The same requests, all gaps stretched or shrunk to another rate."""
    span_s = float(requests.arrival_s[-1] - requests.arrival_s[0])
    factor = (len(requests) - 1) / span_s / rate_per_s
    return replace(requests, arrival_s=requests.arrival_s * factor)


def find_capacity(
    replica: Replica,
    requests: RequestArrays,
    limits: ServiceLimits,
    *,
    floor: Floor,
    demanded_per_s: float | None,
    known: Mapping[float, Probe | None],
) -> Capacity:
    """The highest rate that keeps the goal, and the fewest replicas that bear the demanded one.

    Args:
        replica: what serves.
        requests: stretched or shrunk to each rate.
        limits: the goal.
        floor: of this replica under these requests.
        demanded_per_s: of the whole fleet; None asks for the capacity alone.
        known: runs of these requests that were done before, by their rates.
    """
    runs = dict(known)

    def probe(rate_per_s: float) -> Probe | None:
        if rate_per_s not in runs:
            runs[rate_per_s] = probe_kept(replica, requests, limits, rate_per_s)
        return runs[rate_per_s]

    most, low, high = floor.most_rate_per_s, None, floor.most_rate_per_s
    if demanded_per_s is not None:
        share = demanded_per_s / fewest_replicas(most, demanded_per_s)
        low, high = (share, most) if probe(share) else (None, share)
    least = ALONE / float(floor.end_to_end_s.mean())
    edge = Edge(low=low, high=high, least=least)
    sample = first_requests(requests, len(requests) // SAMPLE)
    if len(sample) >= LEAST_SAMPLE:
        edge = edge.near(_look(replica, sample, limits, edge), probe)
    best = edge.found(probe)
    if best is None:
        alone = probe_rate(replica, requests, limits, min(runs))
        return Capacity(best=None, alone=alone, shared=None, replicas=None, num_runs=len(runs))
    replicas, shared = None, best
    if demanded_per_s is not None:
        first = fewest_replicas(most if low is not None else best.rate_per_s, demanded_per_s)
        replicas = _fewest(probe, demanded_per_s, first)
        share = demanded_per_s / (replicas or first + MORE_REPLICAS)
        shared = probe(share) or probe_rate(replica, requests, limits, share)
    return Capacity(best=best, alone=None, shared=shared, replicas=replicas, num_runs=len(runs))


def fewest_replicas(rate_per_s: float, demanded_per_s: float) -> int:
    """Replicas of which each gets no more than a rate."""
    return ceil(demanded_per_s / rate_per_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """Rates between which the highest lies that keeps the goal.

    `low` keeps it, None where no such rate is known; `high` does not: the highest of all is taken
    to fail, for there queues only grow. At `least`, requests are as good as alone.
    """

    low: float | None
    high: float
    least: float

    def found(self, probe: Kept) -> Probe | None:
        """The probe at a rate that keeps the goal, one a tolerance above failing it; None: none."""
        low, high, tries = self.low, self.high, 0
        while low is None:
            middle = max(high / 2, self.least)
            if probe(middle):
                low = middle
                continue
            tries += 1
            if middle <= self.least:
                return None
            if tries == TRIES and not probe(self.least):
                return None
            high = middle
        while high > low * (1 + RATE_TOLERANCE):
            middle = sqrt(low * high)
            low, high = (middle, high) if probe(middle) else (low, middle)
        return probe(low)

    def near(self, guess: float | None, probe: Kept) -> "Edge":
        """The same, closer to where a first look found it, in strides that double."""
        if guess is None:
            return self
        low, high, stride = self.low, self.high, 1 + RATE_TOLERANCE
        rate = guess if low is None or guess > low else low * stride
        began: bool | None = None
        while self.least < rate < high and (low is None or rate > low):
            is_met = probe(rate) is not None
            low, high = (rate, high) if is_met else (low, rate)
            if began not in (None, is_met):
                break
            began = is_met
            rate = rate * stride if is_met else rate / stride
            stride *= stride
        return replace(self, low=low, high=high)


def first_requests(requests: RequestArrays, count: int) -> RequestArrays:
    """So many requests, the first ones."""
    num_segments = int(requests.first_segment[count])
    columns = {
        name: getattr(requests, name)[:count]
        for name in (
            *("arrival_s", "num_prompt_tokens", "num_output_tokens", "output_segment"),
            *("place", "sample"),
        )
    }
    return replace(
        requests,
        **columns,
        first_segment=requests.first_segment[: count + 1],
        segment_id=requests.segment_id[:num_segments],
        segment_tokens=requests.segment_tokens[:num_segments],
    )


def _look(
    replica: Replica, sample: RequestArrays, limits: ServiceLimits, edge: Edge
) -> float | None:
    """Where the first requests alone put the edge; None: nowhere."""
    found = edge.found(lambda rate: probe_kept(replica, sample, limits, rate))
    return None if found is None else found.rate_per_s


def _fewest(probe: Kept, demanded_per_s: float, first: int) -> int | None:
    """Replicas whose share of the demanded rate keeps the goal; None: not even the most do."""
    tried = range(first, first + MORE_REPLICAS + 1)
    return next((replicas for replicas in tried if probe(demanded_per_s / replicas)), None)


def probe_rate(
    replica: Replica, requests: RequestArrays, limits: ServiceLimits, rate_per_s: float
) -> Probe:
    """The run of requests at one rate."""
    return _probe(replica.serve(at_rate(requests, rate_per_s)), limits, rate_per_s)


def probe_kept(
    replica: Replica, requests: RequestArrays, limits: ServiceLimits, rate_per_s: float
) -> Probe | None:
    """The run of requests at one rate, if it keeps the goal."""
    done = replica.keep(limits, at_rate(requests, rate_per_s))
    return None if done is None else _probe(done, limits, rate_per_s)


def _probe(done: Simulation | BriefRun, limits: ServiceLimits, rate_per_s: float) -> Probe:
    reached = level(done, limits)
    return Probe(
        rate_per_s=rate_per_s,
        share=reached.share,
        latencies=reached.latencies,
        num_preemptions=reached.num_preemptions,
        excess=_excess(done, limits),
        num_gpu_blocks=done.num_gpu_blocks,
        not_modeled=done.not_modeled,
    )


def _excess(done: Simulation | BriefRun, limits: ServiceLimits) -> float:
    """Largest factor by which a limit is too small, each alone, for its share of the requests."""
    requests = done.requests
    found = [
        float(np.quantile(seconds, limits.slo_share, method="inverted_cdf")) / limit
        for limit, seconds in (
            (limits.slo_ttft_s, requests.ttft_s),
            (limits.slo_tpot_s, requests.tpot_s),
            (limits.slo_e2e_s, requests.e2e_s),
        )
        if limit is not None and len(seconds)
    ]
    return max(found, default=0.0)
