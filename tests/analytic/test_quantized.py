"""Quantised caches: residual windows, ends that stay plain, intervals for what is unverified."""

import pytest

import kvsim
from kvsim.analytic.quantized import quantized_cache_bytes
from kvsim.dtypes import cache_format

LLAMA = kvsim.load_model("llama-3.1-8b")  # 32 layers, 8 KV heads of 128


def held(name, num_tokens, model=LLAMA, **settings):
    return quantized_cache_bytes(model, cache_format(name), num_tokens=num_tokens, **settings)


def test_a_plain_format_is_the_ideal_layout():
    """
    Nothing special about bf16: the same bytes as live tokens times their width.
    """
    ideal = kvsim.cache_bytes(LLAMA, num_tokens=1000).total_bytes

    assert held("bfloat16", 1000).best == ideal


def test_the_residual_window_stays_in_the_models_format():
    """
    KIVI: of 1,000 tokens the keys keep 1000 mod 128 plain, the values the last 128.
    """
    keys = 104 * 256 + 896 * 48
    values = 128 * 256 + 872 * 48

    assert held("kivi_int2_g32_r128", 1000).best == 32 * 8 * (keys + values)


def test_the_ends_of_a_dense_model_stay_plain():
    """
    TurboQuant skips two layers at each end: the model's ratio is below the format's.
    """
    quantised = 28 * 8 * 196 * 1000
    plain = 4 * 8 * 512 * 1000

    assert held("turboquant_k8v4", 1000).best == quantised + plain


def test_a_hybrid_quantises_every_attention_layer():
    """
    Models with recurrent layers have no plain ends.
    """
    hybrid = kvsim.load_model("qwen3-next-80b-a3b")
    heads = 12 * 2  # 12 attention layers of 2 KV heads of 256

    assert held("turboquant_k8v4", 1000, hybrid).best == heads * 1000 * (256 + 132)


def test_unverified_formats_give_intervals_that_say_so():
    """
    Nobody read these in code: a single number would be a claim.
    """
    answer = held("turboquant_2.5bit", 1000)

    assert answer.low < answer.best < answer.high
    assert "unverified" in answer.source
    assert held("q8_0", 1000).is_exact


def test_ranks_share_the_heads():
    """
    Each of two ranks holds half of the heads.
    """
    assert 2 * held("q4_0", 1000, tensor_parallel_size=2).best == held("q4_0", 1000).best


def test_latents_are_refused():
    """
    A format of heads says nothing about a latent.
    """
    with pytest.raises(kvsim.UnsupportedError, match="latent attention"):
        held("kivi_int2_g32_r128", 1000, kvsim.load_model("deepseek-v3"))
