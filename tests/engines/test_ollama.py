"""Ollama's defaults on llama.cpp's layout: its reference's examples, contexts, batches."""

import dataclasses

import pytest

import kvsim
from kvsim import FlashAttention, Ollama, Tensor, llama_server_flags, ollama_layout
from kvsim.engines.ollama import predicted_bytes, reported_kv_bytes

GIB, MIB = 2**30, 2**20


def printed(layout):
    """Cells and MiB of every cache, as llama-server's log has them."""
    return [(cache.cells, round(cache.total_bytes / MIB, 2)) for cache in layout.caches]


def test_recorded_row():
    """ol-qwen25-05b, before llama-server: 32768 tokens in f16; its compute buffer is measured
    by the engine, so nothing predicts the 298.50 MiB."""
    settings = Ollama(num_ctx=32768, engine_version="0.20.2")
    layout = ollama_layout(kvsim.load_model("qwen2.5-0.5b"), settings)
    (cache,) = layout.caches
    assert (layout.kv_bytes / MIB, cache.k_bytes / MIB, cache.v_bytes / MIB) == (384, 192, 192)
    assert any("compute buffers" in left_out for left_out in layout.not_modeled)


def test_two_slots_have_cells_of_their_own():
    """Qwen2.5-0.5B, np 2, num_ctx 32768: 768 MiB, "2/2 seqs"."""
    settings = Ollama(num_ctx=32768, num_parallel=2)
    layout = ollama_layout(kvsim.load_model("qwen2.5-0.5b"), settings)
    assert layout.kv_bytes / MIB == 768
    assert (layout.context.n_seq_max, layout.context.num_streams) == (2, 2)


@pytest.mark.parametrize(
    ("memory", "batch", "expected"),
    [(24, 1024, [(32768, 768), (1280, 30)]), (16, 512, [(4096, 96), (768, 18)])],
)
def test_gpt_oss_by_gpu_memory(memory, batch, expected):
    """A card's memory decides the context, the context the batch, the batch the window's cells."""
    gpt = kvsim.load_model("gpt-oss-20b")
    layout = ollama_layout(gpt, Ollama(), gpu_bytes=[memory * GIB])
    assert layout.context.n_ubatch == batch
    assert printed(layout) == expected
    assert reported_kv_bytes(layout) == expected[1][1] * MIB  # `ollama ps` counts the last line


def test_window_cells_per_slot():
    """A window of 1024, np 4, num_ctx 8192: 32768 tokens in all, batch 1024, 2048 cells a slot."""
    gemma = kvsim.load_model("gemma-3-27b")
    layout = ollama_layout(gemma, Ollama(num_ctx=8192, num_parallel=4))
    window = layout.caches[1]
    assert (window.cells, window.num_streams) == (2048, 4)


def test_latent_in_q8_0():
    """DeepSeek-V3, num_ctx 4096: keys only."""
    settings = Ollama(num_ctx=4096, kv_cache_type="q8_0")
    layout = ollama_layout(kvsim.load_model("deepseek-v3"), settings)
    assert round(layout.kv_bytes / MIB, 2) == 145.83
    assert layout.caches[0].v_bytes == 0


def test_drafts_and_one_slot():
    """Qwen3.5-27B with four drafted tokens: one slot whatever was asked, five rows."""
    settings = Ollama(num_ctx=4096, num_parallel=4, draft_num_predict=4)
    layout = ollama_layout(kvsim.load_model("qwen3.5-27b"), settings)
    (state,) = layout.states
    assert (state.rows, state.copies) == (1, 5)
    assert (state.s_bytes / MIB, round(state.r_bytes / MIB, 1)) == (720, 28.1)


@pytest.mark.parametrize(
    ("gpus", "overhead", "expected"),
    [
        ([], 0, 4096),
        ([22 * GIB], 0, 4096),
        ([24 * GIB], 0, 32768),
        ([24 * GIB], 2 * GIB, 4096),
        ([24 * GIB, 24 * GIB], 0, 131072),  # 262144, capped at the model's own
    ],
)
def test_default_context(gpus, overhead, expected):
    """The memory of all GPUs, less what each keeps free."""
    settings = Ollama(gpu_overhead=overhead)
    flags = llama_server_flags(kvsim.load_model("gpt-oss-20b"), settings, gpu_bytes=gpus)
    assert flags.ctx_size == expected


@pytest.mark.parametrize(
    ("num_ctx", "expected"), [(4096, 512), (4097, 1024), (32768, 1024), (32769, 2048)]
)
def test_batch_by_context(num_ctx, expected):
    """It is passed as -b and -ub."""
    flags = llama_server_flags(kvsim.load_model("llama-3.1-8b"), Ollama(num_ctx=num_ctx))
    assert (flags.batch_size, flags.ubatch_size) == (expected, expected)


def test_batch_steps_down_where_the_file_fills_the_gpu():
    """14 GiB of weights and their predicted cache leave a 16 GiB card no room for more."""
    weights = Tensor("token_embd.weight", "Q4_K", (1,), 11 * GIB)
    llama = kvsim.load_model("llama-3.1-8b")
    loaded = kvsim.ModelSpec(
        name=llama.name,
        model_type=llama.model_type,
        dtype=llama.dtype,
        layers=llama.layers,
        hidden_size=llama.hidden_size,
        vocab_size=llama.vocab_size,
        num_attention_heads=llama.num_attention_heads,
        max_model_len=llama.max_model_len,
        tensors=(weights,),
    )
    assert predicted_bytes(loaded, 8192) == 12 * GIB
    settings = Ollama(num_ctx=8192)
    assert llama_server_flags(loaded, settings, gpu_bytes=[16 * GIB]).ubatch_size == 1024
    assert llama_server_flags(loaded, settings, gpu_bytes=[15 * GIB]).ubatch_size == 512
    assert llama_server_flags(loaded, settings, gpu_bytes=[int(15.97 * GIB)]).ubatch_size == 512
    assert predicted_bytes(kvsim.load_model("llama-3.1-8b"), 8192) is None
    small = dataclasses.replace(
        loaded, tensors=(Tensor("token_embd.weight", "Q4_K", (1,), 5 * GIB),)
    )
    assert llama_server_flags(small, settings, gpu_bytes=[8 * GIB]).ubatch_size == 512
    assert llama_server_flags(small, settings, gpu_bytes=[9 * GIB]).ubatch_size == 1024
    kept_free = Ollama(num_ctx=8192, gpu_overhead=GIB // 2)  # of each GPU
    assert llama_server_flags(loaded, kept_free, gpu_bytes=[8 * GIB] * 2).ubatch_size == 512


@pytest.mark.parametrize(
    ("asked", "passed"),
    [(None, FlashAttention.AUTO), (True, FlashAttention.ON), (False, FlashAttention.OFF)],
)
def test_flash_attention(asked, passed):
    """OLLAMA_FLASH_ATTENTION, or auto."""
    settings = Ollama(num_ctx=4096, num_batch=512, flash_attention=asked)
    assert llama_server_flags(kvsim.load_model("llama-3.1-8b"), settings).flash_attn is passed


def test_versions_whose_engine_is_not_known():
    """Before 0.30 two engines laid windows out in two ways."""
    settings = Ollama(num_ctx=4096, engine_version="0.25.0")
    with pytest.raises(kvsim.UnsupportedError, match="which one ran this model is not known"):
        ollama_layout(kvsim.load_model("gpt-oss-20b"), settings)


def test_a_latent_counts_as_one_head():
    """The prediction: two values of f16 of a head's nominal width, per layer and token."""
    latents = kvsim.load_model("deepseek-v3")
    loaded = dataclasses.replace(latents, tensors=(Tensor("t", "F16", (1,), GIB),))
    width = latents.hidden_size // latents.num_attention_heads
    assert predicted_bytes(loaded, 4096) == GIB + 2 * 61 * width * 4096 * 2


@pytest.mark.parametrize(
    ("name", "asked", "given"),
    [("llama-3.1-8b", 1, 4), ("llama-3.1-8b", 4, 4), ("gemma-3-27b", 1, 2048)],
)
def test_a_context_has_a_least_length(name, asked, given):
    """Four tokens; with images, 2,048."""
    assert llama_server_flags(kvsim.load_model(name), Ollama(num_ctx=asked)).ctx_size == given


def test_batch_without_flash_attention():
    """It depends on the GPU's maker, which nobody said."""
    with pytest.raises(kvsim.SpecError, match="num_batch must be given"):
        ollama_layout(
            kvsim.load_model("llama-3.1-8b"), Ollama(flash_attention=False), gpu_bytes=[8 * GIB]
        )


def test_by_name():
    """The context is the sequence's length, and the batch follows it."""
    gpt = kvsim.load_model("gpt-oss-20b")
    cache = kvsim.cache_bytes(gpt, num_tokens=32768, engine="ollama")
    assert cache.total_bytes == (768 + 30) * MIB
    assert (cache.engine, cache.engine_version) == ("ollama", "0.33.0")
