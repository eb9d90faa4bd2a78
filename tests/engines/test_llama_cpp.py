"""llama.cpp's layout against what it printed: worked examples, recorded contexts, refusals."""

from pathlib import Path

import pytest

import kvsim
from kvsim import (
    FlashAttention,
    FullAttention,
    LlamaCpp,
    RecurrentState,
    SlidingLatentAttention,
    SlidingWindow,
    Variant,
    cache_on_devices,
    llama_cpp_layout,
    place_layers,
)
from validation.recorded import Verdict, run

MIB = 2**20
GOLDEN = Path(__file__).parents[2] / "validation" / "golden" / "llama_cpp"
ON = FlashAttention.ON


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


def sliding(kv_heads, head_dim, window):
    return (
        SlidingWindow(
            num_attention_heads=kv_heads,
            num_kv_heads=kv_heads,
            head_dim=head_dim,
            sliding_window=window,
        ),
    )


def delta(heads, key_heads):
    """Qwen3.5's gated delta rule: heads of 128 by 128, four columns of convolution."""
    return (
        RecurrentState(
            mechanism="gated delta rule",
            num_heads=heads,
            state_elems=heads * 128 * 128,
            conv_kernel=4,
            conv_channels=heads * 128 + 2 * key_heads * 128,
        ),
    )


def printed(layout):
    """Cells and MiB of every cache, as the log has them."""
    return [(cache.cells, round(cache.total_bytes / MIB, 2)) for cache in layout.caches]


def states(layout):
    """R and S in MiB."""
    (state,) = layout.states
    return round(state.r_bytes / MIB, 2), round(state.s_bytes / MIB, 2)


def test_recorded_contexts_are_exact():
    """2942 contexts of 128 models, every architecture that llama.cpp's own test builds."""
    report = run("llama-cpp", GOLDEN / "contexts.jsonl.gz")
    assert report.total == 2942
    assert [(case.id, case.reason) for case in report.misses] == []
    assert report.count(Verdict.EXACT) == report.total


def test_quantised_keys_and_values():
    """ik-d357-2377, Qwen3-235B in q8_0: 16384 cells, 94 layers, 34 bytes for 32 values."""
    settings = LlamaCpp(
        ctx_size=16384,
        parallel=1,
        cache_type_k="q8_0",
        cache_type_v="q8_0",
        flash_attn=ON,
        engine_version="2025-05-03",
    )
    layout = llama_cpp_layout(model(*[full(4, 128)] * 94), settings)
    assert layout.kv_bytes / MIB == 1598


@pytest.mark.parametrize(
    ("tokens", "version", "expected"),
    [(2048, "2025-03-20", 9760), (16384, "2025-05-09", 2074), (16384, "0.5.0-dev", 1098)],
)
def test_latent_by_version(tokens, version, expected):
    """ik-i271-415 and ik-p394-808, DeepSeek-V3: expanded, then keys and values, then keys only."""
    settings = LlamaCpp(ctx_size=tokens, parallel=1, flash_attn=ON, engine_version=version)
    layout = llama_cpp_layout(kvsim.load_model("deepseek-v3"), settings)
    assert layout.total_bytes / MIB == expected


def test_latent_over_devices():
    """ik-p394-808: four GPUs with 15, 12, 12 and 22 layers; the shares are what gives those."""
    settings = LlamaCpp(
        ctx_size=16384,
        parallel=1,
        flash_attn=ON,
        tensor_split=(15.0, 12.0, 12.0, 23.0),
        engine_version="2025-05-09",
    )
    layout = llama_cpp_layout(kvsim.load_model("deepseek-v3"), settings)
    placement = place_layers(61, settings, [1, 1, 1, 1])
    held = cache_on_devices(layout, placement)
    assert [num_bytes / MIB for num_bytes in held.devices] == [510, 408, 408, 748]
    assert held.total_bytes == layout.total_bytes


def test_encoder_of_an_old_build():
    """lc-ci-bge-v100 prints a cache of 512 cells, 12 layers of 768 values; now it has none."""
    settings = LlamaCpp(ctx_size=512, parallel=1, engine_version="2025-06")
    assert llama_cpp_layout(model(*[full(12, 32)] * 12), settings).kv_bytes / MIB == 9
    bert = {
        "general.architecture": "bert",
        "bert.block_count": 12,
        "bert.context_length": 512,
        "bert.embedding_length": 384,
        "bert.attention.head_count": 12,
    }
    assert llama_cpp_layout(kvsim.load_model(bert), LlamaCpp(parallel=1)).caches == ()


def test_windows_of_two_lengths_are_refused():
    """One length is read for all layers of a file; two would be sized wrong."""
    mixed = model(full(8, 128), sliding(8, 128, 512), sliding(8, 128, 1024))
    with pytest.raises(kvsim.UnsupportedError, match="has one window for all layers"):
        llama_cpp_layout(mixed, LlamaCpp(ctx_size=4096))


def test_compressed_model_keeps_keys_of_windows():
    """lc-dsv4-swa: 4352 cells are a window of 128 with -ub 4096; the log shows no -ub."""
    window = SlidingLatentAttention(
        num_attention_heads=64, kv_lora_rank=448, qk_rope_head_dim=64, sliding_window=128
    )
    layers = [(window,)] * 43
    for ubatch, expected in ((4096, (4352, 182.75)), (512, (768, 32.25))):
        settings = LlamaCpp(ctx_size=64000, parallel=1, batch_size=4096, ubatch_size=ubatch)
        layout = llama_cpp_layout(model(*layers), settings)
        assert printed(layout)[1] == expected
        assert layout.caches[0].total_bytes == 0  # the line of layers without a window


def test_gemma4_with_unseen_ubatch():
    """lc-gemma4-102k: 1536 cells need -ub in 769 to 1024, which the log does not show."""
    layers = [full(4, 256)] * 4 + [sliding(2, 256, 512)] * 20
    settings = LlamaCpp(ctx_size=102400, parallel=1, ubatch_size=1024)
    assert printed(llama_cpp_layout(model(*layers), settings)) == [(102400, 1600), (1536, 60)]


def test_gemma4_four_slots_share_their_cells():
    """lc-gemma4-12b-vulkan: one cache for four slots pays four windows."""
    layers = [full(2, 256)] * 8 + [sliding(8, 256, 1024)] * 40
    settings = LlamaCpp(ctx_size=8192, ubatch_size=2048)
    assert printed(llama_cpp_layout(model(*layers), settings)) == [(8192, 128), (6144, 1920)]


def test_swa_full():
    """lc-gemma4-48l-full: --swa-full gives window layers the whole context."""
    layers = [full(2, 256)] * 8 + [sliding(8, 256, 1024)] * 40
    settings = LlamaCpp(ctx_size=32768, parallel=1, swa_full=True)
    layout = llama_cpp_layout(model(*layers), settings)
    assert printed(layout)[0] == (32768, 512)
    assert layout.caches[1].cells == 32768


def test_borrowing_layers_cost_nothing():
    """lc-gemma4-e2b-full: 3 layers own a cache; 2048 window cells need swa-full or -ub 1281."""
    e2b = kvsim.load_model("gemma-4-e2b")
    one = llama_cpp_layout(e2b, LlamaCpp(ctx_size=2048, parallel=1))
    assert printed(one)[0] == (2048, 12)
    assert one.caches[1].cells == 1024
    four = llama_cpp_layout(e2b, LlamaCpp(ctx_size=2048))
    assert four.caches[1].cells == 2048


def test_gpt_oss():
    """lc-gptoss-cann: a window of 128 and 512 tokens at once take 768 cells."""
    layout = llama_cpp_layout(
        kvsim.load_model("gpt-oss-20b"), LlamaCpp(ctx_size=131072, parallel=1)
    )
    assert printed(layout) == [(131072, 3072), (768, 18)]


def test_laguna_in_q4_0():
    """lc-laguna-1m: q4_0 stores 32 values in 18 bytes."""
    layers = [full(8, 128)] * 12 + [sliding(8, 128, 512)] * 36
    settings = LlamaCpp(ctx_size=1048576, parallel=1, cache_type_k="q4_0", cache_type_v="q4_0")
    assert printed(llama_cpp_layout(model(*layers), settings)) == [(1048576, 13824), (1024, 40.5)]


@pytest.mark.parametrize(("tokens", "expected"), [(65536, 4256), (8192, 784)])
def test_slots_with_cells_of_their_own(tokens, expected):
    """lc-mcg-northmini: eight slots, -np 8, so none shares cells; the window caps at a slot's."""
    layers = [full(4, 128)] * 13 + [sliding(4, 128, 4096)] * 36
    layout = llama_cpp_layout(model(*layers), LlamaCpp(ctx_size=tokens, parallel=8))
    assert layout.context.num_streams == 8
    assert layout.kv_bytes / MIB == expected


@pytest.mark.parametrize(("tokens", "expected"), [(8192, 160), (16384, 320)])
def test_hybrid_counts_attention_layers_alone(tokens, expected):
    """lc-mcg-qwen36-35b: 10 of 40 layers keep keys and values."""
    layout = llama_cpp_layout(
        kvsim.load_model("qwen3.6-35b-a3b"), LlamaCpp(ctx_size=tokens, parallel=8)
    )
    assert layout.kv_bytes / MIB == expected


@pytest.mark.parametrize(
    ("slots", "expected"), [(1, (2.81, 60)), (4, (11.25, 240)), (8, (22.5, 480))]
)
def test_recurrent_state_by_slots(slots, expected):
    """lc-mcg-qwen36-35b-rs: 30 layers in float32, whatever the context."""
    layout = llama_cpp_layout(
        kvsim.load_model("qwen3.6-35b-a3b"), LlamaCpp(ctx_size=8192, parallel=slots)
    )
    assert states(layout) == expected


def test_nemotron_nano():
    """lc-mcg-nemotron3-nano: 23 Mamba-2 layers, 6 of attention, 8 slots."""
    layout = llama_cpp_layout(
        kvsim.load_model("nemotron-3-nano-30b-a3b"), LlamaCpp(ctx_size=8192, parallel=8)
    )
    assert states(layout) == (12.94, 368)
    assert layout.kv_bytes / MIB == 48


def test_recurrent_state_of_three_slots():
    """lc-pr23792-rs3: 48 layers of 48 value heads and 16 key heads."""
    layers = [delta(48, 16)] * 48 + [full(4, 256)] * 16
    layout = llama_cpp_layout(model(*layers), LlamaCpp(ctx_size=4096, parallel=3))
    assert states(layout) == (16.88, 432)


def test_drafts_multiply_the_state():
    """lc-qwen36-27b-mtp-rs: 12 drafted tokens keep 13 copies for each of four slots."""
    settings = LlamaCpp(
        ctx_size=32768, parallel=4, cache_type_k="q8_0", cache_type_v="q8_0", spec_draft_n_max=12
    )
    layout = llama_cpp_layout(kvsim.load_model("qwen3.6-27b"), settings)
    assert states(layout) == (292.5, 7488)
    assert layout.kv_bytes / MIB == 1088


@pytest.mark.parametrize(
    ("mode", "flash", "expected"),
    [(0, ON, 9760), (1, "off", 259.25), (2, "off", 137.25), (3, ON, 137.25)],
)
def test_fork_latent_modes(mode, flash, expected):
    """ik_llama.cpp at 2048 tokens: expanded, with a transposed copy, and the latent alone."""
    settings = LlamaCpp(
        ctx_size=2048, variant=Variant.IK, mla=mode, flash_attn=FlashAttention(flash)
    )
    layout = llama_cpp_layout(kvsim.load_model("deepseek-v3"), settings)
    assert layout.kv_bytes / MIB == expected


def test_fork_has_no_window_cache():
    """ik-d334-997, gemma-3-27b: all 62 layers at 32768 tokens."""
    settings = LlamaCpp(ctx_size=32768, variant=Variant.IK, flash_attn=ON)
    layout = llama_cpp_layout(kvsim.load_model("gemma-3-27b"), settings)
    assert printed(layout) == [(32768, 15872)]


def test_fork_asks_for_its_mode():
    """Its default changed over time: nothing is guessed."""
    settings = LlamaCpp(ctx_size=2048, variant=Variant.IK)
    with pytest.raises(kvsim.SpecError, match="mla must be given"):
        llama_cpp_layout(kvsim.load_model("deepseek-v3"), settings)
