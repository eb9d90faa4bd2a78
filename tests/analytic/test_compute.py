"""Operations and bytes, with a cache and without."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

import kvsim
from kvsim.analytic.compute import (
    Bound,
    bound,
    compute,
    crossover_tokens,
    decode_total_flops,
    read_share,
    ridge_point,
    uncached_total_flops,
)
from kvsim.specs.attention import ChunkedAttention, FullAttention, SlidingWindow, capped_sum

LLAMA = kvsim.load_model("llama-3.1-8b")
HEADS = {"num_attention_heads": 32, "num_kv_heads": 8, "head_dim": 128}


def at(num_tokens, *, model=LLAMA, batch_size=1):
    return compute(
        model,
        weights=(),
        weights_bytes=2 * model.num_parameters,
        num_tokens=num_tokens,
        cache_bytes=kvsim.cache_bytes(model, num_tokens=num_tokens).total_bytes,
        batch_size=batch_size,
    )


def test_attention_equals_the_matrices_near_28_600_tokens():
    """
    The known figure for an 8B model: 2 x 7.5e9 over 4 x 32 heads x 128 x 32 layers.
    """
    assert crossover_tokens(LLAMA) == 28_629
    step = at(28_629).decode_step
    assert step.attention_flops == pytest.approx(step.matmul_flops, rel=1e-4)


def test_a_cached_step_is_not_constant():
    """
    The matrices cost the same at every length, attention in proportion to it.
    """
    short, long = at(1000).decode_step, at(100_000).decode_step

    assert short.matmul_flops == long.matmul_flops == 2 * 7_504_920_576
    assert long.attention_flops == 100 * short.attention_flops


@given(st.integers(1, 300), st.integers(1, 40))
def test_cached_total_is_the_sum_of_its_steps(num_prompt_tokens, num_output_tokens):
    """
    Closed form against step by step.
    """
    lengths = range(num_prompt_tokens + 1, num_prompt_tokens + num_output_tokens + 1)
    steps = sum(at(n).decode_step.flops for n in lengths)

    assert steps == decode_total_flops(
        LLAMA, num_prompt_tokens=num_prompt_tokens, num_output_tokens=num_output_tokens
    )


def test_without_a_cache_the_total_is_quadratic_and_cubic():
    """
    Fourth differences of a cubic vanish; third ones are attention's and do not.
    """
    totals = [
        uncached_total_flops(LLAMA, num_prompt_tokens=0, num_output_tokens=n) for n in range(1, 8)
    ]
    for _ in range(3):
        totals = [b - a for a, b in itertools.pairwise(totals)]

    assert len(set(totals)) == 1
    assert totals[0] == 2 * 2 * 32 * 32 * 128 * 2 // 2


@pytest.mark.parametrize(
    "behaviour",
    [
        FullAttention(**HEADS),
        SlidingWindow(**HEADS, sliding_window=7),
        ChunkedAttention(**HEADS, attention_chunk_size=5),
    ],
)
@given(start=st.integers(0, 50), length=st.integers(0, 50))
def test_attended_tokens_are_those_of_each_query(behaviour, start, length):
    """
    Closed forms against counting: itself and what the behaviour lets it see.
    """

    def seen(position):
        if isinstance(behaviour, ChunkedAttention):
            return position % 5 + 1
        return behaviour.live_tokens(position + 1)

    counted = sum(seen(p) for p in range(start, start + length))
    assert behaviour.attended_tokens(start, start + length) == counted


@given(st.integers(0, 60), st.integers(0, 60), st.one_of(st.none(), st.integers(1, 40)))
def test_capped_sum_counts(start, length, cap):
    """
    The closed form of a sum of minima.
    """
    counted = sum(i + 1 if cap is None else min(i + 1, cap) for i in range(start, start + length))

    assert capped_sum(start, start + length, cap) == counted


def test_sparse_attention_reads_what_its_indexer_picks():
    """
    DSA attends to 2,048 tokens however long the context; the indexer still scores them all.
    """
    model = kvsim.load_model("deepseek-v3.2")
    short, long = at(4096, model=model).decode_step, at(131_072, model=model).decode_step
    scored = 61 * 64 * 128 * 2 * (131_072 - 4096)

    assert long.attention_flops - short.attention_flops == scored


def test_phases_are_bound_by_different_things():
    """
    A long prompt passes the ridge point, a single decode step is far below it.
    """
    gpu = kvsim.accelerator("H100-SXM5-80GB")
    work = at(8192)

    assert ridge_point(gpu, num_bytes=2) == pytest.approx(295, abs=1)
    assert bound(work.prefill, gpu, num_bytes=2) is Bound.COMPUTE
    assert bound(work.decode_step, gpu, num_bytes=2) is Bound.BANDWIDTH


def test_a_step_reads_only_the_experts_it_meets():
    """
    One token reads its 8 of 256 experts; a thousand read nearly all.
    """
    model = kvsim.load_model("deepseek-v3")
    one, many = (read_share(model, (), num_tokens=n) for n in (1, 1000))

    assert one == pytest.approx(37e9 / 671e9, rel=0.03)
    assert 0.97 < many < 1


def test_devices_without_speeds_are_refused():
    """
    No ridge point is guessed.
    """
    blank = kvsim.Accelerator(name="x", vendor="x", architecture="x", nominal_bytes=2**30)
    with pytest.raises(kvsim.SpecError, match="gpu=x: its operations or bytes per second"):
        ridge_point(blank, num_bytes=2)
