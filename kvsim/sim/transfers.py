"""Transfers between engines: links, and the connector of an engine that pulls caches."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import NamedTuple

from kvsim.sim.block_pool import NULL_BLOCK
from kvsim.sim.request import RunningRequest
from kvsim.sim.tiers import TierUse
from kvsim.specs.disaggregation import Disaggregation


@dataclass(slots=True, eq=False)
class Prefilled:
    """An answer whose prompt another engine computed, and where its cache is on the way."""

    place: int  # of the request in the workload
    sample: int
    engine: int  # that computed the prompt
    running: RunningRequest  # there
    arrival_s: float
    first_token_s: float
    handed_s: float  # when the other pool was told
    has_cache: bool  # its blocks are held for the transfer
    taken_by: int = -1  # the engine of the other pool
    begin_s: float | None = None  # when blocks were taken for it in the other pool
    end_s: float = 0.0  # when its cache was there
    num_bytes: int = 0

    @property
    def seconds(self) -> float:
        """From the blocks that were taken to the cache that was there."""
        return 0.0 if self.begin_s is None else self.end_s - self.begin_s


class Links:
    """The link of every engine: a transfer begins when both ends are free."""

    def __init__(self, rules: Disaggregation, num_engines: int) -> None:
        self._rules = rules
        self._free_s = [0.0] * num_engines

    def send(self, num_bytes: int, *, between: tuple[int, int], from_s: float) -> float:
        """The second at which a transfer ends that can begin at `from_s`."""
        rate = self._rules.transfer_bytes_per_s
        begin_s = max(from_s, *(self._free_s[i] for i in between))
        free_s = begin_s if rate is None else begin_s + num_bytes / rate
        for i in between:
            self._free_s[i] = free_s
        return free_s + self._rules.transfer_latency_s


class _Entry(NamedTuple):
    end_s: float
    order: int
    one: Prefilled


class Sending:
    """Caches on their way, or to be given up: when each is over, its first engine is told.

    One of the things that happen beside steps.
    """

    def __init__(self, release: Callable[[Prefilled], None]) -> None:
        self._release = release
        self._heap: list[_Entry] = []
        self._order = 0

    def add(self, one: Prefilled) -> None:
        """Note a cache that is needed no more from `end_s` on."""
        self._order += 1
        heappush(self._heap, _Entry(one.end_s, self._order, one))

    @property
    def next_s(self) -> float | None:
        """When the next one is over."""
        return self._heap[0].end_s if self._heap else None

    def happen(self) -> Iterator[int]:
        """Give the blocks back where the prompt was computed."""
        one = heappop(self._heap).one
        self._release(one)
        yield one.engine


class PullConnector:
    """Pulls the caches of prompts from the engines that computed them, after blocks were taken.

    A request is pulled once; one that is preempted later computes its prompt itself. What the
    engine has cached is not pulled again.

    Source:
        vLLM `NixlConnectorScheduler`, distributed/kv_transfer/kv_connector/v1/nixl_connector.py.
    """

    def __init__(
        self,
        engine: int,
        links: Links,
        sending: Sending,
        block_bytes: tuple[int, ...],
        block_tokens: tuple[int, ...],
    ) -> None:
        self._engine = engine
        self._links = links
        self._sending = sending
        self._block_bytes = block_bytes  # of each group, over all ranks
        self._block_tokens = block_tokens
        self._to_pull: dict[RunningRequest, Prefilled] = {}
        self._pulling: dict[RunningRequest, Prefilled] = {}
        self._pulled: set[RunningRequest] = set()
        self._now_s = 0.0

    def expect(self, request: RunningRequest, one: Prefilled) -> None:
        """A request whose prompt another engine holds."""
        self._to_pull[request] = one

    def begin(self, now_s: float) -> None:
        """Take in what arrived."""
        self._now_s = now_s
        for request in [r for r, one in self._pulling.items() if one.end_s <= now_s]:
            del self._pulling[request]
            self._pulled.add(request)

    def find(self, request: RunningRequest, num_local_tokens: int) -> int | None:
        """What is missing of the prompt, if it was not pulled before."""
        one = self._to_pull.get(request)
        if one is None or not one.has_cache:
            return 0
        return request.num_prompt_tokens - num_local_tokens

    def load(self, request: RunningRequest, *, num_local_tokens: int, num_tokens: int) -> None:
        """Begin to pull into the blocks that were taken."""
        one = self._to_pull.pop(request)
        one.begin_s, one.taken_by = self._now_s, self._engine
        one.num_bytes = self._num_bytes(request, num_local_tokens, num_tokens)
        one.end_s = self._links.send(
            one.num_bytes, between=(one.engine, self._engine), from_s=self._now_s
        )
        self._pulling[request] = one
        self._sending.add(one)

    def _num_bytes(self, request: RunningRequest, num_local_tokens: int, num_tokens: int) -> int:
        """Whole blocks of every group beyond those that were cached here; a state is a block."""
        total = 0
        sizes = zip(request.tables, self._block_tokens, self._block_bytes, strict=True)
        for table, tokens, num_bytes in sizes:
            pulled = table.blocks[num_local_tokens // tokens : -(-num_tokens // tokens)]
            total += num_bytes * sum(block != NULL_BLOCK for block in pulled)
        return total

    def is_loaded(self, request: RunningRequest) -> bool:
        """Whether its cache has arrived."""
        if request not in self._pulled:
            return False
        self._pulled.discard(request)
        return True

    def store(self, request: RunningRequest, num_tokens: int) -> None:  # noqa: ARG002
        """A step computes for it: what was cached here all along is not pulled."""
        one = self._to_pull.pop(request, None)
        if one is not None:
            one.begin_s = one.end_s = self._now_s
            one.taken_by = self._engine
            self._sending.add(one)

    def finish(self, request: RunningRequest) -> None:
        """Nothing: the cache goes nowhere from here."""

    def close_schedule(self) -> None:
        """Nothing."""

    def end(self, now_s: float) -> None:
        """Nothing."""

    @property
    def next_end_s(self) -> float | None:
        """The second at which the next cache is here."""
        return min((one.end_s for one in self._pulling.values()), default=None)

    def tiers(self) -> tuple[TierUse, ...]:
        """None."""
        return ()
