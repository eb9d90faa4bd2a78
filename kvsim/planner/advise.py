"""Advice: the nearest changes that make a plan fit, or hold more; each was tried."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from kvsim.errors import KvsimError
from kvsim.planner.changes import RANKS, Change, Kind, Kinds, weights_and_devices
from kvsim.planner.plan import Evaluation, Judge

Cost = tuple[float, int]
"""Devices, then the rank of what is given up."""

NO_BOUND = (math.inf, 0)


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
    return tuple(_found(kinds, kinds.to_fit(), lambda _: True))


def more_users(kinds: Kinds) -> tuple[Fix, ...]:
    """Single changes after which more requests fit, one of each kind, the cheapest kinds first."""
    now = kinds.evaluation.fit.max_requests

    def is_better(changed: Evaluation) -> bool:
        return changed.fit.max_requests > now

    return tuple(_found(kinds, kinds.to_hold_more(), is_better))


def best_pair(kinds: Kinds) -> FixPair | None:
    """The two changes that make what is asked fit and cost least; None where no two do.

    The first is taken as far as it goes, the second is the cheapest that then is enough. A pair
    costs the devices that it takes, then what its dearer half costs.
    """
    best: FixPair | None = None
    below = NO_BOUND
    for first in kinds.halves():
        if _cost(first, first.setting) >= below:
            continue  # no second change makes it cheaper
        for pair in _cheaper_pairs(first, kinds, below):
            best = pair
            below = pair.then.num_gpus, max(RANKS[pair.first_setting], RANKS[pair.then.setting])
    return best


def _cheaper_pairs(first: Change, kinds: Kinds, below: Cost) -> Iterator[FixPair]:
    """Pairs that cost less than all before them."""
    for kind in _seconds(first, kinds):
        if kind.setting == first.setting or _cost(first, kind.setting) >= below:
            continue
        for second in kind.changes:
            cost = _cost(second, first.setting)
            if cost >= below:
                break  # nor are the next ones of a kind cheaper
            fitting = kinds.judge.fitting(second.deployment, second.concurrent_requests)
            if fitting is None:
                continue
            changed = _judged(first, kinds.judge)
            if changed is None:
                return  # alone the engine refuses it
            below = cost
            yield FixPair(
                first_setting=first.setting,
                first_value=first.value,
                first_cost=first.cost,
                then=_fix(second, fitting, before=changed),
            )
            break


def _seconds(first: Change, kinds: Kinds) -> Iterator[Kind]:
    """Kinds of changes that may follow a first."""
    if kinds.judge.weights_take_all(first.deployment):
        return weights_and_devices(first.deployment, first.concurrent_requests, kinds.accelerators)
    changed = _judged(first, kinds.judge)
    return iter(()) if changed is None else Kinds(changed, kinds.judge, kinds.accelerators).to_fit()


def _judged(change: Change, judge: Judge) -> Evaluation | None:
    """The changed plan; None where the model or the engine cannot do it."""
    try:
        return judge(change.deployment, change.concurrent_requests)
    except KvsimError:
        return None


def _cost(change: Change, beside: str) -> Cost:
    """Of a change and one of another setting: the devices, then what the dearer one costs."""
    return change.deployment.parallel.num_ranks, max(RANKS[change.setting], RANKS[beside])


def _found(
    kinds: Kinds, tried: Iterator[Kind], is_enough: Callable[[Evaluation], bool]
) -> Iterator[Fix]:
    """Of each kind the first change with which it fits that is enough."""
    for kind in tried:
        for change in kind.changes:
            fitting = kinds.judge.fitting(change.deployment, change.concurrent_requests)
            if fitting is not None and is_enough(fitting):
                yield _fix(change, fitting, before=kinds.evaluation)
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
