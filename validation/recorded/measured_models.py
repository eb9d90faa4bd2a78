"""Models of the measured rows: from the architecture parameters in models.json to specs."""

from collections.abc import Callable, Mapping
from typing import Any

import kvsim

BF16 = kvsim.model_dtype("bfloat16")
UNSTATED = 1  # widths that no cache figure depends on
INDEX_HEADS = 64


def build_model(name: str, arch: Mapping[str, Any]) -> kvsim.ModelSpec:
    """The model that a row's architecture describes; its weights are not described.

    Raises:
        kvsim.UnsupportedError: for a kind of attention that no builder knows.
        kvsim.SpecError: for parameters that a builder needs and does not find.
    """
    kind = arch["attn"]
    if kind not in BUILDERS:
        msg = f"attn={kind}: no builder for this kind of attention"
        raise kvsim.UnsupportedError(msg)
    try:
        layers = BUILDERS[kind](arch)
    except KeyError as missing:
        msg = f"{name}: {missing.args[0]} must be given for attn={kind}"
        raise kvsim.SpecError(msg) from None
    return kvsim.ModelSpec(
        name=name,
        model_type=kind,
        dtype=BF16,
        layers=layers,
        hidden_size=arch.get("hidden") or UNSTATED,
        vocab_size=arch.get("vocab") or UNSTATED,
        num_attention_heads=arch.get("heads") or arch.get("kv_heads") or UNSTATED,
        **_expanded(arch),
    )


def _expanded(arch: Mapping[str, Any]) -> dict[str, Any]:
    """What a latent expands to, per head, where a build does not store latents."""
    if "qk_nope_head_dim" not in arch:
        return {}
    key = arch["qk_nope_head_dim"] + arch["qk_rope_head_dim"]
    traits = kvsim.LlamaCppTraits(expanded_head_dim=key, expanded_v_head_dim=arch["v_head_dim"])
    return {"llama_cpp": traits}


def _heads(arch: Mapping[str, Any], prefix: str = "") -> kvsim.FullAttention:
    """Full attention; a row's KV heads may not divide the query heads it states, so those go."""
    heads = arch[f"{prefix}kv_heads"]
    return kvsim.FullAttention(
        num_attention_heads=heads,
        num_kv_heads=heads,
        head_dim=arch[f"{prefix}head_dim"],
        v_head_dim=arch.get(f"{prefix}v_head_dim"),
    )


def _window(arch: Mapping[str, Any]) -> kvsim.SlidingWindow:
    full = _heads(arch, "swa_")
    return kvsim.SlidingWindow(
        num_attention_heads=full.num_attention_heads,
        num_kv_heads=full.num_kv_heads,
        head_dim=full.head_dim,
        v_head_dim=full.v_head_dim,
        sliding_window=arch["window"],
    )


def _latent(arch: Mapping[str, Any], **more: int) -> kvsim.LatentAttention:
    return kvsim.LatentAttention(
        num_attention_heads=arch.get("heads") or arch.get("kv_heads") or UNSTATED,
        kv_lora_rank=arch["kv_lora_rank"],
        qk_rope_head_dim=arch["qk_rope_head_dim"],
        **more,
    )


def _plain(arch: Mapping[str, Any]) -> tuple[Any, ...]:
    """Every layer caches heads; or only so many of them do."""
    return ((_heads(arch),),) * arch.get("kv_layers", arch["layers"])


def _attention_of_hybrid(arch: Mapping[str, Any]) -> tuple[Any, ...]:
    """The attention layers alone: what the others keep is not described in elements."""
    return ((_heads(arch),),) * arch["full_attn_layers"]


def _latents_of_hybrid(arch: Mapping[str, Any]) -> tuple[Any, ...]:
    return ((_latent(arch),),) * arch["full_attn_layers"]


def _latents(arch: Mapping[str, Any]) -> tuple[Any, ...]:
    return ((_latent(arch),),) * arch["layers"]


def _sparse(arch: Mapping[str, Any]) -> tuple[Any, ...]:
    """Latents that an indexer picks from: its key is fp8 with a float32 scale per 128."""
    width = arch["indexer_bytes_per_token_layer"]
    indexer = kvsim.Indexer(num_index_heads=INDEX_HEADS, index_head_dim=width * 128 // 132)
    return ((_latent(arch, index_topk=2048), indexer),) * arch["layers"]


def _windows(arch: Mapping[str, Any]) -> tuple[Any, ...]:
    full = ((_heads(arch),),) * arch["full_attn_layers"]
    return full + ((_window(arch),),) * arch["swa_layers"]


def _compressed(arch: Mapping[str, Any]) -> tuple[Any, ...]:
    """DeepSeek-V4's window layers: key and value are one row; what it compresses is apart."""
    row = kvsim.SlidingLatentAttention(
        num_attention_heads=arch["kv_heads"],
        kv_lora_rank=arch["head_dim"] - 1,
        qk_rope_head_dim=1,
        sliding_window=arch["window"],
    )
    return ((row,),) * arch["layers"]


def _encoder_decoder(arch: Mapping[str, Any]) -> tuple[Any, ...]:
    """The decoder's own cache; the encoder's length is not described."""
    return ((_heads(arch),),) * arch["layers"]


BUILDERS: dict[str, Callable[[Mapping[str, Any]], tuple[Any, ...]]] = {
    "mha": _plain,
    "gqa": _plain,
    "variable_gqa": _plain,
    "encdec": _encoder_decoder,
    "mla": _latents,
    "mla_dsa": _sparse,
    "hybrid_linear": _attention_of_hybrid,
    "hybrid_mamba": _attention_of_hybrid,
    "hybrid_conv": _attention_of_hybrid,
    "hybrid_mla": _latents_of_hybrid,
    "swa": _windows,
    "dsv4": _compressed,
}
"""Kinds of attention in models.json, and who builds their layers."""

MECHANISMS = {
    "mha": "full attention",
    "gqa": "full attention",
    "variable_gqa": "full attention in some layers",
    "encdec": "encoder and decoder",
    "mla": "latent attention",
    "mla_dsa": "sparse latent attention",
    "hybrid_linear": "hybrid with linear attention",
    "hybrid_mamba": "hybrid with linear attention",
    "hybrid_conv": "hybrid with convolutions",
    "hybrid_mla": "hybrid with linear attention",
    "swa": "sliding window",
    "dsv4": "compressed attention",
}
"""What the kinds are called in the report."""
