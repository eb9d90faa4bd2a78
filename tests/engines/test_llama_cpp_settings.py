"""llama.cpp's settings: contexts and slots, refusals, devices, host memory."""

# long: one claim after another about one module

import pytest
from hypothesis import given
from hypothesis import strategies as st

import kvsim
from kvsim import (
    FlashAttention,
    FullAttention,
    LlamaCpp,
    LlamaCppTraits,
    cache_on_devices,
    host_pools,
    llama_cpp_layout,
    place_layers,
)

MIB = 2**20


def model(*layers, **fields):
    """A model of these layers; sizes that the cache does not read are arbitrary."""
    return kvsim.ModelSpec(
        name="m",
        model_type="m",
        dtype=kvsim.model_dtype("bfloat16"),
        layers=tuple(layers),
        hidden_size=1024,
        vocab_size=1000,
        num_attention_heads=8,
        **fields,
    )


def full(kv_heads, head_dim):
    return (FullAttention(num_attention_heads=kv_heads, num_kv_heads=kv_heads, head_dim=head_dim),)


def printed(layout):
    """Cells and MiB of every cache, as the log has them."""
    return [(cache.cells, round(cache.total_bytes / MIB, 2)) for cache in layout.caches]


@pytest.mark.parametrize(
    ("asked", "slots", "expected"), [(1024, 3, (1536, 512)), (1000, 4, (1024, 256))]
)
def test_slots_round_the_context_up(asked, slots, expected):
    """The log says it rounds down; 1024 tokens for three slots become 1536."""
    settings = LlamaCpp(ctx_size=asked, parallel=slots)
    context = llama_cpp_layout(model(full(1, 64)), settings).context
    assert (context.n_ctx, context.n_ctx_seq) == expected


def test_without_flash_attention_values_are_as_wide_as_the_widest():
    """Transposed values are padded; the log warns of it."""
    layers = [full(2, 64), full(4, 64)]
    on, off = (
        llama_cpp_layout(model(*layers), LlamaCpp(ctx_size=256, parallel=1, flash_attn=flash))
        for flash in (FlashAttention.ON, FlashAttention.OFF)
    )
    assert on.caches[0].v_bytes == on.caches[0].k_bytes
    assert off.caches[0].v_bytes == 2 * 256 * (256 + 256)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"cache_type_v": "q8_0", "flash_attn": FlashAttention.OFF}, "needs flash attention"),
        ({"cache_type_k": "q8_0"}, "must divide a head of 40"),
        ({"cache_type_k": "fp8"}, "cache_type_k=fp8 must be one of"),
    ],
)
def test_formats_that_it_does_not_run(settings, message):
    """An engine refuses a format that it does not have."""
    with pytest.raises(kvsim.UnsupportedError, match=message):
        llama_cpp_layout(model(full(2, 40)), LlamaCpp(ctx_size=256, parallel=1, **settings))


def test_unequal_formats_of_a_latent():
    """Values are part of the keys there."""
    settings = LlamaCpp(ctx_size=256, parallel=1, cache_type_k="q8_0")
    with pytest.raises(kvsim.UnsupportedError, match="must be the same where a latent"):
        llama_cpp_layout(kvsim.load_model("deepseek-v3"), settings)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"engine_version": "b5000"}, "engine_version=b5000 must be"),
        ({"mla": 1}, "is a flag of ik_llama.cpp alone"),
        ({"parallel": 0}, "parallel=0 must be"),
        ({"n_cpu_moe": -1}, "n_cpu_moe=-1 must be"),
        ({"tensor_split": (-1.0,)}, "must hold shares"),
    ],
)
def test_impossible_settings(fields, message):
    """A setting names itself, its value and the rule."""
    with pytest.raises(kvsim.SpecError, match=message):
        LlamaCpp(**fields)


def test_build_before_the_first_known_rules():
    """Unknown is refused."""
    settings = LlamaCpp(ctx_size=256, parallel=1, engine_version="2023-01")
    with pytest.raises(kvsim.UnsupportedError, match="rules are known since"):
        llama_cpp_layout(model(full(1, 64)), settings)


def test_traits_refuse():
    """A model that llama.cpp does not load has no layout there."""
    refused = model(full(1, 64), llama_cpp=LlamaCppTraits(refusal="why"))
    with pytest.raises(kvsim.UnsupportedError, match=r"llama\.cpp: why"):
        llama_cpp_layout(refused, LlamaCpp(ctx_size=256))


def test_windows_of_a_family_without_a_window_cache():
    """Mistral-7B's window is not implemented there: every layer keeps the context."""
    layout = llama_cpp_layout(
        kvsim.load_model("mistral-7b-v0.1"), LlamaCpp(ctx_size=8192, parallel=1)
    )
    assert printed(layout) == [(8192, 1024)]


def test_context_that_nobody_gave():
    """Four slots share the model's context; slots of their own have it each."""
    llama = kvsim.load_model("llama-3.1-8b")
    shared = llama_cpp_layout(llama, LlamaCpp()).context
    assert (shared.n_ctx, shared.n_seq_max, shared.num_streams) == (131072, 4, 1)
    assert llama_cpp_layout(llama, LlamaCpp(parallel=2)).context.n_ctx == 2 * 131072
    assert llama_cpp_layout(llama, LlamaCpp(ctx_size=0, parallel=2)).context.n_ctx == 131072


def test_host_pools():
    """8 GiB of saved prompts; a checkpoint of window layers at least every 8192 tokens."""
    layout = llama_cpp_layout(kvsim.load_model("gpt-oss-20b"), LlamaCpp(ctx_size=65536, parallel=2))
    pools = host_pools(layout)
    assert pools.prompt_cache_bytes == 8 * 2**30
    assert pools.checkpoint_bytes == 18 * MIB
    assert pools.max_checkpoints == 2 * 4  # 32768 tokens a slot, one in 8192
    assert pools.output_bytes == 4 * 201088 * 2
    plain = llama_cpp_layout(kvsim.load_model("llama-3.1-8b"), LlamaCpp(ctx_size=8192))
    assert host_pools(plain).max_checkpoints == 0


@pytest.mark.parametrize(("gpu_layers", "expected"), [(0, 0), (1, 0), (33, 32), (99, 32), (9, 8)])
def test_gpu_layers_count_from_the_last(gpu_layers, expected):
    """The output head is one of them."""
    placement = place_layers(32, LlamaCpp(gpu_layers=gpu_layers), [1])
    assert placement.layers_on(0) == expected


def experts_and_more():
    """Two layers with experts, the tables outside them."""
    tensors = [kvsim.Tensor("token_embd.weight", "Q4_K", (256, 10), 1000)]
    for layer in range(2):
        tensors += [
            kvsim.Tensor(f"blk.{layer}.attn_q.weight", "Q4_K", (256, 1), 10),
            kvsim.Tensor(f"blk.{layer}.ffn_up_exps.weight", "Q4_K", (256, 1), 100),
            kvsim.Tensor(f"blk.{layer}.ffn_up_shexp.weight", "Q4_K", (256, 1), 1),
        ]
    return tensors


@pytest.mark.parametrize(
    ("fields", "devices", "host"),
    [
        ({}, (1222,), 1000),  # the tied table is copied to where the output head is
        ({"n_cpu_moe": 1}, (1122,), 1100),
        ({"cpu_moe": True}, (1022,), 1200),
        ({"gpu_layers": 0}, (0,), 1222),
        ({"gpu_layers": 2}, (1111,), 1111),
    ],
)
def test_experts_stay_on_the_host(fields, devices, host):
    """--n-cpu-moe moves the experts of the first layers alone; the input table never leaves."""
    settings = LlamaCpp(**fields)
    placement = place_layers(2, settings, [1])
    held = kvsim.weights_on_devices(experts_and_more(), settings, placement)
    assert (held.devices, held.host) == (devices, host)


def test_weights_on_devices_need_a_header():
    """Only a file says how large its tensors are."""
    with pytest.raises(kvsim.UnsupportedError, match="need the tensors of a GGUF file"):
        kvsim.weights_on_devices((), LlamaCpp(), place_layers(2, LlamaCpp(), [1]))


def test_cache_stays_on_the_host_without_offload():
    """--no-kv-offload."""
    settings = LlamaCpp(ctx_size=256, parallel=1, kv_offload=False)
    layout = llama_cpp_layout(model(full(1, 64)), settings)
    held = cache_on_devices(layout, place_layers(1, settings, [1]))
    assert (held.devices, held.host) == ((0,), layout.total_bytes)


@given(st.integers(1, 300_000), st.integers(1, 8))
def test_a_batch_is_as_many_slots(tokens, slots):
    """`cache_bytes` of a batch is what -np with cells of their own allocates."""
    gpt = kvsim.load_model("gpt-oss-20b")
    batch = kvsim.cache_bytes(gpt, num_tokens=tokens, batch_size=slots, engine="llama.cpp")
    padded = -(-tokens // 256) * 256
    pool = llama_cpp_layout(gpt, LlamaCpp(ctx_size=padded * slots, parallel=slots))
    assert batch.total_bytes == pool.total_bytes


def test_shared_cells_are_nobodys_own():
    """A unified cache has no share per sequence."""
    settings = LlamaCpp(ctx_size=8192)
    with pytest.raises(kvsim.UnsupportedError, match="share their cells"):
        kvsim.cache_bytes(kvsim.load_model("gpt-oss-20b"), num_tokens=100, engine=settings)


def test_longer_than_a_slot():
    """A slot has the cells that it has."""
    settings = LlamaCpp(ctx_size=8192, parallel=2)
    with pytest.raises(kvsim.SpecError, match="num_tokens=5000 must be <="):
        kvsim.cache_bytes(kvsim.load_model("gpt-oss-20b"), num_tokens=5000, engine=settings)


def test_keys_and_values_apart_by_name():
    """The result says both formats where they differ."""
    settings = LlamaCpp(cache_type_k="q8_0", cache_type_v="q4_0")
    cache = kvsim.cache_bytes(kvsim.load_model("llama-3.1-8b"), num_tokens=256, engine=settings)
    assert cache.kv_cache_dtype == "q8_0 keys, q4_0 values"
    assert cache.total_bytes == 32 * 256 * 1024 * (34 + 18) // 32


def test_ranks_share_layers_not_heads():
    """A tensor-parallel degree is not what llama.cpp divides by."""
    with pytest.raises(kvsim.UnsupportedError, match="tensor_parallel_size=2"):
        kvsim.cache_bytes(
            kvsim.load_model("llama-3.1-8b"),
            num_tokens=256,
            engine="llama.cpp",
            tensor_parallel_size=2,
        )


def test_draft_layers_of_a_compressed_model():
    """Its window cache holds the draft layer too; other models' caches leave drafts out."""
    deepseek4 = {
        "block_count": 3,
        "nextn_predict_layers": 1,
        "context_length": 4096,
        "embedding_length": 512,
        "attention.head_count": 8,
        "attention.head_count_kv": 1,
        "attention.key_length": 64,
        "attention.value_length": 64,
        "attention.sliding_window": 32,
        "attention.compress_ratios": [0, 128, 0],
        "rope.dimension_count": 32,
    }
    metadata = {f"deepseek4.{key}": value for key, value in deepseek4.items()}
    drafting = kvsim.load_model({"general.architecture": "deepseek4", **metadata})
    layout = llama_cpp_layout(drafting, LlamaCpp(ctx_size=4096, parallel=1))
    assert [cache.num_layers for cache in layout.caches] == [0, 3, 0, 1, 0]


def test_architectures_that_the_converter_does_not_know():
    """OPT never had a GGUF file."""
    with pytest.raises(kvsim.UnsupportedError, match="does not know OPTForCausalLM"):
        llama_cpp_layout(kvsim.load_model("opt-125m"), LlamaCpp(ctx_size=2048))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"ctx_size": 4096, "parallel": 257}, "parallel=257 must be <= 256"),
        ({"parallel": 1}, "ctx_size must be given: m states no context length"),
        (
            {"ctx_size": 4096, "parallel": 2, "kv_unified": False, "engine_version": "2025-06"},
            "kv_unified=False: builds of 2025-05-20 have one cache for all slots",
        ),
    ],
)
def test_contexts_that_a_build_does_not_make(settings, message):
    """Field, value and rule; streams of their own came with 2025-07-17."""
    with pytest.raises(kvsim.KvsimError, match=message):
        llama_cpp_layout(model(full(2, 64)), LlamaCpp(**settings))


@pytest.mark.parametrize(("flash", "cells"), [("on", 1536), ("off", 1440)])
def test_a_window_was_padded_by_its_attention_before_all_were_padded_alike(flash, cells):
    """900 tokens and a batch of 512: 1,412, rounded to 256 with flash attention, else to 32."""
    sliding = kvsim.SlidingWindow(
        num_attention_heads=2, num_kv_heads=2, head_dim=64, sliding_window=900
    )
    settings = LlamaCpp(
        ctx_size=4096, parallel=1, flash_attn=FlashAttention(flash), engine_version="2025-06"
    )

    layout = llama_cpp_layout(model((sliding,), full(2, 64)), settings)

    assert sorted(cache.cells for cache in layout.caches) == [cells, 4096]


@pytest.mark.parametrize(
    ("split", "message"),
    [
        ((1.0,), "must hold 2 shares"),
        ((1.0, 2.0, 3.0), "must hold 2 shares"),
        ((0.0, 0.0), "must hold a share above 0"),
    ],
)
def test_shares_are_one_per_device_and_not_all_nought(split, message):
    """Nothing is guessed for a device without a share."""
    with pytest.raises(kvsim.SpecError, match=message):
        place_layers(32, LlamaCpp(tensor_split=split), [1, 1])


def test_pooled_index_keys_come_in_fours_alone():
    """A pool whose ratio is not the source's has no known size."""
    pooled = kvsim.Indexer(num_index_heads=2, index_head_dim=16, compress_rate=8)
    with pytest.raises(kvsim.UnsupportedError, match=r"compress_rate=8: llama\.cpp's .* has 4"):
        llama_cpp_layout(model((*full(2, 64), pooled)), LlamaCpp(ctx_size=256, parallel=1))
