"""Advice: the nearest changes that make a plan fit, or hold more; each was tried."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from kvsim.planner.changes import RANKS, Change, Kinds, judged
from kvsim.planner.plan import Evaluation


@dataclass(frozen=True, slots=True, kw_only=True)
class Fix:
    """A single change after which the deployment fits, or holds more, and what it then holds.

    `setting` is the engine's own flag name; `effect` says in words what the change brings,
    `cost` what it gives up.
    """

    setting: str
    value: str
    max_requests: int
    max_concurrency: float
    kv_cache_tokens: int
    num_gpus: int
    effect: str
    cost: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FixPair:
    """Two changes that make a deployment fit where neither does alone; figures are after both."""

    first_setting: str
    first_value: str
    first_cost: str
    then: Fix


def fixes(kinds: Kinds) -> tuple[Fix, ...]:
    """Single changes after which what is asked fits, one of each kind, the cheapest kinds first."""
    return tuple(_found(kinds, kinds.to_fit(), lambda e: e.fit.verdict.fits))


def more_users(kinds: Kinds) -> tuple[Fix, ...]:
    """Single changes after which more requests fit, one of each kind, the cheapest kinds first."""
    now = kinds.evaluation.fit.max_requests

    def is_better(changed: Evaluation) -> bool:
        return changed.fit.verdict.fits and changed.fit.max_requests > now

    return tuple(_found(kinds, kinds.to_hold_more(), is_better))


def best_pair(kinds: Kinds) -> FixPair | None:
    """The two changes that make what is asked fit and cost least; None where no two do.

    The first is taken as far as it goes, the second is the cheapest that then is enough. A pair
    costs the devices that it takes, then what its dearer half costs.
    """
    best: FixPair | None = None
    for first in kinds.halves():
        least = first.deployment.parallel.num_ranks, RANKS[first.setting]
        if best is not None and least >= _cost(best):
            continue  # no second change makes it cheaper
        pair = _completed(first, kinds)
        if pair is not None and (best is None or _cost(pair) < _cost(best)):
            best = pair
    return best


def _completed(first: Change, kinds: Kinds) -> FixPair | None:
    changed = judged(first, kinds.evaluate)
    if changed is None:
        return None
    rest = Kinds(changed, kinds.evaluate, kinds.accelerators)
    found = _found(rest, rest.to_fit(), lambda e: e.fit.verdict.fits)
    pairs = (
        FixPair(
            first_setting=first.setting,
            first_value=first.value,
            first_cost=first.cost,
            then=second,
        )
        for second in found
        if second.setting != first.setting
    )
    return min(pairs, key=_cost, default=None)


def _cost(pair: FixPair) -> tuple[int, int]:
    return pair.then.num_gpus, max(RANKS[pair.first_setting], RANKS[pair.then.setting])


def _found(
    kinds: Kinds, changes: Iterator[Iterator[Change]], is_enough: Callable[[Evaluation], bool]
) -> Iterator[Fix]:
    """Of each kind the first change that is enough."""
    for kind in changes:
        for change in kind:
            changed = judged(change, kinds.evaluate)
            if changed is not None and is_enough(changed):
                yield _fix(change, changed, before=kinds.evaluation)
                break


def effect(num_requests: int, num_tokens: int, *, before: int, before_tokens: int) -> str:
    """What a change brings, in words; another length of requests is said on both sides."""
    length = "" if num_tokens == before_tokens else f" x {before_tokens:,}"
    return f"{num_requests:,} x {num_tokens:,} tokens fit, now {before:,}{length}"


def _fix(change: Change, changed: Evaluation, *, before: Evaluation) -> Fix:
    held, length = changed.capacity.best, changed.resolved.max_model_len
    return Fix(
        setting=change.setting,
        value=change.value,
        max_requests=held.max_requests,
        max_concurrency=held.max_concurrency,
        kv_cache_tokens=held.kv_cache_tokens,
        num_gpus=changed.deployment.parallel.num_ranks,
        effect=effect(
            changed.fit.max_requests,
            length,
            before=before.fit.max_requests,
            before_tokens=before.resolved.max_model_len,
        ),
        cost=change.cost,
    )
