"""Weights from configs: the catalogue's published counts, and roles that are easy to miss."""

import pytest

import kvsim

TOLERANCE = 0.02
PUBLISHED_WITH_A_DRAFT_LAYER = {
    "qwen3.5-9b": 0.026,
    "qwen3.5-35b-a3b": 0.025,
    "qwen3.6-35b-a3b": 0.025,
    "nemotron-3-super-120b-a12b": 0.025,
}
"""The published count includes multi-token prediction, which engines leave out; and its share."""

PUBLISHED_WITH_TOWERS = {
    "gemma-3n-e4b": 0.13,
    "gemma-4-e2b": 0.10,
    "gemma-4-e4b": 0.07,
    "gemma-4-26b-a4b": 0.03,
}
"""The published count includes vision and audio towers that the catalogue's config leaves out."""

PUBLISHED_ROUNDED = {"exaone-4.5-33b": 0.031}
"""The name is all that is published; transformers' class has 33.8 billion."""

EXCEPTIONS = PUBLISHED_WITH_A_DRAFT_LAYER | PUBLISHED_WITH_TOWERS | PUBLISHED_ROUNDED
SIZES = {
    "num_hidden_layers": 4,
    "hidden_size": 64,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 96,
    "vocab_size": 512,
}


def weights(config):
    """Parameters by role, over all layers."""
    found = {}
    for group in kvsim.load_model(config).weights:
        found[group.name] = found.get(group.name, 0) + group.num_params * group.count
    return found


@pytest.mark.parametrize("entry", kvsim.catalog_models(), ids=lambda entry: entry.id)
def test_catalogue_counts_are_the_published_ones(entry):
    """
    Two per cent leave room for norms and biases, not for a matrix.
    """
    count = kvsim.load_model(entry.id).num_parameters

    tolerance = EXCEPTIONS.get(entry.id, TOLERANCE)
    assert count == pytest.approx(entry.parameters, rel=tolerance)


def test_exceptions_are_needed():
    """
    An exception that no longer is one goes.
    """
    published = {entry.id: entry.parameters for entry in kvsim.catalog_models()}
    for name in EXCEPTIONS:
        count = kvsim.load_model(name).num_parameters
        assert count != pytest.approx(published[name], rel=TOLERANCE)


def test_top_level_tie_of_a_composite_counts():
    """
    A composite's own flag decides where its text tower says nothing.
    """
    text = SIZES | {"model_type": "mistral"}
    untied = {"model_type": "mistral3", "tie_word_embeddings": False, "text_config": text}

    assert "output head" in weights(untied)
    assert "output head" not in weights(untied | {"tie_word_embeddings": True})
    both = untied | {"text_config": text | {"tie_word_embeddings": True}}
    assert "output head" not in weights(both)


def test_t5_without_a_word_about_it_has_two_matrices():
    """
    `feed_forward_proj` is relu unless a file says gated.
    """
    t5 = {
        "model_type": "t5",
        "num_layers": 2,
        "num_decoder_layers": 4,
        "num_heads": 4,
        "d_model": 64,
        "d_kv": 16,
        "d_ff": 96,
        "vocab_size": 512,
        "is_encoder_decoder": True,
    }

    assert weights(t5)["mlp"] == 4 * 2 * 64 * 96
    assert weights(t5 | {"feed_forward_proj": "gated-gelu"})["mlp"] == 4 * 3 * 64 * 96


def test_experts_in_a_narrower_space():
    """
    Nemotron 3's experts work on `moe_latent_size`, with a way in and out.
    """
    moe = SIZES | {
        "model_type": "nemotron_h",
        "hybrid_override_pattern": "*E*E",
        "n_routed_experts": 8,
        "num_experts_per_tok": 2,
        "moe_intermediate_size": 32,
        "moe_latent_size": 16,
    }

    found = weights(moe)
    assert found["experts"] == 2 * 8 * 2 * 16 * 32
    assert found["latent experts"] == 2 * 2 * 64 * 16


def test_layers_that_are_sparse_by_name_or_number():
    """
    `mlp_layer_types` and `moe_layers_enum` place the experts.
    """
    moe = SIZES | {
        "model_type": "step3p5",
        "moe_num_experts": 8,
        "moe_top_k": 2,
        "moe_intermediate_size": 32,
    }
    named = moe | {"mlp_layer_types": ["dense", "sparse", "sparse", "dense"]}

    assert weights(named)["experts"] == weights(moe | {"moe_layers_enum": "1,2"})["experts"]
    assert weights(named)["mlp"] == 2 * 3 * 64 * 96
    with pytest.raises(kvsim.SpecError, match="mlp_layer_types"):
        kvsim.load_model(moe | {"mlp_layer_types": ["fast"] * 4})


def test_lfm2_adjusts_its_width():
    """
    Two thirds of what is stated, rounded up to a multiple.
    """
    lfm2 = SIZES | {
        "model_type": "lfm2",
        "layer_types": ["full_attention"] * 4,
        "block_auto_adjust_ff_dim": True,
        "block_ffn_dim_multiplier": 1.0,
        "block_multiple_of": 48,
    }

    assert weights(lfm2)["mlp"] == 4 * 3 * 64 * 96
    assert weights(lfm2 | {"block_multiple_of": 128})["mlp"] == 4 * 3 * 64 * 128


def test_borrowing_layers_may_be_twice_as_wide():
    """
    Gemma 4's `use_double_wide_mlp` is about layers without keys of their own.
    """
    gemma = SIZES | {
        "model_type": "gemma4_text",
        "num_kv_shared_layers": 2,
        "use_double_wide_mlp": True,
        "sliding_window": 4,
        "head_dim": 16,
        "global_head_dim": 16,
        "layer_types": ["sliding_attention", "full_attention"] * 2,
    }

    assert weights(gemma)["mlp"] == (2 + 2 * 2) * 3 * 64 * 96


def test_gemma_3n_has_streams_and_low_rank_paths():
    """
    AltUp's projections and Laurel's pair are weights too.
    """
    gemma = SIZES | {
        "model_type": "gemma3n_text",
        "sliding_window": 4,
        "head_dim": 16,
        "altup_num_inputs": 4,
        "laurel_rank": 8,
        "hidden_size_per_layer_input": 16,
    }

    found = weights(gemma)
    assert found["parallel streams"] == 2 * 3 * 64 * 64
    assert found["laurel"] == 4 * 2 * 64 * 8
    assert found["per-layer inputs"] == 4 * 3 * 64 * 16


def test_compressed_tensors_state_their_scheme():
    """
    Kimi-K2.5's routed experts alone are int4, with a scale per 32 values.
    """
    stored = kvsim.load_model("kimi-k2.5").quantization

    assert stored.only == ("cross attention", "recurrent mixer", "indexer", "experts")
    assert stored.format.nbytes(32) == 16 + 2


@pytest.mark.parametrize(
    ("weights_of", "tile_bytes"),
    [
        ({"num_bits": 8, "type": "float"}, 128 * 128 + 4),
        ({"num_bits": 8, "type": "int"}, 128 * 128),
        ({"num_bits": 4, "type": "int", "group_size": 64}, 256 * (32 + 2)),
        ({"num_bits": 4, "type": "int"}, 512 * (16 + 2)),
        ({"num_bits": 3, "type": "int"}, None),
        ({"num_bits": 16, "type": "float"}, None),
        (None, None),
    ],
)
def test_every_scheme_of_compressed_tensors_has_its_width_or_none(weights_of, tile_bytes):
    """
    A scale for each tile in fp8, and for each group in int4, of 32 values where none is stated;
    what is not known is not guessed.
    """
    section = {"quant_method": "compressed-tensors"}
    if weights_of is not None:
        section["config_groups"] = {"group_0": {"weights": weights_of}}
    stored = kvsim.load_model(SIZES | {"model_type": "llama", "quantization_config": section})

    found = None if stored.quantization is None else stored.quantization.format.nbytes(128 * 128)
    assert found == tile_bytes


def test_unknown_quantisation_is_none_of_ours():
    """
    A method that nobody described is not guessed at.
    """
    config = SIZES | {"model_type": "llama", "quantization_config": {"quant_method": "new"}}

    assert kvsim.load_model(config).quantization is None


def test_experts_by_modality_leave_the_weights_unknown():
    """
    Multimodal Ernie lists a count and a width per modality; its cache is known all the same.
    """
    ernie = SIZES | {"model_type": "ernie4_5_vl_moe_text", "moe_num_experts": [8, 8]}
    ernie |= {"moe_intermediate_size": [32, 16], "moe_k": 2}
    model = kvsim.load_model(ernie)

    assert model.num_parameters is None
    assert "moe_num_experts" in model.weights_unknown
    assert model.num_kv_layers == 4


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"intermediate_size": [8, 8]}, "intermediate_size has 2 entries, a layer has index 3"),
        (
            {"model_type": "mixtral", "num_local_experts": 4, "num_experts_per_tok": 5},
            "num_experts_per_tok=5 must be <= the number of experts, 4",
        ),
    ],
)
def test_layers_without_a_width_and_experts_that_are_not_there(fields, words):
    """
    No weight is made up for what contradicts itself.
    """
    with pytest.raises(kvsim.SpecError, match=words):
        kvsim.load_model(SIZES | {"model_type": "llama"} | fields)


@pytest.mark.parametrize(
    "section",
    [
        {"quant_method": "modelopt", "quantization": {"kv_cache_quant_algo": "FP8"}},
        {"quant_method": "modelopt", "kv_cache_quant_algo": "FP8"},
        {"quant_method": "compressed-tensors", "kv_cache_scheme": {"num_bits": 8}},
    ],
)
def test_a_checkpoint_says_in_what_its_cache_is_stored(section):
    """
    `auto` is then fp8: a block of 16 tokens in 4 layers of 2 heads takes half the bytes.
    """
    plain = SIZES | {"model_type": "llama", "max_position_embeddings": 4096}
    calibrated = kvsim.load_model(plain | {"quantization_config": section})
    blocks = []
    for model in (kvsim.load_model(plain), calibrated):
        asked = kvsim.Deployment(model=model, accelerator=kvsim.accelerator("h100"))
        blocks.append(kvsim.plan(asked).evaluation.capacity.best.block_bytes)

    assert calibrated.vllm.kv_cache_dtype == "fp8"
    assert blocks == [4 * 2 * 2 * 16 * 16 * 2, 4 * 2 * 2 * 16 * 16]


def test_latents_that_a_class_expands_are_cached_as_heads():
    """
    MiniCPM3 in vLLM: keys of 16 + 8 values for each of 4 heads, and values padded to them.
    """
    config = SIZES | {"model_type": "minicpm3", "num_key_value_heads": 4, "kv_lora_rank": 24}
    model = kvsim.load_model(
        config | {"qk_rope_head_dim": 8, "qk_nope_head_dim": 16, "v_head_dim": 16}
    )
    heads = kvsim.FullAttention(num_attention_heads=4, num_kv_heads=4, head_dim=16 + 8)

    assert model.layers[0][0].kind == "latent attention"
    assert model.vllm.layers == ((heads,),) * 4
