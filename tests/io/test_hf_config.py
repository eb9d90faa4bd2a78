"""What a config's layers cache, whatever its age, nesting and names."""

# long: one claim after another about one format

import pytest

import kvsim

SIZES = {
    "num_hidden_layers": 8,
    "hidden_size": 64,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
}
TOKEN = 2 * 2 * 16 * 2  # one layer: keys and values, two heads of 16, bfloat16


def kinds(config):
    """The kind of every layer, in order, in letters."""
    letters = {
        "full attention": "F",
        "sliding window": "s",
        "chunked attention": "c",
        "recurrent state": "r",
        "full attention + recurrent state": "H",
        "sliding window + recurrent state": "h",
        "full attention + indexer keys": "I",
        "latent attention": "L",
        "latent attention + indexer keys": "X",
        "shared cache": "-",
        "no cache": ".",
        "cross attention": "x",
    }
    model = kvsim.load_model(config)
    found = {i: letters[group.kind] for group in model.layer_groups for i in group.indices}
    return "".join(found[i] for i in range(model.num_layers))


def total(config, num_tokens=100, **settings):
    """Bytes of one sequence."""
    model = kvsim.load_model(config)
    return kvsim.cache_bytes(model, num_tokens=num_tokens, **settings).total_bytes


MAMBA_2 = {
    "mamba_n_heads": 8,
    "mamba_d_head": 16,
    "mamba_d_state": 8,
    "mamba_n_groups": 2,
    "mamba_d_conv": 4,
}
KDA = {"linear_num_heads": 4, "linear_head_dim": 16, "linear_conv_kernel_dim": 4}
MLA = {"kv_lora_rank": 24, "qk_rope_head_dim": 8}
DELTA = {
    "linear_num_value_heads": 4,
    "linear_num_key_heads": 2,
    "linear_key_head_dim": 8,
    "linear_value_head_dim": 8,
    "linear_conv_kernel_dim": 4,
}


@pytest.mark.parametrize(
    ("model_type", "fields", "pattern"),
    [
        ("gemma2", {"sliding_window": 4}, "sFsFsFsF"),
        ("vaultgemma", {"sliding_window": 4}, "sFsFsFsF"),
        ("gpt_oss", {"sliding_window": 4}, "sFsFsFsF"),
        ("gemma3_text", {"sliding_window": 4}, "sssssFss"),
        ("gemma3_text", {"sliding_window": 4, "sliding_window_pattern": 3}, "ssFssFss"),
        ("gemma4_text", {"sliding_window": 4}, "sssssFsF"),
        ("gemma3n_text", {"sliding_window": 4, "num_kv_shared_layers": 2}, "ssssFs--"),
        ("cohere2", {"sliding_window": 4}, "sssFsssF"),
        ("exaone4", {"sliding_window": 4, "sliding_window_pattern": 4}, "sssFsssF"),
        ("olmo3", {"sliding_window": 4}, "sssFsssF"),
        ("afmoe", {"sliding_window": 4, "global_attn_every_n_layers": 2}, "sFsFsFsF"),
        ("cwm", {"sliding_window": 4}, "FsssFsss"),
        ("granite_swa", {"sliding_window": 4}, "FsssFsss"),
        ("modernbert-decoder", {"local_attention": 8}, "FssFssFs"),
        ("mimo_v2_flash", {"sliding_window": 4}, "FssssFss"),
        ("mistral", {"sliding_window": 4}, "ssssssss"),
        ("mistral", {"sliding_window": None}, "FFFFFFFF"),
        ("phimoe", {"sliding_window": 4}, "ssssssss"),
        (
            "qwen2_moe",
            {"sliding_window": 4, "use_sliding_window": True, "max_window_layers": 4},
            "sFsFFFFF",
        ),
        ("qwen2_moe", {"sliding_window": 4, "use_sliding_window": False}, "FFFFFFFF"),
        ("smollm3", {"sliding_window": 4, "use_sliding_window": False}, "FFFFFFFF"),
        ("smollm3", {"sliding_window": 4, "use_sliding_window": True}, "sssFsssF"),
        (
            "smollm3",
            {
                "sliding_window": 4,
                "use_sliding_window": True,
                "no_rope_layers": [1, 0, 1, 1, 1, 1, 1, 0],
            },
            "sFsssssF",
        ),
        ("minimax_m3", {"sparse_attention_config": {"sparse_num_index_heads": 1}}, "FFFFFFFF"),
        (
            "inkling_text",
            {"sliding_window_size": 4, "conv_kernel_size": 4, "local_layer_ids": [0, 2]},
            "hHhHHHHH",
        ),
        ("llama4_text", {"attention_chunk_size": 4}, "cccFcccF"),
        ("qwen3_next", DELTA, "rrrFrrrF"),
        ("qwen3_next", DELTA | {"full_attention_interval": 2}, "rFrFrFrF"),
        ("minimax", {}, "FrFrFrFr"),
        ("bailing_hybrid", KDA | MLA | {"layer_group_size": 4}, "rrrLrrrL"),
        ("bamba", MAMBA_2 | {"attn_layer_indices": [2, 5]}, "rrFrrFrr"),
        ("falcon_h1", MAMBA_2, "HHHHHHHH"),
        ("granitemoehybrid", MAMBA_2, "rrrrrrrr"),
        ("lfm2", {"full_attn_idxs": [2, 5], "conv_L_cache": 3}, "rrFrrFrr"),
        ("recurrent_gemma", {"attention_window_size": 4, "conv1d_width": 4}, "rrsrrsrr"),
        ("inkling_text", {"sliding_window_size": 4, "conv_kernel_size": 4}, "hhhhhHhh"),
        ("zaya", {"cca_time0": 2, "cca_time1": 2}, "HHHHHHHH"),
        ("deepseek_v3", MLA, "LLLLLLLL"),
        ("glm_moe_dsa", MLA | {"index_head_dim": 16}, "XXXXXXXX"),
        ("glm_moe_dsa", MLA | {"index_head_dim": 16, "index_topk_pattern": "FFSSFSSS"}, "XXLLXLLL"),
        ("hy_v4", MLA | {"index_head_dim": 16}, "XXLLLXLL"),
        ("gpt_neo", {"attention_types": [[["global", "local"], 4]], "window_size": 4}, "FsFsFsFs"),
        ("mllama_text_model", {"cross_attention_layers": [3]}, "FFFxFFFF"),
        ("hunyuan", {"use_cla": True, "cla_share_factor": 2}, "F-F-F-F-"),
        ("some_new_type", {}, "FFFFFFFF"),
    ],
)
def test_files_without_layer_types_have_their_classes_pattern(model_type, fields, pattern):
    """
    Files older than `layer_types` leave the pattern to the model type or to other fields.
    """
    assert kinds(SIZES | {"model_type": model_type} | fields) == pattern


def test_letters_need_no_layer_count():
    """
    Nemotron-H has no `num_hidden_layers`: the string's length is it.
    """
    config = SIZES | {
        "model_type": "nemotron_h",
        "num_hidden_layers": None,
        "hybrid_override_pattern": "M-M*ME",
        "mamba_num_heads": 8,
        "mamba_head_dim": 16,
        "ssm_state_size": 8,
        "n_groups": 2,
        "conv_kernel": 4,
    }

    assert kinds(config) == "r.rFr."


def test_draft_layers_count_only_when_speculating():
    """
    Lists may go on with layers of multi-token prediction.
    """
    drafted = SIZES | {
        "model_type": "step3p5",
        "num_nextn_predict_layers": 2,
        "layer_types": ["full_attention", "sliding_attention"] * 5,
        "sliding_window": 4,
    }

    assert kinds(drafted) == "FsFsFsFs"


def test_gemma_4_hub_files_say_what_later_ones_write_per_layer():
    """
    `global_head_dim` and `num_global_key_value_heads` became `per_layer_config`.
    """
    words = ["sliding_attention", "full_attention"] * 4
    common = SIZES | {"model_type": "gemma4_text", "layer_types": words, "sliding_window": 4}
    hub = common | {
        "global_head_dim": 32,
        "num_global_key_value_heads": 1,
        "attention_k_eq_v": True,
    }
    overrides = {"head_dim": 32, "num_key_value_heads": 1}
    newer = common | {"per_layer_config": {f"{i:02}": overrides for i in (1, 3, 5, 7)}}

    assert total(hub) == total(newer) == 4 * (4 * TOKEN + 100 * 2 * 32 * 2)


def test_window_layers_may_have_other_heads():
    """
    Step-3.5 has more query heads in window layers, Laguna a list; the KV heads decide.
    """
    words = ["full_attention", "sliding_attention"] * 4
    common = SIZES | {"layer_types": words, "sliding_window": 4, "num_key_value_heads": None}
    step = common | {
        "model_type": "step3p5",
        "num_attention_groups": 2,
        "attention_other_setting": {
            "attention_type": "sliding_attention",
            "num_attention_heads": 8,
            "num_attention_groups": 4,
        },
    }
    laguna = common | {
        "model_type": "laguna",
        "num_key_value_heads": 2,
        "num_attention_heads_per_layer": [4, 8] * 4,
    }

    assert total(step) == 4 * 100 * TOKEN + 4 * 4 * 2 * TOKEN
    assert total(laguna) == 4 * 100 * TOKEN + 4 * 4 * TOKEN
    heads = [layer[0].num_attention_heads for layer in kvsim.load_model(laguna).layers]
    assert heads == [4, 8] * 4


def test_compress_ratios_are_layer_types():
    """
    DeepSeek-V4's files give a ratio per layer, draft layers included.
    """
    common = SIZES | {"model_type": "deepseek_v4", "num_hidden_layers": 3, "sliding_window": 8}
    common |= {"index_head_dim": 16, "index_n_heads": 2}
    older = common | {"compress_ratios": [0, 4, 128, 4]}
    words = ["sliding_attention", "compressed_sparse_attention", "heavily_compressed_attention"]
    newer = common | {
        "layer_types": words,
        "compress_rates": {words[1]: 4, words[2]: 128},
    }

    assert kvsim.load_model(older).layers == kvsim.load_model(newer).layers


def test_kv_sources_keep_an_indexer_of_their_own():
    """
    A layer that reads another's keys may still pick its own tokens.
    """
    config = SIZES | MLA | {"model_type": "mistral_large4_text", "index_head_dim": 16}
    config |= {"num_hidden_layers": 3, "kv_source_layers": [0, 0, 2]}
    config |= {"indexer_types": ["full", "full", "shared"]}

    assert [group.kind for group in kvsim.load_model(config).layer_groups] == [
        "latent attention + indexer keys",
        "shared cache + indexer keys",
        "latent attention",
    ]


def test_layers_without_positions_have_no_rotary_key():
    """
    Mistral Large 4 caches the latent alone where `no_rope_layers` is 0.
    """
    config = SIZES | MLA | {"model_type": "mistral_large4_text", "num_hidden_layers": 2}

    assert total(config | {"no_rope_layers": [1, 0]}) == 100 * 2 * (24 + 8 + 24)


def test_neural_search_leaves_layers_without_attention():
    """
    Nemotron-NAS: `block_configs` group the heads layer by layer, or take the attention out.
    """
    blocks = [{"attention": {"n_heads_in_group": 2}}, {"attention": {"no_op": True}}] * 4
    config = SIZES | {"model_type": "nemotron-nas", "num_key_value_heads": None}

    assert total(config | {"block_configs": blocks}) == 4 * 100 * TOKEN


def test_encoder_decoders_count_the_decoders_layers():
    """
    BART's `num_hidden_layers` and T5's `num_layers` are the encoder's.
    """
    bart = {
        "model_type": "bart",
        "is_encoder_decoder": True,
        "num_hidden_layers": 3,
        "encoder_layers": 3,
        "decoder_layers": 5,
        "decoder_attention_heads": 4,
        "d_model": 64,
    }
    t5 = {
        "model_type": "t5",
        "is_encoder_decoder": True,
        "num_layers": 3,
        "num_decoder_layers": 5,
        "num_heads": 4,
        "d_kv": 16,
        "d_model": 32,
    }

    for config in (bart, t5):
        assert total(config, 10, num_encoder_tokens=7) == 5 * (10 + 7) * 2 * TOKEN
        with pytest.raises(kvsim.SpecError, match="num_encoder_tokens"):
            total(config, 10)


def test_whisper_pads_its_audio():
    """
    Every sequence attends to the same 1500 encoder positions.
    """
    whisper = kvsim.load_model("whisper-large-v3")

    assert kvsim.cache_bytes(whisper, num_tokens=1).total_bytes == 32 * 2 * 1280 * 2 * 1501


def test_left_out_fields_are_their_classes_defaults_when_nested():
    """
    google/gemma-3-4b-it's text_config has no `num_attention_heads`; LLaVA-1.5's is nearly empty.
    """
    gemma = {
        "model_type": "gemma3",
        "text_config": {
            "model_type": "gemma3_text",
            "hidden_size": 2560,
            "intermediate_size": 10240,
            "num_hidden_layers": 34,
            "sliding_window": 1024,
        },
    }
    llava = {"model_type": "llava", "text_config": {"model_type": "llama", "vocab_size": 32064}}

    assert total(gemma, 8192) == 2 * 4 * 256 * 2 * (5 * 8192 + 29 * 1024)
    assert total(llava, 8192) == total("llama-2-7b", 8192)


def test_null_is_no_default():
    """
    A file that sets a field to null means it: no window here, whatever the class says.
    """
    text = {"model_type": "mistral", "num_hidden_layers": 40, "sliding_window": None}

    assert kinds({"model_type": "llava", "text_config": text}) == "F" * 40
    del text["sliding_window"]
    assert kinds({"model_type": "llava", "text_config": text}) == "s" * 40


def test_top_level_defaults_are_not_assumed():
    """
    A file's own top level states its sizes; only a head size may be older than its field.
    """
    gemma = {key: value for key, value in SIZES.items() if key != "head_dim"}

    assert total(gemma | {"model_type": "gemma"}, 1) == 8 * 2 * 2 * 256 * 2
    with pytest.raises(kvsim.MissingFieldError, match="hidden_size"):
        kvsim.load_model({"model_type": "gemma", "num_hidden_layers": 8})


@pytest.mark.parametrize(
    "wrapped",
    [
        {"text_config": SIZES},
        {"llm_config": SIZES},
        {"language_config": SIZES},
        {"thinker_config": {"text_config": SIZES, "audio_config": {"d_model": 8}}},
        {"decoder": SIZES, "encoder": {"num_hidden_layers": 3}},
        {"decoder_config": SIZES},
    ],
)
def test_composites_resolve_to_the_tower_that_caches(wrapped):
    """
    Vision, audio, omni: the language tower is the one with a cache.
    """
    assert total({"model_type": "some_composite"} | wrapped) == 8 * 100 * TOKEN


def test_explanation_names_what_decided():
    """
    Fields that a group's bytes depend on, and no others.
    """
    config = SIZES | {"model_type": "gemma2", "sliding_window": 4, "rope_theta": 1e4}
    sliding, full = kvsim.explain_cache(kvsim.load_model(config), num_tokens=100)

    common = ["head_dim", "num_hidden_layers", "num_key_value_heads"]
    assert sorted(name for name, _ in full.decided_by) == common
    assert sorted(name for name, _ in sliding.decided_by) == [*common, "sliding_window"]
    assert sliding.formula == "4 layers x [2 KV heads x (32 + 32) bytes x min(100, 4)]"
    assert sliding.total_bytes == 4 * 4 * TOKEN


def test_explanation_sums_to_the_ideal_layout():
    """
    Its parts are the whole, for every model of the catalogue.
    """
    for entry in kvsim.catalog_models():
        model = kvsim.load_model(entry.id)
        settings = {"num_tokens": 4096, "num_encoder_tokens": 77}
        groups = kvsim.explain_cache(model, **settings)

        held = kvsim.cache_bytes(model, **settings)
        assert sum(group.total_bytes for group in groups) == held.total_bytes
        assert all(group.decided_by for group in groups)
