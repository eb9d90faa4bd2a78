"""Serving without paging: each sequence reserves one run of slots for its whole life."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from heapq import heappop, heappush
from math import ceil

from kvsim.errors import SpecError
from kvsim.sim.buddy import Buddies, ContiguousAllocator, Extent, Partitions, check_fits
from kvsim.specs.workload import Request, Workload

BatchTime = Callable[[int], float]
"""Seconds of a step with so many sequences."""


class Reservation(StrEnum):
    """How many slots a sequence reserves, and who hands them out."""

    STATIC = "static"  # the longest length, in equal partitions
    MAX = "orca-max"  # the longest length, from buddies; so are the two below
    POW2 = "orca-pow2"  # the prompt, and the answer's length as the next power of two
    ORACLE = "orca-oracle"  # the prompt and the answer, known in advance

    def allocator(self, *, num_slots: int, max_model_len: int) -> ContiguousAllocator:
        """An empty pool of slots."""
        if self is Reservation.STATIC:
            return Partitions(num_slots, partition_slots=max_model_len)
        return Buddies(num_slots)

    def slots(self, size: "Size", *, max_model_len: int) -> int:
        """Slots that a sequence asks for.

        Example:
            >>> Reservation.POW2.slots(Size(num_prompt_tokens=100, num_output_tokens=25),
            ...     max_model_len=2048)
            132
        """
        if self in (Reservation.STATIC, Reservation.MAX):
            return max_model_len
        if self is Reservation.ORACLE:
            return size.num_tokens
        doubled = 1 << (size.num_output_tokens - 1).bit_length()
        return min(size.num_prompt_tokens + doubled, max_model_len)


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """A sequence's tokens; the answer ends where the longest length does."""

    num_prompt_tokens: int
    num_output_tokens: int

    @property
    def num_tokens(self) -> int:
        """Prompt and answer."""
        return self.num_prompt_tokens + self.num_output_tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """One thing the allocator did: gave slots to a request, or took them back."""

    step: int
    request: int  # in the workload
    is_admission: bool
    reserved_slots: int  # what the request asked for
    extent: Extent  # what it got; at least as much


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """Equal steps in a row, in which nobody comes or goes; slots as in the first of them.

    In each later step every sequence uses one slot more, which was reserved for it. The five
    parts add up to the pool: `external` is what rounding adds to reservations, and all that is
    free while someone waits; `free` is what is free while nobody does.
    """

    start_s: float
    step_s: float
    num_steps: int
    num_running: int
    num_waiting: int
    used: int
    reserved: int
    internal: int
    external: int
    free: int

    @property
    def seconds(self) -> float:
        """From the first step's start to the last one's end."""
        return self.step_s * self.num_steps

    @property
    def mean_used(self) -> float:
        """Used slots, over the steps."""
        return self.used + self.num_running * (self.num_steps - 1) / 2

    @property
    def mean_reserved(self) -> float:
        """Reserved slots, over the steps."""
        return self.reserved - self.num_running * (self.num_steps - 1) / 2


@dataclass(slots=True, eq=False)
class Held:
    """A running sequence's slots."""

    size: Size
    reserved_slots: int
    extent: Extent


class ContiguousServer:
    """First come, first served: the head of the line waits for a hole, and all behind it.

    A step computes one token of each running sequence; the first one its whole prompt as well.

    Invariant: every request is pending, waiting, running or done; `_used`, `_reserved`,
    `_internal` and `_rounding` are the sums over the running ones.
    """

    def __init__(
        self,
        workload: Workload,
        reservation: Reservation,
        *,
        num_slots: int,
        max_model_len: int,
        batch_time: BatchTime,
        max_num_seqs: int | None = None,
    ) -> None:
        self._pool = reservation.allocator(num_slots=num_slots, max_model_len=max_model_len)
        self._reservation = reservation
        self._max_model_len = max_model_len
        self._max_num_seqs = max_num_seqs or len(workload)
        self._batch_time = batch_time
        for index, request in enumerate(workload):
            self._check(index, request)
        self._pending = deque(
            (index, request.arrival_s, self.size(request)) for index, request in enumerate(workload)
        )
        self._waiting: deque[tuple[int, Size]] = deque()
        self._running: dict[int, Held] = {}
        self._ends: list[tuple[int, int]] = []  # (step after the last, request)
        self._used = self._reserved = self._internal = self._rounding = 0
        self.now = 0.0
        self.step = 0
        self.last_admission_s = 0.0
        self.log: list[Decision] = []

    def size(self, request: Request) -> Size:
        """The tokens of a request."""
        prompt, longest = request.num_prompt_tokens, self._max_model_len
        return Size(
            num_prompt_tokens=prompt,
            num_output_tokens=min(request.num_output_tokens, longest - prompt),
        )

    def _check(self, index: int, request: Request) -> None:
        """SpecError for a request that could never be served."""
        prompt, longest = request.num_prompt_tokens, self._max_model_len
        if prompt >= longest:
            msg = f"request {index}: num_prompt_tokens={prompt} must be < max_model_len={longest}"
            raise SpecError(msg)
        slots = self._reservation.slots(self.size(request), max_model_len=longest)
        check_fits(self._pool, slots, what=f"request {index}")

    def run(self) -> Iterator[Interval]:
        """Yield intervals until every request is done; after `last_admission_s` it only drains."""
        while self._pending or self._waiting or self._running:
            if not (self._running or self._waiting):
                self.now = max(self.now, self._pending[0][1])
            while self._pending and self._pending[0][1] <= self.now:
                index, _, size = self._pending.popleft()
                self._waiting.append((index, size))
            self._admit()
            yield self._advance()

    def _admit(self) -> None:
        while self._waiting and len(self._running) < self._max_num_seqs:
            index, size = self._waiting[0]
            slots = self._reservation.slots(size, max_model_len=self._max_model_len)
            extent = self._pool.allocate(slots)
            if extent is None:
                return
            self._waiting.popleft()
            self.last_admission_s = self.now
            self._running[index] = Held(size, slots, extent)
            self._used += size.num_prompt_tokens
            self._reserved += size.num_output_tokens
            self._internal += slots - size.num_tokens
            self._rounding += extent.num_slots - slots
            heappush(self._ends, (self.step + size.num_output_tokens, index))
            self._note(index, slots, extent, is_admission=True)

    def _advance(self) -> Interval:
        """Run steps up to the next one that someone may leave or join."""
        step_s = self._batch_time(len(self._running))
        num_steps = self._ends[0][0] - self.step
        if self._pending and not self._waiting:
            num_steps = min(num_steps, max(1, ceil((self._pending[0][1] - self.now) / step_s)))
        interval = self._interval(step_s, num_steps)
        self.step += num_steps
        self.now += step_s * num_steps
        self._used += num_steps * len(self._running)
        self._reserved -= num_steps * len(self._running)
        while self._ends and self._ends[0][0] == self.step:
            self._finish(heappop(self._ends)[1])
        return interval

    def _interval(self, step_s: float, num_steps: int) -> Interval:
        held = self._used + self._reserved + self._internal + self._rounding
        hole = self._pool.num_slots - held
        return Interval(
            start_s=self.now,
            step_s=step_s,
            num_steps=num_steps,
            num_running=len(self._running),
            num_waiting=len(self._waiting),
            used=self._used,
            reserved=self._reserved,
            internal=self._internal,
            external=self._rounding + (hole if self._waiting else 0),
            free=0 if self._waiting else hole,
        )

    def _finish(self, index: int) -> None:
        held = self._running.pop(index)
        self._pool.free(held.extent)
        self._used -= held.size.num_tokens
        self._internal -= held.reserved_slots - held.size.num_tokens
        self._rounding -= held.extent.num_slots - held.reserved_slots
        self._note(index, held.reserved_slots, held.extent, is_admission=False)

    def _note(self, index: int, slots: int, extent: Extent, *, is_admission: bool) -> None:
        self.log.append(
            Decision(
                step=self.step,
                request=index,
                is_admission=is_admission,
                reserved_slots=slots,
                extent=extent,
            )
        )


def replay(log: Iterable[Decision], allocator: ContiguousAllocator) -> Iterator[Decision]:
    """The decisions of a log as an empty allocator takes them again: the same, if it is sound.

    Raises:
        SpecError: if the allocator has no room where the log says it had.
    """
    for decision in log:
        if not decision.is_admission:
            allocator.free(decision.extent)
            yield decision
            continue
        extent = allocator.allocate(decision.reserved_slots)
        if extent is None:
            msg = f"request {decision.request} at step {decision.step}: no room in the replay"
            raise SpecError(msg)
        yield Decision(
            step=decision.step,
            request=decision.request,
            is_admission=True,
            reserved_slots=decision.reserved_slots,
            extent=extent,
        )
