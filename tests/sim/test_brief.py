"""Watched runs: the figures of a whole run, or nothing where the goal is missed."""

from contextlib import contextmanager

from hypothesis import given
from hypothesis import strategies as st

import kvsim
from kvsim.sim.compiled_brief import run_watched
from kvsim.sim.latency import goodput
from kvsim.sim.request_arrays import as_arrays
from kvsim.sim.serve import Service, serve
from tests.sim.test_compiled import SETTINGS, STEP_TIMES, setup_of, workloads

LIMITS = st.builds(
    kvsim.ServiceLimits,
    slo_ttft_s=st.sampled_from([None, 0.37, 1.0, 3.0, 20.0]),
    slo_tpot_s=st.sampled_from([None, 0.37, 1.0, 1.3]),
    slo_e2e_s=st.sampled_from([None, 1.0, 8.0, 40.0]),
    slo_share=st.sampled_from([0.1, 0.5, 0.9, 1.0]),
)


@contextmanager
def suppress_same(error):
    """Let the same refusal pass."""
    try:
        yield
    except kvsim.SpecError as again:
        if str(again) != str(error):
            raise


@given(
    trace=workloads(),
    given_settings=SETTINGS,
    spare=st.sampled_from([0, 0, 1, 2, 5, 40]),
    step_time=st.sampled_from(STEP_TIMES),
    limits=LIMITS,
)
def test_a_watched_run_is_the_whole_one_or_misses_the_goal(
    trace, given_settings, spare, step_time, limits
):
    """
    Looked at after every step, it gives up only where the whole run misses.
    """
    setup, requests = setup_of(trace, given_settings, spare), as_arrays(trace)
    costs = step_time.costs(setup.config.max_num_batched_tokens)
    try:
        whole = serve(setup, trace, Service(step_time=step_time, scheduler="compiled")).run
    except kvsim.SpecError as error:
        with suppress_same(error):
            assert run_watched(setup, requests, costs, limits, logged_steps=1) is None
        return
    kept = goodput(whole.steps, whole.requests, limits, num_asked=len(requests))

    for logged_steps in (1, 4096):
        watched = run_watched(setup, requests, costs, limits, logged_steps=logged_steps)
        assert (watched is not None) == kept.is_met
        if watched is not None:
            assert (watched.requests.rows == whole.requests.rows).all()
            assert watched.num_preemptions == whole.steps.total("num_preempted")
            assert watched.duration_s == whole.steps[-1].end_s
