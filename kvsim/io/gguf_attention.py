"""Attention and indexers from a GGUF file's metadata, layer by layer."""

from dataclasses import dataclass

from kvsim.errors import SpecError
from kvsim.io.gguf_architectures import Architecture, Indexed
from kvsim.io.gguf_fields import GgufFields
from kvsim.specs.attention import (
    CacheBehaviour,
    ChunkedAttention,
    FullAttention,
    SlidingWindow,
)
from kvsim.specs.latent import (
    CompressedAttention,
    Indexer,
    LatentAttention,
    SlidingLatentAttention,
)

OVERLAPPING_RATE = 4  # DSV4_CSA_RATIO: its windows overlap, and it has an indexer
FULL_INDEX_CONTEXT = 1048576  # GLM-5.2's context; models below it index every layer
SHARED_INDEX_PERIOD = 4  # then layers 0 and 1, and every fourth from 2 on, have an indexer


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """What layers share."""

    num_layers: int
    num_draft_layers: int
    hidden_size: int
    heads: list[int]
    kv_heads: list[int]
    ff: list[int]
    k_dim: int
    v_dim: int
    swa_k_dim: int
    swa_v_dim: int


def attention(
    f: GgufFields, rules: Architecture, sizes: Sizes, *, layer: int, window: int
) -> CacheBehaviour:
    """What an attention layer caches; a window of 0 is none."""
    if rules.is_latent and f.whole("attention.key_length_mla", default=0):
        return _latent(f, sizes, layer=layer, window=window)
    kv_heads = sizes.kv_heads[layer]
    heads = sizes.heads[layer] or kv_heads
    if window and rules.window is not None and rules.window.is_chunked:
        return ChunkedAttention(
            num_attention_heads=heads,
            num_kv_heads=kv_heads,
            head_dim=sizes.swa_k_dim,
            v_head_dim=_own(sizes.swa_v_dim, sizes.swa_k_dim),
            attention_chunk_size=window,
        )
    if window:
        return SlidingWindow(
            num_attention_heads=heads,
            num_kv_heads=kv_heads,
            head_dim=sizes.swa_k_dim,
            v_head_dim=_own(sizes.swa_v_dim, sizes.swa_k_dim),
            sliding_window=window,
        )
    return FullAttention(
        num_attention_heads=heads,
        num_kv_heads=kv_heads,
        head_dim=sizes.k_dim,
        v_head_dim=_own(sizes.v_dim, sizes.k_dim),
    )


def _own(v_dim: int, k_dim: int) -> int | None:
    """The values' width where it is not the keys'."""
    return None if v_dim == k_dim else v_dim


def _latent(f: GgufFields, sizes: Sizes, *, layer: int, window: int) -> LatentAttention:
    suffix = "_swa" if window else ""
    width = sizes.swa_k_dim if window else sizes.k_dim
    rank = f.whole(f"attention.kv_lora_rank{suffix}", low=1)
    if width < rank:
        msg = (
            f"{f.key(f'attention.key_length{suffix}')}={width} must be "
            f">= {f.key(f'attention.kv_lora_rank{suffix}')}={rank}"
        )
        raise SpecError(msg)
    heads = max(1, sizes.heads[layer])
    rotary = width - rank
    if window:
        return SlidingLatentAttention(
            num_attention_heads=heads,
            kv_lora_rank=rank,
            qk_rope_head_dim=rotary,
            sliding_window=window,
        )
    return LatentAttention(num_attention_heads=heads, kv_lora_rank=rank, qk_rope_head_dim=rotary)


def compressed(f: GgufFields, sizes: Sizes, layer: int) -> list[CacheBehaviour]:
    """DeepSeek-V4's: a window of single entries, and what the layer's ratio compresses."""
    heads, width = sizes.heads[layer], sizes.k_dim
    rotary = f.whole("rope.dimension_count", low=1)
    parts: list[CacheBehaviour] = [
        SlidingLatentAttention(
            num_attention_heads=heads,
            kv_lora_rank=width - rotary,
            qk_rope_head_dim=rotary,
            sliding_window=f.whole("attention.sliding_window", low=1),
        )
    ]
    rate = f.per_layer("attention.compress_ratios", sizes.num_layers)[layer]
    if rate:
        overlaps = rate == OVERLAPPING_RATE
        parts.append(
            CompressedAttention(
                num_attention_heads=heads, head_dim=width, compress_rate=rate, overlaps=overlaps
            )
        )
        if overlaps:
            parts.append(indexer(f, compress_rate=rate))
    return parts


def indexer(f: GgufFields, *, compress_rate: int = 1) -> Indexer:
    """The indexer's keys, one for so many tokens."""
    return Indexer(
        num_index_heads=f.whole("attention.indexer.head_count", low=1),
        index_head_dim=f.whole("attention.indexer.key_length", low=1),
        compress_rate=compress_rate,
    )


def is_indexed(f: GgufFields, rules: Architecture, layer: int) -> bool:
    """Whether an attention layer has an indexer of its own."""
    match rules.indexed:
        case Indexed.NONE:
            return False
        case Indexed.AFTER_DENSE:
            return layer >= f.whole("leading_dense_block_count", default=0)
        case Indexed.LISTED:
            if f.whole("attention.indexer.top_k", default=0) == 0:
                return False
            if f.has("attention.indexer.types"):
                return bool(f.per_layer("attention.indexer.types", layer + 1)[layer])
            every = f.whole("context_length", low=1) < FULL_INDEX_CONTEXT
            return every or layer < 2 or layer % SHARED_INDEX_PERIOD == 2
        case Indexed.ALL | Indexed.ATTENTION:
            return f.whole("attention.indexer.key_length", default=0) > 0
