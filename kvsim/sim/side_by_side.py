"""One clock over several engines: whatever happens first happens next."""

from collections.abc import Callable, Iterator, Sequence

from kvsim.sim.arrivals import Arrival, Arrivals, Inbox
from kvsim.sim.engine import Engine
from kvsim.sim.records import StepRecord

Send = Callable[[Arrival], int]
"""To which engine a request goes, from what all of them have when it comes."""

Done = tuple[int, StepRecord]
"""An engine's number, and the step that it ended."""


def run_side_by_side(
    engines: Sequence[Engine], inboxes: Sequence[Inbox], arrivals: Arrivals, send: Send
) -> Iterator[Done]:
    """Serve what arrives until all is done; yield steps as they end.

    At one instant steps end first, then requests come, then steps begin: as in an engine that is
    alone. A step that only waits for a transfer ends when a request is sent to its engine.
    """
    while True:
        ending, end_s = _first([engine.end_s for engine in engines])
        beginning, start_s = _first(
            [engine.next_start_s if engine.end_s is None else None for engine in engines]
        )
        next_s = arrivals.next_s
        if end_s is not None and _is_first(end_s, next_s, start_s):
            yield ending, engines[ending].end_step(end_s)
        elif next_s is not None and _is_first(next_s, start_s):
            for arrival in arrivals.until(next_s):
                chosen = send(arrival)
                inboxes[chosen].put(arrival)
                if engines[chosen].waits:
                    until_s = max(engines[chosen].now, arrival.arrival_s)
                    yield chosen, engines[chosen].end_step(until_s)
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
