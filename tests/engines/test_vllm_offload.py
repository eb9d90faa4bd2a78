"""How much the native offload holds, against what vLLM's own threads report."""

from dataclasses import replace

import pytest

import kvsim


def layout_of(*layers, num_blocks=20_000, max_model_len=36864, tensor_parallel_size=1, **config):
    """The layout of some layers on a rank with so many blocks."""
    settings = kvsim.VllmCacheConfig(
        max_model_len=max_model_len,
        max_num_batched_tokens=2048,
        tensor_parallel_size=tensor_parallel_size,
        num_gpu_blocks_override=num_blocks,
        **config,
    )
    return kvsim.vllm_layout(layers, settings, available_bytes=0)


def attention(kind="FullAttentionSpec", *, block_size=16, heads=12, head_size=64, **fields):
    return kvsim.vllm_layer_spec(
        kind,
        block_size=block_size,
        num_kv_heads=heads,
        head_size=head_size,
        dtype="float16",
        **fields,
    )


def test_capacity_of_opt_125m_is_what_vllm_measured():
    """
    vLLM 53902, one H100: 4 GiB in chunks of 200 blocks are 36 chunks of 117,964,800 bytes;
    2 GiB in chunks of 4 are 910 chunks and 58,240 tokens of requests of 2048. Its figure for the
    large chunks, 73,728 tokens, counts a chunk of 3200 for each prompt of 2048: that is less than
    a chunk, and the connector stores none of it.
    """
    layout = layout_of(*[attention()] * 12, max_model_len=2048)
    large = kvsim.vllm_offload(layout, size_bytes=4 * kvsim.GiB, blocks_per_chunk=200)
    small = kvsim.vllm_offload(layout, size_bytes=2 * kvsim.GiB, blocks_per_chunk=4)

    assert (large.chunk_bytes, large.num_chunks) == (117_964_800, 36)
    assert (large.tokens(2048), large.tokens(3200)) == (0, 36 * 3200)
    assert (small.num_chunks, small.tokens(2048)) == (910, 58_240)


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        (("full", "window", "state"), 4000 * 36864 // 149),
        (("full", "full", "full"), 4000 * 36864 // (3 * 144)),
    ],
)
def test_capacity_of_hybrids_is_what_vllm_computes(kinds, expected):
    """
    vLLM 53902: of a prompt of 36,864 tokens a full group stores 144 chunks of 256, a window of
    1024 four, a state one; 4000 chunks hold 989,637 tokens, and 341,333 if all three grew.
    """
    groups = tuple(
        kvsim.OffloadedGroup(
            index=i,
            tokens_per_chunk=256,
            tail_chunks={"full": None, "window": 4, "state": 1}[kind],
        )
        for i, kind in enumerate(kinds)
    )
    capacity = kvsim.OffloadCapacity(
        size_bytes=4000 * 4096,
        num_chunks=4000,
        chunk_bytes=4096,
        block_bytes=4096,
        copies=1,
        blocks_per_chunk=1,
        groups=groups,
        engine_version="0.32.0",
    )

    assert capacity.tokens(36864) == expected
    assert expected in (989_637, 341_333)


def windows(number):
    """Layers whose windows differ, so that each is a group of its own."""
    return [attention("SlidingWindowSpec", sliding_window=64 * (i + 2)) for i in range(number)]


def test_eight_equal_groups_divide_the_capacity_by_eight():
    """
    vLLM 56871: a chunk is as large as a block of the pool, holds one group's block, and is
    keyed by (block, group). A budget of 16 keys' bytes holds 16 keys: two blocks of 8 groups.
    """
    layout = layout_of(attention(), *windows(7))
    page = attention().page_size_bytes
    assert (len(layout.groups), layout.bytes_per_block) == (8, page)

    capacity = kvsim.vllm_offload(layout, size_bytes=16 * page, retention_interval=None)

    assert capacity.num_chunks == 16
    assert capacity.num_chunks // len(capacity.groups) == 2


def test_a_rank_adds_its_copy_and_the_size_is_that_of_all_ranks():
    """
    `--kv-offloading-size` is the total over ranks; heads that two ranks share are stored twice.
    """
    one = layout_of(attention(heads=8))
    two = layout_of(attention(heads=4), tensor_parallel_size=2)

    first, second = (kvsim.vllm_offload(x, size_bytes=kvsim.GiB) for x in (one, two))

    assert second.copies == 2
    assert first.chunk_bytes == second.chunk_bytes


def latent(**fields):
    return attention("MLAAttentionSpec", heads=1, head_size=576, max_tp_shards=1, **fields)


def test_a_latent_cache_is_stored_once_for_all_ranks():
    """
    Every tensor-parallel rank holds the same latent, and vLLM stores one of them.
    """
    layout = layout_of(latent(), tensor_parallel_size=4)

    assert kvsim.vllm_offload(layout, size_bytes=kvsim.GiB).copies == 1


def test_a_chunk_is_padded_to_a_page_of_the_system():
    """
    The region is mapped memory: a chunk begins on a page of 4096 bytes.
    """
    layout = layout_of(latent(), tensor_parallel_size=4)
    capacity = kvsim.vllm_offload(layout, size_bytes=10 * 20_480)

    assert (capacity.block_bytes, capacity.chunk_bytes) == (16 * 1152, 20_480)
    assert capacity.num_chunks == 10


def test_an_old_engine_is_refused():
    """
    The rules of the connector before 0.29 are not known here.
    """
    layout = layout_of(attention())
    with pytest.raises(kvsim.UnsupportedError, match=r"engine_version=0\.20\.0"):
        kvsim.vllm_offload(layout, size_bytes=kvsim.GiB, engine_version="0.20.0")


def test_a_ring_stops_engines_before_they_leave_it_out():
    """
    vLLM 54743: a group without prefix caching broke the start of 0.29; 0.32 leaves it out.
    """
    layout = layout_of(attention(), attention("CircularBufferSpec", block_size=4, heads=1))
    assert len(kvsim.vllm_offload(layout, size_bytes=kvsim.GiB).groups) == 1
    with pytest.raises(kvsim.UnsupportedError, match="prefix caching"):
        kvsim.vllm_offload(layout, size_bytes=kvsim.GiB, engine_version="0.29.1")


def test_states_need_prefix_caching():
    """
    Without it their block is the whole context, which no hash divides: the engine stops.
    """
    state = kvsim.vllm_layer_spec(
        "MambaSpec",
        block_size=36864,
        shapes=[[attention().page_size_bytes // 2]],
        dtypes=["bfloat16"],
        mamba_cache_mode="none",
    )
    layout = layout_of(attention(), state, enable_prefix_caching=False)
    with pytest.raises(kvsim.UnsupportedError, match="enable_prefix_caching"):
        kvsim.vllm_offload(layout, size_bytes=kvsim.GiB)


def test_a_size_below_one_chunk_holds_nothing_and_says_so():
    """
    A tier without a chunk would never be hit.
    """
    with pytest.raises(kvsim.SpecError, match="kv_offloading_size"):
        kvsim.vllm_offload(layout_of(attention()), size_bytes=1000)


LATENT = {
    "head_size": 512,
    "cache_dtype_str": "fp8_ds_mla",
    "state_content_bytes": 584,
    "model_version": "deepseek_v4",
    "kv_quant_mode": 1,
}
PACKED = {"num_kv_heads": 1, "dtype": "uint8", "alignment": 576, "max_tp_shards": 1}


def layers_of_the_reported_model():
    """
    DeepSeek-V4.1-Flash from its public config: 40 windows of 128 tokens; layers 2, 8 and 14 keep
    every second token's state beside it, layer 20 every token's, each with an indexer's keys.
    """
    window = kvsim.vllm_layer_spec(
        "SlidingWindowMLASpec", block_size=32, sliding_window=128, **PACKED, **LATENT
    )
    ring = kvsim.vllm_layer_spec(
        "CircularBufferSpec",
        block_size=8,
        num_kv_heads=1,
        head_size=512,
        dtype="float32",
        max_tp_shards=1,
    )

    def kept(ratio):
        fields = {"block_size": 64, "tokens_per_state": ratio, **PACKED}
        return [
            kvsim.vllm_layer_spec("MLAAttentionSpec", **fields, **LATENT),
            kvsim.vllm_layer_spec("MLAAttentionSpec", head_size=132, **fields),
        ]

    compressed = {2: [*kept(2), ring], 8: [*kept(2), ring], 14: [*kept(2), ring], 20: kept(1)}
    return [spec for i in range(40) for spec in (window, *compressed.get(i, []))]


def test_the_report_on_eight_groups_is_reproduced():
    """
    vLLM 56871: nine groups of these block sizes, eight of them stored; 500 GiB hold about 3.3
    million tokens where a row is as wide as a block of every group (vLLM 56953 says so).
    """
    layers = layers_of_the_reported_model()
    layout = layout_of(
        *layers,
        max_model_len=1_048_576,
        tensor_parallel_size=8,
        block_size=32,
        kv_cache_layout="BLNHC",
    )
    host = kvsim.vllm_offload(layout, size_bytes=500 * kvsim.GiB, retention_interval=4096)
    stored = [spec.page_size_bytes for spec in layers if spec.block_size != 8]
    row = -(-8 * sum(stored) // 4096) * 4096
    reported = replace(host, num_chunks=500 * kvsim.GiB // row, chunk_bytes=row, copies=8)

    sizes = [group.spec.block_size for group in layout.groups]
    assert sizes == [32, 32, 32, 32, 32, 32, 32, 64, 8]
    assert (layout.scheduler_block_size, len(host.groups)) == (64, 8)
    assert reported.tokens(1_048_576) == pytest.approx(3_300_000, rel=0.04)
    with pytest.raises(kvsim.UnsupportedError, match="stops at groups without prefix caching"):
        kvsim.vllm_offload(layout, size_bytes=500 * kvsim.GiB, engine_version="0.29.1")


def test_an_encoder_decoder_takes_no_connector():
    """
    vLLM refuses it at the start.
    """
    layout = layout_of(attention(), attention("CrossAttentionSpec"))
    with pytest.raises(kvsim.UnsupportedError, match="no encoder-decoder model with a connector"):
        kvsim.vllm_offload(layout, size_bytes=kvsim.GiB)


@pytest.mark.parametrize(
    ("fields", "version", "copies"),
    [
        ({}, "0.29.1", 1),
        ({"pipeline_parallel_size": 2}, kvsim.Vllm().engine_version, 2 * 4),
        ({"decode_context_parallel_size": 2}, kvsim.Vllm().engine_version, 4),
    ],
)
def test_latents_are_stored_by_every_rank_where_ranks_differ(fields, version, copies):
    """
    Stages and split contexts: each rank of all stages; 0.29 stored plain latents once too.
    """
    layout = layout_of(latent(), tensor_parallel_size=4, **fields)
    stored = kvsim.vllm_offload(layout, size_bytes=kvsim.GiB, engine_version=version)

    assert stored.copies == copies
