"""Seconds of steps, and the figures that are read off the records."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import kvsim
from kvsim.analytic.step_time import Span, roofline
from kvsim.dtypes import BF16
from kvsim.sim.metrics import spread
from tests.sim.runs import serve, workload

LLAMA = kvsim.load_model("llama-3.1-8b")
H100 = kvsim.accelerator("H100-SXM5-80GB")
WEIGHTS_BYTES = 16_060_522_496


def llama(**given):
    """Llama-3.1-8B's roofline on an H100."""
    return roofline(
        LLAMA,
        H100,
        weights=(),
        weights_bytes=WEIGHTS_BYTES,
        kv_dtype=BF16,
        dtype=BF16,
        max_tokens=4096,
        **given,
    )


def test_a_decode_step_reads_the_weights_and_the_cache():
    """One token is bound by traffic: its weights without the embedding table, and its cache."""
    embedding_bytes = 2 * LLAMA.vocab_size * LLAMA.hidden_size
    read = WEIGHTS_BYTES - embedding_bytes + 1000 * 131_072

    seconds = llama().seconds([Span(999, 1000)])

    assert seconds == pytest.approx(read / H100.memory_bandwidth_bytes_per_s, rel=1e-3)


def test_a_prefill_is_bound_by_operations():
    """Two operations per parameter and token, the head's on the last token alone."""
    head = LLAMA.num_head_parameters
    matmul = 2 * ((LLAMA.num_active_parameters - head) * 4096 + head)
    attention = 32 * 4 * 32 * 128 * (4096 * 4097 // 2)

    seconds = llama().seconds([Span(0, 4096)])

    assert seconds == pytest.approx((matmul + attention) / H100.bf16_flops_per_s, rel=1e-9)


def test_chunks_of_a_prompt_cost_its_attention_once():
    """The pairs of all chunks are the pairs of the whole."""
    table = llama(bandwidth_efficiency=1e9)
    whole = table.seconds([Span(0, 4096)])
    chunks = sum(table.seconds([Span(i, i + 512)]) for i in range(0, 4096, 512))
    heads = 7 * 2 * LLAMA.num_head_parameters / H100.bf16_flops_per_s

    assert chunks - heads == pytest.approx(whole, rel=1e-9)


def test_measured_efficiencies_lengthen_a_step():
    """Half the speed takes twice as long, in the resource that binds."""
    decode, prefill = [Span(10, 11)], [Span(0, 4096)]
    half_speed = llama(bandwidth_efficiency=0.5)
    half_power = llama(compute_efficiency=0.5)

    assert half_speed.seconds(decode) == pytest.approx(2 * llama().seconds(decode))
    assert half_power.seconds(prefill) == pytest.approx(2 * llama().seconds(prefill))


def test_a_step_without_work_takes_no_time():
    """Nothing to compute, nothing to read."""
    assert llama().seconds([]) == 0.0


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=50))
def test_percentiles_are_numpys(values):
    """Between two values they are interpolated, as people expect."""
    got = spread(values)

    expected = np.percentile(values, [50, 90, 99])
    assert [got.p50, got.p90, got.p99] == pytest.approx(expected.tolist(), rel=1e-9, abs=1e-9)
    assert got.mean == pytest.approx(float(np.mean(values)), rel=1e-9, abs=1e-9)


def test_latencies_follow_from_steps():
    """A second a step: the second request waits until the first is done."""
    done = serve(workload((7, 3), (7, 3)), num_gpu_blocks=4, max_model_len=12)

    first, second = done.requests
    assert (first.ttft_s, first.e2e_s, first.tpot_s) == (1.0, 3.0, 1.0)
    assert (second.ttft_s, second.e2e_s, second.tpot_s) == (4.0, 6.0, 1.0)
    assert done.ttft_s.mean == 2.5


def test_idle_time_is_jumped():
    """Nothing happens before the first arrival, so the first step starts there."""
    done = serve(workload((1, 1), arrival_s=7.0), num_gpu_blocks=17)

    assert [step.start_s for step in done.steps] == [7.0]


def test_waste_is_split_by_what_becomes_of_a_slot():
    """A request of 5 + 2 tokens in blocks of 4: the last token is never computed.

    Step 1 holds 5 tokens in 2 blocks: 1 slot waits, 2 are for nobody. Step 2 fills the one.
    """
    done = serve(workload((5, 2)), num_gpu_blocks=17)

    first, second = done.steps
    assert (first.num_used_blocks, first.reserved_blocks, first.idle_blocks) == (2, 0.25, 0.5)
    assert (second.num_used_blocks, second.reserved_blocks, second.idle_blocks) == (2, 0.0, 0.5)
    parts = done.waste
    assert parts.used + parts.reserved + parts.internal + parts.external == pytest.approx(1.0)
    assert parts.internal == pytest.approx(0.5 / 16)


def test_both_hit_rates_are_told_apart():
    """Long prompts weigh more in the one; each request weighs as much in the other."""
    shared = kvsim.PromptSegment(1, 40)
    trace = kvsim.Workload(
        requests=(
            kvsim.Request(num_prompt_tokens=40, num_output_tokens=1, prompt=(shared,)),
            kvsim.Request(
                arrival_s=9.0,
                num_prompt_tokens=60,
                num_output_tokens=1,
                prompt=(shared, kvsim.PromptSegment(2, 20)),
            ),
        )
    )
    use = serve(trace, num_gpu_blocks=99, max_num_batched_tokens=64, caching=True).prefix_cache

    assert (use.hit_tokens, use.query_tokens) == (40, 100)
    assert use.token_hit_rate == 0.4
    assert use.request_hit_rate == pytest.approx((0 + 40 / 60) / 2)
