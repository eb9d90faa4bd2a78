"""A run as trace events: requests in lanes, preemptions, and how full the engine was."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import TYPE_CHECKING

from kvsim.sim.records import RequestRecord, StepRecord

if TYPE_CHECKING:
    from kvsim.sim.simulation import Simulation

Event = dict[str, object]

MAX_REQUESTS = 20_000
MAX_PREEMPTIONS = 20_000
MAX_POINTS = 20_000
"""Most requests, preemptions and points of each counter in a file; what is left out is said."""

ENGINE, REQUESTS = 1, 2
"""Processes of the trace: the engine with its counters, the requests in lanes."""

MICROSECONDS = 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """Trace events of a run, bounded in number; `left_out` says what there was too much of."""

    done: "Simulation"

    @property
    def about(self) -> dict[str, object]:
        """What the file says of itself."""
        done = self.done
        return {
            "model": done.model,
            "gpu": done.gpu,
            "engine": f"{done.engine} {done.engine_version}",
            "step_time": done.step_time,
            "requests_left_out": max(0, len(done.requests) - MAX_REQUESTS),
            "preemptions_left_out": max(0, len(done.preemptions) - MAX_PREEMPTIONS),
            "steps_per_point": _stride(done.steps),
        }

    def events(self) -> Iterator[Event]:
        """Every event, each thread's in order of time."""
        yield from (_name("process_name", pid, n) for pid, n in ((1, "engine"), (2, "requests")))
        yield from self._counters()
        for preemption in self.done.preemptions[:MAX_PREEMPTIONS]:
            yield {
                "ph": "i",
                "s": "p",
                "pid": ENGINE,
                "tid": 0,
                "name": "preemption",
                "ts": preemption.time_s * MICROSECONDS,
                "args": {
                    "request": preemption.index,
                    "by": preemption.by_index,
                    "lost tokens": preemption.num_lost_tokens,
                },
            }
        yield from self._lanes()

    def _counters(self) -> Iterator[Event]:
        steps = self.done.steps
        for step in steps[:: _stride(steps)]:
            ts = step.start_s * MICROSECONDS
            for name, args in (
                ("requests", {"running": step.num_running, "waiting": step.num_waiting}),
                ("blocks", {"held": step.num_used_blocks}),
                ("tokens in a step", {"computed": step.num_tokens}),
            ):
                yield {"ph": "C", "pid": ENGINE, "tid": 0, "name": name, "ts": ts, "args": args}

    def _lanes(self) -> Iterator[Event]:
        """Requests in as many lanes as there were at once, split where their state changes."""
        chosen = sorted(self.done.requests[:MAX_REQUESTS], key=lambda r: (r.arrival_s, r.index))
        ends: list[tuple[float, int]] = []  # of requests in a lane
        free: list[int] = []
        num_lanes = 0
        for request in chosen:
            while ends and ends[0][0] <= request.arrival_s:
                heappush(free, heappop(ends)[1])
            if free:
                lane = heappop(free)
            else:
                lane, num_lanes = num_lanes, num_lanes + 1
            heappush(ends, (request.finish_s, lane))
            yield from self._slices(request, lane)

    def _slices(self, request: RequestRecord, lane: int) -> Iterator[Event]:
        start_s = max(self.done.steps[request.first_step].start_s, request.arrival_s)
        borders = (
            ("waiting", request.arrival_s, start_s),
            ("prefill", start_s, request.first_token_s),
            ("decode", request.first_token_s, request.finish_s),
        )
        args = {
            "request": request.index,
            "sample": request.sample,
            "prompt tokens": request.num_prompt_tokens,
            "output tokens": request.num_output_tokens,
            "cached tokens": request.num_cached_tokens,
            "preemptions": request.num_preemptions,
        }
        for name, from_s, until_s in borders:
            if until_s > from_s:
                yield {
                    "ph": "X",
                    "pid": REQUESTS,
                    "tid": lane,
                    "name": name,
                    "ts": from_s * MICROSECONDS,
                    "dur": (until_s - from_s) * MICROSECONDS,
                    "args": args,
                }


def _stride(steps: Sequence[StepRecord]) -> int:
    """Steps from one point of a counter to the next."""
    return max(1, -(-len(steps) // MAX_POINTS))


def _name(kind: str, pid: int, name: str) -> Event:
    return {"ph": "M", "pid": pid, "tid": 0, "name": kind, "args": {"name": name}}
