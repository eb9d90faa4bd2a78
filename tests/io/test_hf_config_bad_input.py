"""Configs that describe no model: refused with the field, in bounded time and memory."""

import math
import time

import pytest

import kvsim

GOOD = {
    "model_type": "llama",
    "num_hidden_layers": 4,
    "hidden_size": 64,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}
LATENT = GOOD | {"model_type": "deepseek_v3", "kv_lora_rank": 24, "qk_rope_head_dim": 8}
SECONDS = 2.0


def nested(depth):
    """An object inside an object, `depth` times."""
    inner = {}
    for _ in range(depth):
        inner = {"text_config": inner}
    return inner


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"num_hidden_layers": 10**9}, "num_hidden_layers"),
        ({"num_hidden_layers": 1e9}, "num_hidden_layers"),
        ({"num_hidden_layers": math.nan}, "num_hidden_layers"),
        ({"num_hidden_layers": math.inf}, "num_hidden_layers"),
        ({"num_hidden_layers": "4"}, "num_hidden_layers"),
        ({"num_hidden_layers": True}, "num_hidden_layers"),
        ({"num_hidden_layers": 0}, "num_hidden_layers"),
        ({"num_hidden_layers": -1}, "num_hidden_layers"),
        ({"hidden_size": 10**400}, "hidden_size"),
        ({"num_key_value_heads": 3}, "num_kv_heads"),
        ({"num_attention_heads": 5}, "num_attention_heads"),
        ({"num_attention_heads": 128}, "num_attention_heads"),
        ({"head_dim": [16]}, "head_dim"),
        ({"head_dim": -16}, "head_dim"),
        ({"layer_types": "full_attention"}, "layer_types"),
        ({"layer_types": ["full_attention"] * 3}, "layer_types"),
        ({"layer_types": ["full_attention"] * 20_000}, "layer_types"),
        ({"layer_types": ["full_attention", 1, 2, 3]}, "layer_types"),
        ({"layer_types": ["quantum_attention"] * 4}, "quantum_attention"),
        ({"layer_types": ["sliding_attention"] * 4}, "sliding_window"),
        ({"layer_types": ["chunked_attention"] * 4}, "attention_chunk_size"),
        ({"layer_types": ["linear_attention"] * 4}, "linear_num_value_heads"),
        ({"layer_types": ["conv"] * 4}, "conv_L_cache"),
        ({"layer_types": ["indexed_attention"] * 4}, "index_head_dim"),
        ({"hybrid_override_pattern": "M*Q-"}, "'Q'"),
        ({"hybrid_override_pattern": "M*-"}, "hybrid_override_pattern"),
        ({"hybrid_override_pattern": ["M"]}, "hybrid_override_pattern"),
        ({"hybrid_override_pattern": "*" * 20_000}, "hybrid_override_pattern"),
        ({"n_layer": 5}, "n_layer"),
        ({"model_type": "recurrent_gemma", "block_types": ["recurrent", "dense"]}, "'dense'"),
        ({"n_head": 8}, "n_head"),
        ({"n_embd": 128}, "n_embd"),
        ({"num_kv_heads": 4}, "num_kv_heads"),
        ({"torch_dtype": "bfloat16", "dtype": "float16"}, "dtype"),
        ({"torch_dtype": "complex64"}, "torch_dtype"),
        ({"torch_dtype": 16}, "torch_dtype"),
        ({"num_kv_shared_layers": 4}, "num_kv_shared_layers"),
        ({"kv_source_layers": [0, 0, 3, 3]}, "kv_source_layers"),
        ({"per_layer_config": [1]}, "per_layer_config"),
        ({"per_layer_config": {"4": {"head_dim": 8}}}, "per_layer_config"),
        ({"per_layer_config": {"one": {"head_dim": 8}}}, "per_layer_config"),
        ({"per_layer_config": {"1": 8}}, "per_layer_config"),
        ({"per_layer_config": {"1": {}, "01": {}}}, "per_layer_config"),
        ({"per_layer_config": {"1": {"head_dim": "x"}}}, "per_layer_config.1.head_dim"),
        ({"num_key_value_heads": [2, 2]}, "num_key_value_heads"),
        ({"cross_attention_layers": [9]}, "cross_attention_layers"),
        ({"attn_layer_indices": [9]}, "attn_layer_indices"),
        ({"full_attn_idxs": [0], "attn_type_list": [1, 1, 1, 1]}, "attn_type_list"),
        ({"layer_types": ["full_attention"] * 4, "attn_type_list": [0] * 4}, "attn_type_list"),
        ({"sliding_window": 8}, "layer_types"),
        ({"is_encoder_decoder": "yes"}, "is_encoder_decoder"),
        ({"block_configs": [{}]}, "block_configs"),
        ({"block_configs": [{}] * 4}, "block_configs"),
        ({"linear_attn_config": {"kda_layers": [10**9]}}, "kda_layers"),
        ({"linear_attn_config": {}}, "kda_layers"),
        ({"attention_types": [[["global"], 10**9]]}, "attention_types"),
        ({"compress_ratios": [4, 4]}, "compress_ratios"),
    ],
)
def test_impossible_field_is_named(fields, named):
    """
    The message says which field is wrong, at once.
    """
    start = time.perf_counter()
    with pytest.raises(kvsim.KvsimError, match=named):
        kvsim.load_model(GOOD | fields)
    assert time.perf_counter() - start < SECONDS


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"indexer_types": ["full"]}, "indexer_types"),
        ({"indexer_types": ["half"] * 4}, "'half'"),
        ({"index_topk_pattern": "FXFS"}, "'X'"),
        ({"layer_types": ["chunked_attention"] * 4}, "layer_types"),
        ({"no_rope_layers": [1, 0]}, "no_rope_layers"),
        ({"qk_rope_head_dim": None}, "qk_rope_head_dim"),
        ({"kv_lora_rank": 1.5}, "kv_lora_rank"),
    ],
)
def test_impossible_latent_field_is_named(fields, named):
    """
    Latent attention has fields of its own to get wrong.
    """
    with pytest.raises(kvsim.KvsimError, match=named):
        kvsim.load_model(LATENT | {"index_head_dim": 16} | fields)


@pytest.mark.parametrize("missing", ["num_hidden_layers", "hidden_size", "num_attention_heads"])
def test_missing_field_is_named(missing):
    """
    Nothing is guessed: what decides must be there.
    """
    with pytest.raises(kvsim.MissingFieldError, match=missing):
        kvsim.load_model({name: value for name, value in GOOD.items() if name != missing})


@pytest.mark.parametrize("model_type", ["reformer", "xlstm", "blt"])
def test_caches_without_a_formula_are_refused_by_name(model_type):
    """
    Hash buckets, hidden states and patches follow no formula.
    """
    with pytest.raises(kvsim.UnsupportedError, match=f"model_type={model_type}"):
        kvsim.load_model(GOOD | {"model_type": model_type})


def test_image_encoders_cache_nothing():
    """
    Layers and heads alone make no language model.
    """
    images = {"model_type": "vit", "image_size": 224, "patch_size": 16, "num_channels": 3}

    with pytest.raises(kvsim.UnsupportedError, match="model_type=vit"):
        kvsim.load_model(GOOD | images)


@pytest.mark.parametrize(
    "source", [nested(10_000), {"text_config": {"num_hidden_layers": nested(10_000)}}, {}]
)
def test_deep_or_empty_objects_are_refused(source):
    """
    Ten thousand levels exhaust no stack.
    """
    with pytest.raises(kvsim.KvsimError):
        kvsim.load_model(source)


def test_deep_text_is_refused(tmp_path):
    """
    A file may be as deep as an object.
    """
    file = tmp_path / "config.json"
    file.write_text('{"a":' * 10_000 + "1" + "}" * 10_000)

    with pytest.raises(kvsim.FileError, match="nested deeper"):
        kvsim.load_model(file)


def test_deep_values_in_unread_fields_do_no_harm():
    """
    What decides nothing may be anything.
    """
    deep = nested(10_000)

    assert kvsim.load_model(GOOD | {"rope_scaling": deep, "_name_or_path": deep}).num_layers == 4
