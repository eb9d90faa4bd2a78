"""Changes between runs: means subtract, pairs cancel what a seed brings, chance is not a change."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import kvsim

FIGURES = st.lists(st.integers(0, 10**6), min_size=2, max_size=8)


def runs_of(values):
    return [{"preemptions": value, "model": "x"} for value in values]


def change(before, after, *, is_paired):
    compared = kvsim.compare_runs(runs_of(before), runs_of(after), is_paired=is_paired)
    return compared.changes["preemptions"]


@given(values=FIGURES, shift=st.integers(-1000, 1000))
def test_pairs_cancel_what_a_seed_brings(values, shift):
    """A shift of every run alike is known exactly, however far the seeds lie apart."""
    found = change(values, [value + shift for value in values], is_paired=True)
    assert found.difference == pytest.approx(shift)
    assert found.low == pytest.approx(shift, abs=1e-6)
    assert found.high == pytest.approx(shift, abs=1e-6)


@given(before=FIGURES, after=FIGURES)
def test_the_difference_is_of_the_means(before, after):
    """And lies between the least and the largest that there can be."""
    found = change(before, after, is_paired=False)
    assert found.difference == pytest.approx(np.mean(after) - np.mean(before))
    assert found.low <= found.high
    assert min(after) - max(before) <= found.low + 1e-6
    assert found.high <= max(after) - min(before) + 1e-6


def test_noise_is_no_change():
    """Two samples of one quantity differ, and nothing follows from it."""
    rng = np.random.Generator(np.random.PCG64(1))
    before, after = rng.normal(100, 10, size=(2, 12)).tolist()
    assert not change(before, after, is_paired=False).is_clear
    assert change(before, [value + 50 for value in after], is_paired=False).is_clear


def test_a_single_run_says_nothing_about_chance():
    """Its difference stands without an interval, and is not clear."""
    found = change([5], [9], is_paired=True)
    assert (found.difference, found.low, found.high, found.is_clear) == (4.0, None, None, False)
    assert change([5, 6], [9], is_paired=False).low is None


@pytest.mark.parametrize(("before", "after"), [([], [1]), ([1], []), ([1, 2], [1])])
def test_pairs_need_a_partner(before, after):
    """Each run of one side beside one of the other."""
    with pytest.raises(kvsim.SpecError, match="as many where they are paired"):
        change(before, after, is_paired=True)


def test_two_deployments_compare():
    """Fewer blocks, more preemptions: figures in groups too, and only those of both."""
    traffic = kvsim.PoissonTraffic(num_requests=30, output_tokens=400)

    def runs(num_blocks):
        engine = kvsim.Vllm(num_gpu_blocks_override=num_blocks, max_model_len=4096)
        model = kvsim.load_model("llama-3.1-8b")
        for seed in range(3):
            workload = kvsim.poisson_workload(traffic, seed=seed)
            yield kvsim.simulate_blocks(model, workload, engine=engine).as_dict()

    compared = kvsim.compare_runs([*runs(4000)], [*runs(600)], is_paired=True)
    assert compared.changes["preemptions"].is_clear
    assert compared.changes["ttft_s.mean"].difference > 0
    assert "goodput.share" not in compared.changes
    plain = json.loads(json.dumps(compared.as_dict(), allow_nan=False))
    assert plain["changes"]["peak_blocks"]["clear"]
