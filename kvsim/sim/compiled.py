"""Runs of the compiled twin: memory laid out, the kernel called, its tables read off."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kvsim.errors import SpecError
from kvsim.sim._kernels import loop
from kvsim.sim._kernels.compiling import kernel
from kvsim.sim._kernels.state import (
    EVICTION,
    IS_STUCK,
    NODE,
    NONE,
    REQUEST,
    RUN,
    STALL,
    WANTS_ROOM,
    Memory,
)
from kvsim.sim.interning import SharedContent, find_shared
from kvsim.sim.kernel_log import Log, Rows
from kvsim.sim.refusals import check_request, never_scheduled
from kvsim.sim.request_arrays import Ints, RequestArrays
from kvsim.sim.series import STEP_COLUMNS
from kvsim.sim.setup import EngineSetup
from kvsim.sim.simulation import Run
from kvsim.sim.step_costs import StepCosts

FIRST_STEPS, MOST_STEPS = 2**16, 2**20
"""Rows of the series that are laid out at once, at first and later; in between the run can stop."""


# long: the kernel comes back for room until it is done, and what it had is kept
def run_compiled(
    setup: EngineSetup,
    requests: RequestArrays,
    costs: StepCosts,
    *,
    keep_partial: bool,
    notify: Callable[[str], None],
    on_start: Callable[[], None],
    on_progress: Callable[[int], None] | None = None,
) -> Run:
    """Serve the requests to their end.

    Args:
        setup: an engine that the twin covers.
        requests: in order of arrival.
        costs: of a step.
        keep_partial: on Ctrl-C return what was done, in place of raising.
        notify: told in a line if the kernel has to be compiled.
        on_start: called before the first step.
        on_progress: told every now and then how many answers are complete.

    Raises:
        SpecError: for a request that the engine would refuse, or could never serve.
    """
    state, memory, go_on = ready_run(setup, requests, costs, notify)
    on_start()
    log = Log(requests)
    interrupted = False
    try:
        while (reply := go_on(state[0], memory)) == WANTS_ROOM:
            log.take(state, memory)
            _tell(on_progress, memory.req)
            rows = log_rows(setup, min(2 * len(memory.steps), MOST_STEPS))
            memory = memory._replace(steps=rows.steps, evictions=rows.evictions, stalls=rows.stalls)
        if reply == IS_STUCK:
            raise stuck(setup, requests, state)
    except KeyboardInterrupt:
        if not keep_partial:
            raise
        interrupted = True
    log.take(state, memory)
    _tell(on_progress, memory.req)
    return Run(
        steps=log.steps,
        requests=log.finished(memory.req),
        preemptions=log.preemptions,
        tiers=(),
        interrupted=interrupted,
        num_free_blocks=int(state["num_blank"][0] + state["num_cached"][0]),
    )


class ReadyRun(NamedTuple):
    """A run before its first step, and the kernel that takes it on."""

    state: NDArray[np.void]
    memory: Memory
    go_on: Callable[[np.void, Memory], int]


def ready_run(
    setup: EngineSetup,
    requests: RequestArrays,
    costs: StepCosts,
    notify: Callable[[str], None],
) -> ReadyRun:
    """The run of all these requests.

    Raises:
        SpecError: for a request that the engine would refuse, or could never serve.
    """
    end = final_tokens(setup, requests)
    shared = find_shared(setup, requests, end, notify)
    state = first_state(setup, requests, end, costs)
    most_running = min(setup.config.active_seqs, len(requests))
    memory = first_memory(setup, requests, end, shared, costs, most_running=most_running)
    return ReadyRun(state, memory, kernel(loop.run, (state[0], memory), notify))


def _tell(on_progress: Callable[[int], None] | None, served: Rows) -> None:
    if on_progress is not None:
        on_progress(int(np.count_nonzero(served["last_step"] >= 0)))


def final_tokens(setup: EngineSetup, requests: RequestArrays) -> Ints:
    """Prompt and answer of each request, cut where the context ends.

    Raises:
        SpecError: for the first request that the engine would refuse, or could never serve.
    """
    asked = requests.num_prompt_tokens + requests.num_output_tokens
    end: Ints = np.minimum(asked, setup.config.max_model_len)
    usable = setup.num_gpu_blocks - 1
    is_too_long = requests.num_prompt_tokens >= setup.config.max_model_len
    if not is_too_long.any() and setup.blocks_of(int(end.max(initial=1))) <= usable:
        return end
    for i in range(len(end)):
        needed = setup.blocks_of(int(end[i]))
        check_request(setup, requests[i], int(requests.place[i]), needed=needed)
    return end


def first_state(
    setup: EngineSetup, requests: RequestArrays, end: Ints, costs: StepCosts
) -> NDArray[np.void]:
    """The run before its first step: one entry."""
    config = setup.config
    state = np.zeros(1, RUN)
    values = {
        "block_size": setup.block_size,
        "max_tokens": config.max_num_batched_tokens,
        "max_running": config.active_seqs,
        "prefill_limit": config.long_prefill_token_threshold,
        "prefill_limit_adapts": config.long_prefill_token_threshold_adaptive,
        "chunks": config.enable_chunked_prefill,
        "reserves": config.scheduler_reserve_full_isl,
        "spare_blocks": int(config.watermark * setup.num_gpu_blocks),
        "is_async": config.async_scheduling,
        "caches": config.enable_prefix_caching,
        "ring_mask": ring_size(requests, end) - 1,
        "is_last": True,
        "num_requests": len(requests),
        "num_blocks": setup.num_gpu_blocks - 1,
        "num_blank": setup.num_gpu_blocks - 1,
    }
    values |= {name: getattr(costs, name) for name in COST_FIELDS}
    for name in ("front", "head", "tail", "oldest", "newest"):
        values[name] = NONE
    for name, value in values.items():
        state[name] = value
    return state


COST_FIELDS = tuple(name for name in RUN.names or () if name in StepCosts.__slots__)
"""What of a step's costs is a number; the shares are an array."""


def ring_size(requests: RequestArrays, end: Ints) -> int:
    """More than the longest answer, and a power of two: what the shared counter points into."""
    longest = int((end - requests.num_prompt_tokens).max(initial=0))
    return 1 << (longest + 2).bit_length()


def first_memory(
    setup: EngineSetup,
    requests: RequestArrays,
    end: Ints,
    shared: SharedContent,
    costs: StepCosts,
    *,
    most_running: int,
) -> Memory:
    """All arrays before the first step."""
    ring = ring_size(requests, end)
    num_nodes = setup.num_gpu_blocks - 1 if setup.config.enable_prefix_caching else 1
    most_shared = int(shared.num_blocks.max(initial=0))
    node, rows = np.zeros(num_nodes, NODE), log_rows(setup, FIRST_STEPS)
    node["newer"] = np.arange(1, num_nodes + 1)
    return Memory(
        req=request_rows(requests, end, shared, after=np.zeros(0, REQUEST)),
        node=node,
        steps=rows.steps,
        evictions=rows.evictions,
        stalls=rows.stalls,
        shares=np.array(costs.shares, np.float64),
        due=_zeros(setup.block_size),
        events=np.full(ring, NONE),
        idle=_zeros(ring),
        pieces=shared.pieces,
        holders=np.full((shared.num_identities, 2), NONE),
        table=np.zeros((most_running, most_shared), np.int32),
        slots=np.arange(1, most_running + 1),
        found=_zeros(most_shared),
        fresh=_zeros(most_running),
        cut=_zeros(most_running),
        late=_zeros(most_running),
        ending=_zeros(most_running),
        chosen=_zeros(2 * most_running),
    )


def request_rows(
    requests: RequestArrays, end: Ints, shared: SharedContent, *, after: NDArray[np.void]
) -> NDArray[np.void]:
    """The kernel's requests: those that it has, then these, none of which has arrived."""
    whole = np.empty(len(after) + len(requests), REQUEST)
    held, added = (whole.view(f"V{REQUEST.itemsize}")[part] for part in _parts(len(after)))
    held[:] = after.view(held.dtype)
    added[:] = NEW_REQUEST.view(held.dtype)
    rows = whole[len(after) :]
    rows["known"] = requests.num_prompt_tokens
    rows["end"] = end
    rows["arrival_s"] = requests.arrival_s
    if shared.num_identities:
        rows["first_piece"] = shared.first_piece
        rows["shared_blocks"] = shared.num_blocks
    return whole


def _parts(size: int) -> tuple[slice, slice]:
    return slice(size), slice(size, None)


def _new_request() -> NDArray[np.void]:
    row = np.zeros(1, REQUEST)
    for name in ("first_step", "first_token_step", "last_step", "private_node"):
        row[name] = NONE
    row["cut_step"] = NONE - 1  # no step before the first
    return row


NEW_REQUEST = _new_request()
"""A request that has not arrived: one entry."""


class LogRows(NamedTuple):
    """Empty rows that the kernel fills."""

    steps: NDArray[np.void]
    evictions: NDArray[np.void]
    stalls: NDArray[np.void]


def log_rows(setup: EngineSetup, num_steps: int) -> LogRows:
    """Rows for so many steps, and for what else they log; at least as many as one step may."""
    most = num_steps + 2 * setup.config.active_seqs
    return LogRows(
        np.zeros(num_steps, STEP_COLUMNS), np.zeros(most, EVICTION), np.zeros(most, STALL)
    )


def stuck(setup: EngineSetup, requests: RequestArrays, state: NDArray[np.void]) -> SpecError:
    """Why nothing runs and nothing can."""
    order = [int(state[name][0]) for name in ("head", "front", "next_new")]
    first = next(r for r in order if r != NONE)
    return never_scheduled(setup, int(requests.place[first]))


def _zeros(size: int) -> Ints:
    return np.zeros(size, np.int64)
