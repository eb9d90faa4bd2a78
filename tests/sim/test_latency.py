"""Waiting times off the records: gaps between tokens, queueing, recomputation, limits."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import kvsim
from kvsim.engines.vllm_groups import group_layers
from kvsim.sim.engine import Engine
from kvsim.sim.latency import Gaps, StepEnds, weighted_spread
from kvsim.sim.metrics import spread
from kvsim.sim.series import RequestSeries, StepSeries
from kvsim.sim.setup import EngineSetup
from kvsim.specs.limits import ServiceLimits
from tests.sim.runs import layer, serve, settings, workload
from tests.sim.test_properties import workloads

SETTINGS = st.fixed_dictionaries(
    {
        "max_num_batched_tokens": st.sampled_from([8, 64]),
        "max_num_seqs": st.sampled_from([3, 8]),
        "caching": st.booleans(),
        "async_scheduling": st.booleans(),
        "policy": st.sampled_from(["fcfs", "priority"]),
    }
)


def uneven(trace, given_settings, spare):
    """An engine whose steps take longer the more they compute; and its step records."""
    cache_config, config = settings(**given_settings)
    groups = group_layers([layer()], cache_config)
    setup = EngineSetup(
        groups=groups, cache_config=cache_config, config=config, num_gpu_blocks=18 + spare
    )
    engine = Engine(setup, trace, lambda batch: 1.0 + 0.1 * len(batch.tokens))
    return engine, list(engine.run())


@given(workloads(), SETTINGS, st.integers(0, 6))
def test_every_token_after_the_first_is_one_gap(trace, given_settings, spare):
    """
    Together they are as many, and as long, as all answers after their first tokens.
    """
    engine, steps = uneven(trace, given_settings, spare)
    requests, ends = RequestSeries.of(engine.requests), StepEnds.of(StepSeries.of(steps))
    gaps = ends.gaps(requests)

    assert gaps.times.sum() == sum(r.num_output_tokens - 1 for r in engine.requests)
    assert (gaps.seconds * gaps.times).sum() == pytest.approx(
        sum(r.finish_s - r.first_token_s for r in engine.requests)
    )
    assert (gaps.seconds > 0).all()
    assert (gaps.times > 0).all()
    for i, widest in enumerate(ends.widest_s(requests)):
        alone = ends.gaps(requests[i : i + 1]).seconds
        assert widest == pytest.approx(alone.max(initial=0.0))


@given(workloads(), SETTINGS, st.integers(0, 6))
def test_what_was_computed_is_what_was_needed_and_what_was_lost(trace, given_settings, spare):
    """
    Prompt and answer but for its last token, less what was cached, and what came twice.
    """
    engine, steps = uneven(trace, given_settings, spare)
    needed = sum(
        r.num_prompt_tokens - r.num_cached_tokens + r.num_output_tokens - 1 for r in engine.requests
    )
    recomputed = sum(r.num_recomputed_tokens for r in engine.requests)
    lost = sum(p.num_lost_tokens for p in engine.preemptions)
    twice = sum(step.num_tokens for step in steps) - needed

    assert twice <= recomputed <= lost  # others may have cached more of a prompt than it had
    assert given_settings["caching"] or twice == recomputed


@given(workloads(), SETTINGS, st.integers(0, 6))
def test_preemptions_are_those_of_the_records(trace, given_settings, spare):
    """
    As many in each step and of each request; by one that was there, at a time of the run.
    """
    engine, steps = uneven(trace, given_settings, spare)
    by_step = Counter(p.step for p in engine.preemptions)
    by_request = Counter((p.index, p.sample) for p in engine.preemptions)

    assert all(by_step[step.step] == step.num_preempted for step in steps)
    for r in engine.requests:
        assert by_request[r.index, r.sample] == r.num_preemptions
    known = {(r.index, r.sample) for r in engine.requests}
    assert {(p.by_index, p.by_sample) for p in engine.preemptions} <= known
    assert all(p.time_s == steps[p.step].start_s for p in engine.preemptions)


def test_who_preempts_whom_by_hand():
    """
    Two answers outgrow the pool: the first one takes the second one's blocks.
    """
    done = serve(workload((7, 9), (7, 9)), num_gpu_blocks=5)

    assert [(p.index, p.by_index) for p in done.preemptions] == [(1, 0)]
    assert done.preemptions[0].num_lost_tokens == done.requests[1].num_recomputed_tokens
    assert done.recomputed_tokens > 0
    assert done.itl_s.p99 > 1.0 == done.itl_s.p50


def test_queueing_ends_with_the_first_step():
    """
    One at a time: the second waits for the first one's three steps.
    """
    done = serve(workload((4, 3), (4, 3)), num_gpu_blocks=20, max_num_seqs=1)

    assert done.queue_s == spread([0.0, 3.0])


@given(st.lists(st.tuples(st.floats(0, 1e6), st.integers(1, 5)), min_size=1, max_size=20))
def test_counted_percentiles_are_those_of_the_list(pairs):
    """
    A value counted n times is in the list n times.
    """
    spelled = [seconds for seconds, times in pairs for _ in range(times)]
    seconds, times = (np.array(column) for column in zip(*pairs, strict=True))
    told = weighted_spread(Gaps(seconds, times))

    for name in ("mean", "p50", "p90", "p99"):
        assert getattr(told, name) == pytest.approx(getattr(spread(spelled), name))


def test_goodput_counts_who_kept_every_limit():
    """
    The second request waits too long for its first token; a widest gap is a limit of its own.
    """
    done = serve(workload((4, 3), (4, 3)), num_gpu_blocks=20, max_num_seqs=1)

    met = done.goodput(ServiceLimits(slo_ttft_s=2.0, slo_share=0.5))
    assert (met.requests, met.share, met.requests_per_s) == (1, 0.5, pytest.approx(1 / 6))
    assert met.is_met
    assert done.goodput(ServiceLimits(slo_itl_s=0.5)).requests == 0
    assert done.goodput(ServiceLimits(slo_itl_s=1.0, slo_e2e_s=6.0)).requests == 2


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"slo_ttft_s": 0}, "slo_ttft_s=0 must be > 0"),
        ({"slo_share": 1.5}, r"slo_share=1.5 must be in \(0, 1\]"),
        ({"slo_e2e_s": float("nan")}, "slo_e2e_s=nan must be > 0"),
    ],
)
def test_impossible_limits_are_refused(limits, message):
    """
    Field, value and rule.
    """
    with pytest.raises(kvsim.SpecError, match=message):
        ServiceLimits(**limits)
