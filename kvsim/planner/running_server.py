"""A running server's figures: how full its cache is, what it took back, what it found cached."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass

from kvsim.planner.reconciliation import numbers
from kvsim.specs.engine_log import EngineLog
from kvsim.specs.metrics import MetricsPage

Json = dict[str, object]

USAGE = ("vllm:kv_cache_usage_perc", "vllm:gpu_cache_usage_perc", "sglang:token_usage")
RUNNING = ("vllm:num_requests_running", "sglang:num_running_reqs")
WAITING = ("vllm:num_requests_waiting", "sglang:num_queue_reqs")
PREEMPTIONS = (
    "vllm:num_preemptions_total",
    "sglang:num_retracted_requests_total",
    "sglang:num_retractions_total",
)
HITS = (
    "vllm:prefix_cache_hits_total",
    "vllm:gpu_prefix_cache_hits_total",
    "sglang:cached_tokens_total",
)
QUERIES = (
    "vllm:prefix_cache_queries_total",
    "vllm:gpu_prefix_cache_queries_total",
    "sglang:prompt_tokens_total",
)
FULL = 0.9
LOW_SHARE = 0.8
"""Share of what a workload allows below which evictions, not the traffic, keep hits away."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningServer:
    """Gauges and counters of one page; None where the page has none of that name.

    `allowed_hit_rate` is what an unlimited prefix cache would find in the workload.
    """

    usage: float | None
    used_tokens: int | None
    running: int | None
    waiting: int | None
    preemptions: int | None
    hit_rate: float | None
    allowed_hit_rate: float | None
    findings: tuple[str, ...]

    def as_dict(self) -> Json:
        """Plain values."""
        return {**asdict(self), "findings": list(self.findings)}


def running_server(
    page: MetricsPage, log: EngineLog, *, allowed_hit_rate: float | None = None
) -> RunningServer:
    """What a metrics page says of a server whose start the log shows.

    Args:
        page: one scrape; counters count from the server's start.
        log: its start.
        allowed_hit_rate: share of prompt tokens that the workload repeats, where it is known.
    """
    usage, queries = _level(page, USAGE), _count(page, QUERIES)
    hits = _count(page, HITS)
    rate = None if not queries or hits is None else min(1.0, hits / queries)
    pools = numbers(log, "max_total_num_tokens") or numbers(log, "kv_tokens")
    preemptions = _count(page, PREEMPTIONS)
    waiting = _count(page, WAITING)
    return RunningServer(
        usage=usage,
        used_tokens=None if usage is None or not pools else round(usage * min(pools)),
        running=_whole(_count(page, RUNNING)),
        waiting=_whole(waiting),
        preemptions=_whole(preemptions),
        hit_rate=rate,
        allowed_hit_rate=allowed_hit_rate,
        findings=tuple(_findings(usage, waiting, preemptions, rate, allowed_hit_rate)),
    )


def _findings(
    usage: float | None,
    waiting: float | None,
    preemptions: float | None,
    rate: float | None,
    allowed: float | None,
) -> Iterable[str]:
    """In words, what the figures mean together."""
    is_full = usage is not None and usage >= FULL
    if preemptions:
        yield f"{preemptions:,.0f} requests lost their blocks and were computed again"
    if is_full and waiting:
        yield f"the cache is {usage:.0%} full and {waiting:,.0f} requests wait: memory binds"
    elif waiting and usage is not None:
        yield f"{waiting:,.0f} requests wait while {1 - usage:.0%} of the cache is free: steps bind"
    if rate is None or allowed is None:
        return
    if rate < LOW_SHARE * allowed:
        yield f"{rate:.1%} of prompt tokens are found, {allowed:.1%} repeat: blocks are evicted"
    else:
        yield f"{rate:.1%} of prompt tokens are found, of the {allowed:.1%} that repeat"


def _values(page: MetricsPage, names: Iterable[str]) -> list[float]:
    for name in names:
        if page.samples.get(name):
            return list(page.samples[name].values())
    return []


def _count(page: MetricsPage, names: Iterable[str]) -> float | None:
    """The sum over engines and ranks."""
    values = _values(page, names)
    return sum(values) if values else None


def _level(page: MetricsPage, names: Iterable[str]) -> float | None:
    """The fullest of them."""
    return max(_values(page, names), default=None)


def _whole(value: float | None) -> int | None:
    return None if value is None else round(value)
