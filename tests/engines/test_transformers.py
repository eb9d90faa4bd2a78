"""transformers' layout: what its cache classes hold of a sequence."""

# long: one claim after another about one module

import pytest

import kvsim

DYNAMIC, STATIC, QUANTIZED = kvsim.CacheImplementation
QUANTO, HQQ = kvsim.QuantizedBackend
SIZES = {
    "num_hidden_layers": 2,
    "hidden_size": 64,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 32,
    "dtype": "bfloat16",
}
LLAMA = SIZES | {"model_type": "llama"}
MISTRAL = SIZES | {"model_type": "mistral", "sliding_window": 8}
TOKEN = 2 * 2 * 32 * 2  # one layer: keys and values, two heads of 32, bfloat16


def held(config, num_tokens, *, num_encoder_tokens=None, dtype="auto", **settings):
    """Bytes of one sequence under transformers' settings."""
    return kvsim.cache_bytes(
        kvsim.load_model(config),
        num_tokens=num_tokens,
        num_encoder_tokens=num_encoder_tokens,
        dtype=dtype,
        engine=kvsim.Transformers(**settings),
    )


@pytest.mark.parametrize(
    ("prompt", "decoded", "live", "stored"),
    [(3, 1, 4, 4), (3, 13, 7, 8), (40, 0, 7, 40), (34, 6, 7, 8), (7, 0, 7, 7), (8, 0, 7, 8)],
)
def test_windows_keep_one_token_less_than_they_store(prompt, decoded, live, stored):
    """
    Live: the last W - 1 tokens. Stored: W once decoding, and a whole prompt until then.
    """
    length = {"num_tokens": prompt + decoded, "num_decoded_tokens": decoded}

    assert held(MISTRAL, **length, live_only=True).total_bytes == 2 * live * TOKEN
    assert held(MISTRAL, **length).total_bytes == 2 * stored * TOKEN


def test_static_cache_is_allocated_at_once():
    """
    Its length decides, not the sequence's; windows take no more than themselves.
    """
    static = {"cache_implementation": STATIC, "max_cache_len": 48}

    assert held(LLAMA, 3, **static).total_bytes == 2 * 48 * TOKEN
    assert held(MISTRAL, 3, **static).total_bytes == 2 * 8 * TOKEN
    assert held(LLAMA, 3, **static).bytes_per_token == 0


def test_the_next_token_is_the_last_that_a_window_adds():
    """
    A window of 8 stores 8: after 7 one more is kept, after 8 none.
    """
    assert held(MISTRAL, 7, num_decoded_tokens=1).bytes_per_token == 2 * TOKEN
    assert held(MISTRAL, 8, num_decoded_tokens=1).bytes_per_token == 0


@pytest.mark.parametrize(
    ("num_tokens", "settings", "named"),
    [
        (49, {"cache_implementation": STATIC, "max_cache_len": 48}, "max_cache_len=48"),
        (3, {"cache_implementation": STATIC}, "max_cache_len must be given"),
        (3, {"num_decoded_tokens": 3}, "num_decoded_tokens=3"),
        (3, {"num_decoded_tokens": -1}, "num_decoded_tokens=-1"),
    ],
)
def test_impossible_lengths_are_refused(num_tokens, settings, named):
    """
    A prompt has a token, and a static cache an end.
    """
    with pytest.raises(kvsim.SpecError, match=named):
        held(LLAMA, num_tokens, **settings)


@pytest.mark.parametrize(
    ("scheme", "length", "measured"),
    [
        ((QUANTO, 4, 64, 128), (64, 0), 13824),
        ((QUANTO, 4, 64, 128), (64, 5), 17664),
        ((QUANTO, 4, 64, 4), (64, 10), 17088),
        ((QUANTO, 4, 32, 8), (20, 8), 6720),
        ((QUANTO, 2, 64, 128), (64, 5), 11520),
        ((QUANTO, 2, 32, 8), (20, 8), 4032),
        ((HQQ, 4, 64, 4), (64, 10), 17088),
        ((HQQ, 8, 64, 4), (64, 10), 30912),
        ((HQQ, 8, 32, 8), (20, 8), 12096),
        ((HQQ, 2, 64, 4), (64, 10), 10176),
        ((HQQ, 1, 64, 128), (64, 5), 8448),
    ],
)
def test_quantized_cache_is_what_was_measured(scheme, length, measured):
    """
    Three layers in transformers 5.23.0 with optimum-quanto 0.2.7 and hqq 0.2.8: codes, scales,
    zero points, and decoded tokens that wait in bfloat16.
    """
    settings = dict(
        zip(("backend", "nbits", "q_group_size", "residual_length"), scheme, strict=True)
    )
    prompt, decoded = length

    cache = held(
        LLAMA | {"num_hidden_layers": 3},
        prompt + decoded,
        cache_implementation=QUANTIZED,
        num_decoded_tokens=decoded,
        **settings,
    )

    assert cache.total_bytes == measured


def test_quantized_cache_takes_full_attention_only():
    """
    transformers refuses windows there, and so do we.
    """
    with pytest.raises(kvsim.UnsupportedError, match="sliding window"):
        held(MISTRAL, 40, cache_implementation=QUANTIZED)


@pytest.mark.parametrize(("backend", "nbits"), [(QUANTO, 8), (QUANTO, 1), (HQQ, 3), (HQQ, 5)])
def test_widths_that_a_backend_lacks_are_refused(backend, nbits):
    """
    quanto has 2 and 4 bits; hqq's 3 leave gaps.
    """
    with pytest.raises(kvsim.SpecError, match=f"nbits={nbits}"):
        kvsim.Transformers(backend=backend, nbits=nbits)


def test_falcons_new_decoder_caches_every_query_head():
    """
    Engines cache `num_kv_heads`; transformers repeats them first.
    """
    falcon = SIZES | {
        "model_type": "falcon",
        "num_kv_heads": 2,
        "new_decoder_architecture": True,
        "multi_query": True,
    }

    assert held(falcon, 10).total_bytes == 2 * 10 * 2 * TOKEN
    assert kvsim.cache_bytes(kvsim.load_model(falcon), num_tokens=10).total_bytes == 20 * TOKEN


def test_convolutions_are_as_wide_as_their_kernel():
    """
    The mechanism needs kernel - 1 columns, in the run's format; the state stays float32.
    """
    linear = SIZES | {
        "model_type": "qwen3_next",
        "layer_types": ["linear_attention", "full_attention"],
        "linear_num_value_heads": 4,
        "linear_num_key_heads": 2,
        "linear_key_head_dim": 12,
        "linear_value_head_dim": 20,
        "linear_conv_kernel_dim": 4,
    }
    channels, state = 2 * 2 * 12 + 4 * 20, 4 * 12 * 20 * 4

    assert held(linear, 10).state_bytes == channels * 4 * 2 + state
    assert held(linear, 10, dtype="float32").state_bytes == channels * 4 * 4 + state
    assert kvsim.cache_bytes(kvsim.load_model(linear), num_tokens=10).state_bytes == (
        channels * 3 * 2 + state
    )


def test_lightning_states_follow_the_run():
    """
    MiniMax's state is in the run's format, not float32.
    """
    minimax = SIZES | {"model_type": "minimax", "attn_type_list": [0, 1]}

    assert held(minimax, 10).state_bytes == 4 * 32 * 32 * 2
    assert held(minimax, 10, dtype="float32").state_bytes == 4 * 32 * 32 * 4


def test_indexer_keys_follow_the_run():
    """
    Engines store them in fp8; transformers does not.
    """
    sparse = SIZES | {
        "model_type": "deepseek_v32",
        "kv_lora_rank": 24,
        "qk_rope_head_dim": 8,
        "index_head_dim": 16,
    }

    assert held(sparse, 10).total_bytes == 2 * 10 * (24 + 8 + 16) * 2


def deepseek_v4(*words):
    """DeepSeek-V4 with a window of 8: one vector of 32 a token is key and value."""
    return SIZES | {
        "model_type": "deepseek_v4",
        "num_hidden_layers": len(words),
        "layer_types": list(words),
        "sliding_window": 8,
        "index_head_dim": 16,
        "index_n_heads": 2,
    }


def test_compressed_attention_grows_as_a_sawtooth():
    """
    Measured with transformers 5.23.0: entries per 4 and 128 tokens, waiting tokens, last window.
    """
    heavy = deepseek_v4("heavily_compressed_attention")
    sparse = deepseek_v4("compressed_sparse_attention")
    settings = {"live_only": True, "num_decoded_tokens": 1}

    assert held(heavy, 4, **settings).total_bytes == 256 + 2 * 4 * 64
    assert held(heavy, 40, **settings).total_bytes == 7 * 64 + 2 * 40 * 64
    assert held(sparse, 4, **settings).total_bytes == 256 + 96 + 2 * (4 * 64 + 4 * 32)
    assert held(sparse, 49, **settings).total_bytes == (
        7 * 64 + 12 * 96 + 2 * (128 + 64) + 2 * (4 * 64 + 4 * 32)
    )


@pytest.mark.parametrize("model_type", ["openai-gpt", "xlm", "flaubert"])
def test_models_that_recompute_hold_nothing(model_type):
    """
    The implementation caches nothing; the mechanism would.
    """
    config = SIZES | {"model_type": model_type}

    assert held(config, 10).total_bytes == 0
    assert kvsim.cache_bytes(kvsim.load_model(config), num_tokens=10).total_bytes == 20 * TOKEN


def test_gpt_neo_windows_free_nothing():
    """
    Local layers are cached whole here, whatever `window_size` says.
    """
    neo = SIZES | {
        "model_type": "gpt_neo",
        "attention_types": [[["global", "local"], 1]],
        "window_size": 4,
        "num_key_value_heads": None,
        "head_dim": None,
    }

    assert held(neo, 10).total_bytes == 2 * 10 * TOKEN
    assert kvsim.cache_bytes(kvsim.load_model(neo), num_tokens=10).total_bytes == 14 * TOKEN


def test_prompt_stays_and_what_follows_slides():
    """
    UnlimitedOCR keeps its prompt whole beside a window over the decoded tokens.
    """
    ocr = SIZES | {
        "model_type": "unlimited_ocr_text",
        "layer_types": ["reference_sliding_attention"] * 2,
        "sliding_window": 8,
    }

    assert held(ocr, 16, num_decoded_tokens=13, live_only=True).total_bytes == 2 * (3 + 7) * TOKEN
    assert held(ocr, 16, num_decoded_tokens=13).total_bytes == 2 * (3 + 8) * TOKEN


def test_cache_format_follows_the_run():
    """
    There is no format of the cache's own.
    """
    with pytest.raises(kvsim.SpecError, match="kv_cache_dtype=fp8"):
        kvsim.cache_bytes(
            kvsim.load_model(LLAMA), num_tokens=4, engine="transformers", kv_cache_dtype="fp8"
        )


def test_a_prompts_projections_wait_whole_until_the_next_step():
    """
    49 tokens just prefilled: 12 entries of 64 + 32 bytes, all 49 tokens in two series and a window
    of 4, each as projection and gate; the window layer still holds the whole prompt.
    """
    sparse = deepseek_v4("compressed_sparse_attention")

    assert held(sparse, 49, num_decoded_tokens=0).total_bytes == (
        49 * 64 + (12 + 2 * (49 * 2 + 4)) * (64 + 32)
    )


@pytest.mark.parametrize(
    ("config", "settings", "named"),
    [
        (
            deepseek_v4("compressed_sparse_attention"),
            {"cache_implementation": STATIC, "max_cache_len": 48},
            "a static cache does not take it",
        ),
        (
            LLAMA,
            {"cache_implementation": QUANTIZED, "q_group_size": 128},
            "q_group_size=128 must divide the 64 cached values",
        ),
    ],
)
def test_caches_that_the_library_cannot_build_are_refused(config, settings, named):
    """
    A static cache has no place for entries; groups of values must come out even.
    """
    with pytest.raises(kvsim.KvsimError, match=named):
        held(config, 1, **settings)


def test_a_static_cache_of_a_kept_prompt_is_allocated_at_once():
    """
    UnlimitedOCR's window over decoded tokens saves nothing there.
    """
    ocr = SIZES | {
        "model_type": "unlimited_ocr_text",
        "layer_types": ["reference_sliding_attention"] * 2,
        "sliding_window": 8,
    }
    static = {"cache_implementation": STATIC, "max_cache_len": 48}

    assert held(ocr, 16, **static).total_bytes == 2 * 48 * TOKEN


def test_xlnet_keeps_hidden_states_and_one_more_than_it_has_read():
    """
    Its memory is each layer's input, 64 values a token, not keys and values.
    """
    assert held(SIZES | {"model_type": "xlnet"}, 10).total_bytes == 2 * 11 * 64 * 2


def test_recurrent_gemmas_states_live_in_its_modules():
    """
    The cache object holds the attention layers' window alone: one layer of three.
    """
    griffin = SIZES | {
        "model_type": "recurrent_gemma",
        "num_hidden_layers": 3,
        "attention_window_size": 8,
        "conv1d_width": 4,
    }

    assert held(griffin, 40, num_decoded_tokens=1).total_bytes == 8 * TOKEN
