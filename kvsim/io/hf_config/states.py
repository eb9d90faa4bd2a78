"""From a config's fields to the state of a recurrent layer: Mamba, delta rule, and kin."""

from collections.abc import Callable

from kvsim.dtypes import FP32, DType, model_dtype
from kvsim.errors import MissingFieldError
from kvsim.io.hf_config.fields import Fields
from kvsim.io.hf_config.kinds import Kind
from kvsim.io.hf_config.sizes import Sizes, hidden_size, read_heads
from kvsim.specs.model import Layer
from kvsim.specs.state import RecurrentState

GROUP_FIELDS = ("mamba_n_groups", "n_groups", "mamba_ngroups")
STEP_RANK_FIELDS = ("mamba_dt_rank", "time_step_rank")
STATE_FIELDS = ("mamba_d_state", "ssm_state_size", "state_size")
KERNEL_FIELDS = ("mamba_d_conv", "conv_kernel")
EXPAND_FIELDS = ("mamba_expand", "expand")
AUTO = "auto"


def state_layer(f: Fields, sizes: Sizes, kind: Kind) -> Layer:
    """What the recurrent part of one layer keeps.

    Raises:
        MissingFieldError: if no field says which mixer the layer has.
    """
    if kind is Kind.CONV:
        return (_short_convolution(f),)
    if kind is Kind.RECURRENT:
        return (_rg_lru(f),)
    for field, build in _BY_FIELD.items():
        if f.has(field):
            return build(f, sizes, kind)
    if sizes.family in _BY_FAMILY:
        return _BY_FAMILY[sizes.family](f, sizes, kind)
    msg = f"{f.name_of('linear_num_value_heads')} is missing: it decides the linear layers' state"
    raise MissingFieldError(msg)


def _short_convolution(f: Fields) -> RecurrentState:
    width = f.size("conv_dim") or hidden_size(f)
    return RecurrentState(
        mechanism="short convolution",
        num_heads=width,
        state_elems=0,
        conv_kernel=f.whole("conv_L_cache"),
        conv_channels=width,
    )


def _rg_lru(f: Fields) -> RecurrentState:
    width = f.size("lru_width") or hidden_size(f)
    return RecurrentState(
        mechanism="RG-LRU",
        num_heads=width,
        state_elems=width,
        conv_kernel=f.whole("conv1d_width"),
        conv_channels=width,
    )


def _state_dtype(f: Fields, sizes: Sizes) -> DType | None:
    """The state's format where the config, or Nemotron-H's own class, states it."""
    name = f.text("mamba_ssm_dtype", "mamba_ssm_cache_dtype", default=AUTO)
    if name == AUTO:
        return FP32 if sizes.family == "nemotron_h" else None
    return model_dtype(name, field="mamba_ssm_dtype")


def _mamba(f: Fields, sizes: Sizes, kind: Kind) -> Layer:  # noqa: ARG001
    """Mamba-2 has groups of B and C in its convolution; Mamba-1 a rank of its step sizes."""
    one = f.has(*STEP_RANK_FIELDS) and not f.has(*GROUP_FIELDS)
    return (_mamba_1(f, sizes) if one else _mamba_2(f, sizes),)


def _mamba_1(f: Fields, sizes: Sizes) -> RecurrentState:
    state = f.whole(*STATE_FIELDS)
    inner = None if f.has("mamba_expand") else f.optional_whole("intermediate_size")
    if inner is None:
        inner = f.whole(*EXPAND_FIELDS) * hidden_size(f)
    return RecurrentState(
        mechanism="mamba-1",
        num_heads=inner,
        state_elems=inner * state,
        head_shape=(state,),
        conv_kernel=f.whole(*KERNEL_FIELDS),
        conv_channels=inner,
        state_dtype=_state_dtype(f, sizes),
    )


def _mamba_2(f: Fields, sizes: Sizes) -> RecurrentState:
    own_names = sizes.family == "mamba2"  # where `num_heads` can mean nothing else
    heads = f.whole(
        "mamba_n_heads", "mamba_num_heads", "n_mamba_heads", *(["num_heads"] if own_names else [])
    )
    dim_fields = ("mamba_d_head", "mamba_head_dim", "mamba_headdim", *(["head_dim"] * own_names))
    head_dim = None if f.raw(*dim_fields) == AUTO else f.optional_whole(*dim_fields)
    if head_dim is None:
        inner = f.optional_whole("mamba_d_ssm", "mamba_intermediate_size")
        head_dim = (inner or f.whole(*EXPAND_FIELDS) * hidden_size(f)) // heads
    state = f.whole(*STATE_FIELDS)
    return RecurrentState(
        mechanism="mamba-2",
        num_heads=heads,
        state_elems=heads * head_dim * state,
        head_shape=(head_dim, state),
        conv_kernel=f.whole(*KERNEL_FIELDS),
        conv_channels=heads * head_dim,
        num_groups=f.whole(*GROUP_FIELDS, default=1),
        group_channels=2 * state,
        state_dtype=_state_dtype(f, sizes),
    )


def _gated_delta(f: Fields, sizes: Sizes, kind: Kind) -> Layer:  # noqa: ARG001
    k_heads, v_heads = f.whole("linear_num_key_heads"), f.whole("linear_num_value_heads")
    k_dim, v_dim = f.whole("linear_key_head_dim"), f.whole("linear_value_head_dim")
    state = RecurrentState(
        mechanism="gated delta rule",
        num_heads=v_heads,
        state_elems=v_heads * k_dim * v_dim,
        head_shape=(v_dim, k_dim),
        conv_kernel=f.whole("linear_conv_kernel_dim"),
        conv_channels=2 * k_heads * k_dim + v_heads * v_dim,
        state_dtype=_state_dtype(f, sizes),
        elem_flops=7,  # decay, read, correct, read out
    )
    return (state,)


def _kda(f: Fields, sizes: Sizes, kind: Kind) -> Layer:  # noqa: ARG001
    section = f.section("linear_attn_config") or f
    heads = section.whole("linear_num_heads", "num_heads", "num_attention_heads")
    dim = section.whole("linear_head_dim", "head_dim")
    state = RecurrentState(
        mechanism="KDA",
        num_heads=heads,
        state_elems=heads * dim**2,
        head_shape=(dim, dim),
        conv_kernel=section.whole("linear_conv_kernel_dim", "short_conv_kernel_size"),
        conv_channels=3 * heads * dim,
        elem_flops=7,
    )
    return (state,)


def _lightning(f: Fields, sizes: Sizes, kind: Kind) -> Layer:  # noqa: ARG001
    heads = read_heads(f, sizes, Kind.FULL)
    state = RecurrentState(
        mechanism="lightning attention",
        num_heads=heads.num_attention_heads,
        state_elems=heads.num_attention_heads * heads.head_dim**2,
        head_shape=(heads.head_dim, heads.head_dim),
        state_in_model_dtype=True,
    )
    return (state,)


def _attention_convolutions(f: Fields, sizes: Sizes, kind: Kind) -> Layer:
    """Inkling: convolutions over keys, values, and the inputs of attention and feed-forward."""
    heads = read_heads(f, sizes, kind)
    keys_and_values = heads.num_kv_heads * (heads.head_dim + (heads.v_head_dim or heads.head_dim))
    state = RecurrentState(
        mechanism="short convolution",
        num_heads=heads.num_kv_heads,
        state_elems=0,
        conv_kernel=f.whole("conv_kernel_size"),
        conv_channels=keys_and_values + 2 * hidden_size(f),
    )
    return (state,)


def _convolved_attention(f: Fields, sizes: Sizes, kind: Kind) -> Layer:
    """Zaya: two convolutions over queries and keys, and half of the last token's values."""
    heads = read_heads(f, sizes, kind)
    columns = f.whole("cca_time0") + f.whole("cca_time1") - 2
    channels = (heads.num_attention_heads + heads.num_kv_heads) * heads.head_dim
    state = RecurrentState(
        mechanism="convolved attention",
        num_heads=heads.num_kv_heads,
        state_elems=channels * columns + heads.num_kv_heads * heads.head_dim // 2,
        state_in_model_dtype=True,
    )
    return (state,)


def _rwkv(f: Fields, sizes: Sizes, kind: Kind) -> Layer:  # noqa: ARG001
    """The last token's inputs of both mixers; numerator, denominator and maximum in float32."""
    width = f.size("attention_hidden_size") or hidden_size(f)
    shift = RecurrentState(
        mechanism="token shift",
        num_heads=hidden_size(f),
        state_elems=2 * hidden_size(f),
        state_in_model_dtype=True,
        elem_flops=2,
    )
    return (shift, RecurrentState(mechanism="WKV", num_heads=width, state_elems=3 * width))


Build = Callable[[Fields, Sizes, Kind], Layer]

_BY_FIELD: dict[str, Build] = {
    "linear_num_value_heads": _gated_delta,
    "linear_num_heads": _kda,
    "linear_attn_config": _kda,
    "short_conv_kernel_size": _kda,
    "cca_time0": _convolved_attention,
    "conv_kernel_size": _attention_convolutions,
    **dict.fromkeys(STATE_FIELDS, _mamba),
}
"""The field that only one mixer has -> how to read it."""

_BY_FAMILY: dict[str, Build] = {
    "minimax": _lightning,
    "minimax_text_01": _lightning,
    "rwkv": _rwkv,
}
"""Families whose mixer no field of its own gives away."""
