"""What other calculators get wrong, one regression test each."""

from pathlib import Path

import pytest

import kvsim

GOLDEN = Path(__file__).parents[1] / "validation/golden/configs"


def held(source, num_tokens=8192, **settings):
    """The cache of one sequence."""
    model = kvsim.load_model(source)
    return kvsim.cache_bytes(model, num_tokens=num_tokens, **settings)


def config(model_type="llama", **fields):
    """A small config of eight layers, four heads of 16 and two KV heads."""
    sizes = {
        "num_hidden_layers": 8,
        "hidden_size": 64,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
    }
    return {"model_type": model_type, **sizes, "torch_dtype": "bfloat16"} | fields


def full(num_layers, num_tokens, *, kv_heads=2, head_dim=16, nbytes=2):
    """Bytes of full attention, written out."""
    return num_layers * 2 * kv_heads * head_dim * nbytes * num_tokens


def kinds(source):
    """Layers of each kind."""
    return {layer.kind: layer.count for layer in held(source).layers}


@pytest.mark.parametrize(
    ("name", "num_layers", "kv_heads", "head_dim"),
    [("qwen3-32b", 64, 8, 128), ("qwen3-235b-a22b", 94, 4, 128)],
)
def test_head_dim_is_not_hidden_over_heads(name, num_layers, kv_heads, head_dim):
    """
    Qwen3-32B has heads of 128 where the division gives 80, Qwen3-235B where it gives 64.
    """
    assert held(name).total_bytes == full(num_layers, 8192, kv_heads=kv_heads, head_dim=head_dim)


def test_head_dim_of_gpt_oss_is_64_though_the_division_gives_45():
    """
    2880 hidden over 64 heads is no head size at all.
    """
    layers = {layer.kind: layer.kv_bytes for layer in held("gpt-oss-20b").layers}

    assert layers["full attention"] == full(12, 8192, kv_heads=8, head_dim=64)


def test_window_that_is_not_used_caps_nothing():
    """
    Qwen2.5 states `sliding_window` beside `use_sliding_window: false`.
    """
    off = config("qwen2", use_sliding_window=False, sliding_window=4, max_window_layers=2)

    assert held(off).total_bytes == full(8, 8192)
    assert held(f"{GOLDEN}/qwen2.5-7b.json").total_bytes == full(28, 8192, kv_heads=4, head_dim=128)


def test_layers_from_max_window_layers_on_slide():
    """
    The first `max_window_layers` layers are full, the others have the window.
    """
    on = config("qwen2", use_sliding_window=True, sliding_window=64, max_window_layers=6)

    assert held(on).total_bytes == full(6, 8192) + full(2, 64)


def test_alternation_that_no_field_states():
    """
    Gemma-2 has no `layer_types`: every other layer slides, the first one does.
    """
    gemma = config("gemma2", sliding_window=64, head_dim=16)

    assert held(gemma).total_bytes == full(4, 8192) + full(4, 64)


def test_pattern_of_six_gives_62_layers_ten_full_ones():
    """
    62 is no multiple of 6: rounding either way is wrong.
    """
    assert kinds(f"{GOLDEN}/gemma-3-27b.json") == {"sliding window": 52, "full attention": 10}


def test_nested_language_tower_is_the_one_that_caches():
    """
    A composite's top level may have layers and sizes of another tower.
    """
    vision = {"num_hidden_layers": 27, "hidden_size": 1152, "num_attention_heads": 16}
    nested = {"model_type": "llava", "num_hidden_layers": 99, "vision_config": vision}

    assert held(nested | {"text_config": config()}).total_bytes == full(8, 8192)


def test_multi_query_without_a_count_is_one_head():
    """
    Falcon-7B states `multi_query` and no `num_kv_heads`: 71 query heads, one KV head.
    """
    assert held(f"{GOLDEN}/falcon-7b.json").total_bytes == full(32, 8192, kv_heads=1, head_dim=64)


def test_gpt2_names():
    """
    `n_layer`, `n_head` and `n_embd` are layers, heads and hidden size.
    """
    names = {"model_type": "gpt2", "n_layer": 12, "n_head": 12, "n_embd": 768, "dtype": "bfloat16"}

    assert held(names).total_bytes == full(12, 8192, kv_heads=12, head_dim=64)


def latent(**fields):
    """A config of latent attention."""
    sizes = {"kv_lora_rank": 512, "qk_rope_head_dim": 64, "qk_nope_head_dim": 128}
    return config("deepseek_v3", **sizes, v_head_dim=128, hidden_size=8192) | fields


def test_kv_heads_of_latent_attention_are_a_decoy():
    """
    `num_key_value_heads: 128` says nothing: the latent has one head.
    """
    decoy = latent(num_attention_heads=128, num_key_value_heads=128)

    assert held(decoy).total_bytes == 8 * (512 + 64) * 2 * 8192


def test_query_rank_may_be_null():
    """
    DeepSeek-V2-Lite has `q_lora_rank: null` and is latent attention all the same.
    """
    assert held(latent(q_lora_rank=None)).total_bytes == 8 * (512 + 64) * 2 * 8192


def test_a_model_type_nobody_lists_is_read_by_its_fields():
    """
    `kimi_k2` is DeepSeek-V3 under another name.
    """
    assert held(latent(model_type="kimi_k2")).total_bytes == held(latent()).total_bytes


def test_letters_of_the_hybrid_pattern():
    """
    M is Mamba, * attention, - a feed-forward: only the stars cache keys and values.
    """
    assert kinds(f"{GOLDEN}/nemotron-h-8b.json") == {
        "recurrent state": 24,
        "no cache": 24,
        "full attention": 4,
    }


def test_attention_at_an_offset_of_every_period():
    """
    Jamba's attention layers are those with i % period == offset.
    """
    jamba = config(
        "jamba",
        attn_layer_period=4,
        attn_layer_offset=2,
        mamba_expand=2,
        mamba_d_state=16,
        mamba_d_conv=4,
        mamba_dt_rank=4,
    )

    assert held(jamba).kv_bytes == full(2, 8192)


def test_shared_layers_store_nothing_though_a_width_is_a_list():
    """
    Gemma-3n's last `num_kv_shared_layers` layers borrow; `intermediate_size` is a list there.
    """
    types = ["sliding_attention", "full_attention"] * 4
    shared = config(
        "gemma3n_text",
        num_kv_shared_layers=4,
        layer_types=types,
        sliding_window=64,
        intermediate_size=[96] * 8,
        head_dim=16,
    )

    assert held(shared).total_bytes == full(2, 8192) + full(2, 64)


def test_chunks_where_layers_have_rotary_positions():
    """
    Llama 4: `no_rope_layers` marks the chunked layers with 1, the others are full.
    """
    chunked = config(
        "llama4_text",
        attention_chunk_size=64,
        no_rope_layers=[1, 1, 1, 0, 1, 1, 1, 0],
        head_dim=16,
    )

    assert held(chunked).total_bytes == full(2, 8192) + full(6, 64)


def test_state_is_float32_while_the_model_is_bfloat16():
    """
    SSM and delta-rule states do not follow `torch_dtype`; convolutions do.
    """
    state = held(f"{GOLDEN}/qwen3-next-80b-a3b.json").state_bytes

    assert state == 36 * (32 * 128 * 128 * 4 + (2 * 16 * 128 + 32 * 128) * 3 * 2)


def test_ranks_beyond_the_kv_heads_hold_copies():
    """
    Two KV heads on eight ranks: one on each, none on no rank.
    """
    assert held(config(num_attention_heads=8), tensor_parallel_size=8).total_bytes == full(
        8, 8192, kv_heads=1, head_dim=8
    )


def test_latent_is_whole_on_every_rank():
    """
    Tensor parallelism divides heads; the latent has none.
    """
    alone = held("deepseek-v3").total_bytes

    assert held("deepseek-v3", tensor_parallel_size=8).total_bytes == alone


def test_gib_is_not_gb():
    """
    Sizes are read and shown by the binary unit that they name.
    """
    assert kvsim.parse_bytes("24GiB") == 24 * 1024**3
    assert kvsim.parse_bytes("24GB") == 24 * 10**9
    assert kvsim.format_gib(24 * 10**9) != kvsim.format_gib(24 * 1024**3)


def test_fp8_weights_leave_the_cache_as_it_is():
    """
    A checkpoint's `quantization_config` is about weights.
    """
    quantised = config(quantization_config={"quant_method": "fp8"})

    assert held(quantised).total_bytes == held(config()).total_bytes


def test_windows_cost_the_prompt_where_nobody_frees_them():
    """
    transformers pins the whole prompt until the first decode step.
    """
    windowed = config("mistral", sliding_window=64)
    unfreed = kvsim.Transformers(num_decoded_tokens=0)

    assert held(windowed, engine=unfreed).total_bytes == full(8, 8192)
    assert held(windowed).total_bytes == full(8, 64)
