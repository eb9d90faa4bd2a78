"""From a layer's kind to what its attention caches: keys and values, latents, indexer keys."""

from dataclasses import asdict

from kvsim.errors import SpecError, UnsupportedError
from kvsim.io.hf_config.fields import Fields
from kvsim.io.hf_config.kinds import Kind
from kvsim.io.hf_config.sizes import HEAD_FIELDS, Sizes, read_heads
from kvsim.specs.attention import (
    ChunkedAttention,
    CrossAttention,
    FullAttention,
    PromptAndWindow,
    SlidingWindow,
)
from kvsim.specs.latent import (
    CompressedAttention,
    Indexer,
    LatentAttention,
    SlidingLatentAttention,
)
from kvsim.specs.model import Layer

WINDOW_FIELDS = ("sliding_window", "sliding_window_size", "attention_window_size", "window_size")
INDEX_WIDTH_FIELDS = ("index_head_dim", "indexer_head_dim")
INDEX_HEAD_FIELDS = ("index_n_heads", "indexer_num_heads", "indexer_n_heads")

COMPRESS_RATES = {
    Kind.COMPRESSED: ("compressed_sparse_attention", "compress_rate_csa", 4),
    Kind.HEAVILY_COMPRESSED: ("heavily_compressed_attention", "compress_rate_hca", 128),
}
"""A kind's name in `compress_rates`, its older field, and the rate where a file states none.

Source: transformers `DeepseekV4Config.default_compress_rates`, 5.23.0.
"""

SHARED_INDEXER = "shared"
INDEXER_WORDS = {"full": False, "F": False, SHARED_INDEXER: True, "S": True}
"""The words of `indexer_types` and the letters of `index_topk_pattern`: whether a layer shares."""


def attention_layer(f: Fields, sizes: Sizes, kind: Kind, *, shares_indexer: bool) -> Layer:
    """What the attention of one layer caches."""
    if kind in COMPRESS_RATES or (kind is Kind.SLIDING and _is_compressed(f, sizes)):
        return _compressed(f, kind)
    if f.has("kv_lora_rank") and f.flag("use_mla", default=True):
        return _latent(f, kind, shares_indexer=shares_indexer)
    kept = _keys_and_values(f, sizes, kind)
    return (kept, _indexer(f)) if kind is Kind.INDEXED and not shares_indexer else (kept,)


def _keys_and_values(f: Fields, sizes: Sizes, kind: Kind) -> FullAttention:
    heads = asdict(read_heads(f, sizes, kind))
    if kind in (Kind.SLIDING, Kind.HYBRID_SLIDING):
        return SlidingWindow(**heads, sliding_window=window(f))
    if kind is Kind.PROMPT_AND_WINDOW:
        return PromptAndWindow(**heads, sliding_window=window(f))
    if kind is Kind.CHUNKED:
        return ChunkedAttention(**heads, attention_chunk_size=f.whole("attention_chunk_size"))
    return FullAttention(**heads)


def window(f: Fields) -> int:
    """Tokens that a window layer attends to."""
    if not f.has(*WINDOW_FIELDS) and f.has("local_attention"):
        return f.whole("local_attention", low=2) // 2  # ModernBERT counts both directions
    return f.whole(*WINDOW_FIELDS)


def cross_attention(f: Fields, sizes: Sizes) -> CrossAttention:
    """Keys and values of the encoder's output; its length is known where audio is padded."""
    heads = read_heads(f, sizes, Kind.FULL)
    return CrossAttention(
        num_attention_heads=f.fork().size("cross_num_attention_heads") or heads.num_attention_heads,
        num_kv_heads=f.size("cross_num_key_value_heads") or heads.num_kv_heads,
        head_dim=f.size("cross_head_dim") or heads.head_dim,
        num_encoder_tokens=f.size("max_source_positions") if f.has("num_mel_bins") else None,
    )


def shared_indexers(f: Fields, sizes: Sizes, num_layers: int) -> tuple[bool, ...]:
    """Whether each layer uses an earlier layer's pick instead of an indexer of its own.

    Source:
        transformers `GlmMoeDsaConfig` and `HYV4Config`, 5.23.0, for what files leave implicit.
    """
    for field in ("indexer_types", "index_topk_pattern"):
        value = f.raw(field)
        if value is None:
            continue
        words = list(value) if isinstance(value, str) else list(f.texts(field) or ())
        draft = f.fork().optional_whole("num_nextn_predict_layers", low=0) or 0
        if len(words) not in (num_layers, num_layers + draft):
            msg = f"{f.name_of(field)} has {len(words)} entries for {num_layers} layers"
            raise SpecError(msg)
        if unknown := [word for word in words if word not in INDEXER_WORDS]:
            msg = f"{f.name_of(field)}: indexer kind {unknown[0][:40]!r} is not known"
            raise UnsupportedError(msg)
        return tuple(INDEXER_WORDS[word] for word in words[:num_layers])
    if sizes.family == "hy_v4":
        return tuple(bool(i and (i - 1) % 4) for i in range(num_layers))
    every = f.optional_whole("index_topk_freq", low=0) or 1
    offset = f.whole("index_skip_topk_offset", low=0, default=2)
    return tuple(max(i - offset + 1, 0) % every != 0 for i in range(num_layers))


def _latent(f: Fields, kind: Kind, *, shares_indexer: bool) -> Layer:
    sizes = {
        "num_attention_heads": f.fork().whole(*HEAD_FIELDS),
        "kv_lora_rank": f.whole("kv_lora_rank"),
        "qk_rope_head_dim": f.whole("qk_rope_head_dim", low=0),
    }
    if kind is Kind.SLIDING:
        return (SlidingLatentAttention(**sizes, sliding_window=window(f)),)
    if kind not in (Kind.FULL, Kind.INDEXED, Kind.HYBRID):
        msg = f"layer_types: {kind} latent attention is not known"
        raise UnsupportedError(msg)
    if kind is not Kind.INDEXED:
        return (LatentAttention(**sizes),)
    latent = LatentAttention(**sizes, index_topk=f.fork().size("index_topk"))
    return (latent,) if shares_indexer else (latent, _indexer(f))


def _indexer(f: Fields) -> Indexer:
    section = f.section("sparse_attention_config")
    if section is not None and section.has("sparse_index_dim"):
        return Indexer(
            num_index_heads=section.fork().whole("sparse_num_index_heads", default=1),
            index_head_dim=section.whole("sparse_index_dim"),
        )
    return Indexer(
        num_index_heads=f.fork().whole(*INDEX_HEAD_FIELDS, default=1),
        index_head_dim=f.whole(*INDEX_WIDTH_FIELDS),
    )


def _is_compressed(f: Fields, sizes: Sizes) -> bool:
    """Whether window layers keep key and value as one, as their compressed neighbours do."""
    return f.has("compress_rates", "compress_ratios") or sizes.family == "deepseek_v4"


def _compressed(f: Fields, kind: Kind) -> Layer:
    """DeepSeek-V4: key and value are one vector; a window, and entries for what slid out of it."""
    heads, width = f.fork().whole(*HEAD_FIELDS), f.whole("head_dim")
    local = SlidingLatentAttention(
        num_attention_heads=heads, kv_lora_rank=width, qk_rope_head_dim=0, sliding_window=window(f)
    )
    if kind is Kind.SLIDING:
        return (local,)
    name, older, usual = COMPRESS_RATES[kind]
    rates = f.section("compress_rates")
    stated = rates.optional_whole(name) if rates else None
    rate = stated or f.whole(older, default=usual)
    sparse = kind is Kind.COMPRESSED
    entries = CompressedAttention(
        num_attention_heads=heads,
        head_dim=width,
        compress_rate=rate,
        overlaps=sparse,
        index_topk=f.fork().size("index_topk") if sparse else None,
    )
    if not sparse:
        return (local, entries)
    index = Indexer(
        num_index_heads=f.fork().whole(*INDEX_HEAD_FIELDS, default=1),
        index_head_dim=f.whole(*INDEX_WIDTH_FIELDS),
        compress_rate=rate,
    )
    return (local, entries, index)
