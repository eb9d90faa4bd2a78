"""Cache behaviours: the same questions, answered by every class."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvsim.dtypes import BF16, FP8
from kvsim.errors import SpecError
from kvsim.specs.attention import (
    ChunkedAttention,
    CrossAttention,
    FullAttention,
    PromptAndWindow,
    SharedCache,
    SlidingWindow,
    heads_per_rank,
)
from kvsim.specs.latent import (
    CompressedAttention,
    Indexer,
    LatentAttention,
    SlidingLatentAttention,
)
from kvsim.specs.state import RecurrentState

HEADS = {"num_attention_heads": 4, "num_kv_heads": 2, "head_dim": 16}
LATENT = {"num_attention_heads": 4, "kv_lora_rank": 24, "qk_rope_head_dim": 8}
FULL = FullAttention(**HEADS)
BEHAVIOURS = [
    FULL,
    FullAttention(**HEADS, v_head_dim=8),
    SlidingWindow(**HEADS, sliding_window=8),
    ChunkedAttention(**HEADS, attention_chunk_size=8),
    PromptAndWindow(**HEADS, sliding_window=8),
    CrossAttention(**HEADS, num_encoder_tokens=5),
    SharedCache(attention=FULL),
    LatentAttention(**LATENT),
    LatentAttention(**LATENT, index_topk=4),
    SlidingLatentAttention(**LATENT, sliding_window=8),
    CompressedAttention(num_attention_heads=4, head_dim=16, compress_rate=4, overlaps=True),
    Indexer(num_index_heads=2, index_head_dim=16),
    Indexer(num_index_heads=2, index_head_dim=16, compress_rate=4),
    RecurrentState(
        mechanism="mamba-1", num_heads=4, state_elems=64, conv_kernel=4, conv_channels=8
    ),
]
every_behaviour = pytest.mark.parametrize("behaviour", BEHAVIOURS, ids=lambda b: b.kind)


@every_behaviour
def test_live_tokens_never_fall(behaviour):
    """
    A longer sequence keeps at least what a shorter one keeps.
    """
    live = [behaviour.live_tokens(n) for n in range(1, 40)]

    assert live == sorted(live)
    assert max(live) <= 40


@every_behaviour
def test_bytes_per_token_are_what_the_mechanism_needs(behaviour):
    """
    Where tokens are kept they have a width, and a narrower format is no wider.
    """
    grows = behaviour.live_tokens(40) > 0

    assert (behaviour.token_bytes(BF16) > 0) == grows
    assert behaviour.token_bytes(FP8) <= behaviour.token_bytes(BF16)


@every_behaviour
def test_formula_is_text_with_numbers(behaviour):
    """
    A formula says something, whatever the behaviour.
    """
    text = behaviour.formula(BF16)

    assert any(letter.isdigit() for letter in text)


@every_behaviour
def test_attended_tokens_add_up(behaviour):
    """
    A prompt in one piece attends to as much as the same prompt in two.
    """
    whole = behaviour.attended_tokens(0, 30)

    assert whole == behaviour.attended_tokens(0, 11) + behaviour.attended_tokens(11, 30)


@given(st.integers(0, 60), st.integers(0, 60), st.sampled_from([1, 4, 7]))
def test_compressed_queries_see_the_entries_before_them(start, length, rate):
    """
    Counted one query at a time, as the closed form must come to.
    """
    stop = start + length
    compressed = CompressedAttention(
        num_attention_heads=1, head_dim=2, compress_rate=rate, index_topk=5
    )

    seen = [min((i + 1) // rate, 5) for i in range(start, stop)]
    assert compressed.attended_tokens(start, stop) == sum(seen)


def test_values_may_be_narrower_than_keys():
    """
    MiMo stores both, each at its own width.
    """
    assert FullAttention(**HEADS, v_head_dim=8).token_bytes(BF16) == 2 * (16 + 8) * 2


def test_heads_divide_or_repeat():
    """
    Neither more ranks than heads nor fewer change the whole, except by copies.
    """
    assert [heads_per_rank(8, tp) for tp in (1, 2, 8, 16)] == [8, 4, 1, 1]
    with pytest.raises(SpecError, match="tensor_parallel_size=3"):
        heads_per_rank(8, 3)


@pytest.mark.parametrize(
    ("build", "named"),
    [
        (lambda: FullAttention(**HEADS | {"num_kv_heads": 3}), "num_kv_heads=3"),
        (lambda: FullAttention(**HEADS | {"head_dim": 0}), "head_dim=0"),
        (lambda: SlidingWindow(**HEADS, sliding_window=0), "sliding_window=0"),
        (lambda: ChunkedAttention(**HEADS, attention_chunk_size=True), "attention_chunk_size"),
        (lambda: CrossAttention(**HEADS, num_encoder_tokens=-1), "num_encoder_tokens=-1"),
        (lambda: LatentAttention(**LATENT | {"kv_lora_rank": 0}), "kv_lora_rank=0"),
        (lambda: LatentAttention(**LATENT | {"qk_rope_head_dim": -1}), "qk_rope_head_dim=-1"),
        (lambda: SlidingLatentAttention(**LATENT, sliding_window=0), "sliding_window=0"),
        (lambda: Indexer(num_index_heads=1, index_head_dim=0), "index_head_dim=0"),
        (
            lambda: RecurrentState(mechanism="x", num_heads=1, state_elems=-1),
            "state_elems=-1",
        ),
    ],
)
def test_impossible_sizes_are_refused(build, named):
    """
    A behaviour checks itself once.
    """
    with pytest.raises(SpecError, match=named):
        build()


def test_cross_attention_needs_its_encoders_length():
    """
    Nobody can know it from the decoder's.
    """
    unknown = CrossAttention(**HEADS, num_encoder_tokens=None)

    with pytest.raises(SpecError, match="num_encoder_tokens"):
        unknown.live_tokens(3)


def test_states_divide_over_ranks_and_groups_repeat():
    """
    One group on two ranks is held by both.
    """
    state = RecurrentState(
        mechanism="mamba-2",
        num_heads=8,
        state_elems=8 * 16,
        conv_kernel=4,
        conv_channels=64,
        num_groups=1,
        group_channels=16,
    )

    assert state.conv_elems(1) == (64 + 16) * 3
    assert state.conv_elems(2) == (32 + 16) * 3
    with pytest.raises(SpecError, match="tensor_parallel_size=3"):
        state.state_bytes(BF16, tensor_parallel_size=3)
