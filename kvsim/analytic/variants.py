"""The same model with other attention: from a head each to one, a latent, a window, a state."""

import itertools
from dataclasses import dataclass, replace
from enum import StrEnum

from kvsim.dtypes import DType
from kvsim.engines.ideal import IdealLayout
from kvsim.specs.attention import CrossAttention, FullAttention, SlidingWindow
from kvsim.specs.latent import LatentAttention
from kvsim.specs.model import Layer, ModelSpec
from kvsim.specs.state import RecurrentState

GQA_KV_HEADS = 8
LATENT_RANK, LATENT_ROTARY = 512, 64  # DeepSeek-V2's
WINDOW_TOKENS = 4096  # Mistral-7B-v0.1's
STATE_SHARE = 4  # one full layer in four, as Qwen3-Next's


class VariantName(StrEnum):
    """Ways to keep a past, from the widest to the narrowest."""

    MHA = "mha"
    GQA = "gqa"
    MQA = "mqa"
    MLA = "mla"
    WINDOW = "sliding window"
    HYBRID = "recurrent state"
    OWN = "own"


@dataclass(frozen=True, slots=True, kw_only=True)
class AttentionVariant:
    """One sequence's cache in the ideal layout, were every attention layer of this kind.

    `bytes_per_token` is what one more token adds at this length.
    """

    name: VariantName
    num_kv_heads: int | None
    bytes_per_token: int
    total_bytes: int


def attention_variants(
    model: ModelSpec, *, kv_dtype: DType, num_tokens: int
) -> tuple[AttentionVariant, ...]:
    """The model's own cache, and those it would have with other attention; its own comes last.

    Heads, widths and layers are the model's own; GQA has the model's own key-value heads where it
    shares them. A model without attention heads of its own, or
    with latent ones, has its own row alone: what its heads would be is not its config's to say.
    """
    full = attention_heads(model)
    kv_heads = None if full is None else full.num_kv_heads
    own = _variant(model, VariantName.OWN, kv_dtype, num_tokens, kv_heads)
    if full is None:
        return (own,)
    changed = (
        _variant(_with(model, cycle), name, kv_dtype, num_tokens, kv_heads)
        for name, kv_heads, cycle in _kinds(full)
    )
    return (*changed, own)


def _kinds(full: FullAttention) -> tuple[tuple[VariantName, int | None, Layer], ...]:
    """Other attention of the same heads and widths: name, key-value heads, layers in turn."""
    heads, dim, value = full.num_attention_heads, full.head_dim, full.value_head_dim
    shared = 1 < full.num_kv_heads < heads
    fewer = max(n for n in range(1, min(GQA_KV_HEADS, heads) + 1) if heads % n == 0)
    grouped = full.num_kv_heads if shared else fewer

    def keeping(num_kv_heads: int) -> FullAttention:
        return FullAttention(
            num_attention_heads=heads,
            num_kv_heads=num_kv_heads,
            head_dim=dim,
            v_head_dim=value,
        )

    window = SlidingWindow(
        num_attention_heads=heads,
        num_kv_heads=full.num_kv_heads,
        head_dim=dim,
        v_head_dim=value,
        sliding_window=WINDOW_TOKENS,
    )
    latent = LatentAttention(
        num_attention_heads=heads, kv_lora_rank=LATENT_RANK, qk_rope_head_dim=LATENT_ROTARY
    )
    state = RecurrentState(
        mechanism="gated delta rule", num_heads=heads, state_elems=heads * dim * value
    )
    kept = keeping(full.num_kv_heads)
    return (
        (VariantName.MHA, heads, (keeping(heads),)),
        (VariantName.GQA, grouped, (keeping(grouped),)),
        (VariantName.MQA, 1, (keeping(1),)),
        (VariantName.MLA, None, (latent,)),
        (VariantName.WINDOW, full.num_kv_heads, (window,)),
        (VariantName.HYBRID, full.num_kv_heads, (*[state] * (STATE_SHARE - 1), kept)),
    )


def attention_heads(model: ModelSpec) -> FullAttention | None:
    """The first layer's heads that keep keys and values; None where no layer has any."""
    for group in model.layer_groups:
        for behaviour in group.layer:
            if isinstance(behaviour, FullAttention) and not isinstance(behaviour, CrossAttention):
                return behaviour
    return None


def _with(model: ModelSpec, cycle: Layer) -> ModelSpec:
    """The model with its attention layers, one after the other, as the cycle says."""
    behaviours = itertools.cycle(cycle)
    layers = tuple(
        (next(behaviours),) if any(b.live_tokens(1) for b in layer) else layer
        for layer in model.layers
    )
    return replace(model, layers=layers, decided_by=())


def _variant(
    model: ModelSpec, name: VariantName, kv_dtype: DType, num_tokens: int, kv_heads: int | None
) -> AttentionVariant:
    held = IdealLayout(model=model, kv_dtype=kv_dtype, dtype=model.dtype).sequence(num_tokens)
    return AttentionVariant(
        name=name,
        num_kv_heads=kv_heads,
        bytes_per_token=held.marginal_bytes,
        total_bytes=held.total_bytes,
    )
