"""Sums and products of pools on numbers worked out by hand."""

from kvsim.engines.layout import Pool
from kvsim.engines.sglang import sglang_layout
from kvsim.engines.transformers import Held
from kvsim.specs.latent import CompressedAttention
from kvsim.specs.parallel import Parallelism
from kvsim.specs.sglang import Sglang
from tests.engines.behaviours import heads, model

POOL = Pool(
    num_gpu_blocks=101,
    reserved_blocks=1,
    block_size=16,
    block_bytes=1000,
    request_blocks=7,
    kv_cache_tokens=1616,
    max_concurrency=101 / 7,
    max_model_len=112,
    longest_model_len=1600,
)


def test_a_pool_holds_whole_requests_beside_its_reserve():
    """
    100 usable blocks, seven a request; two requests take 15 blocks of 1,000 bytes.
    """
    assert POOL.max_requests == 14
    assert POOL.bytes_for(2) == 15_000
    assert POOL.bytes_for(0) == 1000


def test_a_draft_caches_as_many_bytes_a_layer_as_its_target():
    """
    Two draft layers beside four of the target: half as much on top.
    """
    plain = model((4, heads(8, 128)))
    layout = sglang_layout(plain, Sglang(num_draft_layers=2), Parallelism())

    assert layout.full_token_bytes == 4 * 2 * 8 * 128 * 2
    assert layout.draft_token_bytes == layout.full_token_bytes // 2


def test_a_compressed_entry_costs_as_a_head_does():
    """
    A multiply and an add for the score, and for the value, per element of every head.
    """
    entry = CompressedAttention(num_attention_heads=64, head_dim=512, compress_rate=128)

    assert entry.pair_flops() == 4 * 64 * 512
    assert entry.state_flops() == 2 * 512


def test_what_holds_no_state_has_none():
    """
    Keys and values alone.
    """
    assert (Held(10).kv_bytes, Held(10).state_bytes) == (10, 0)
