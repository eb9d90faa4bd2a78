"""A pool of slots without paging over a run: which stretch is whose, and what is in it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields

from kvsim.sim.buddy import Extent
from kvsim.sim.contiguous import ContiguousServer, Interval
from kvsim.specs.workload import Workload

Json = dict[str, object]

ROUNDING = 1e-9
"""Share of a step by which a time may miss its start and still count as in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stay:
    """A request's stretch of the pool, from its first step to the one after its last."""

    request: int  # in the workload
    extent: Extent
    reserved_slots: int  # what it asked for; rounding adds the rest of the extent
    num_prompt_tokens: int
    num_output_tokens: int
    first_step: int

    @property
    def end_step(self) -> int:
        """The first step that it is no longer part of."""
        return self.first_step + self.num_output_tokens

    @property
    def num_tokens(self) -> int:
        """Prompt and answer."""
        return self.num_prompt_tokens + self.num_output_tokens

    def used_slots(self, step: int) -> int:
        """Slots that hold a token, as the first step of it begins: the prompt's."""
        return self.num_prompt_tokens + step - self.first_step


@dataclass(frozen=True, slots=True, kw_only=True)
class ContiguousFrame:
    """The pool as a step begins; its five parts add up to its slots."""

    step: int
    start_s: float
    held: tuple[tuple[int, int], ...]  # request and its used slots, by place in the pool
    waiting: tuple[int, ...]
    num_finished: int
    used: int
    reserved: int
    internal: int
    external: int
    free: int


FRAME = tuple(field.name for field in fields(ContiguousFrame))


@dataclass(frozen=True, slots=True, kw_only=True)
class ContiguousMap:
    """A run as frames at given times; a request is in the same place in all of them."""

    num_slots: int
    stays: tuple[Stay, ...]
    frames: tuple[ContiguousFrame, ...]

    def as_dict(self) -> Json:
        """Plain values."""
        return {
            "num_slots": self.num_slots,
            "stays": [
                {
                    "request": stay.request,
                    "start": stay.extent.start,
                    "num_slots": stay.extent.num_slots,
                    "reserved_slots": stay.reserved_slots,
                    "num_tokens": stay.num_tokens,
                    "first_step": stay.first_step,
                }
                for stay in self.stays
            ],
            "frames": [{name: getattr(frame, name) for name in FRAME} for frame in self.frames],
        }


def contiguous_map(
    server: ContiguousServer, workload: Workload, times_s: Sequence[float], *, num_slots: int
) -> ContiguousMap:
    """What a server that did nothing yet does until the last of these times.

    Args:
        server: of this workload.
        workload: requests in order of arrival.
        times_s: rising; each frame is the step that is under way then.
        num_slots: of the server's pool.
    """
    intervals: list[tuple[int, Interval]] = []
    for interval in server.run():
        if interval.start_s > times_s[-1]:
            break
        intervals.append((server.step - interval.num_steps, interval))
    stays = tuple(_stays(server, workload))
    frames = tuple(_frames(intervals, stays, workload, times_s, num_slots))
    last = frames[-1].step
    return ContiguousMap(
        num_slots=num_slots,
        stays=tuple(stay for stay in stays if stay.first_step <= last),
        frames=frames,
    )


def _stays(server: ContiguousServer, workload: Workload) -> Iterator[Stay]:
    for decision in server.log:
        if decision.is_admission:
            size = server.size(workload.requests[decision.request])
            yield Stay(
                request=decision.request,
                extent=decision.extent,
                reserved_slots=decision.reserved_slots,
                num_prompt_tokens=size.num_prompt_tokens,
                num_output_tokens=size.num_output_tokens,
                first_step=decision.step,
            )


def _frames(
    intervals: Sequence[tuple[int, Interval]],
    stays: Sequence[Stay],
    workload: Workload,
    times_s: Sequence[float],
    num_slots: int,
) -> Iterator[ContiguousFrame]:
    place = -1
    for time_s in times_s:
        while place + 1 < len(intervals) and intervals[place + 1][1].start_s <= time_s + ROUNDING:
            place += 1
        if place < 0:
            yield _empty(0, time_s, 0, num_slots)
            continue
        first, interval = intervals[place]
        later = int((time_s - interval.start_s) / interval.step_s + ROUNDING)
        if later >= interval.num_steps:
            end = first + interval.num_steps
            done = sum(1 for stay in stays if stay.end_step <= end)
            yield _empty(end, time_s, done, num_slots)
            continue
        yield _frame(first, later, interval, stays, workload)


def _empty(step: int, time_s: float, num_finished: int, num_slots: int) -> ContiguousFrame:
    return ContiguousFrame(
        step=step,
        start_s=time_s,
        held=(),
        waiting=(),
        num_finished=num_finished,
        used=0,
        reserved=0,
        internal=0,
        external=0,
        free=num_slots,
    )


def _frame(
    first: int, later: int, interval: Interval, stays: Sequence[Stay], workload: Workload
) -> ContiguousFrame:
    """A step of an interval, so many after its first: each sequence has used one slot more."""
    step, start_s = first + later, interval.start_s + later * interval.step_s
    begun = [stay for stay in stays if stay.first_step <= step]
    held = sorted((s for s in begun if step < s.end_step), key=lambda stay: stay.extent.start)
    arrived = {i for i, r in enumerate(workload) if r.arrival_s <= start_s}
    return ContiguousFrame(
        step=step,
        start_s=start_s,
        held=tuple((stay.request, stay.used_slots(step)) for stay in held),
        waiting=tuple(sorted(arrived - {stay.request for stay in begun})),
        num_finished=len(begun) - len(held),
        used=interval.used + interval.num_running * later,
        reserved=interval.reserved - interval.num_running * later,
        internal=interval.internal,
        external=interval.external,
        free=interval.free,
    )
