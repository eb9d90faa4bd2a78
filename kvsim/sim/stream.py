"""The compiled twin fed window by window: what is over is folded into sums and let go."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from kvsim.errors import UnsupportedError
from kvsim.sim._kernels import loop
from kvsim.sim._kernels.compiling import kernel
from kvsim.sim._kernels.state import (
    IS_STUCK,
    NODE,
    NONE,
    REQUEST,
    RUN,
    STALL,
    WANTS_ROOM,
    Memory,
)
from kvsim.sim.compiled import (
    final_tokens,
    first_memory,
    first_state,
    log_rows,
    request_rows,
    ring_size,
    stuck,
)
from kvsim.sim.interning import nothing_shared
from kvsim.sim.kernel_log import Log
from kvsim.sim.request_arrays import RequestArrays, joined, no_requests
from kvsim.sim.series import STEP_COLUMNS
from kvsim.sim.setup import EngineSetup
from kvsim.sim.step_costs import StepCosts
from kvsim.sim.stream_tally import Folded, StreamTally

Arrays = Mapping[str, NDArray[Any]]

LOGGED_STEPS = 2**16
"""Rows of the series that the kernel fills before they are summed."""

COLUMNS = (
    *("arrival_s", "num_prompt_tokens", "num_output_tokens", "first_segment", "segment_id"),
    *("segment_tokens", "output_segment", "place", "sample"),
)
KEPT = ("req", "node", "due", "events", "idle", "slots", "late", "ending")
"""Arrays of the kernel that it goes on from; the others it fills before it reads them."""


LAYOUT = repr((RUN, REQUEST, NODE, STALL, STEP_COLUMNS))
"""What a state consists of; of another kvsim it may be something else."""


class Window(NamedTuple):
    """Requests that are under way, and the kernel's state of them."""

    requests: RequestArrays
    state: NDArray[np.void]
    memory: Memory


class Stream:
    """A run of the twin over requests that come window by window.

    Invariant: between two windows, only requests that are not finished are held; `num_fed` came so
    far, the next one's place in the trace is `next_place`. They may share nothing.
    """

    def __init__(
        self, setup: EngineSetup, costs: StepCosts, notify: Callable[[str], None] = lambda _: None
    ) -> None:
        none = no_requests()
        end, shared = final_tokens(setup, none), nothing_shared(0)
        state = first_state(setup, none, end, costs)
        memory = first_memory(
            setup, none, end, shared, costs, most_running=setup.config.active_seqs
        )
        rows = log_rows(setup, LOGGED_STEPS)
        self._setup = setup
        self._window = Window(none, state, memory._replace(**rows._asdict()))
        self._go_on = kernel(loop.run, (state[0], memory), notify)
        self._log = Log(none)
        self.tally = StreamTally()
        self.num_fed = self.next_place = 0

    def serve(self, requests: RequestArrays | None) -> Folded:
        """Serve until more requests are wanted; None: no more will come, serve to the end.

        Raises:
            SpecError: for a request that the engine would refuse, or could never serve.
            UnsupportedError: for prompts that share content, where prefixes are cached.
        """
        self._feed(requests or no_requests(), is_last=requests is None)
        held, state, memory = self._window
        log = Log(held, stalls=self._log.stalls)
        while (reply := self._go_on(state[0], memory)) == WANTS_ROOM:
            self._note(log)
        if reply == IS_STUCK:
            raise stuck(self._setup, held, state)
        self._note(log)
        finished = log.finished(memory.req)
        going_on = np.flatnonzero(memory.req["last_step"] < 0)
        started = memory.req["first_step"][going_on]
        oldest = int(started[started >= 0].min(initial=state["step"][0]))
        folded = self.tally.fold(finished, log.preemptions, oldest_step=oldest)
        new_place = np.full(len(held) + 1, NONE)  # the last one is that of NONE
        new_place[going_on] = np.arange(len(going_on))
        self._log = Log(held.take(going_on), stalls=log.stalls_of_others(new_place))
        self._window = _shrunk(self._window, going_on, new_place)
        return folded

    def _note(self, log: Log) -> None:
        """Sum the steps that the kernel logged, and let it write over them."""
        state, memory = self._window.state, self._window.memory
        self.tally.add(memory.steps[: state["num_series"][0]])
        state["num_series"] = 0
        evictions = memory.evictions[: state["num_evictions"][0]].copy()
        stalls = memory.stalls[: state["num_stalls"][0]].copy()
        log.take(state, memory._replace(evictions=evictions, stalls=stalls))

    def _feed(self, requests: RequestArrays, *, is_last: bool) -> None:
        setup, (held, state, memory) = self._setup, self._window
        if setup.config.enable_prefix_caching and len(requests.segment_id):
            msg = "prompts that share content must be served at once where prefixes are cached: "
            raise UnsupportedError(msg + "a stream does not know what later ones share")
        end = final_tokens(setup, requests)
        shared = nothing_shared(len(requests))
        memory = memory._replace(req=request_rows(requests, end, shared, after=memory.req))
        memory = _with_ring(state, memory, ring_size(requests, end))
        state["num_requests"] = len(memory.req)
        state["is_last"] = is_last
        self._window = Window(joined([held, requests]), state, memory)
        self.num_fed += len(requests)
        if len(requests):
            self.next_place = int(requests.place[-1]) + 1

    def as_arrays(self) -> dict[str, NDArray[Any]]:
        """All that the run goes on from."""
        held, state, memory = self._window
        return {
            "fed": np.array([self.num_fed, self.next_place]),
            "state": state,
            "stalls": self._log.stalls,
            **{f"requests.{name}": getattr(held, name) for name in COLUMNS},
            **{f"memory.{name}": getattr(memory, name) for name in KEPT},
            **{f"tally.{name}": kept for name, kept in self.tally.as_arrays().items()},
        }

    @classmethod
    def restored(
        cls,
        setup: EngineSetup,
        costs: StepCosts,
        kept: Arrays,
        notify: Callable[[str], None] = lambda _: None,
    ) -> Self:
        """The run as it was when `as_arrays` told it; of the same engine, by the same kvsim."""
        made = cls(setup, costs, notify)
        columns: dict[str, Any] = {name: kept[f"requests.{name}"] for name in COLUMNS}
        requests, memory = RequestArrays(**columns), made._window.memory
        arrays = {  # a file does not say that the fields of a record are aligned
            name: kept[f"memory.{name}"].astype(getattr(memory, name).dtype) for name in KEPT
        }
        made._window = Window(requests, kept["state"].astype(RUN), memory._replace(**arrays))
        made._log = Log(requests, stalls=kept["stalls"])
        made.tally = StreamTally.restored(
            {name.removeprefix("tally."): a for name, a in kept.items() if name[:6] == "tally."}
        )
        made.num_fed, made.next_place = kept["fed"].tolist()
        return made


def _shrunk(window: Window, going_on: NDArray[np.int64], new_place: NDArray[np.int64]) -> Window:
    """The window without the requests that are finished; the others move up."""
    requests, state, memory = window
    req, node = memory.req[going_on], memory.node.copy()
    for name in ("after", "before", "event_after", "event_before"):
        req[name] = new_place[req[name]]
    node["owner"] = new_place[node["owner"]]
    for name in ("head", "tail", "front"):
        state[name] = new_place[state[name]]
    for name in ("next_new", "num_arrived"):
        state[name] = np.searchsorted(going_on, state[name])
    state["num_requests"] = len(going_on)
    late, ending = memory.late.copy(), memory.ending.copy()
    late[: state["num_late"][0]] = new_place[late[: state["num_late"][0]]]
    ending[: state["num_ending"][0]] = new_place[ending[: state["num_ending"][0]]]
    memory = memory._replace(
        req=req, node=node, events=new_place[memory.events], late=late, ending=ending
    )
    return Window(requests.take(going_on), state, memory)


def _with_ring(state: NDArray[np.void], memory: Memory, size: int) -> Memory:
    """Memory whose ring holds the longest answer that has come."""
    old = len(memory.events)
    if size <= old:
        return memory
    values = int(state["decoded"][0]) + np.arange(old)
    events, idle = np.full(size, NONE), np.zeros(size, np.int64)
    events[values & (size - 1)] = memory.events[values & (old - 1)]
    idle[values & (size - 1)] = memory.idle[values & (old - 1)]
    state["ring_mask"] = size - 1
    return memory._replace(events=events, idle=idle)
