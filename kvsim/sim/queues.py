"""Requests that wait: first come, first served, or the most urgent first."""

import heapq
from collections import deque
from collections.abc import Iterable
from typing import NamedTuple, Protocol

from kvsim.sim.config import Policy
from kvsim.sim.request import RunningRequest


class WaitingQueue(Protocol):
    """Requests in the order in which they are tried.

    Source:
        vLLM `RequestQueue`, vllm/v1/core/sched/request_queue.py, 0.32.0.
    """

    def __len__(self) -> int:
        """Requests that wait."""
        ...

    def append(self, request: RunningRequest) -> None:
        """Add a request that arrived."""
        ...

    def push_back(self, requests: Iterable[RunningRequest]) -> None:
        """Return requests that were taken out, in the order in which they stood."""
        ...

    def first(self) -> RunningRequest:
        """The request to be tried next."""
        ...

    def pop(self) -> RunningRequest:
        """Take that request out."""
        ...

    def remove(self, request: RunningRequest) -> None:
        """Take a request out, wherever it stands."""
        ...


class ArrivalQueue:
    """First come, first served; preempted requests go to the front."""

    def __init__(self) -> None:
        self._requests: deque[RunningRequest] = deque()

    def __len__(self) -> int:
        return len(self._requests)

    def append(self, request: RunningRequest) -> None:
        """Add a request at the end."""
        self._requests.append(request)

    def push_back(self, requests: Iterable[RunningRequest]) -> None:
        """Return requests to the front."""
        self._requests.extendleft(reversed(list(requests)))

    def first(self) -> RunningRequest:
        """The one at the front."""
        return self._requests[0]

    def pop(self) -> RunningRequest:
        """Take the one at the front."""
        return self._requests.popleft()

    def remove(self, request: RunningRequest) -> None:
        """Take a request out."""
        self._requests.remove(request)


class Urgency(NamedTuple):
    """What orders requests by priority: smaller is sooner, then whoever came first."""

    priority: int
    order: int


def urgency(request: RunningRequest) -> Urgency:
    """A request's place among the urgent; no two have the same."""
    return Urgency(request.priority, request.index)


class _Entry(NamedTuple):
    urgency: Urgency
    request: RunningRequest


class PriorityQueue:
    """The most urgent first; a preempted request takes its old place."""

    def __init__(self) -> None:
        self._heap: list[_Entry] = []

    def __len__(self) -> int:
        return len(self._heap)

    def append(self, request: RunningRequest) -> None:
        """Add a request where its urgency puts it."""
        heapq.heappush(self._heap, _Entry(urgency(request), request))

    def push_back(self, requests: Iterable[RunningRequest]) -> None:
        """Return requests to where their urgency puts them."""
        for request in requests:
            self.append(request)

    def first(self) -> RunningRequest:
        """The most urgent one."""
        return self._heap[0].request

    def pop(self) -> RunningRequest:
        """Take the most urgent one."""
        return heapq.heappop(self._heap).request

    def remove(self, request: RunningRequest) -> None:
        """Take a request out."""
        self._heap.remove(_Entry(urgency(request), request))
        heapq.heapify(self._heap)


def waiting_queue(policy: Policy) -> WaitingQueue:
    """An empty queue of the policy's kind."""
    return PriorityQueue() if policy is Policy.PRIORITY else ArrivalQueue()
