"""Published figures about KV caches, computed through public functions, one test a claim."""

# long: one published figure after another

import json
from dataclasses import replace
from pathlib import Path

import pytest

import kvsim

RECORD = Path(__file__).parents[1] / "validation/golden/published/published.json"
CLAIMS = {claim["id"]: claim for claim in json.loads(RECORD.read_text())["targets"]}
NEED_A_TRACE = {
    "mooncake_conv_hit",
    "mooncake_synth_hit",
    "mooncake_fig9_synth",
    "mooncake_fig9_conv",
}
GIB = kvsim.GiB
MIB = GIB // 1024
TB = 10**12
K = 1024


def agrees(claim_id, value):
    """Whether a value is what was published, within the record's own tolerance."""
    claim = CLAIMS[claim_id]
    return value == pytest.approx(claim["expected"], rel=claim["rel_tol"] or 1e-9)


def dense(num_layers, hidden_size, num_heads, *, num_kv_heads=None, **fields):
    """A model of full attention, as a config would state it."""
    return kvsim.load_model(
        {
            "model_type": "llama",
            "num_hidden_layers": num_layers,
            "hidden_size": hidden_size,
            "num_attention_heads": num_heads,
            "num_key_value_heads": num_kv_heads or num_heads,
            "torch_dtype": "float16",
            **fields,
        }
    )


def catalogue(name, **fields):
    """A catalogue model's config, with some of its language tower's fields replaced."""
    config = next(dict(m.config) for m in kvsim.catalog_models() if m.id == name)
    if "text_config" in config:
        return kvsim.load_model(config | {"text_config": dict(config["text_config"]) | fields})
    return kvsim.load_model(config | fields)


def per_token(model, num_tokens=100_000, **settings):
    """Bytes that one more token adds, on one rank."""
    return kvsim.cache_bytes(model, num_tokens=num_tokens, **settings).bytes_per_token


def total(model, num_tokens, **settings):
    """Bytes of the whole cache."""
    return kvsim.cache_bytes(model, num_tokens=num_tokens, **settings).total_bytes


def all_full(name):
    """A catalogue model whose windows are not freed: every layer is full."""
    num_layers = kvsim.load_model(name).num_layers
    return catalogue(name, layer_types=["full_attention"] * num_layers)


OPT_13B = dense(40, 5120, 40)
OPT_66B = dense(64, 9216, 72)
OPT_175B = dense(96, 12288, 96)


def test_every_claim_without_a_trace_is_tested():
    """
    A claim that nobody computes is no yardstick.
    """
    tested = {name.removeprefix("test_") for name in globals() if name.startswith("test_")}

    assert {claim.replace(".", "_") for claim in CLAIMS if claim not in NEED_A_TRACE} <= tested
    assert len(CLAIMS) - len(NEED_A_TRACE) == 45


def test_opt13b_per_token():
    """
    SOSP23 s3: 800 KB a token, 2 x 5120 x 40 values of 2 bytes.
    """
    assert agrees("opt13b_per_token", per_token(kvsim.load_model("opt-13b")))


def test_opt13b_slots():
    """
    SOSP23 Table 1: 12 GB hold 15.7K slots.
    """
    assert agrees("opt13b_slots", 12 * GIB / per_token(OPT_13B))


def test_opt66b_slots():
    """
    SOSP23 Table 1: 21 GB hold 9.7K slots; 64 layers of 9216.
    """
    assert agrees("opt66b_slots", 21 * GIB / per_token(OPT_66B))


def test_opt175b_slots():
    """
    SOSP23 Table 1: 264 GB hold 60.1K slots; 96 layers of 12288.
    """
    assert agrees("opt175b_slots", 264 * GIB / per_token(OPT_175B))


def test_orcamax_batch():
    """
    SOSP23 Fig 13: seven reservations of 2048 slots.
    """
    slots = 12 * GIB // per_token(OPT_13B)

    assert agrees("orcamax_batch", slots // (2 * K))


def test_orcamax_ext():
    """
    SOSP23 Fig 2: 8.9 % lie outside every reservation.
    """
    slots = 12 * GIB // per_token(OPT_13B)

    assert agrees("orcamax_ext", 100 * (1 - 7 * 2 * K / slots))


def test_ds_v3():
    """
    arXiv 2505.09343 Table 1: 70.272 KB a token.
    """
    assert agrees("ds_v3", per_token(kvsim.load_model("deepseek-v3")))


def test_qwen72b():
    """
    arXiv 2505.09343 Table 1: 327.680 KB a token.
    """
    assert agrees("qwen72b", per_token(kvsim.load_model("qwen2.5-72b")))


def test_llama405b():
    """
    arXiv 2505.09343 Table 1: 516.096 KB a token.
    """
    assert agrees("llama405b", per_token(kvsim.load_model("llama-3.1-405b")))


def test_ds_v2_large_mla():
    """
    arXiv 2405.04434 App. Table 9: 34.6K elements a token; a bfloat16 cache has 2 bytes each.
    """
    assert agrees("ds_v2_large_mla", per_token(kvsim.load_model("deepseek-v2.5")) / 2)


def test_ds_v2_small_mla():
    """
    arXiv 2405.04434 App. Table 9: 15.6K elements a token over 27 layers.
    """
    assert agrees("ds_v2_small_mla", per_token(kvsim.load_model("deepseek-v2-lite")) / 2)


def test_ds_v2_small_mha():
    """
    arXiv 2405.04434 App. Table 9: 110.6K elements a token, 27 layers, heads of 2048 together.
    """
    assert agrees("ds_v2_small_mha", per_token(dense(27, 2048, 16)) / 2)


def test_mla_groups():
    """
    arXiv 2405.04434 Table 1: MLA costs what GQA with 2.25 groups costs.
    """
    latent = per_token(kvsim.load_model("deepseek-v3")) / 61
    one_group = per_token(dense(1, 7168, 56, num_kv_heads=1, head_dim=128))

    assert agrees("mla_groups", latent / one_group)


def test_ds_v2_93_3():
    """
    arXiv 2405.04434 abstract: 93.3 % less than DeepSeek 67B, at 6 bits an element.
    """
    dense_67b = dense(95, 8192, 64, num_kv_heads=8)
    bits = 6 * per_token(kvsim.load_model("deepseek-v2.5")) / 2

    assert agrees("ds_v2_93.3", 100 * (1 - bits / (8 * per_token(dense_67b))))


def test_flexgen():
    """
    FlexGen s3: batch 512, 512 + 32 tokens, 1.2 TB.
    """
    assert agrees("flexgen", total(OPT_175B, 512 + 32, batch_size=512) / 1024 / GIB)


def test_mooncake_llama70b():
    """
    FAST25 s5.3.1: 320 KB a token.
    """
    assert agrees("mooncake_llama70b", per_token(kvsim.load_model("llama-3.1-70b")))


def test_mooncake_1tb():
    """
    FAST25 s5.3.1: 1 TB of DRAM holds 3 million tokens.
    """
    tokens = TB / per_token(kvsim.load_model("llama-3.1-70b"))

    assert agrees("mooncake_1tb", tokens / 10**6)


def test_mllama_waste():
    """
    vLLM issue 11382: 79.6 % when all 40 layers hold 43 text and 6193 image tokens.
    """
    fields = {
        "num_hidden_layers": 40,
        "hidden_size": 4096,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
    }
    crossing = {"cross_attention_layers": [3, 8, 13, 18, 23, 28, 33, 38]}
    mllama = {"model_type": "mllama", "text_config": {"model_type": "mllama_text_model"} | fields}
    mllama["text_config"] |= crossing
    needed = total(kvsim.load_model(mllama), 43, num_encoder_tokens=6193)
    uniform = total(dense(40, 4096, 32, num_kv_heads=8), 6193 + 43)

    assert agrees("mllama_waste", 100 * (1 - needed / uniform))


def test_gemma2_waste():
    """
    vLLM issue 11382: 25 % at 8192 tokens, window 4096 in half of the layers.
    """
    needed, uniform = (
        total(kvsim.load_model("gemma-2-9b"), 8 * K),
        total(all_full("gemma-2-9b"), 8 * K),
    )

    assert agrees("gemma2_waste", 100 * (1 - needed / uniform))


def test_ministral_waste():
    """
    vLLM issue 11382: 56.25 % at 128K, window 32K in three quarters of the layers.
    """
    kinds = ["full_attention", *["sliding_attention"] * 3] * 9
    windowed = dense(36, 4096, 32, num_kv_heads=8, layer_types=kinds, sliding_window=32 * K)
    uniform = dense(36, 4096, 32, num_kv_heads=8)

    assert agrees("ministral_waste", 100 * (1 - total(windowed, 128 * K) / total(uniform, 128 * K)))


def blocks_of(name, num_bytes):
    """vLLM blocks of 16 tokens that a cache of so many bytes holds."""
    return num_bytes / total(kvsim.load_model(name), 1, engine="vllm")


def test_qwen25_7b_16gib():
    """
    vLLM pull request 44594: 16 GiB hold 299,584 tokens, whole blocks of 16.
    """
    assert agrees("qwen25_7b_16gib", 16 * int(blocks_of("qwen2.5-7b", 16 * GIB)))


def test_llama8b_3090_20k():
    """
    vLLM issue 10517: 3.81 GiB are 1952 blocks.
    """
    assert agrees("llama8b_3090_20k", blocks_of("llama-3.1-8b", 3.81 * GIB))


def test_llama8b_3090_29k():
    """
    vLLM issue 10517: 2.89 GiB are 1478 blocks.
    """
    assert agrees("llama8b_3090_29k", blocks_of("llama-3.1-8b", 2.89 * GIB))


def planned(*, num_gpu_blocks=None):
    """The plan of vLLM issue 12330: Meta-Llama-3-8B on an A100 of 39.50 GiB at 90 %."""
    a100 = replace(
        kvsim.accelerator("A100-SXM4-40GB"), torch_bytes=(round(39.50 * GIB),), name="A100"
    )

    def stated(gib):
        return kvsim.exact(round(gib * GIB), "vLLM issue 12330")

    overheads = kvsim.Overheads(
        weights_bytes=stated(14.96),
        activation_peak_bytes=stated(9.37),
        non_torch_bytes=stated(0.10),
        cuda_graph_bytes=stated(0),
    )
    deployment = kvsim.Deployment(
        model=dense(32, 4096, 32, num_kv_heads=8, max_position_embeddings=8 * K),
        accelerator=a100,
        engine=kvsim.Vllm(
            max_model_len=8 * K,
            gpu_memory_utilization=0.9,
            num_gpu_blocks_override=num_gpu_blocks,
        ),
        overheads=overheads,
    )
    return kvsim.plan(deployment).as_dict()


def test_llama3_8b_a100_40():
    """
    vLLM issue 12330: 39.50 x 0.9 - 14.96 - 0.10 - 9.37 = 11.12 GiB.
    """
    assert agrees("llama3_8b_a100_40", planned()["budget"]["kv_cache_bytes"]["best"] / GIB)


def test_llama3_8b_a100_40_blocks():
    """
    vLLM issue 12330: 11.12 GiB are 5691 blocks.
    """
    assert agrees("llama3_8b_a100_40_blocks", planned()["capacity"]["num_gpu_blocks"])


def test_llama3_8b_conc():
    """
    vLLM issue 12330: 5691 blocks hold 11.12 requests of 8192 tokens.
    """
    capacity = planned(num_gpu_blocks=5691)["capacity"]

    assert agrees("llama3_8b_conc", capacity["max_concurrency"])


def test_gptoss120b():
    """
    hf-mem issue 60: 5.38 GiB hold 78,384 tokens where all 36 layers are full.
    """
    assert agrees("gptoss120b", 5.38 * GIB / per_token(all_full("gpt-oss-120b")))


def test_qwen3_235b_sglang():
    """
    vLLM issue 21348: 16.46 GiB a rank hold 367,404 tokens at TP 4.
    """
    model = kvsim.load_model("qwen3-235b-a22b")

    assert agrees("qwen3_235b_sglang", 16.46 * GIB / per_token(model, tensor_parallel_size=4))


def test_qwen3_235b_vllm():
    """
    vLLM issue 21348: 8.11 GiB a rank hold 178,880 tokens at TP 4.
    """
    model = kvsim.load_model("qwen3-235b-a22b")

    assert agrees("qwen3_235b_vllm", 8.11 * GIB / per_token(model, tensor_parallel_size=4))


def test_qwen3_30b_fp8():
    """
    vLLM issue 25350: 10.55 GiB of fp8 cache hold 230,528 tokens.
    """
    model = kvsim.load_model("qwen3-30b-a3b")

    assert agrees("qwen3_30b_fp8", 10.55 * GIB / per_token(model, kv_cache_dtype="fp8"))


def test_qwen3_30b_need():
    """
    vLLM issue 25350: 221,000 tokens need 10.12 GiB.
    """
    model = kvsim.load_model("qwen3-30b-a3b")

    assert agrees("qwen3_30b_need", total(model, 221_000, kv_cache_dtype="fp8") / GIB)


def test_pp_unequal():
    """
    vLLM issue 34076: 24.0 GiB for 262144 tokens, all 48 layers charged to one rank.
    """
    assert agrees("pp_unequal", total(kvsim.load_model("qwen3-30b-a3b"), 256 * K) / GIB)


def test_pp_est():
    """
    vLLM issue 34076: 3.18 GiB hold 34,736 tokens.
    """
    assert agrees("pp_est", 3.18 * GIB / per_token(kvsim.load_model("qwen3-30b-a3b")))


def test_llama4_24gib():
    """
    vLLM issue 16118: 24.00 GiB for 1,048,576 tokens at TP 8 where all 48 layers are full.
    """
    model = all_full("llama-4-scout")

    assert agrees("llama4_24gib", total(model, 1024 * K, tensor_parallel_size=8) / GIB)


def test_kaito_mla():
    """
    kaito issue 2132: 22.5 GiB for 1,048,576 tokens, 36 layers of 320 elements.
    """
    assert agrees("kaito_mla", total(kvsim.load_model("mistral-small-4"), 1024 * K) / GIB)


def test_blocks_3664():
    """
    vLLM issue 2418: 229 blocks hold 3664 tokens.
    """
    model = kvsim.load_model("llama-2-7b")
    one_block = total(model, 1, engine="vllm")
    tokens_per_block = next(
        n for n in range(1, 2 * K) if total(model, n + 1, engine="vllm") > one_block
    )

    assert agrees("blocks_3664", 229 * tokens_per_block)


def test_lucebox_q4():
    """
    lucebox pull request 21: 1152 MiB of q4_0 at 64K, 16 full layers.
    """
    held = kvsim.cache_bytes(
        kvsim.load_model("qwen3.5-27b"), num_tokens=64 * K, kv_cache_dtype="q4_0"
    )

    assert agrees("lucebox_q4", held.kv_bytes / MIB)


def test_lucebox_tq3():
    """
    lucebox pull request 21: 896 MiB of TQ3_0.
    """
    held = kvsim.quantized_cache_bytes(
        kvsim.load_model("qwen3.5-27b"), kvsim.cache_format("tq3_0"), num_tokens=64 * K
    )

    assert agrees("lucebox_tq3", held.best / MIB)


def test_llamacpp_8192():
    """
    llama.cpp pull request 22546: keys alone, 8 layers of 1024 in 262144 cells, 4096 MiB.
    """
    keys_and_values = total(dense(8, 4096, 32, num_kv_heads=8), 256 * K)

    assert agrees("llamacpp_8192", keys_and_values / 2 / MIB)


def test_ollama_q4():
    """
    ollama pull request 6276: llama3.1-8b at 32K needs 1.1 GB with q4_0.
    """
    model = kvsim.load_model("llama-3.1-8b")

    assert agrees("ollama_q4", total(model, 32 * K, kv_cache_dtype="q4_0") / GIB)


def test_unsloth_dsv31():
    """
    unsloth pull request 4757: DeepSeek-V3.1 needs 10.72 GB at 163,840 tokens.
    """
    assert agrees("unsloth_dsv31", total(kvsim.load_model("deepseek-v3"), 163_840) / GIB)


def test_unsloth_kimi():
    """
    unsloth pull request 4757: Kimi-K2.5 needs 17.16 GB at 262,144 tokens.
    """
    assert agrees("unsloth_kimi", total(kvsim.load_model("kimi-k2.5"), 256 * K) / GIB)


def test_unsloth_qwen06():
    """
    unsloth pull request 4757: Qwen3-0.6B needs 4.38 GB at 40,960 tokens.
    """
    assert agrees("unsloth_qwen06", total(kvsim.load_model("qwen3-0.6b"), 40_960) / GIB)


def test_unsloth_qwen35():
    """
    unsloth pull request 4757: Qwen3.5-27B needs 16.00 GB at 262,144 tokens in 16 full layers.
    """
    held = kvsim.cache_bytes(kvsim.load_model("qwen3.5-27b"), num_tokens=256 * K)

    assert agrees("unsloth_qwen35", held.kv_bytes / GIB)


def test_inkling_rank():
    """
    vLLM issue 54704: 7,168 bytes a token and rank at TP 4, seven full layers.
    """
    config = {
        "model_type": "inkling_text",
        "num_hidden_layers": 42,
        "hidden_size": 6144,
        "num_attention_heads": 64,
        "num_key_value_heads": 8,
        "head_dim": 128,
        "swa_num_attention_heads": 64,
        "swa_num_key_value_heads": 16,
        "swa_head_dim": 128,
        "sliding_window_size": 512,
        "conv_kernel_size": 4,
        "dtype": "bfloat16",
    }

    assert agrees("inkling_rank", per_token(kvsim.load_model(config), tensor_parallel_size=4))
