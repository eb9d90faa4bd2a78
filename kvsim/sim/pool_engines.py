"""The engines of two pools: one computes prompts and hands them over, the other goes on."""

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from heapq import heappop, heappush

from kvsim.engines.vllm_cache_group import KVCacheGroup
from kvsim.sim.arrivals import Arrival, Arrivals, Inbox
from kvsim.sim.batch import Batch, Settled
from kvsim.sim.content import ContentTree
from kvsim.sim.engine import Engine
from kvsim.sim.holding import HoldingScheduler
from kvsim.sim.kv_cache import KVCache
from kvsim.sim.moment import Served
from kvsim.sim.scheduler import Scheduler
from kvsim.sim.setup import EngineSetup
from kvsim.sim.transfers import Links, Prefilled, PullConnector, Sending
from kvsim.sim.under_way import StepUnderWay
from kvsim.specs.workload import Request, Workload

ELSEWHERE = -2
"""Number of the step that gave a token in another engine."""


class PrefillInbox(Inbox):
    """Prompts that were sent to one engine; it answers with the first token alone.

    Who waits for an answer waits for the other pool, unless the first token was all of it.
    """

    def __init__(self, arrivals: Arrivals, prompts: Workload, ends: Callable[[int], bool]) -> None:
        super().__init__(arrivals)
        self._prompts = prompts
        self._ends = ends

    def request(self, place: int) -> Request:
        """The prompt, with one token to answer."""
        return self._prompts.requests[place]

    def answered(self, place: int, finish_s: float) -> None:
        """A first token came."""
        if self._ends(place):
            super().answered(place, finish_s)


class PrefillEngine(Engine):
    """Computes prompts; what it finishes waits in `finished` to be handed over."""

    def __init__(
        self,
        number: int,
        setup: EngineSetup,
        prompts: Workload,
        step_time: Callable[[Batch], float],
        *,
        arrivals: PrefillInbox,
        tree: ContentTree,
    ) -> None:
        super().__init__(setup, prompts, step_time, arrivals=arrivals, tree=tree)
        self._number = number
        self.finished: deque[Prefilled] = deque()

    def _new_scheduler(self, accept: Callable[[int], int]) -> Scheduler:
        self._holding: HoldingScheduler = self._setup.holding_scheduler(accept)
        return self._holding

    def release(self, one: Prefilled) -> None:
        """Give the blocks of a prompt back."""
        if one.running in self._holding.held:
            self._holding.release(one.running)

    def _note(self, settled: Settled, done: StepUnderWay) -> None:
        """Note who is to be handed over, before their records are written."""
        for running in settled.finished:
            served = self._served[running]
            self.finished.append(
                Prefilled(
                    place=served.place,
                    sample=served.sample,
                    engine=self._number,
                    running=running,
                    arrival_s=served.arrival_s,
                    first_token_s=done.end_s,
                    handed_s=self.now,
                    has_cache=running in self._holding.held,
                )
            )
        super()._note(settled, done)


class DecodeInbox:
    """Answers that were begun elsewhere and sent to one engine, under tickets."""

    def __init__(self, arrivals: Arrivals) -> None:
        self._arrivals = arrivals
        self._heap: list[Arrival] = []
        self.prefilled: dict[int, Prefilled] = {}

    @property
    def next_s(self) -> float | None:
        """When the first of them came; None if none is here."""
        return self._heap[0].arrival_s if self._heap else None

    @property
    def num_here(self) -> int:
        """Those that were not taken out."""
        return len(self._heap)

    def put(self, ticket: int, one: Prefilled) -> None:
        """Send an answer here."""
        self.prefilled[ticket] = one
        heappush(self._heap, Arrival(one.handed_s, ticket))

    def until(self, now: float) -> Iterator[Arrival]:
        """Take out those that have come by now, in order."""
        while self._heap and self._heap[0].arrival_s <= now:
            yield heappop(self._heap)

    def request(self, place: int) -> Request:
        """The request at this place of the whole workload."""
        return self._arrivals.request(place)

    def answered(self, place: int, finish_s: float) -> None:
        """One answer of a request is complete."""
        self._arrivals.answered(place, finish_s)


class DecodeEngine(Engine):
    """Goes on with answers whose first token and whose prompt's cache come from elsewhere."""

    def __init__(
        self,
        setup: EngineSetup,
        workload: Workload,
        step_time: Callable[[Batch], float],
        *,
        arrivals: DecodeInbox,
        tree: ContentTree,
        connector: Callable[[KVCache], PullConnector],
    ) -> None:
        self._inbox = arrivals
        self._connect = connector
        super().__init__(setup, workload, step_time, arrivals=arrivals, tree=tree)

    def _new_scheduler(self, accept: Callable[[int], int]) -> Scheduler:
        def connect(cache: KVCache) -> PullConnector:
            self._pulls = self._connect(cache)
            return self._pulls

        return self._setup.loading_scheduler(accept, connect)

    def _arrive(self, arrival: Arrival) -> None:
        """Queue an answer with its first token known."""
        one = self._inbox.prefilled.pop(arrival.place)
        request = self._inbox.request(one.place)
        running = self._running(request, one.place, one.sample, index=self._num_arrived)
        self._num_arrived += 1
        running.num_tokens += 1
        self._pulls.expect(running, one)
        self._served[running] = Served(
            one.arrival_s,
            running,
            one.place,
            one.sample,
            first_token_s=one.first_token_s,
            last_token_step=ELSEWHERE,
            last_token_s=one.first_token_s,
        )
        self._scheduler.add(running)


def pulling(
    number: int, links: Links, sending: Sending, setup: EngineSetup, copies: int
) -> Callable[[KVCache], PullConnector]:
    """What connects an engine over a cache to those that hold its prompts.

    Args:
        number: of the engine, among all of both pools.
        links: of all of them.
        sending: transfers under way.
        setup: groups of layers.
        copies: ranks that hold blocks of each group.
    """
    return partial(
        _connector,
        number=number,
        links=links,
        sending=sending,
        block_bytes=tuple(copies * block_bytes(group) for group in setup.groups),
    )


def _connector(
    cache: KVCache, *, number: int, links: Links, sending: Sending, block_bytes: tuple[int, ...]
) -> PullConnector:
    tokens = tuple(group.block_size for group in cache.groups)
    return PullConnector(number, links, sending, block_bytes, tokens)


def block_bytes(group: KVCacheGroup) -> int:
    """Bytes of a block over all layers of a group, padding included, on one rank."""
    return sum(len(one.layers) * one.spec.page_size_bytes for one in group.members)


class HandingOver:
    """Prompts that were computed, each sent to the engine of the other pool with least to do.

    One of the things that happen beside steps.
    """

    def __init__(
        self,
        prefill: Mapping[int, PrefillEngine],
        inboxes: Mapping[int, DecodeInbox],
        choose: Callable[[], int],
        ends: Callable[[int], bool],
    ) -> None:
        self._prefill = prefill
        self._inboxes = inboxes
        self._choose = choose
        self._ends = ends
        self.handed: list[Prefilled] = []

    @property
    def next_s(self) -> float | None:
        """When the next one was computed."""
        firsts = (engine.finished[0] for engine in self._prefill.values() if engine.finished)
        return min((one.handed_s for one in firsts), default=None)

    def happen(self) -> Iterator[int]:
        """Hand over all that was computed by then; an answer that is complete is given up."""
        now_s = self.next_s
        for engine in self._prefill.values():
            while engine.finished and engine.finished[0].handed_s == now_s:
                one = engine.finished.popleft()
                if self._ends(one.place):
                    engine.release(one)
                    yield one.engine
                    continue
                chosen = self._choose()
                self._inboxes[chosen].put(len(self.handed), one)
                self.handed.append(one)
                yield chosen
