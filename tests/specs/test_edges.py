"""Values at the edge of what is allowed, and formulas on numbers worked out by hand."""

from functools import partial

import pytest

import kvsim
from kvsim.analytic.answer_cost import MAX_OUTPUT_TOKENS, answer_costs
from kvsim.analytic.variants import VariantName, attention_variants
from kvsim.dtypes import BF16
from kvsim.engines.sglang import SglangBuffers
from kvsim.engines.vllm_backend import Backend
from kvsim.engines.vllm_cache_config import VllmCacheConfig
from kvsim.errors import SpecError
from kvsim.specs.attention import ChunkedAttention
from kvsim.specs.hardware import Accelerator
from kvsim.specs.llama_cpp import LlamaCpp, Ollama
from kvsim.specs.parallel import Parallelism
from kvsim.specs.pool_settings import stated_length
from kvsim.specs.workload import PoissonTraffic
from kvsim.units import GiB

device = partial(Accelerator, name="d", vendor="v", architecture="a")
cache = partial(VllmCacheConfig, max_model_len=64, max_num_batched_tokens=512, block_size=16)
REFUSED = [
    (partial(PoissonTraffic, num_requests=0), "num_requests=0 must be"),
    (partial(PoissonTraffic, rate_per_s=0), "rate_per_s=0 must be > 0"),
    (partial(PoissonTraffic, prompt_tokens=0.5), "prompt_tokens=0.5 must be >= 1"),
    (partial(PoissonTraffic, output_tokens=0.5), "output_tokens=0.5 must be >= 1"),
    (partial(PoissonTraffic, prompt_tokens_std=-1), "prompt_tokens_std=-1 must be >= 0"),
    (partial(PoissonTraffic, output_tokens_std=float("nan")), "output_tokens_std=nan must be"),
    (partial(device, nominal_bytes=0), "d: nominal_bytes=0 must be >= 1"),
    (partial(Ollama, num_ctx=0), "num_ctx=0 must be"),
    (partial(Ollama, num_batch=0), "num_batch=0 must be"),
    (partial(Ollama, num_parallel=0), "num_parallel=0 must be"),
    (partial(Ollama, num_gpu=-1), "num_gpu=-1 must be"),
    (partial(Parallelism(tensor_parallel_size=2).over, 3), "num_gpus=3 must be the product"),
    (partial(Parallelism(tensor_parallel_size=4).over, 2), "num_gpus=2 must be the product"),
    (partial(Parallelism(pipeline_parallel_size=2).over, 3), "num_gpus=3 must be the product"),
    (
        partial(
            ChunkedAttention,
            num_attention_heads=1,
            num_kv_heads=1,
            head_dim=8,
            attention_chunk_size=0,
        ),
        "attention_chunk_size=0 must be",
    ),
]


@pytest.mark.parametrize(("make", "words"), REFUSED)
def test_what_cannot_be_is_refused(make, words):
    """
    Field, value and rule.
    """
    with pytest.raises(SpecError, match=words):
        make()


def test_what_just_can_be_is_taken():
    """
    Lengths of one token without spread, a device of one byte, a context of one token.
    """
    still = {"prompt_tokens_std": 0, "output_tokens_std": 0}

    assert PoissonTraffic(num_requests=1, prompt_tokens=1, output_tokens=1, **still)
    assert device(nominal_bytes=1).nominal_bytes == 1
    assert Ollama(num_ctx=1, num_batch=1, num_gpu=0).num_gpu == 0


def test_degrees_fill_the_devices_they_leave():
    """
    Tensor parallelism takes the rest, where none is stated.
    """
    assert Parallelism(pipeline_parallel_size=2).over(8).tensor_parallel_size == 4
    assert Parallelism(tensor_parallel_size=4).over(4).tensor_parallel_size == 4
    for unfit in (2, 8):
        with pytest.raises(kvsim.SpecError, match=f"num_gpus={unfit} must be the product"):
            Parallelism(tensor_parallel_size=4).over(unfit)


def test_slots_share_a_context_or_have_the_whole_of_it():
    """
    llama.cpp's context is divided by its slots, unless they draw on one cache.
    """
    assert stated_length(LlamaCpp(ctx_size=16_384, parallel=4, kv_unified=True)) == 16_384
    assert stated_length(LlamaCpp(ctx_size=16_384, parallel=4)) == 4096
    assert stated_length(LlamaCpp(ctx_size=16_384)) == 16_384
    assert stated_length(LlamaCpp(parallel=4)) is None


def test_an_offload_is_stated_in_gib():
    """
    0.5 is half a GiB; none is nothing.
    """
    assert kvsim.Vllm(kv_offloading_size=0.5).kv_offloading_bytes == GiB // 2
    assert kvsim.Vllm().kv_offloading_bytes == 0


def test_encoder_tokens_are_those_stated_or_the_batchs():
    """
    And steps under way: one more with asynchronous scheduling.
    """
    assert cache().max_encoder_tokens == 512
    assert cache(max_num_encoder_input_tokens=100).max_encoder_tokens == 100
    assert cache().max_in_flight_tokens == 512
    assert cache(async_scheduling=True).max_in_flight_tokens == 1024
    assert cache(pipeline_parallel_size=3).max_concurrent_batches == 3
    assert cache(pipeline_parallel_size=3, async_scheduling=True).max_concurrent_batches == 4


def test_buffers_add_up():
    """
    Each power of two once.
    """
    buffers = SglangBuffers(
        key_bytes=1,
        value_bytes=2,
        index_bytes=4,
        window_key_bytes=8,
        window_value_bytes=16,
        draft_bytes=32,
        conv_bytes=64,
        state_bytes=64,
    )

    assert buffers.token_bytes == 31
    assert buffers.total_bytes == 31 + 32 + 64 + 64


def test_blocks_are_made_of_kernel_blocks():
    """
    Multiples of them, or just that size.
    """
    many, one = Backend(name="b", kernel_block=64), Backend(name="b", kernel_block=64, only=True)

    assert [many.accepts(size) for size in (None, 32, 64, 96, 128)] == [
        True,
        False,
        True,
        False,
        True,
    ]
    assert [one.accepts(size) for size in (None, 32, 64, 96, 128)] == [
        True,
        False,
        True,
        False,
        False,
    ]
    assert many.block_multiple == 64
    assert Backend(name="b").block_multiple is None


def test_a_chunk_is_attended_from_its_own_start():
    """
    Chunks of 3: 1, 2, 3, 1, 2, 3, 1 tokens.
    """
    chunked = ChunkedAttention(
        num_attention_heads=1, num_kv_heads=1, head_dim=8, attention_chunk_size=3
    )
    seen = [1, 2, 3, 1, 2, 3, 1]

    for start in range(8):
        for stop in range(start, 8):
            assert chunked.attended_tokens(start, stop) == sum(seen[start:stop])


def test_an_answer_of_one_token_has_a_cost():
    """
    From one token to the most, and no more.
    """
    gpt2 = kvsim.load_model("gpt2")
    (cost,) = answer_costs(gpt2, num_prompt_tokens=10, lengths=[1])

    assert cost.cached_token_flops > 0
    for length in (0, MAX_OUTPUT_TOKENS + 1):
        with pytest.raises(SpecError, match=f"num_output_tokens={length} must be 1 to"):
            answer_costs(gpt2, num_prompt_tokens=10, lengths=[length])


def test_variants_of_gpt2_differ_by_their_heads():
    """
    12 heads of 64, keys and values, 12 layers, two bytes; one head takes a twelfth.
    """
    rows = {
        v.name: v
        for v in attention_variants(kvsim.load_model("gpt2"), kv_dtype=BF16, num_tokens=100)
    }
    token = 12 * 2 * 12 * 64 * 2

    assert rows[VariantName.MHA].bytes_per_token == rows[VariantName.OWN].bytes_per_token == token
    assert rows[VariantName.MQA].bytes_per_token == token // 12
    assert (rows[VariantName.MHA].num_kv_heads, rows[VariantName.MQA].num_kv_heads) == (12, 1)
    assert rows[VariantName.MHA].total_bytes == 100 * token
