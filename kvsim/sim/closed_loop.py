"""Closed loops: so many users, each waiting for an answer before asking again."""

from collections.abc import Sequence
from dataclasses import replace
from heapq import heapify, heapreplace
from typing import TYPE_CHECKING, NamedTuple

from kvsim.specs.traffic import Arrivals
from kvsim.specs.workload import Request

if TYPE_CHECKING:
    from numpy.random import Generator

WARM_UP_QUANTILE = 0.95
"""Share of conversations that are over when the first one's requests begin to count."""


def settled_s(durations_s: Sequence[float]) -> float:
    """When most of the conversations that began at second 0 are over."""
    return sorted(durations_s)[int(WARM_UP_QUANTILE * len(durations_s))]


class _Asked(NamedTuple):
    """A request and when it is expected; the one of its user before it, and the pause between."""

    expected_s: float
    before: int | None
    pause_s: float
    request: Request


class _User(NamedTuple):
    """When a user is expected to begin a conversation, after which request and which pause."""

    next_s: float
    number: int
    before: int | None
    pause_s: float


def closed_loop(
    arrivals: Arrivals, talks: Sequence[Sequence[Request]], generator: "Generator"
) -> list[Request]:
    """Each user's conversations one after the other; every request waits for the answer before.

    Expected times take an answer to need `response_s`. The stretch that counts begins when the
    first conversations are mostly over, and ends with the last one's start.

    Args:
        arrivals: users, pauses, and seconds of an answer.
        talks: the turns of each conversation from second 0, in order.
        generator: the only source of chance.
    """
    users = [_User(_pause(arrivals, generator), n, None, 0.0) for n in range(arrivals.num_users)]
    heapify(users)
    asked: list[_Asked] = []
    durations_s, last_start_s = [], 0.0
    for talk in talks:
        user = users[0]
        last_start_s = now = user.next_s
        before, pause_s = user.before, user.pause_s
        for i, turn in enumerate(talk):
            if i:
                pause_s = turn.arrival_s - talk[i - 1].arrival_s
                now += arrivals.response_s + pause_s
            asked.append(_Asked(now, before, pause_s, turn))
            before = len(asked) - 1
        durations_s.append(now - last_start_s)
        pause_s = _pause(arrivals, generator)
        next_s = now + arrivals.response_s + pause_s
        heapreplace(users, _User(next_s, user.number, before, pause_s))
    return _in_order(asked, begin_s=settled_s(durations_s), end_s=last_start_s)


def _pause(arrivals: Arrivals, generator: "Generator") -> float:
    return float(generator.exponential(arrivals.think_time_s))


def _in_order(asked: Sequence[_Asked], *, begin_s: float, end_s: float) -> list[Request]:
    """The requests of a stretch by their expected times; each is after the one that is waited for.

    Who waits for one before the stretch comes at the expected time.
    """
    kept = [i for i, a in enumerate(asked) if begin_s <= a.expected_s <= end_s]
    kept.sort(key=lambda i: asked[i].expected_s)
    places = {i: place for place, i in enumerate(kept)}
    requests = []
    for i in kept:
        one = asked[i]
        after = None if one.before is None else places.get(one.before)
        requests.append(
            replace(
                one.request, arrival_s=one.expected_s - begin_s, after=after, pause_s=one.pause_s
            )
        )
    return requests
