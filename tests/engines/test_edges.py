"""Rules of engines just where they turn: the last token of a window, one slot, one rank."""

from dataclasses import replace

import pytest

import kvsim
from kvsim.analytic.step_time import Roofline
from kvsim.dtypes import BF16
from kvsim.engines.llama_cpp import llama_cpp_layout
from kvsim.engines.llama_cpp_model import compressor_states
from kvsim.engines.sglang import sglang_layout
from kvsim.engines.tensorrt_llm import tensorrt_llm_layout
from kvsim.engines.tensorrt_llm_pools import tensorrt_llm_pools
from kvsim.engines.transformers import TransformersLayout
from kvsim.engines.vllm_cache_config import VllmCacheConfig
from kvsim.errors import UnsupportedError
from kvsim.specs.latent import CompressedAttention
from kvsim.specs.llama_cpp import LlamaCpp
from kvsim.specs.parallel import Parallelism
from kvsim.specs.sglang import Sglang
from kvsim.specs.state import RecurrentState
from kvsim.specs.tensorrt_llm import TensorrtLlm
from kvsim.specs.transformers import Transformers
from kvsim.units import GiB
from tests.engines.behaviours import heads, model, window
from tests.engines.test_pool_arithmetic import POOL

PLAIN = model((4, heads(8, 128)), max_model_len=4096)
TOKEN_BYTES = 2 * 8 * 128 * 2
CONFIG = VllmCacheConfig(max_model_len=4096, max_num_batched_tokens=2048)


def test_requests_of_one_block_fit_as_often_as_there_are_blocks():
    """
    100 usable blocks, one a request.
    """
    assert replace(POOL, request_blocks=1).max_requests == 100


@pytest.mark.parametrize(("held", "grows"), [(1023, True), (1024, False)])
def test_the_last_token_that_a_window_has_room_for(held, grows):
    """
    SGLang's window pool takes the 1,024th token of a window of 1,024, and then no more.
    """
    layout = sglang_layout(
        model((2, heads(8, 128)), (2, window(8, 128, 1024))), Sglang(), Parallelism()
    )

    assert layout.sequence(held).marginal_bytes == (4 if grows else 2) * TOKEN_BYTES


def test_one_slot_has_its_cells_to_itself():
    """
    llama.cpp's unified cells are one sequence's where there is one slot; of two they are nobody's.
    """
    one = LlamaCpp(ctx_size=4096, parallel=1, kv_unified=True)

    assert llama_cpp_layout(PLAIN, one).sequence(4096).total_bytes == 4096 * 4 * TOKEN_BYTES
    with pytest.raises(UnsupportedError, match="2 slots share their cells"):
        llama_cpp_layout(PLAIN, replace(one, parallel=2)).sequence(1)


def test_one_more_token_of_context_costs_a_cell_of_every_layer():
    """
    Nothing is padded on average.
    """
    layout = llama_cpp_layout(PLAIN, LlamaCpp(ctx_size=4096))

    assert layout.marginal_bytes == 4 * TOKEN_BYTES


@pytest.mark.parametrize(("overlaps", "values"), [(False, 4 * 512), (True, 2 * 4 * 2 * 512)])
def test_overlapping_windows_wait_twice_as_long_and_twice_as_wide(overlaps, values):
    """
    Two windows of four tokens in two series, where one of each is enough otherwise.
    """
    entry = CompressedAttention(
        num_attention_heads=64, head_dim=512, compress_rate=4, overlaps=overlaps
    )

    assert [state.window_elems for state in compressor_states(model((1, entry)))] == [values]


def test_the_host_pool_beside_states_is_whole_blocks():
    """
    As many bytes of host memory as of the device's: as many blocks.
    """
    state = RecurrentState(mechanism="m", num_heads=8, state_elems=8 * 1024)
    layout = tensorrt_llm_layout(
        model((4, heads(8, 128)), (4, state)),
        TensorrtLlm(max_batch_size=16, host_cache_size=64 * 32 * 4 * TOKEN_BYTES),
        Parallelism(),
    )
    (pool,) = tensorrt_llm_pools(layout, GiB).windows

    assert (pool.block_bytes, pool.secondary_blocks) == (32 * 4 * TOKEN_BYTES, 64)


@pytest.mark.parametrize(
    ("second", "stages", "batches"), [(True, 2, 3), (False, 2, 2), (False, 1, 2)]
)
def test_how_many_steps_are_under_way(second, stages, batches):
    """
    vLLM's second model runner schedules ahead over pipeline stages too; it is the one by default.
    """
    config = replace(CONFIG, async_scheduling=True, pipeline_parallel_size=stages)

    assert replace(config, use_v2_model_runner=second).max_concurrent_batches == batches
    assert CONFIG.use_v2_model_runner


@pytest.mark.parametrize(("ranks", "tokens"), [(1, 16), (4, 64)])
def test_a_block_covers_what_all_decode_context_ranks_hold(ranks, tokens):
    """
    Each rank holds every fourth token; its block of 16 covers 64 of the request.
    """
    config = replace(CONFIG, tensor_parallel_size=4, decode_context_parallel_size=ranks)
    spec = kvsim.vllm_layer_spec(
        "FullAttentionSpec", block_size=16, num_kv_heads=1, head_size=128, dtype="bfloat16"
    )

    assert spec.tokens_per_block(config) == tokens


@pytest.mark.parametrize(("flops_per_s", "bytes_per_s", "seconds"), [(100, 8, 2.0), (1, 800, 40.0)])
def test_a_step_takes_as_long_as_the_slower_of_compute_and_memory(
    flops_per_s, bytes_per_s, seconds
):
    """
    40 operations, 16 bytes of cache.
    """
    line = Roofline(
        model=kvsim.load_model("gpt2"),
        weights=(),
        weights_bytes=0,
        token_flops=20.0,
        sample_flops=10.0,
        attention_flops=[0.0, 0.0, 10.0],
        cache_bytes=[0, 8, 16],
        flops_per_s=flops_per_s,
        bytes_per_s=bytes_per_s,
    )

    assert line.seconds([(1, 2)]) == seconds


def test_a_cache_that_grows_is_not_allocated_at_its_limit():
    """
    transformers allocates max_cache_len tokens for a static cache alone.
    """
    grows = Transformers(max_cache_len=4096)

    assert (
        TransformersLayout(model=PLAIN, settings=grows, dtype=BF16).sequence(10).total_bytes
        == 10 * 4 * TOKEN_BYTES
    )
