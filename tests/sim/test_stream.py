"""Streams against runs at once: every figure is the same to the last bit."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import kvsim
from kvsim.sim.request_arrays import as_arrays
from kvsim.sim.series import RequestSeries
from kvsim.sim.serve import Service
from kvsim.sim.simulate import simulate
from kvsim.sim.stream import Stream
from kvsim.sim.stream_tally import VALUES
from tests.sim import runs
from tests.sim.test_compiled import SETTINGS, STEP_TIMES, outcome, setup_of

FIGURES = ("ttft_s", "tpot_s", "itl_s", "queue_s", "e2e_s", "prefix_cache")


@st.composite
def private_workloads(draw):
    """Requests that share nothing, and arrive at once or apart."""
    requests, now = [], 0.0
    for _ in range(draw(st.integers(1, 24))):
        now += draw(st.sampled_from([0, 0, 0, 0.3, 1, 5, 40]))
        requests.append(
            kvsim.Request(
                arrival_s=now,
                num_prompt_tokens=draw(st.integers(1, 30)),
                num_output_tokens=draw(st.sampled_from([1, 1, 2, 3, 5, 8, 13, 24])),
            )
        )
    return kvsim.Workload(requests=tuple(requests))


def windows_of(trace, sizes):
    """The requests in windows of these sizes, over and over."""
    arrays, start, parts = as_arrays(trace), 0, []
    while start < len(arrays):
        size = sizes[len(parts) % len(sizes)]
        parts.append(arrays.take(np.arange(start, min(start + size, len(arrays)))))
        start += size
    return parts


def written_and_read(stream, setup, costs):
    """The stream after a stop: as a file tells it."""
    file = io.BytesIO()
    np.savez(file, **stream.as_arrays())
    file.seek(0)
    return Stream.restored(setup, costs, dict(np.load(file)))


def streamed(setup, parts, step_time, *, stops):
    """Requests, and the outcome, of a run in windows; stopped after each if `stops`."""
    costs = step_time.costs(setup.config.max_num_batched_tokens)
    stream = Stream(setup, costs)
    folded = []
    for part in [*parts, None]:
        folded.append(stream.serve(part))
        if stops:
            stream = written_and_read(stream, setup, costs)
    values = {name: np.concatenate([f.values[name] for f in folded]) for name in VALUES}
    gaps = np.concatenate([f.gaps for f in folded])
    records = sorted((r for f in folded for r in f.requests), key=lambda r: r.index)
    return records, stream.tally.outcome(values.__getitem__, gaps)


@given(
    private_workloads(),
    SETTINGS,
    st.sampled_from([0, 0, 1, 2, 5, 10, 40]),
    st.sampled_from(STEP_TIMES),
    st.tuples(st.lists(st.integers(1, 9), min_size=1, max_size=4), st.booleans()),
)
def test_a_stream_is_the_run_at_once(trace, given_settings, spare, step_time, parts):
    """Requests with their stalls, sums, percentiles, whatever the windows and the stops."""
    sizes, stops = parts
    setup = setup_of(trace, given_settings, spare)
    if isinstance(told := outcome(setup, trace, step_time, "compiled"), str):
        with pytest.raises(kvsim.SpecError) as raised:
            streamed(setup, windows_of(trace, sizes), step_time, stops=stops)
        assert str(raised.value) == told
        return
    whole = simulate(setup, trace, Service(step_time=step_time, scheduler="compiled"))

    records, got = streamed(setup, windows_of(trace, sizes), step_time, stops=stops)

    assert RequestSeries.of(records) == whole.requests
    figures = whole.as_dict()
    assert got.sums.num_steps == figures["steps"]
    assert got.sums.counted["num_tokens"] == figures["scheduled_tokens"]
    assert got.sums.counted["num_preempted"] == figures["preemptions"]
    assert list(got.evictions) == list(whole.preemptions[:100])
    assert got.sums.over_time["num_used_blocks"] / (got.sums.seconds or 1) == pytest.approx(
        whole.mean_block_utilization * (setup.num_gpu_blocks - 1), rel=1e-12
    )
    for name in FIGURES:
        assert getattr(got, name) == getattr(whole, name), name


def test_prompts_that_share_are_refused_where_prefixes_are_cached():
    """What later requests share is not known yet."""
    segment = (kvsim.PromptSegment(1, 8),)
    trace = runs.workload((8, 3), (8, 3), prompt=segment)
    setup = setup_of(trace, {"caching": True}, 40)
    stream = Stream(setup, STEP_TIMES[0].costs(16))

    with pytest.raises(kvsim.UnsupportedError, match="prompts that share content"):
        stream.serve(as_arrays(trace))


@settings(max_examples=5)
@given(st.integers(0, 2**32 - 1))
def test_long_streams_hold_no_more_than_what_is_under_way(seed):
    """Hundreds of windows: what is held is what runs and waits, and the steps since its start."""
    numbers = np.random.default_rng(seed)
    lengths = zip(numbers.integers(1, 30, 3000), numbers.integers(1, 20, 3000), strict=True)
    requests = [
        kvsim.Request(arrival_s=2.0 * i, num_prompt_tokens=int(p), num_output_tokens=int(o))
        for i, (p, o) in enumerate(lengths)
    ]
    trace = kvsim.Workload(requests=tuple(requests))
    setup = setup_of(trace, {"max_num_seqs": 16, "max_num_batched_tokens": 64}, 80)
    stream = Stream(setup, STEP_TIMES[0].costs(64))

    held = []
    for part in windows_of(trace, [30]):
        stream.serve(part)
        kept = stream.as_arrays()
        held.append(len(kept["memory.req"]) + len(kept["tally.steps"]))
    assert max(held) < 120
