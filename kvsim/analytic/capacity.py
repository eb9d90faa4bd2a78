"""From cache memory to blocks, tokens and requests, and whether what is asked fits."""

from dataclasses import dataclass
from enum import StrEnum

from kvsim.analytic.budget import Budget
from kvsim.analytic.host_memory import HostMemory
from kvsim.engines.layout import Layout, PagedLayout, Pool, SequenceBytes
from kvsim.errors import SpecError
from kvsim.message import Message
from kvsim.specs.model import ModelSpec
from kvsim.units import ceil_div, format_gib

TIGHT_SHARE = 0.95
"""Share of the cache above which a fit is called tight: one estimate off, and it is gone."""


class Verdict(StrEnum):
    """Whether a deployment holds what is asked of it."""

    FITS = "fits"
    TIGHT = "tight"  # at the likely estimates, but not at the cautious ones, or nearly full
    DOES_NOT_FIT = "does not fit"

    @property
    def fits(self) -> bool:
        """Whether it fits, comfortably or not."""
        return self is not Verdict.DOES_NOT_FIT


class Cause(StrEnum):
    """Why a verdict is not a plain "fits"; one per reason, for faces with words of their own."""

    NOT_FREE = "not free"  # less is free at start than the engine asks for
    NO_CACHE = "no cache"  # weights and overheads alone pass the budget
    TOO_MANY_REQUESTS = "too many requests"
    ONLY_LIKELY = "only likely"  # it fits at the likely estimates, not at the cautious ones
    NEARLY_FULL = "nearly full"
    HOST_MEMORY = "host memory"  # what is offloaded passes the machine's memory


@dataclass(frozen=True, slots=True, kw_only=True)
class LinearCost:
    """What a request of n tokens takes: fixed bytes and bytes per token, exact from a length on.

    From `from_tokens` on every window is full, so only what grows without bound still grows.
    """

    fixed_bytes: int
    bytes_per_token: int
    from_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """What the cache holds at the likely estimate, and at the cautious and the hopeful one."""

    best: Pool
    low: Pool
    high: Pool
    request: SequenceBytes  # one request of the longest length
    cost: LinearCost


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """The verdict, with the bytes that decide it and the reasons: as causes, and in words."""

    verdict: Verdict
    needed_bytes: int
    available_bytes: int
    requests_per_replica: int  # asked of the replica that gets most
    max_requests: int  # that fit, over all replicas; none where the engine does not start
    causes: tuple[Cause, ...]
    reasons: tuple[str, ...]

    @property
    def missing_bytes(self) -> int:
        """What lacks; 0 where it fits."""
        return max(0, self.needed_bytes - self.available_bytes)


def capacity(
    layout: PagedLayout, model: ModelSpec, budget: Budget, *, max_model_len: int
) -> Capacity:
    """Pools at the three estimates of the cache's memory, and what a request takes of them."""
    cache = budget.kv_cache_bytes
    best = layout.pool(max(0, cache.best))
    same = cache.is_exact
    return Capacity(
        best=best,
        low=best if same else layout.pool(max(0, cache.low)),
        high=best if same else layout.pool(max(0, cache.high)),
        request=layout.sequence(max_model_len),
        cost=linear_cost(layout, model, max_model_len=max_model_len, block_size=best.block_size),
    )


def linear_cost(
    layout: Layout, model: ModelSpec, *, max_model_len: int, block_size: int
) -> LinearCost:
    """A request's cost as a line through its cost at the longest whole number of blocks.

    Windows that are not full at the longest length count as growing.
    """
    length = max(1, max_model_len // block_size * block_size)
    full_windows = [
        live
        for group in model.layer_groups
        for behaviour in group.layer
        if 0 < (live := behaviour.live_tokens(length)) < length
    ]
    sequence = layout.sequence(length)
    return LinearCost(
        fixed_bytes=sequence.total_bytes - sequence.marginal_bytes * length,
        bytes_per_token=sequence.marginal_bytes,
        from_tokens=max(full_windows, default=1),
    )


# long: reasons with their values, a value a line
def fit(
    capacity: Capacity,
    budget: Budget,
    *,
    concurrent_requests: int,
    replicas: int = 1,
    host: HostMemory | None = None,
) -> Fit:
    """Whether so many requests of the longest length fit at once.

    Args:
        capacity: what one replica holds.
        budget: memory of one of its accelerators.
        concurrent_requests: requests over all replicas (>= 1).
        replicas: data-parallel replicas that share them evenly.
        host: the machine's memory and what is offloaded to it; None where that is not known.

    Raises:
        SpecError: if less than one request is asked for.
    """
    if concurrent_requests < 1:
        msg = Message(
            "concurrent_requests={concurrent_requests} must be >= 1",
            concurrent_requests=concurrent_requests,
        )
        raise SpecError(msg)
    share = ceil_div(concurrent_requests, replicas)
    needed = capacity.best.bytes_for(share)
    held = replicas * capacity.best.max_requests
    reasons = _refused_memory(budget)
    if Cause.NO_CACHE not in reasons and capacity.best.max_requests < share:
        reasons[Cause.TOO_MANY_REQUESTS] = Message(
            "{asked} requests of max_model_len are asked for, {held} fit",
            asked=f"{concurrent_requests:,}",
            held=f"{held:,}",
        )
    if host is not None and not host.fits:
        reasons[Cause.HOST_MEMORY] = Message(
            "host memory lacks {missing}: {offloaded} are offloaded to it",
            missing=format_gib(-host.left_bytes.best),
            offloaded=format_gib(host.asked_bytes),
        )
    verdict = Verdict.DOES_NOT_FIT
    if not reasons:
        reasons = _doubts(capacity, budget, share=share, needed=needed)
        verdict = Verdict.TIGHT if reasons else Verdict.FITS
    return Fit(
        verdict=verdict,
        needed_bytes=needed,
        available_bytes=budget.kv_cache_bytes.best,
        requests_per_replica=share,
        max_requests=0 if Cause.NOT_FREE in reasons else held,
        causes=tuple(reasons),
        reasons=tuple(reasons.values()),
    )


def _refused_memory(budget: Budget) -> dict[Cause, str]:
    """Why the budget is none: the engine does not start, or nothing of it is left."""
    reasons: dict[Cause, str] = {}
    if budget.free_bytes.best < budget.usable_bytes.best:
        reasons[Cause.NOT_FREE] = Message(
            "the engine asks for {usable} at start and finds {free} free: it refuses to start",
            usable=format_gib(budget.usable_bytes.best),
            free=format_gib(budget.free_bytes.best),
        )
    if budget.kv_cache_bytes.best <= 0:
        taken = budget.usable_bytes.best - budget.kv_cache_bytes.best
        reasons[Cause.NO_CACHE] = Message(
            "weights and overheads take {taken} of a budget of {usable}: nothing is left to cache",
            taken=format_gib(taken),
            usable=format_gib(budget.usable_bytes.best),
        )
    return reasons


def _doubts(capacity: Capacity, budget: Budget, *, share: int, needed: int) -> dict[Cause, str]:
    """What makes a fit tight: the cautious estimates, or else a cache that is nearly full."""
    if capacity.low.max_requests < share:
        return {Cause.ONLY_LIKELY: "it fits at the likely estimates, not at the cautious ones"}
    if needed > TIGHT_SHARE * budget.kv_cache_bytes.best:
        share_taken = f"{TIGHT_SHARE:.0%}"
        said = Message("more than {share} of the cache would be taken", share=share_taken)
        return {Cause.NEARLY_FULL: said}
    return {}
