"""The bar tells where a device's memory goes, and what does not fit on it."""

import dataclasses

import pytest

import kvsim


def plan_of(*, requests=4, gpu="H100-SXM5-80GB", model="llama-3.1-8b", **changes):
    deployment = kvsim.Deployment(
        model=kvsim.load_model(model),
        accelerator=kvsim.accelerator(gpu),
        engine=kvsim.Vllm(max_model_len=8192),
    )
    return kvsim.plan(dataclasses.replace(deployment, **changes), concurrent_requests=requests)


CASES = {
    "fits": {},
    "too many": {"requests": 60},
    "weights alone": {"model": "llama-3.1-70b"},
    "others": {"other_processes_bytes": 3 * kvsim.GiB},
    "not free": {"other_processes_bytes": 30 * kvsim.GiB},
}


@pytest.mark.parametrize("case", CASES)
def test_segments_lie_end_to_end(case):
    """A gap or an overlap in the bar would be memory counted never or twice."""
    bar = plan_of(**CASES[case]).memory
    end = 0
    for segment in bar.segments:
        assert segment.start_bytes == end
        end += segment.num_bytes
    assert end == bar.end_bytes


@pytest.mark.parametrize("case", CASES)
def test_what_lies_beyond_the_budget_is_what_is_missing(case):
    """The red stretch and the verdict say the same number."""
    plan = plan_of(**CASES[case])
    others = kvsim.SegmentName.OTHER_PROCESSES
    beyond = [s.beyond_bytes for s in plan.memory.segments if s.name is not others]
    assert sum(beyond) == plan.evaluation.fit.missing_bytes


@pytest.mark.parametrize("case", ["fits", "others"])
def test_a_bar_with_room_ends_at_the_device_total(case):
    """Every byte of the device has a name."""
    bar = plan_of(**CASES[case]).memory
    assert bar.end_bytes == bar.total_bytes
    assert bar.budget_bytes == plan_of(**CASES[case]).evaluation.budget.usable_bytes.best


def test_memory_that_others_hold_pushes_past_the_device():
    """The engine refuses to start when less is free than it asks for."""
    plan = plan_of(**CASES["not free"])
    budget, last = plan.evaluation.budget, plan.memory.segments[-1]
    assert last.name is kvsim.SegmentName.OTHER_PROCESSES
    assert last.beyond_bytes == budget.usable_bytes.best - budget.free_bytes.best
    assert plan.evaluation.fit.causes == (kvsim.Cause.NOT_FREE,)


@pytest.mark.parametrize("case", CASES)
def test_each_reason_has_a_cause(case):
    """A face with words of its own must not miss a reason."""
    fit = plan_of(**CASES[case]).evaluation.fit
    assert len(fit.causes) == len(fit.reasons)
