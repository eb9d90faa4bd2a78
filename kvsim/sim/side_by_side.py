"""One clock over several engines: whatever happens first happens next."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol

from kvsim.sim.arrivals import Arrival, Arrivals, Inbox
from kvsim.sim.engine import Engine
from kvsim.sim.records import StepRecord

Done = tuple[int, StepRecord]
"""An engine's number, and the step that it ended."""


class Happening(Protocol):
    """Something beside the engines' steps that happens at times of its own."""

    @property
    def next_s(self) -> float | None:
        """When it happens next; None if nothing is known to come."""
        ...

    def happen(self) -> Iterable[int]:
        """Let it happen; the engines that it concerns."""
        ...


class RoutedArrivals:
    """Requests that come, each sent to the engine that a router chooses."""

    def __init__(
        self, arrivals: Arrivals, inboxes: Sequence[Inbox], choose: Callable[[Arrival], int]
    ) -> None:
        self._arrivals = arrivals
        self._inboxes = inboxes
        self._choose = choose

    @property
    def next_s(self) -> float | None:
        """When the next request comes."""
        return self._arrivals.next_s

    def happen(self) -> Iterator[int]:
        """Send what came to the engine of the router's choice."""
        next_s = self.next_s
        assert next_s is not None, "nothing comes"
        for arrival in self._arrivals.until(next_s):
            chosen = self._choose(arrival)
            self._inboxes[chosen].put(arrival)
            yield chosen


def run_side_by_side(engines: Sequence[Engine], happenings: Sequence[Happening]) -> Iterator[Done]:
    """Go on until all is done; yield steps as they end.

    At one instant steps end first, then other things happen, in the order of `happenings`, then
    steps begin: as in an engine that is alone. A step that waits ends when something happens that
    concerns its engine.
    """
    while True:
        ending, end_s = _first([engine.end_s for engine in engines])
        happening, next_s = _first([one.next_s for one in happenings])
        beginning, start_s = _first(
            [engine.next_start_s if engine.end_s is None else None for engine in engines]
        )
        if end_s is not None and _is_first(end_s, next_s, start_s):
            assert end_s < float("inf"), "every engine waits for another"
            yield ending, engines[ending].end_step(end_s)
        elif next_s is not None and _is_first(next_s, start_s):
            for i in happenings[happening].happen():
                if engines[i].waits:
                    yield i, engines[i].end_step(max(engines[i].now, next_s))
        elif start_s is not None:
            engines[beginning].start_step()
        else:
            return


def _first(times: Sequence[float | None]) -> tuple[int, float | None]:
    """The place and the value of the earliest, the first of equals; None where there is none."""
    earliest, found = 0, None
    for i, time_s in enumerate(times):
        if time_s is not None and (found is None or time_s < found):
            earliest, found = i, time_s
    return earliest, found


def _is_first(time_s: float, *others: float | None) -> bool:
    return all(other is None or time_s <= other for other in others)
