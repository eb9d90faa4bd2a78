"""SGLang's pools against start-up logs, and its defaults against its own arithmetic."""

import pytest

import kvsim
from kvsim.engines.sglang import sglang_layout
from kvsim.engines.sglang_budget import cache_bytes
from kvsim.engines.sglang_pools import sglang_pools, slots_per_request
from kvsim.errors import SpecError, UnsupportedError
from kvsim.specs.attention import ChunkedAttention
from kvsim.specs.latent import Indexer
from kvsim.specs.parallel import Parallelism
from kvsim.specs.sglang import Sglang
from kvsim.units import GiB, MiB
from tests.engines.behaviours import GATED, LINEAR_KDA, QWEN_27B, heads, latent, model, window


def layout(spec, tp=1, **settings):
    return sglang_layout(spec, Sglang(**settings), Parallelism(tensor_parallel_size=tp))


def gib(num_bytes):
    """As the log prints it."""
    return round(num_bytes / GiB, 2)


SIZES = [  # row of the measured logs, layout, pools, key and value GiB as printed
    ("sg-pr11716-80layer-tp8", layout(model((80, heads(8, 128))), tp=8), 2795207, 53.31, 53.31),
    ("sg-i21348-qwen3-235b", layout(model((94, heads(4, 128))), tp=4), 367404, 8.23, 8.23),
    ("sg-dsr1-274934", layout(model((61, latent()))), 274934, 17.99, 0),
    ("sg-kimi-k26", layout(model((61, latent())), tp=8), 209413, 13.71, 0),
    ("sg-32b-tp4-24gb", layout(model((64, heads(8, 128))), tp=4), 46611, 1.42, 1.42),
    ("sg-qwen3-06b-4gb", layout(model((28, heads(8, 128)))), 15387, 0.82, 0.82),
    ("sg-qwen25-05b-a100", layout(model((24, heads(2, 64)))), 2658165, 15.21, 15.21),
    ("sg-gpt2-kvcached", layout(model((12, heads(12, 64)))), 248479, 4.27, 4.27),
    ("sg-qwen3-reranker-mi355", layout(model((28, heads(8, 128)))), 1131687, 60.44, 60.44),
]


@pytest.mark.parametrize(("row", "lay", "tokens", "key", "value"), SIZES, ids=lambda v: str(v)[:24])
def test_token_pools_take_what_the_log_prints(row, lay, tokens, key, value):
    """
    The pool holds one page more than the tokens that are announced.
    """
    held = lay.buffers(tokens=tokens)

    assert (gib(held.key_bytes), gib(held.value_bytes)) == (key, value), row


def test_two_pools_with_keys_wider_than_values():
    """
    MiMo-V2-Flash: 9 full layers, 39 window layers of 8 heads, keys 192 and values 128 wide.
    """
    full, sliding = heads(4, 192, v_head_dim=128), window(8, 192, 128, v_head_dim=128)
    lay = layout(model((9, full), (39, sliding)), tp=4, page_size=64)
    held = lay.buffers(tokens=375360, window_tokens=300288)

    assert int(375360 * 0.8) == 300288
    assert (gib(held.window_key_bytes), gib(held.window_value_bytes)) == (8.38, 5.59)


def test_two_pools_in_fp8_share_one_budget():
    """
    Gemma-4-26B: the window pool has 0.8 of the full pool's tokens, and both print 3.18 GB.
    """
    spec = model((5, heads(2, 512)), (25, window(8, 256, 1024)))
    lay = layout(spec, kv_cache_dtype="fp8_e4m3")
    held = lay.buffers(tokens=37081, window_tokens=29664)
    pools = sglang_pools(lay, held.token_bytes)

    assert gib(held.token_bytes) == 3.18
    assert pools.window_tokens == int(pools.tokens * 0.8)
    assert abs(pools.tokens - 37081) < 3  # the budget lies between two tokens


def test_state_pool_has_one_slot_more_than_the_log_says():
    """
    Ling-3.0-flash: 117 slots announced, 118 paid; the slot on top is in the budget since 0.5.17.
    """
    spec = model((7, latent()), (35, LINEAR_KDA))
    lay = layout(spec, engine_version="0.5.16")
    held = lay.buffers(tokens=1226984, state_slots=117)
    budget = 1226984 * 8064 + 117 * lay.slot.total_bytes

    assert lay.slot.total_bytes == pytest.approx(72.461 * MiB, rel=1e-5)
    assert (gib(held.conv_bytes), gib(held.state_bytes)) == (0.28, 8.07)
    assert gib(held.token_bytes) == 9.21
    assert sglang_pools(lay, budget).state_slots == 117
    newer = layout(spec, engine_version="0.5.17")
    assert sglang_pools(newer, budget).state_slots == 116


def test_states_may_outweigh_the_cache():
    """
    Qwen3.8-27B on a DGX Spark: 50.77 GB of states beside 7 GB of cache, and 72 requests.
    """
    lay = layout(QWEN_27B, kv_cache_dtype="fp8_e4m3", max_mamba_cache_size=360)
    held = lay.buffers(tokens=228520, state_slots=360)
    pools = sglang_pools(lay, held.total_bytes)

    assert (gib(held.conv_bytes), gib(held.state_bytes)) == (0.99, 50.77)
    assert (gib(held.key_bytes), gib(held.value_bytes)) == (3.49, 3.49)
    assert pools.state_slots // slots_per_request(lay.settings) == 72


def test_the_number_of_slots_on_the_spark_is_not_the_ratios():
    """
    Not reproduced: 360 slots beside 7 GB of cache are a ratio of 7.4, so a flag that the log
    does not show was set; the default ratio of 0.9 gives far fewer.
    """
    lay = layout(QWEN_27B, kv_cache_dtype="fp8_e4m3")
    held = lay.buffers(tokens=228520, state_slots=360)

    assert sglang_pools(lay, held.total_bytes).state_slots < 200


def test_a_draft_layer_has_a_pool_of_its_own():
    """
    Qwen-27B with EAGLE on 0.5.17: bf16 states, 5.22 GB of keys, 0.33 GB for the draft's.
    """
    lay = layout(QWEN_27B, mamba_ssm_dtype="bfloat16", num_draft_layers=1, engine_version="0.5.17")
    held = lay.buffers(tokens=171008, state_slots=43)

    assert (gib(held.conv_bytes), gib(held.state_bytes)) == (0.12, 3.09)
    assert gib(held.key_bytes) == 5.22
    assert gib(held.draft_bytes / 2) == 0.33


def test_states_divide_over_the_ranks():
    """
    Qwen3.8-Flash-Next on two ranks: 97 slots announced, half of the heads each.
    """
    spec = model((12, heads(2, 256)), (36, GATED))
    lay = layout(spec, tp=2, page_size=64)
    held = lay.buffers(tokens=484032, state_slots=97)

    assert (gib(held.conv_bytes), gib(held.state_bytes)) == (0.1, 5.17)
    assert gib(held.key_bytes) == 2.77


def test_the_budget_of_two_sparks_is_not_reproduced():
    """
    Not reproduced: free memory on a GB10 is the kernel's guess. 35.23 GB after 76.11 GB of
    weights and 0.78 leave 10.74 GB, yet the pools that the log prints take over 11 GB.
    """
    spec = model((12, heads(2, 256)), (36, GATED))
    held = layout(spec, tp=2, page_size=64).buffers(tokens=484032, state_slots=97)
    left = cache_bytes(
        free_at_start_bytes=round(111.34 * GiB),
        free_after_load_bytes=round(35.23 * GiB),
        mem_fraction_static=0.78,
    )

    assert left < held.token_bytes + held.conv_bytes + held.state_bytes


def test_sparse_latents_in_fp8_take_the_width_of_their_backend():
    """
    DeepSeek-V3.2: 656 or 576 bytes of latent, 1,152 in bf16, and 132 of index key.
    """
    spec = model((61, latent(index_topk=2048), Indexer(num_index_heads=64, index_head_dim=128)))
    widths = {
        layout(spec, **settings).full_token_bytes // 61 - 132
        for settings in (
            {"kv_cache_dtype": "fp8_e4m3"},
            {"kv_cache_dtype": "fp8_e4m3", "nsa_decode_backend": "trtllm"},
            {"kv_cache_dtype": "bfloat16"},
        )
    }

    assert widths == {656, 576, 1152}
    assert layout(spec).page_size == 64


def test_latents_in_fp4_keep_a_scale_per_sixteen_values():
    """
    Half a byte per value and 576 / 16 scales.
    """
    assert layout(model((1, latent())), kv_cache_dtype="fp4_e2m1").full_token_bytes == 288 + 36


def test_dp_attention_splits_requests_instead_of_heads():
    """
    Eight ranks in four groups: the heads divide by two.
    """
    spec = model((10, heads(8, 128)))
    split = layout(spec, tp=8, enable_dp_attention=True, dp_size=4)

    assert split.full_token_bytes == layout(spec, tp=2).full_token_bytes
    with pytest.raises(SpecError, match="dp_size=3"):
        layout(spec, tp=8, enable_dp_attention=True, dp_size=3)


@pytest.mark.parametrize(
    "behaviour",
    [
        ChunkedAttention(
            num_attention_heads=8, num_kv_heads=8, head_dim=64, attention_chunk_size=8192
        ),
        Indexer(num_index_heads=8, index_head_dim=64, compress_rate=4),
    ],
)
def test_rules_that_were_not_read_are_refused(behaviour):
    """
    A guess would look like an answer.
    """
    with pytest.raises(UnsupportedError, match="not known"):
        layout(model((4, behaviour)))


def test_formats_that_the_engine_lacks_are_refused():
    """
    GGML's types are another engine's.
    """
    with pytest.raises(UnsupportedError, match="no cache format of sglang"):
        layout(model((4, heads(8, 128))), kv_cache_dtype="q8_0")
    with pytest.raises(UnsupportedError, match="fp4_e2m1 in sglang is known for latent attention"):
        layout(model((4, heads(8, 128))), kv_cache_dtype="fp4_e2m1")


def test_states_of_a_draft_are_said_to_be_left_out():
    """
    Scratch states of speculative decoding are in no pool; a model of states has no draft cells.
    """
    states = layout(model((2, GATED)), num_draft_layers=1)

    assert states.not_modeled[-1] == "scratch states of speculative decoding"
    assert states.draft_token_bytes == 0


def test_a_sequence_holds_whole_pages_windows_and_one_slot():
    """
    What one request costs: 100 tokens in pages of 64, a window of 64, a slot of state.
    """
    spec = model((1, heads(1, 64)), (1, window(1, 64, 64)), (1, GATED))
    lay = layout(spec, page_size=64)
    held = lay.sequence(100)

    assert held.kv_bytes == (128 + 64) * 256
    assert held.state_bytes == lay.slot.total_bytes
    assert held.marginal_bytes == 256


def test_the_library_answers_for_it():
    """
    `cache_bytes(engine="sglang")`: pages of one token are the ideal layout.
    """
    spec = kvsim.load_model("llama-3.1-8b")
    ideal = kvsim.cache_bytes(spec, num_tokens=1000)

    assert kvsim.cache_bytes(spec, num_tokens=1000, engine="sglang").total_bytes == (
        ideal.total_bytes
    )
