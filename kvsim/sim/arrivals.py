"""Arrivals: requests that have not come yet, by time, and those that wait for an answer."""

from collections.abc import Iterator
from heapq import heapify, heappop, heappush
from typing import NamedTuple, Protocol

from kvsim.specs.workload import Request, Workload


class Arrival(NamedTuple):
    """A request's time, and its place in the workload."""

    arrival_s: float
    place: int


class Feed(Protocol):
    """Where an engine's requests come from."""

    @property
    def next_s(self) -> float | None:
        """When the next request comes; None if none has a time."""
        ...

    @property
    def num_here(self) -> int:
        """Answers asked for that came and were not taken out."""
        ...

    def until(self, now: float) -> Iterator[Arrival]:
        """Take out the requests that have come by now, in order."""
        ...

    def request(self, place: int) -> Request:
        """The request at this place of the workload."""
        ...

    def answered(self, place: int, finish_s: float) -> None:
        """One answer of a request is complete."""
        ...


class Arrivals:
    """Requests to come: at their time, or a pause after the answer that they wait for.

    Invariant: every request came, is in the heap with its time, or waits for an answer that is
    not complete.
    """

    def __init__(self, workload: Workload) -> None:
        self._requests = workload.requests
        self._heap: list[Arrival] = []
        self._waiting: dict[int, list[int]] = {}  # by the request that is waited for
        self._samples: dict[int, int] = {}  # answers of it that are still to be completed
        for place, request in enumerate(self._requests):
            if request.after is None:
                self._heap.append(Arrival(request.arrival_s, place))
            else:
                self._waiting.setdefault(request.after, []).append(place)
                self._samples[request.after] = self._requests[request.after].num_samples
        heapify(self._heap)

    @property
    def next_s(self) -> float | None:
        """When the next request comes; None if none has a time."""
        return self._heap[0].arrival_s if self._heap else None

    @property
    def num_here(self) -> int:
        """None: whoever comes is taken out at once."""
        return 0

    def until(self, now: float) -> Iterator[Arrival]:
        """Take out the requests that have come by now, in order."""
        while self._heap and self._heap[0].arrival_s <= now:
            yield heappop(self._heap)

    def request(self, place: int) -> Request:
        """The request at this place of the workload."""
        return self._requests[place]

    def answered(self, place: int, finish_s: float) -> None:
        """One answer of a request is complete; after the last, those who waited get a time."""
        if place not in self._waiting:
            return
        self._samples[place] -= 1
        if not self._samples[place]:
            for waiting in self._waiting.pop(place):
                pause_s = self._requests[waiting].pause_s
                heappush(self._heap, Arrival(finish_s + pause_s, waiting))


class Inbox:
    """What of a workload was sent to one of several engines.

    Invariant: the heap holds what was sent and not taken out.
    """

    def __init__(self, arrivals: Arrivals) -> None:
        self._arrivals = arrivals
        self._heap: list[Arrival] = []

    @property
    def next_s(self) -> float | None:
        """When the first of them came; None if none is here."""
        return self._heap[0].arrival_s if self._heap else None

    @property
    def num_here(self) -> int:
        """Answers that they ask for."""
        return sum(self.request(arrival.place).num_samples for arrival in self._heap)

    def put(self, arrival: Arrival) -> None:
        """Send a request here."""
        heappush(self._heap, arrival)

    def until(self, now: float) -> Iterator[Arrival]:
        """Take out the requests that have come by now, in order."""
        while self._heap and self._heap[0].arrival_s <= now:
            yield heappop(self._heap)

    def request(self, place: int) -> Request:
        """The request at this place of the whole workload."""
        return self._arrivals.request(place)

    def answered(self, place: int, finish_s: float) -> None:
        """One answer of a request is complete: who waits for it comes to any of the engines."""
        self._arrivals.answered(place, finish_s)
