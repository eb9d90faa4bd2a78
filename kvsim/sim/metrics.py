"""From records to what people ask for: occupancy, waste, latency, hits."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kvsim.sim.series import RequestSeries
from kvsim.sim.totals import StepSums


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Mean and percentiles of a quantity, in its own unit."""

    mean: float
    p50: float
    p90: float
    p99: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Waste:
    """Shares of the pool, over the time that steps took; they add up to 1.

    `used` holds tokens, `reserved` is taken for tokens to come, `internal` was taken for tokens
    that never come, `external` nobody holds.

    Source:
        Kwon et al., PagedAttention, SOSP 2023, figure 2, which defines the parts.
    """

    used: float
    reserved: float
    internal: float
    external: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PrefixCacheUse:
    """What the prefix cache found, of requests when they first started.

    The rates differ: one counts tokens, so long prompts weigh more, the other takes the mean of
    each request's share. Re-admissions after a preemption are counted apart, as the engine does.
    """

    hit_tokens: int
    query_tokens: int
    token_hit_rate: float
    request_hit_rate: float
    resume_hit_tokens: int
    resume_query_tokens: int


def spread(values: Iterable[float]) -> Spread | None:
    """Mean and percentiles, which lie between values as numpy's do; None of nothing.

    Example:
        >>> spread([1.0, 3.0])
        Spread(mean=2.0, p50=2.0, p90=2.8, p99=2.98)
    """
    given = values if isinstance(values, np.ndarray) else np.fromiter(values, np.float64)
    ordered = np.sort(given)
    if not len(ordered):
        return None
    return Spread(
        mean=float(ordered.mean()),
        p50=_percentile(ordered, 50),
        p90=_percentile(ordered, 90),
        p99=_percentile(ordered, 99),
    )


def _percentile(ordered: NDArray[np.float64], percent: int) -> float:
    below, rest = divmod((len(ordered) - 1) * percent, 100)
    low, high = ordered[below], ordered[min(below + 1, len(ordered) - 1)]
    return float(low + (high - low) * rest / 100)


class RequestTimes:
    """Percentiles of the times that a run's requests took."""

    __slots__ = ()
    requests: RequestSeries

    @property
    def ttft_s(self) -> Spread | None:
        """Time to first token, queueing included."""
        return spread(self.requests.ttft_s)

    @property
    def tpot_s(self) -> Spread | None:
        """Mean time per later token, over requests with more than one."""
        return spread(self.requests.tpot_s)

    @property
    def e2e_s(self) -> Spread | None:
        """Time to last token, queueing included."""
        return spread(self.requests.e2e_s)


def waste(sums: StepSums, *, num_usable_blocks: int) -> Waste | None:
    """Where the pool's blocks went, weighted by the seconds of each step; None without steps."""
    if not sums.seconds:
        return None
    pool = sums.seconds * num_usable_blocks
    held, reserved, idle = (
        sums.over_time[name] for name in ("num_used_blocks", "reserved_blocks", "idle_blocks")
    )
    return Waste(
        used=(held - reserved - idle) / pool,
        reserved=reserved / pool,
        internal=idle / pool,
        external=1.0 - held / pool,
    )


def prefix_cache_use(sums: StepSums, hit_shares: NDArray[np.float64]) -> PrefixCacheUse:
    """Hits and queries over all steps, and the mean share that a finished request found."""
    hit, query = sums.counted["num_hit_tokens"], sums.counted["num_query_tokens"]
    of_requests = spread(hit_shares)
    return PrefixCacheUse(
        hit_tokens=hit,
        query_tokens=query,
        token_hit_rate=hit / query if query else 0.0,
        request_hit_rate=of_requests.mean if of_requests is not None else 0.0,
        resume_hit_tokens=sums.counted["num_resume_hit_tokens"],
        resume_query_tokens=sums.counted["num_resume_query_tokens"],
    )
