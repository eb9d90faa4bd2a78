"""What holds for every layout: parts add up, memory buys blocks whole, refusals are tight."""

from dataclasses import fields, replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from kvsim.engines.vllm_cache_config import KVCacheLayout, VllmCacheConfig
from kvsim.engines.vllm_costs import pool_cost, request_cost
from kvsim.engines.vllm_layer_spec import vllm_layer_spec
from kvsim.engines.vllm_layout import vllm_layout
from kvsim.errors import CapacityError, UnsupportedError

KV_HEADS = st.sampled_from([1, 2, 3, 4, 8])
WINDOWS = st.sampled_from([32, 128, 512])


def attention(kind, heads, *, head_size=64, **fields):
    """A spec of one of the attention kinds."""
    return vllm_layer_spec(
        kind, block_size=16, num_kv_heads=heads, head_size=head_size, dtype="bfloat16", **fields
    )


CONFIG = VllmCacheConfig(max_model_len=8192, max_num_batched_tokens=8192)
SPECS = st.one_of(
    st.builds(lambda h: attention("FullAttentionSpec", h), KV_HEADS),
    st.builds(lambda h, w: attention("SlidingWindowSpec", h, sliding_window=w), KV_HEADS, WINDOWS),
    st.builds(
        lambda h, c: attention("ChunkedLocalAttentionSpec", h, attention_chunk_size=c),
        KV_HEADS,
        WINDOWS,
    ),
    st.just(attention("MLAAttentionSpec", 1, head_size=576)),
    st.builds(
        lambda size, copies: vllm_layer_spec(
            "MambaSpec",
            block_size=64,
            shapes=[[size]],
            dtypes=["float32"],
            mamba_cache_mode="align",
            num_speculative_blocks=copies,
        ),
        st.sampled_from([100, 1024, 5000]),
        st.integers(0, 2),
    ),
)
MODELS = st.builds(
    lambda pattern, repeats, tail: pattern * repeats + tail,
    st.lists(SPECS, min_size=1, max_size=4),
    st.integers(1, 6),
    st.lists(SPECS, max_size=2),
)
CONFIGS = st.builds(
    VllmCacheConfig,
    max_model_len=st.integers(1, 4096),
    max_num_batched_tokens=st.sampled_from([64, 512]),
    async_scheduling=st.booleans(),
    mamba_cache_mode=st.sampled_from(["none", "align"]),
    kv_cache_layout=st.sampled_from([KVCacheLayout.LBNHC, KVCacheLayout.BLHNC]),
    enable_prefix_caching=st.booleans(),
)
MEMORY = st.integers(2**20, 2**30)


def layout_or_none(layers, config, **kwargs):
    """The layout, None where memory is short; layers that the engine refuses are not drawn."""
    try:
        return vllm_layout(layers, config, **kwargs)
    except CapacityError:
        return None
    except UnsupportedError:
        assume(False)  # noqa: FBT003 - hypothesis's own signature


@given(MODELS, CONFIGS, MEMORY)
def test_parts_add_up_to_the_byte(layers, config, memory):
    """A pool's parts are its memory, a request's parts what the check charges for it."""
    layout = layout_or_none(layers, config, available_bytes=[memory, memory * 3 // 2])
    assume(layout is not None)
    for rank in range(2):
        pool, request = pool_cost(layout, rank=rank), request_cost(layout, rank=rank)
        assert pool.total_bytes == layout.ranks[rank].available_bytes
        assert request.total_bytes == layout.max_request_bytes
        assert min(getattr(pool, part.name) for part in fields(pool)) >= 0
        assert min(getattr(request, part.name) for part in fields(request)) >= 0


@given(MODELS, CONFIGS, MEMORY)
def test_every_layer_is_in_exactly_one_group(layers, config, memory):
    """And groups are never wider than a block."""
    layout = layout_or_none(layers, config, available_bytes=memory)
    assume(layout is not None)
    placed = [layer for group in layout.groups for layer in group.layers]
    assert sorted(placed) == list(range(len(layers)))
    assert max(group.pages_bytes for group in layout.groups) <= layout.bytes_per_block


@given(MODELS, CONFIGS, st.integers(1, 100))
def test_one_byte_less_than_a_block_gains_no_block(layers, config, spare):
    """Blocks are bought whole."""
    roomy = layout_or_none(layers, config, available_bytes=2**40)
    blocks = roomy.blocks_per_request + 1 + spare
    exact, short = (
        vllm_layout(layers, config, available_bytes=blocks * roomy.bytes_per_block - less)
        for less in (0, 1)
    )
    assert (exact.num_blocks, short.num_blocks) == (blocks, blocks - 1)


@given(MODELS, CONFIGS, MEMORY, MEMORY)
def test_capacity_never_grows_when_memory_shrinks(layers, config, one, other):
    """What less memory holds, more memory holds too."""
    less, more = (
        layout_or_none(layers, config, available_bytes=memory) for memory in sorted((one, other))
    )
    if less is not None:
        assert more is not None
        assert less.num_blocks <= more.num_blocks
        assert less.tokens <= more.tokens


@given(MODELS, CONFIGS, MEMORY)
def test_the_estimated_length_fits_and_one_token_more_does_not(layers, config, memory):
    """The refusal's estimate is what an automatic length would be."""
    config = replace(config, max_model_len=131072)
    layout_or_none(layers, config, available_bytes=2**50)  # drops what is refused at any length
    try:
        vllm_layout(layers, config, available_bytes=memory)
    except CapacityError as refusal:
        longest = refusal.estimated_max_model_len
    else:
        return
    if longest is None:
        with pytest.raises(CapacityError):
            vllm_layout(layers, replace(config, max_model_len=1), available_bytes=memory)
        return
    vllm_layout(layers, replace(config, max_model_len=longest), available_bytes=memory)
    with pytest.raises(CapacityError):
        vllm_layout(layers, replace(config, max_model_len=longest + 1), available_bytes=memory)
    fitted = vllm_layout(layers, replace(config, auto_max_model_len=True), available_bytes=memory)
    assert fitted.max_model_len == longest


@given(MODELS, CONFIGS, MEMORY)
def test_equal_layers_need_not_share_an_object(layers, config, memory):
    """Sharing is for speed alone."""
    copies = [replace(layer) for layer in layers]
    assert layout_or_none(layers, config, available_bytes=memory) == layout_or_none(
        copies, config, available_bytes=memory
    )


@given(MODELS, CONFIGS, st.lists(MEMORY, min_size=2, max_size=4), st.data())
def test_every_rank_gets_what_the_smallest_has(layers, config, memory, data):
    """Stages hold different layers, and each keeps its own width of a block."""
    ends = [*data.draw(st.permutations(range(len(layers)))), *range(len(memory))]
    held = [{layer for layer in range(len(layers)) if ends[layer] % len(memory) == i}
            for i in range(len(memory))]  # fmt: skip
    assume(all(held))
    layout = layout_or_none(layers, config, available_bytes=memory, rank_layers=held)
    assume(layout is not None)
    assert layout.num_blocks == min(
        available // rank.bytes_per_block
        for available, rank in zip(memory, layout.ranks, strict=True)
    )
    whole = layout_or_none(layers, config, available_bytes=2**40)
    assert sum(len(g.layers) for rank in layout.ranks for g in rank.groups) == len(layers)
    assert max(rank.bytes_per_block for rank in layout.ranks) <= whole.bytes_per_block


def test_causes_are_told_apart():
    """Padding to the widest group, in-flight tokens and state copies each have their line."""
    full = attention("FullAttentionSpec", 8)
    window = attention("SlidingWindowSpec", 8, sliding_window=128)
    config = VllmCacheConfig(max_model_len=4096, max_num_batched_tokens=512)
    cost = request_cost(vllm_layout([full] * 3 + [window] * 4, config, available_bytes=2**30))
    layer_token_bytes = 8 * 64 * 2 * 2
    assert cost.live_bytes == layer_token_bytes * (3 * 4096 + 4 * 128)
    assert cost.in_flight_bytes == layer_token_bytes * 4 * 511
    assert cost.block_rounding_bytes == layer_token_bytes * 4 * (16 * 41 - 639)
    assert cost.group_padding_bytes == layer_token_bytes * 4096  # a fourth layer of three
    assert cost.page_padding_bytes == cost.state_copies_bytes == 0


def test_replicas_beyond_the_kv_heads_are_counted():
    """Sixteen ranks of eight shards hold everything twice."""
    layer = attention("FullAttentionSpec", 1, max_tp_shards=8)
    config = VllmCacheConfig(max_model_len=64, max_num_batched_tokens=64, tensor_parallel_size=16)
    layout = vllm_layout([layer], config, available_bytes=2**20)
    assert layout.kv_tp_replicas == 2
    assert request_cost(layout).replicated_bytes == layout.max_request_bytes // 2


@pytest.mark.parametrize("order", ["LHBNC", "BHLNC"])
def test_pages_are_padded_only_where_their_heads_lie_together(order):
    """With heads apart a page has no end that could be padded, unless it is of one head."""
    config = replace(CONFIG, kv_cache_layout=KVCacheLayout(order))
    many, one = (attention("FullAttentionSpec", heads, page_size_padded=40_000) for heads in (8, 1))
    with pytest.raises(UnsupportedError, match="their heads lie apart"):
        vllm_layout([many], config, available_bytes=2**30)
    assert vllm_layout([one], config, available_bytes=2**30).bytes_per_block == 40_000
    plain = attention("FullAttentionSpec", 8)
    assert vllm_layout([plain], config, available_bytes=2**30).bytes_per_block == 32_768


def test_a_padded_page_does_not_grow_by_more_tokens():
    """Two blocks' tokens fit into its padding, so it stays as wide as before."""
    narrow = attention("FullAttentionSpec", 8, page_size_padded=70_000)
    wide = attention("SlidingWindowSpec", 8, page_size_padded=140_000, sliding_window=64)
    with pytest.raises(UnsupportedError, match="its own padding stands against it"):
        vllm_layout([narrow, wide], CONFIG, available_bytes=2**30)
