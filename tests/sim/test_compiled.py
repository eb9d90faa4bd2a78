"""The compiled twin against the reference: every row of every table is equal."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import kvsim
from kvsim.analytic.step_time import roofline
from kvsim.dtypes import BF16
from kvsim.engines.vllm_groups import group_layers
from kvsim.sim.compiled import log_rows
from kvsim.sim.serve import Service, serve
from kvsim.sim.setup import EngineSetup
from kvsim.sim.step_times import ConstantStepTime, RooflineStepTime, TableStepTime
from kvsim.specs.step_table import Residuals, StepLine, StepPoint, StepTable
from tests.sim import runs

MAX_MODEL_LEN = 64
LLAMA = kvsim.load_model("llama-3.1-8b")
MIXTRAL = kvsim.load_model("mixtral-8x7b")
H100 = kvsim.accelerator("H100-SXM5-80GB")


def modelled(model):
    """A model's roofline on an H100."""
    weights = {"weights": (), "weights_bytes": 16 * 10**9, "kv_dtype": BF16, "dtype": BF16}
    return RooflineStepTime(roofline(model, H100, max_tokens=80, **weights), H100.name)


def line():
    """Measured steps, as a line says them."""
    point = StepPoint(num_requests=1, num_tokens=2, num_cached_tokens=3, seconds=1.0)
    return TableStepTime(
        StepTable(
            source="steps that a test made up",
            line=StepLine(
                base_s=0.4, per_request_s=0.02, per_token_s=0.03, per_cached_token_s=0.001
            ),
            residuals=Residuals(mean_absolute=0, p90_absolute=0, largest_absolute=0),
            points=(point,),
            num_steps=1,
        )
    )


STEP_TIMES = [
    ConstantStepTime(1.0),
    ConstantStepTime(0.37),
    modelled(LLAMA),
    modelled(MIXTRAL),
    line(),
]

SETTINGS = st.fixed_dictionaries(
    {
        "max_num_batched_tokens": st.sampled_from([4, 8, 16, 64]),
        "max_num_seqs": st.sampled_from([1, 3, 8, 16]),
        "caching": st.booleans(),
        "async_scheduling": st.booleans(),
        "enable_chunked_prefill": st.sampled_from([True, True, True, False]),
        "watermark": st.sampled_from([0.0, 0.0, 0.1, 0.3]),
        "scheduler_reserve_full_isl": st.booleans(),
        "long_prefill_token_threshold": st.sampled_from([0, 0, 1, 3, 6]),
        "long_prefill_token_threshold_adaptive": st.booleans(),
        "max_num_active_seqs": st.sampled_from([None, None, 1]),
    }
)


@st.composite
def prompts(draw, before):
    """Segments that other prompts have too, maybe after an earlier conversation."""
    segments = []
    if before and draw(st.booleans()):
        earlier = draw(st.sampled_from(before))
        segments = list(earlier.prompt)
        if earlier.output_segment is not None:
            said = draw(st.integers(1, earlier.num_output_tokens))
            segments.append(kvsim.PromptSegment(earlier.output_segment, said))
    for _ in range(draw(st.integers(1, 3))):
        lengths = st.sampled_from([0, 1, 3, 4, 5, 8, 12, 16])
        names = st.one_of(st.integers(1, 3), st.just(100 + len(before)))
        segments.append(kvsim.PromptSegment(draw(names), draw(lengths)))
    while sum(s.num_tokens for s in segments) >= MAX_MODEL_LEN:
        segments.pop()
    return tuple(segments) if any(s.num_tokens for s in segments) else ()


@st.composite
def workloads(draw):
    """Requests that arrive at once or apart, and share prompts, answers or nothing."""
    requests = []
    now = 0.0
    for i in range(draw(st.integers(1, 14))):
        now += draw(st.sampled_from([0, 0, 0, 0.3, 1, 5, 40]))
        prompt = draw(st.one_of(st.just(()), prompts(tuple(requests))))
        requests.append(
            kvsim.Request(
                arrival_s=now,
                num_prompt_tokens=sum(s.num_tokens for s in prompt) or draw(st.integers(1, 30)),
                num_output_tokens=draw(st.sampled_from([1, 1, 2, 3, 5, 8, 13, 24])),
                prompt=prompt,
                output_segment=draw(st.sampled_from([None, 500 + i, 600, 601, 1])),
                num_samples=draw(st.sampled_from([1, 1, 1, 3])),
            )
        )
    return kvsim.Workload(requests=tuple(requests))


def setup_of(trace, given_settings, spare):
    """An engine over a pool that holds the longest request, and `spare` blocks more."""
    cache_config, config = runs.settings(max_model_len=MAX_MODEL_LEN, **given_settings)
    longest = max(min(r.num_prompt_tokens + r.num_output_tokens, MAX_MODEL_LEN) for r in trace)
    return EngineSetup(
        groups=group_layers([runs.layer()], cache_config),
        cache_config=cache_config,
        config=config,
        num_gpu_blocks=1 + -(-longest // runs.BLOCK_SIZE) + spare,
    )


def outcome(setup, trace, step_time, scheduler):
    """All that a run says, or why there is none."""
    try:
        done = serve(setup, trace, Service(step_time=step_time, scheduler=scheduler)).run
    except kvsim.SpecError as error:
        return str(error)
    return (
        list(done.steps),
        list(done.requests),
        list(done.preemptions),
        done.num_free_blocks,
    )


@given(workloads(), SETTINGS, st.sampled_from([0, 0, 1, 2, 5, 10, 40]), st.sampled_from(STEP_TIMES))
def test_the_twin_is_the_reference(trace, given_settings, spare, step_time):
    """Steps with their times and blocks, requests with their stalls, who preempted whom."""
    setup = setup_of(trace, given_settings, spare)

    twin, reference = (outcome(setup, trace, step_time, name) for name in ("compiled", "reference"))

    assert twin == reference


@pytest.mark.parametrize("scheduler", ["compiled", "reference"])
@pytest.mark.parametrize("is_async", [False, True])
def test_time_that_stands_still_is_noticed(scheduler, is_async):
    """A step without tokens takes no time on a device: the second request would never arrive."""
    prompts = enumerate((30, 4))
    requests = [
        kvsim.Request(num_prompt_tokens=p, num_output_tokens=2, arrival_s=9.0 * i)
        for i, p in prompts
    ]
    trace = kvsim.Workload(requests=tuple(requests))
    settings = {"max_num_batched_tokens": 16, "enable_chunked_prefill": False}
    setup = setup_of(trace, settings | {"async_scheduling": is_async}, 40)

    told = outcome(setup, trace, line(), scheduler)

    assert told.startswith("request 0 can never be scheduled")


def test_integrals_over_steps_are_those_of_the_reference():
    """Blocks over time, and what of them was wasted, to nine digits."""
    trace = runs.workload(*[(5 + i % 17, 1 + i % 23) for i in range(200)])
    twin, reference = (
        runs.serve(trace, num_gpu_blocks=30, caching=True, scheduler=name)
        for name in ("compiled", "reference")
    )

    assert twin.num_preemptions == reference.num_preemptions > 0
    for name in ("used", "reserved", "internal", "external"):
        expected = getattr(reference.waste, name)
        assert getattr(twin.waste, name) == pytest.approx(expected, rel=1e-9)


def test_a_twin_that_is_stopped_has_what_was_done(monkeypatch):
    """Between two of its calls, each of some thousand steps; without being asked it just stops."""
    trace = runs.workload(*[(5, 20)] * 4000)
    whole = runs.serve(trace, num_gpu_blocks=30, scheduler="compiled")

    def stopping(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("kvsim.sim.compiled.FIRST_STEPS", 2**12)
    monkeypatch.setattr("kvsim.sim.compiled.log_rows", stopping_after_first(stopping))
    cache_config, config = runs.settings()
    given_run = ([runs.layer()], cache_config, config, trace)
    done = kvsim.simulate_schedule(*given_run, num_gpu_blocks=30, keep_partial=True)

    assert done.interrupted
    assert done.steps == whole.steps[: len(done.steps)]
    assert 0 < len(done.requests) < len(whole.requests)
    monkeypatch.setattr("kvsim.sim.compiled.log_rows", stopping_after_first(stopping))
    with pytest.raises(KeyboardInterrupt):
        kvsim.simulate_schedule(*given_run, num_gpu_blocks=30)


def stopping_after_first(stop):
    """Rows for the first steps, and a stop where more are wanted."""
    calls = iter([log_rows])

    def rows(*given_rows):
        return next(calls, stop)(*given_rows)

    return rows


def test_who_served_is_named():
    """With the reason, where it was the reference."""
    trace = runs.workload((5, 3))
    plain = runs.serve(trace, num_gpu_blocks=17, scheduler="auto")
    urgent = runs.serve(trace, num_gpu_blocks=17, scheduler="auto", policy="priority")

    assert (plain.scheduler, plain.scheduler_reason) == ("compiled", None)
    assert (urgent.scheduler, urgent.scheduler_reason) == ("reference", "policy=priority")


@pytest.mark.parametrize(
    ("given_settings", "layers", "reason"),
    [
        ({"policy": "priority"}, None, "policy=priority"),
        ({"num_speculative_tokens": 2}, None, "tokens are drafted"),
        ({}, [runs.layer("SlidingWindowSpec", sliding_window=10)], "do not keep every token"),
        (
            {},
            [runs.layer(), runs.layer("SlidingWindowSpec", sliding_window=10)],
            "2 groups of layers",
        ),
    ],
)
def test_what_the_twin_does_not_cover_is_refused(given_settings, layers, reason):
    """Asked for by name, it does not hand over to the reference."""
    with pytest.raises(kvsim.UnsupportedError, match=reason):
        runs.serve(
            runs.workload((5, 3)),
            num_gpu_blocks=40,
            layers=layers,
            scheduler="compiled",
            **given_settings,
        )


def test_without_numba_the_reference_serves():
    """In a new process in which numba cannot be imported."""
    code = (
        "import sys; sys.modules['numba'] = None\n"
        "from tests.sim import runs\n"
        "done = runs.serve(runs.workload((5, 3)), num_gpu_blocks=17, scheduler='auto')\n"
        "print(done.scheduler, len(done.steps), done.scheduler_reason)"
    )
    told = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout

    assert told.startswith("reference 3 numba cannot be loaded")


def test_columns_are_served_as_request_objects_are():
    """The same requests as arrays."""
    lengths = [(5 + i % 17, 1 + i % 23) for i in range(40)]
    columns = kvsim.RequestArrays.of(
        arrival_s=np.arange(40.0),
        num_prompt_tokens=[p for p, _ in lengths],
        num_output_tokens=[o for _, o in lengths],
    )
    for scheduler in ("compiled", "reference"):
        given_both = (columns, columns.workload())
        told = [runs.serve(w, num_gpu_blocks=30, scheduler=scheduler) for w in given_both]
        assert told[0] == told[1]


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({"arrival_s": [1.0, 0.5]}, "arrival_s=0.5 of entry 1"),
        ({"arrival_s": [0.0, float("nan")]}, "arrival_s=nan of entry 1"),
        ({"num_prompt_tokens": [3, 0]}, "num_prompt_tokens=0 of entry 1"),
        ({"num_output_tokens": [3]}, "num_output_tokens must have 2 entries"),
        ({"first_segment": [0, 1, 1], "segment_id": [7], "segment_tokens": [4]}, "sum of its"),
        ({"first_segment": [0, 2, 1], "segment_id": [7], "segment_tokens": [3]}, "first_segment"),
        ({"arrival_s": []}, "at least one request"),
    ],
)
def test_impossible_columns_are_refused(columns, reason):
    """With the entry that is wrong."""
    good = {"arrival_s": [0.0, 1.0], "num_prompt_tokens": [3, 3], "num_output_tokens": [3, 3]}
    with pytest.raises(kvsim.SpecError, match=reason):
        kvsim.RequestArrays.of(**good | columns)
