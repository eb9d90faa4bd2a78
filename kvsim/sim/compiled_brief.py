"""Brief runs of the compiled twin: its rows of steps are written over, its requests are watched."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kvsim.sim._kernels.state import IS_STUCK, WANTS_ROOM, Memory
from kvsim.sim.compiled import log_rows, ready_run, stuck
from kvsim.sim.kernel_log import Log, Rows
from kvsim.sim.request_arrays import Floats, RequestArrays
from kvsim.sim.series import RequestSeries
from kvsim.sim.setup import EngineSetup
from kvsim.sim.step_costs import StepCosts
from kvsim.specs.limits import ServiceLimits

LOGGED_STEPS = 2**12
"""Rows that the kernel writes over and over; they stay in a processor's cache."""

LOOKS = 50
"""Looks at who missed a limit, at most: one each time that so small a part of the requests is
over."""


class Watched(NamedTuple):
    """The requests of a run that was watched to its end."""

    requests: RequestSeries
    num_preemptions: int
    duration_s: float


def run_watched(
    setup: EngineSetup,
    requests: RequestArrays,
    costs: StepCosts,
    limits: ServiceLimits,
    *,
    logged_steps: int = LOGGED_STEPS,
) -> Watched | None:
    """Serve the requests to their end; None once too many of them have missed a limit.

    Args:
        setup: an engine that the twin covers.
        requests: in order of arrival.
        costs: of a step.
        limits: with the share of the requests that must keep them.
        logged_steps: rows of steps that the kernel fills before it can be stopped.

    Raises:
        SpecError: for a request that the engine would refuse, or could never serve.
    """
    state, memory, go_on = ready_run(setup, requests, costs, lambda _: None)
    memory = memory._replace(**log_rows(setup, logged_steps)._asdict())
    num_preemptions, duration_s, next_look = 0, 0.0, 0
    while (reply := go_on(state[0], memory)) == WANTS_ROOM:
        num_preemptions, duration_s = _noted(state, memory, num_preemptions, duration_s)
        if state["num_finished"][0] < next_look:
            continue
        if _most_share(memory.req, requests, duration_s, limits) < limits.slo_share:
            return None
        next_look = int(state["num_finished"][0]) + len(requests) // LOOKS
    if reply == IS_STUCK:
        raise stuck(setup, requests, state)
    num_preemptions, duration_s = _noted(state, memory, num_preemptions, duration_s)
    if _most_share(memory.req, requests, duration_s, limits) < limits.slo_share:
        return None
    return Watched(Log(requests).finished(memory.req), num_preemptions, duration_s)


def _noted(
    state: Rows, memory: Memory, num_preemptions: int, duration_s: float
) -> tuple[int, float]:
    """Preemptions and seconds up to here; the kernel's rows count from 0 again."""
    num_steps = int(state["num_series"][0])
    if num_steps:
        duration_s = float(memory.steps["end_s"][num_steps - 1])
    num_preemptions += int(state["num_evictions"][0])
    for name in ("num_series", "num_evictions", "num_stalls"):
        state[name] = 0
    return num_preemptions, duration_s


def _most_share(
    served: Rows, requests: RequestArrays, now_s: float, limits: ServiceLimits
) -> float:
    """Largest share of the requests that can still keep the limits.

    Who waits for a token has waited until now, and gets it later.
    """
    began, is_over = served["first_token_step"] >= 0, served["last_step"] >= 0
    first_s = np.where(began, served["first_token_s"], now_s)
    last_s = np.where(is_over, served["finish_s"], now_s)
    misses: NDArray[np.bool_] = np.zeros(len(served), np.bool_)
    if limits.slo_ttft_s is not None:
        misses |= first_s - served["arrival_s"] > limits.slo_ttft_s
    if limits.slo_e2e_s is not None:
        misses |= last_s - served["arrival_s"] > limits.slo_e2e_s
    if limits.slo_tpot_s is not None:
        num_later = served["end"] - requests.num_prompt_tokens - 1
        per_token_s: Floats = (last_s - first_s) / np.maximum(num_later, 1)
        misses |= is_over & (num_later > 0) & (per_token_s > limits.slo_tpot_s)
    return (len(misses) - np.count_nonzero(misses)) / len(misses)
