"""A run as few points: no peak is lost, and idle stretches show."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

import kvsim

GPT2 = kvsim.load_model("gpt2")


def run_of(*requests, num_blocks=100):
    engine = kvsim.Vllm(num_gpu_blocks_override=num_blocks, max_model_len=1024)
    return kvsim.simulate_blocks(GPT2, kvsim.Workload(requests=requests), engine=engine)


def request(*, prompt=100, output=9, at=0.0):
    return kvsim.Request(num_prompt_tokens=prompt, num_output_tokens=output, arrival_s=at)


CROWDED = run_of(*(request(output=200 + i) for i in range(40)))


@given(most=st.integers(1, 500))
def test_no_peak_is_lost(most):
    """However few points there are."""
    points = kvsim.timeline_points(CROWDED, most=most)
    busy = [point for point in points if point.running]
    assert len(busy) <= most
    assert max(point.running for point in points) == CROWDED.steps.most("num_running")
    assert max(point.waiting for point in points) == CROWDED.steps.most("num_waiting")
    assert max(point.used_blocks for point in points) == CROWDED.peak_blocks
    assert sum(point.preempted for point in points) == CROWDED.num_preemptions > 0
    assert points[-1].end_s == CROWDED.duration_s


def test_with_enough_points_they_are_the_steps():
    """Nothing is put together that need not be."""
    points = kvsim.timeline_points(CROWDED, most=len(CROWDED.steps))
    assert [point.running for point in points] == [step.num_running for step in CROWDED.steps]
    assert [point.start_s for point in points] == [step.start_s for step in CROWDED.steps]


def test_an_idle_engine_holds_nothing():
    """Between two requests far apart the lines fall to zero."""
    points = kvsim.timeline_points(run_of(request(), request(at=1000.0)))
    idle = [point for point in points if point.end_s - point.start_s > 900]
    assert [(point.running, point.used_blocks) for point in idle] == [(0, 0)]


def test_at_least_one_point_is_asked_for():
    """Zero stretches hold no run."""
    with pytest.raises(kvsim.SpecError, match="most=0 must be >= 1"):
        kvsim.timeline_points(CROWDED, most=0)
