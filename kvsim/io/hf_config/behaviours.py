"""From a layer's kind and the config's sizes to what the layer caches."""

from collections.abc import Callable
from dataclasses import dataclass

from kvsim.dtypes import FP32, DType, model_dtype
from kvsim.errors import SpecError
from kvsim.io.hf_config.fields import Fields
from kvsim.io.hf_config.patterns import Kind
from kvsim.specs.attention import (
    CacheBehaviour,
    ChunkedAttention,
    CrossAttention,
    FullAttention,
    SharedCache,
    SlidingWindow,
)
from kvsim.specs.latent import Indexer, LatentAttention
from kvsim.specs.model import Layer
from kvsim.specs.state import RecurrentState

HIDDEN_FIELDS = (
    "hidden_size",
    "d_model",
    "n_embd",
    "dim_model",
    "embedding_dim",
    "embed_dim",
    "emb_dim",
)
HEAD_FIELDS = (
    "decoder_attention_heads",
    "num_decoder_attention_heads",
    "decoder_num_attention_heads",
    "num_attention_heads",
    "n_head",
    "n_heads",
    "num_heads",
    "attention_heads",
)
KV_HEAD_FIELDS = (
    "decoder_num_key_value_heads",
    "num_key_value_heads",
    "num_kv_heads",
    "n_head_kv",
    "multi_query_group_num",
    "num_attention_groups",
)
HEAD_DIM_FIELDS = ("head_dim", "d_kv", "kv_channels", "dim_head", "d_head", "attention_head_dim")
WINDOW_FIELDS = (
    "sliding_window",
    "sliding_window_size",
    "attention_window_size",
    "local_attention",
)

CLASS_HEAD_DIM = {
    "deepseek_v4": 512,
    "ernie4_5": 128,
    "flint": 128,
    "gemma": 256,
    "gemma2": 256,
    "gemma3": 256,
    "gemma3_text": 256,
    "gemma3n_text": 256,
    "gemma4_text": 256,
    "gemma4_unified_text": 256,
    "gpt_oss": 64,
    "hy_v3": 128,
    "inkling_text": 128,
    "kolibri1": 128,
    "laguna": 128,
    "mellum": 128,
    "minimax_m2": 128,
    "mistral3": 128,
    "qwen3": 128,
    "qwen3_5_moe_text": 256,
    "qwen3_5_text": 256,
    "qwen3_next": 256,
    "qwen4_exp_text": 256,
    "seed_oss": 128,
    "solar_open": 128,
    "t5gemma": 256,
    "t5gemma2": 256,
    "vaultgemma": 256,
    "zaya": 128,
}
"""head_dim that the configuration class fills in when a file omits it (transformers 5.23)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """The sizes that a config states once and layers share."""

    model_type: str
    dtype: DType
    hidden_size: int
    num_heads: int
    num_kv_heads: int
    head_dim: int
    v_head_dim: int | None


def read_sizes(f: Fields, *, model_type: str, dtype: DType, attention: bool) -> Sizes:
    """Hidden size, heads and head size; a model without attention states no heads."""
    hidden = f.whole(*HIDDEN_FIELDS)
    if not attention:
        return Sizes(
            model_type=model_type,
            dtype=dtype,
            hidden_size=hidden,
            num_heads=1,
            num_kv_heads=1,
            head_dim=1,
            v_head_dim=None,
        )
    heads = f.whole(*HEAD_FIELDS)
    if heads > hidden:
        msg = f"num_attention_heads={heads} must be <= hidden_size={hidden}"
        raise SpecError(msg)
    return Sizes(
        model_type=model_type,
        dtype=dtype,
        hidden_size=hidden,
        num_heads=heads,
        num_kv_heads=_kv_heads(f, heads),
        head_dim=_head_dim(f, model_type, hidden, heads),
        v_head_dim=f.size("v_head_dim"),
    )


def _kv_heads(f: Fields, heads: int) -> int:
    """KV heads; Falcon's and GPT-BigCode's `multi_query` means one, GLM's grouped form states it."""
    new_falcon = f.flag("new_decoder_architecture")
    if f.has("multi_query") and not new_falcon and f.flag("multi_query"):
        return 1
    if f.has("multi_query_attention") and not f.flag("multi_query_attention"):
        return heads
    nested = f.section("attn_config")
    stated = f.optional_whole(*KV_HEAD_FIELDS)
    if stated is None and nested is not None:
        stated = nested.optional_whole("kv_n_heads")
    return heads if stated is None else stated


def _head_dim(f: Fields, model_type: str, hidden: int, heads: int) -> int:
    stated = f.size(*HEAD_DIM_FIELDS)
    if stated is not None:
        return stated
    if model_type in CLASS_HEAD_DIM:
        return CLASS_HEAD_DIM[model_type]
    if hidden % heads and not f.has("kv_lora_rank"):
        msg = f"num_attention_heads={heads} must divide hidden_size={hidden}, or state head_dim"
        raise SpecError(msg)
    return hidden // heads


def build_layers(f: Fields, sizes: Sizes, kinds: tuple[Kind, ...]) -> tuple[Layer, ...]:
    """What every layer caches, layers that borrow another's cache included."""
    cache: dict[Kind, Layer] = {}
    for kind in dict.fromkeys(kinds):
        cache[kind] = _layer(f, sizes, kind)
    layers = [cache[kind] for kind in kinds]
    cross = _cross_attention(f, sizes)
    if cross is not None:
        return _with_cross(f, layers, cross)
    shared = f.optional_whole("num_kv_shared_layers", low=0) or 0
    if shared >= len(layers):
        msg = f"num_kv_shared_layers={shared} must be < num_hidden_layers={len(layers)}"
        raise SpecError(msg)
    own = len(layers) - shared
    return tuple(layers[:own]) + tuple(_shared(layer) for layer in layers[own:])


def _shared(layer: Layer) -> Layer:
    return tuple(SharedCache(attention=b) for b in layer if isinstance(b, FullAttention))


def _layer(f: Fields, sizes: Sizes, kind: Kind) -> Layer:
    if kind is Kind.NONE:
        return ()
    if kind in (Kind.FULL, Kind.SLIDING, Kind.CHUNKED):
        return _attention(f, sizes, kind)
    if kind is Kind.HYBRID:
        return (*_attention(f, sizes, Kind.FULL), _state(f, sizes, Kind.MAMBA))
    return (_state(f, sizes, kind),)


def _attention(f: Fields, sizes: Sizes, kind: Kind) -> Layer:
    if f.has("kv_lora_rank"):
        return _latent(f, sizes, kind)
    heads = {
        "num_attention_heads": sizes.num_heads,
        "num_kv_heads": sizes.num_kv_heads,
        "head_dim": sizes.head_dim,
        "v_head_dim": sizes.v_head_dim,
    }
    if kind is Kind.SLIDING:
        swa_kv_heads = f.size("swa_num_key_value_heads")
        swa_head_dim = f.size("swa_head_dim")
        return (
            SlidingWindow(
                num_attention_heads=f.size("swa_num_attention_heads") or sizes.num_heads,
                num_kv_heads=swa_kv_heads or sizes.num_kv_heads,
                head_dim=swa_head_dim or sizes.head_dim,
                v_head_dim=f.size("swa_v_head_dim") or sizes.v_head_dim,
                sliding_window=f.whole(*WINDOW_FIELDS),
            ),
        )
    if kind is Kind.CHUNKED:
        chunk = f.whole("attention_chunk_size")
        return (ChunkedAttention(**heads, attention_chunk_size=chunk),)
    return (FullAttention(**heads),)


def _latent(f: Fields, sizes: Sizes, kind: Kind) -> Layer:
    if kind is not Kind.FULL:
        msg = f"layer_types: {kind} latent attention is not known"
        raise SpecError(msg)
    latent: CacheBehaviour = LatentAttention(
        num_attention_heads=sizes.num_heads,
        kv_lora_rank=f.whole("kv_lora_rank"),
        qk_rope_head_dim=f.whole("qk_rope_head_dim"),
        index_topk=f.size("index_topk") if f.has("index_head_dim") else None,
    )
    width = f.size("index_head_dim")
    if width is None:
        return (latent,)
    heads = f.whole("index_n_heads", default=1)
    return (latent, Indexer(num_index_heads=heads, index_head_dim=width))


def _cross_attention(f: Fields, sizes: Sizes) -> CrossAttention | None:
    if not f.flag("is_encoder_decoder"):
        return None
    return CrossAttention(
        num_attention_heads=sizes.num_heads,
        num_kv_heads=f.size("cross_num_key_value_heads") or sizes.num_kv_heads,
        head_dim=f.size("cross_head_dim") or sizes.head_dim,
        num_encoder_tokens=f.size("max_source_positions") if f.has("num_mel_bins") else None,
    )


def _with_cross(f: Fields, layers: list[Layer], cross: CrossAttention) -> tuple[Layer, ...]:
    only = f.wholes("cross_attention_layers")
    if only is None:
        return tuple((*layer, cross) for layer in layers)
    return tuple((cross,) if i in only else layer for i, layer in enumerate(layers))


def _state(f: Fields, sizes: Sizes, kind: Kind) -> RecurrentState:
    if kind is Kind.CONV:
        return RecurrentState(
            mechanism="short convolution",
            num_heads=f.whole("conv_dim", default=sizes.hidden_size),
            state_elems=0,
            conv_kernel=f.whole("conv_L_cache"),
            conv_channels=f.whole("conv_dim", default=sizes.hidden_size),
        )
    if kind is Kind.RECURRENT:
        width = f.whole("lru_width", default=sizes.hidden_size)
        return RecurrentState(
            mechanism="RG-LRU",
            num_heads=width,
            state_elems=width,
            conv_kernel=f.whole("conv1d_width"),
            conv_channels=width,
        )
    if kind is Kind.MAMBA:
        return _mamba(f, sizes)
    return _linear(f, sizes)


def _state_dtype(f: Fields, model_type: str) -> DType | None:
    """The state's format where the config, or Nemotron-H's own class, states it."""
    name = f.text("mamba_ssm_dtype", "mamba_ssm_cache_dtype", default="auto")
    if name == "auto":
        return FP32 if model_type == "nemotron_h" else None
    return model_dtype(name, field="mamba_ssm_dtype")


def _mamba(f: Fields, sizes: Sizes) -> RecurrentState:
    state = f.whole("mamba_d_state", "ssm_state_size", "state_size")
    kernel = f.whole("mamba_d_conv", "conv_kernel")
    heads = f.optional_whole("mamba_n_heads", "mamba_num_heads", "n_mamba_heads")
    if heads is None and sizes.model_type == "mamba2":
        heads = f.whole("num_heads")
    if heads is None:
        inner = f.optional_whole("intermediate_size") if not f.has("mamba_expand") else None
        if inner is None:
            inner = f.whole("mamba_expand", "expand") * sizes.hidden_size
        return RecurrentState(
            mechanism="mamba-1",
            num_heads=inner,
            state_elems=inner * state,
            head_shape=(state,),
            conv_kernel=kernel,
            conv_channels=inner,
            state_dtype=_state_dtype(f, sizes.model_type),
        )
    inner_stated = f.optional_whole("mamba_d_ssm", "mamba_intermediate_size")
    head_dim = f.optional_whole("mamba_d_head", "mamba_head_dim", "mamba_headdim", low=1)
    if head_dim is None and sizes.model_type == "mamba2":
        head_dim = f.whole("head_dim")
    if head_dim is None:
        inner = inner_stated or f.whole("mamba_expand", "expand") * sizes.hidden_size
        head_dim = inner // heads
    groups = f.whole("mamba_n_groups", "n_groups", "mamba_ngroups", default=1)
    return RecurrentState(
        mechanism="mamba-2",
        num_heads=heads,
        state_elems=heads * head_dim * state,
        head_shape=(head_dim, state),
        conv_kernel=kernel,
        conv_channels=heads * head_dim,
        num_groups=groups,
        group_channels=2 * state,
        state_dtype=_state_dtype(f, sizes.model_type),
    )


def _linear(f: Fields, sizes: Sizes) -> RecurrentState:
    """The linear mixer whose fields the config states."""
    for field, build in _LINEAR.items():
        if f.has(field):
            return build(f, sizes)
    if sizes.model_type in ("minimax", "minimax_text_01"):
        return RecurrentState(
            mechanism="lightning attention",
            num_heads=sizes.num_heads,
            state_elems=sizes.num_heads * sizes.head_dim**2,
            head_shape=(sizes.head_dim, sizes.head_dim),
            state_dtype=sizes.dtype,
        )
    msg = f"{f.name_of('linear_num_value_heads')} is missing: it decides the linear layers' state"
    raise SpecError(msg)


def _gated_delta(f: Fields, sizes: Sizes) -> RecurrentState:
    k_heads, v_heads = f.whole("linear_num_key_heads"), f.whole("linear_num_value_heads")
    k_dim, v_dim = f.whole("linear_key_head_dim"), f.whole("linear_value_head_dim")
    return RecurrentState(
        mechanism="gated delta rule",
        num_heads=v_heads,
        state_elems=v_heads * k_dim * v_dim,
        head_shape=(v_dim, k_dim),
        conv_kernel=f.whole("linear_conv_kernel_dim"),
        conv_channels=2 * k_heads * k_dim + v_heads * v_dim,
        state_dtype=_state_dtype(f, sizes.model_type),
        elem_flops=7,  # decay, read, correct, read out
    )


def _kda(f: Fields, sizes: Sizes) -> RecurrentState:  # noqa: ARG001
    section = f.section("linear_attn_config") or f
    heads = section.whole("linear_num_heads", "num_heads")
    dim = section.whole("linear_head_dim", "head_dim")
    return RecurrentState(
        mechanism="KDA",
        num_heads=heads,
        state_elems=heads * dim**2,
        head_shape=(dim, dim),
        conv_kernel=section.whole("linear_conv_kernel_dim", "short_conv_kernel_size"),
        conv_channels=3 * heads * dim,
        elem_flops=7,
    )


_LINEAR: dict[str, Callable[[Fields, Sizes], RecurrentState]] = {
    "linear_num_value_heads": _gated_delta,
    "linear_num_heads": _kda,
    "linear_attn_config": _kda,
}
