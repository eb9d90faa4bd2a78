"""A GGUF file's metadata to a ModelSpec: what every layer caches, as llama.cpp reads it."""

from collections.abc import Mapping

from kvsim.dtypes import FP16
from kvsim.errors import MissingFieldError, SpecError, UnsupportedError
from kvsim.io.gguf_architectures import (
    NO_CACHE,
    PLAIN,
    SPECIAL,
    Architecture,
    Recurrent,
    Window,
)
from kvsim.io.gguf_attention import Sizes, attention, compressed, indexer, is_indexed
from kvsim.io.gguf_fields import MAX_LAYERS, GgufFields
from kvsim.io.gguf_states import recurrent_state
from kvsim.message import Message
from kvsim.specs.attention import CacheBehaviour, FullAttention, SharedCache
from kvsim.specs.llama_cpp import LlamaCppTraits
from kvsim.specs.model import Layer, ModelSpec

POOLED_INDEX_ENTRIES = 3  # key, gate and pooled key
KV_BORROWERS = "attention.shared_kv_layers"


def model_from_gguf(metadata: Mapping[str, object], *, name: str | None = None) -> ModelSpec:
    """The model that a GGUF file's metadata describe.

    Args:
        metadata: keys and values of the file's header; arrays as lists.
        name: what to call it; None: as the file calls itself.

    Raises:
        SpecError: for a missing, impossible or contradictory value.
        UnsupportedError: for an architecture whose cache in llama.cpp is not known.
    """
    kind = metadata.get("general.architecture")
    if not isinstance(kind, str):
        msg = "general.architecture is missing: this is no language model's GGUF"
        raise MissingFieldError(msg)
    rules = _architecture(kind)
    f = GgufFields(metadata, kind)
    sizes = _sizes(f)
    windowed = _windowed(f, rules.window, sizes)
    recurrent = _recurrent(f, rules.recurrent, sizes)
    layers = _layers(f, rules, sizes, windowed=windowed, recurrent=recurrent)
    if rules.repeats_layers:
        layers *= f.whole("num_loops", default=1, low=1)
    return ModelSpec(
        name=name or str(metadata.get("general.name") or kind)[:80],
        model_type=kind,
        dtype=FP16,
        layers=layers,
        hidden_size=sizes.hidden_size,
        vocab_size=_vocab_size(f),
        num_attention_heads=max(1, *sizes.heads),
        max_model_len=f.whole("context_length", low=1),
        weights_unknown="a GGUF file's metadata hold no parameters by role",
        llama_cpp=_traits(f, rules, sizes),
    )


def _architecture(kind: str) -> Architecture:
    if kind in SPECIAL:
        return SPECIAL[kind]
    if kind in PLAIN or kind in NO_CACHE:
        return Architecture(creates_cache=kind in PLAIN)
    msg = Message(
        "general.architecture={kind}: its cache in llama.cpp is not known", kind=kind[:40]
    )
    raise UnsupportedError(msg)


def _sizes(f: GgufFields) -> Sizes:
    total = f.whole("block_count", low=1)
    drafts = f.whole("nextn_predict_layers", default=0)
    if total > MAX_LAYERS or drafts >= total:
        msg = (
            f"{f.key('block_count')}={total} must be <= {MAX_LAYERS} "
            f"and > {f.key('nextn_predict_layers')}={drafts}"
        )
        raise SpecError(msg)
    hidden = f.whole("embedding_length", low=1)
    heads = f.per_layer("attention.head_count", total, default=0)
    kv_heads = heads
    if f.has("attention.head_count_kv"):
        kv_heads = f.per_layer("attention.head_count_kv", total)
    own = hidden // heads[0] if heads[0] else 0
    k_dim = f.whole("attention.key_length", default=own) if heads[0] else 0
    v_dim = f.whole("attention.value_length", default=own) if heads[0] else 0
    return Sizes(
        num_layers=total - drafts,
        num_draft_layers=drafts,
        hidden_size=hidden,
        heads=heads,
        kv_heads=kv_heads,
        ff=f.per_layer("feed_forward_length", total, default=0),
        k_dim=k_dim,
        v_dim=v_dim,
        swa_k_dim=f.whole("attention.key_length_swa", default=k_dim) if heads[0] else 0,
        swa_v_dim=f.whole("attention.value_length_swa", default=v_dim) if heads[0] else 0,
    )


def _vocab_size(f: GgufFields) -> int:
    if f.has("vocab_size"):
        return f.whole("vocab_size", low=1)
    tokens = f.metadata.get("tokenizer.ggml.tokens")
    return max(1, len(tokens)) if isinstance(tokens, list | tuple | range) else 1


def _windowed(f: GgufFields, window: Window | None, sizes: Sizes) -> list[int]:
    """The window of every layer; 0 for a layer without."""
    count = sizes.num_layers
    if window is None or window.only_num_layers not in (None, count):
        return [0] * count
    length = f.whole("attention.sliding_window", default=window.default or 0)
    if length and window.always is not None:
        length = window.always
    if window.covers_attention:
        return [length if sizes.kv_heads[i] else 0 for i in range(count)]
    pattern = "attention.sliding_window_pattern"
    if f.is_list(pattern):
        return [length if one else 0 for one in f.per_layer(pattern, count)]
    if window.period is None and length:
        msg = f"{f.key(pattern)} is missing: it decides which layers have a window"
        raise MissingFieldError(msg)
    period = f.whole(pattern, default=window.period or 0)
    if period == 0:
        return [length] * count
    full = 0 if window.dense_first else period - 1
    return [0 if i % period == full else length for i in range(count)]


def _recurrent(f: GgufFields, which: Recurrent, sizes: Sizes) -> list[bool]:
    """Whether a layer is recurrent."""
    layers = range(sizes.num_layers)
    match which:
        case Recurrent.NONE:
            return [False for _ in layers]
        case Recurrent.ALL | Recurrent.BESIDE_ATTENTION:
            return [True for _ in layers]
        case Recurrent.WITHOUT_KV_HEADS:
            return [sizes.kv_heads[i] == 0 for i in layers]
        case Recurrent.WITHOUT_KV_HEADS_OR_FF:
            return [sizes.kv_heads[i] == 0 and sizes.ff[i] == 0 for i in layers]
        case Recurrent.LISTED:
            if f.has("attention.recurrent_layers"):
                listed = f.per_layer("attention.recurrent_layers", sizes.num_layers)
                return [bool(one) for one in listed]
            interval = f.whole("full_attention_interval", default=4, low=1)
            return [(i + 1) % interval != 0 for i in layers]


def _layers(
    f: GgufFields,
    rules: Architecture,
    sizes: Sizes,
    *,
    windowed: list[int],
    recurrent: list[bool],
) -> tuple[Layer, ...]:
    own_kv = _own_kv_layers(f, rules, sizes)
    layers: list[Layer] = []
    for i in range(sizes.num_layers):
        parts: list[CacheBehaviour] = []
        beside = rules.recurrent is Recurrent.BESIDE_ATTENTION
        if not rules.creates_cache:
            layers.append(())
            continue
        if rules.is_compressed:
            parts += compressed(f, sizes, i)
        elif beside or (not recurrent[i] and _attends(rules, sizes, i)):
            own = attention(f, rules, sizes, layer=i, window=windowed[i])
            borrows = i >= own_kv and isinstance(own, FullAttention)
            parts.append(SharedCache(attention=own) if borrows else own)
            if is_indexed(f, rules, i):
                parts.append(indexer(f))
        if recurrent[i]:
            parts += recurrent_state(f, rules.state, layer=i, heads=sizes.heads[0])
        layers.append(tuple(parts))
    return tuple(layers)


def _attends(rules: Architecture, sizes: Sizes, layer: int) -> bool:
    """Whether a layer that is not recurrent has attention: Nemotron-H's may have neither."""
    if rules.recurrent is Recurrent.WITHOUT_KV_HEADS_OR_FF and sizes.ff[layer]:
        return False
    return sizes.kv_heads[layer] > 0


def _own_kv_layers(f: GgufFields, rules: Architecture, sizes: Sizes) -> int:
    """Layers from the first that keep their own keys and values."""
    if rules.num_own_kv_layers is not None:
        return rules.num_own_kv_layers
    borrowers = f.whole(KV_BORROWERS, default=0)
    if borrowers >= sizes.num_layers:
        msg = f"{f.key(KV_BORROWERS)}={borrowers} must be < {sizes.num_layers} layers"
        raise SpecError(msg)
    return sizes.num_layers + sizes.num_draft_layers - borrowers


def _traits(f: GgufFields, rules: Architecture, sizes: Sizes) -> LlamaCppTraits:
    pooled = rules.is_latent and rules.recurrent is not Recurrent.NONE
    return LlamaCppTraits(
        creates_cache=rules.creates_cache,
        has_flash_attn=rules.has_flash_attn,
        rolls_back=rules.rolls_back,
        expanded_head_dim=f.whole("attention.key_length_mla", default=0) or None,
        expanded_v_head_dim=f.whole("attention.value_length_mla", default=0) or None,
        one_slot_in_ollama=rules.one_slot_in_ollama,
        index_v_head_dim=sizes.v_dim if rules.index_has_values else 0,
        index_entries=POOLED_INDEX_ENTRIES
        if pooled and f.whole("attention.indexer.kpool", default=0)
        else 1,
        num_draft_layers=sizes.num_draft_layers,
    )
