"""Sizes of a layer's heads, under every name and exception that configs have for them."""

from collections.abc import Mapping
from dataclasses import dataclass

from kvsim.dtypes import DType
from kvsim.errors import SpecError
from kvsim.io.hf_config.fields import Fields
from kvsim.io.hf_config.kinds import Kind
from kvsim.io.hf_config.towers import Tower
from kvsim.message import Message

HIDDEN_FIELDS = (
    "hidden_size",
    "d_model",
    "n_embd",
    "dim_model",
    "model_dim",
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
    "num_query_heads",
)
KV_HEAD_FIELDS = (
    "decoder_num_key_value_heads",
    "num_key_value_heads",
    "num_kv_heads",
    "n_head_kv",
    "num_attention_groups",
    "multi_query_group_num",
)
HEAD_DIM_FIELDS = ("head_dim", "d_kv", "attention_head_dim", "kv_channels", "dim_head", "d_head")

PER_LAYER_LISTS = {
    "num_attention_heads_per_layer": "num_attention_heads",
    "num_key_value_heads_per_layer": "num_key_value_heads",
    "num_query_heads": "num_attention_heads",
    "num_key_value_heads": "num_key_value_heads",
    "num_kv_heads": "num_kv_heads",
}
"""Lists with an entry for every layer -> the field that each entry stands for."""

WIDE_ATTENTION = frozenset(("zamba", "zamba2"))
"""Families whose attention works on hidden state and embedding side by side.

Source: transformers `Zamba2Config`, `attention_hidden_size`, 5.23.0.
"""

TWICE_THE_KV_HEADS = frozenset(("mimo_v2_flash",))
"""Families whose window layers have twice the KV heads, where no field says it.

Source: transformers `MiMoV2FlashAttention`, 5.23.0.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """The sizes that a config states once and layers share."""

    tower: Tower
    dtype: DType
    hidden_size: int
    num_heads: int  # 1 in a model without attention

    @property
    def model_type(self) -> str:
        """The language tower's."""
        return self.tower.model_type

    @property
    def family(self) -> str:
        """The language tower's model type, without its suffix."""
        return self.tower.family


@dataclass(frozen=True, slots=True, kw_only=True)
class Heads:
    """Query heads, KV heads and their sizes in one layer."""

    num_attention_heads: int
    num_kv_heads: int
    head_dim: int
    v_head_dim: int | None


def hidden_size(f: Fields) -> int:
    """The width between layers, under any of its names."""
    return f.whole(*HIDDEN_FIELDS)


def read_sizes(f: Fields, tower: Tower, *, dtype: DType, attention: bool) -> Sizes:
    """Hidden size and query heads; a model without attention states no heads."""
    f.must_agree("hidden_size", "n_embd", "d_model")
    hidden, heads = hidden_size(f), 1
    if attention:
        f.must_agree("num_attention_heads", "n_head", "n_heads")
        heads = _query_heads(f)
        if heads > hidden:
            msg = f"num_attention_heads={heads} must be <= hidden_size={hidden}"
            raise SpecError(msg)
    return Sizes(tower=tower, dtype=dtype, hidden_size=hidden, num_heads=heads)


def _query_heads(f: Fields) -> int:
    """The model's query heads; the most that a layer has where they differ."""
    for field in ("num_attention_heads_per_layer", "num_query_heads"):
        if isinstance(f.fork().raw(field), list):
            return max(f.wholes(field, low=1) or (1,))
    if not f.has(*HEAD_FIELDS):
        return f.whole("num_attention_heads")  # raises, naming the usual field
    return f.whole(*HEAD_FIELDS)


def read_heads(f: Fields, sizes: Sizes, kind: Kind) -> Heads:
    """The heads of one layer; window layers and global layers may have their own."""
    sliding = kind in (Kind.SLIDING, Kind.HYBRID_SLIDING)
    own = f.section("attention_other_setting") if sliding else None
    if own is not None and own.text("attention_type", default="sliding_attention") != (
        "sliding_attention"
    ):
        own = None
    heads = kv_heads = head_dim = v_head_dim = None
    if sliding:
        heads = f.fork().size("swa_num_attention_heads", "num_sliding_attention_heads")
        kv_heads = f.size("swa_num_key_value_heads")
        head_dim, v_head_dim = f.size("swa_head_dim"), f.size("swa_v_head_dim")
        if kv_heads is None and sizes.family in TWICE_THE_KV_HEADS:
            kv_heads = 2 * f.whole("num_key_value_heads")
    elif kind is Kind.FULL and not f.states("per_layer_config"):
        head_dim = f.size("global_head_dim")
        if f.flag("attention_k_eq_v"):
            kv_heads = f.size("num_global_key_value_heads")
    if own is not None:
        heads = own.fork().size("num_attention_heads") or heads
        kv_heads = own.size("num_attention_groups", "num_key_value_heads") or kv_heads
        head_dim = own.size("head_dim") or head_dim
    heads = heads or f.fork().whole(*HEAD_FIELDS)  # decides only where others derive from it
    return Heads(
        num_attention_heads=heads,
        num_kv_heads=kv_heads or _kv_heads(f, heads),
        head_dim=head_dim or _head_dim(f, sizes, heads),
        v_head_dim=v_head_dim or f.size("v_head_dim"),
    )


def _kv_heads(f: Fields, heads: int) -> int:
    """KV heads; Falcon's and GPT-BigCode's `multi_query` means one, ChatGLM's means its groups.

    Where it is stated, only Falcon's own `num_kv_heads` is looked at beside it.
    """
    if f.has("multi_query"):
        if f.flag("multi_query") and not f.flag("new_decoder_architecture"):
            return 1
        stated = f.optional_whole("num_kv_heads", "n_head_kv")
        return _as_many(f, heads) if stated is None else stated
    if f.has("multi_query_attention") and not f.flag("multi_query_attention"):
        return _as_many(f, heads)
    f.must_agree("num_key_value_heads", "num_kv_heads", "n_head_kv", "num_attention_groups")
    stated = f.optional_whole(*KV_HEAD_FIELDS)
    if stated is None and (nested := f.section("attn_config")) is not None:
        one = nested.text("attn_type") == "multiquery_attention"
        stated = 1 if one else nested.optional_whole("kv_n_heads")
    return _as_many(f, heads) if stated is None else stated


def _as_many(f: Fields, heads: int) -> int:
    """As many KV heads as query heads, whose field then decides."""
    f.raw(*HEAD_FIELDS)
    return heads


def _head_dim(f: Fields, sizes: Sizes, heads: int) -> int:
    stated = f.size(*HEAD_DIM_FIELDS)
    if stated is not None:
        return stated
    width = hidden_size(f)
    f.raw(*HEAD_FIELDS)
    if sizes.family in WIDE_ATTENTION:
        width = f.whole("attention_hidden_size", default=2 * width)
    if width % heads:
        msg = Message(
            "num_attention_heads={heads} must divide hidden_size={width}, or state head_dim",
            heads=heads,
            width=width,
        )
        raise SpecError(msg)
    return width // heads


def overrides(f: Fields, num_layers: int) -> dict[int, tuple[str, Mapping[str, object]]]:
    """What single layers state for themselves: where it stands, and the values.

    Raises:
        SpecError: for a list or an index that does not fit the number of layers.
    """
    found: dict[int, tuple[str, Mapping[str, object]]] = {}
    for index, values in _per_layer_config(f).items():
        if index >= num_layers:
            msg = f"{f.name_of('per_layer_config')} names layer {index}, the model has {num_layers}"
            raise SpecError(msg)
        found[index] = (f"per_layer_config.{index}.", values)
    for index in _without_rotary_key(f, num_layers):
        found[index] = (
            "no_rope_layers: ",
            {**found.get(index, ("", {}))[1], "qk_rope_head_dim": 0},
        )
    draft = f.fork().optional_whole("num_nextn_predict_layers", low=0) or 0
    for field, stands_for in PER_LAYER_LISTS.items():
        if not isinstance(f.fork().raw(field), list):
            continue
        entries = f.wholes(field, low=1) or ()
        if len(entries) not in (num_layers, num_layers + draft):
            msg = Message(
                "{field} has {entries} entries for {num_layers} layers",
                field=f.name_of(field),
                entries=len(entries),
                num_layers=num_layers,
            )
            raise SpecError(msg)
        for index in range(num_layers):
            _, before = found.get(index, ("", {}))
            found[index] = (f"{field}.{index}.", {**before, stands_for: entries[index]})
    return found


def _without_rotary_key(f: Fields, num_layers: int) -> list[int]:
    """Layers of latent attention without positions, hence without a rotary key to cache.

    Source:
        transformers `MistralLarge4Config.no_rope_layers`, 5.23.0.
    """
    rotary = f.wholes("no_rope_layers") if f.has("kv_lora_rank") else None
    if rotary is None:
        every = f.optional_whole("no_rope_layer_interval") if f.has("kv_lora_rank") else None
        return [i for i in range(num_layers) if every and (i + 1) % every == 0]
    if len(rotary) != num_layers:
        msg = f"{f.name_of('no_rope_layers')} has {len(rotary)} entries for {num_layers} layers"
        raise SpecError(msg)
    return [i for i, has_key in enumerate(rotary) if not has_key]


def _per_layer_config(f: Fields) -> dict[int, Mapping[str, object]]:
    """The overrides by layer; keys are numbers or text, zero-padded or not."""
    value = f.raw("per_layer_config")
    if value is None:
        return {}
    field = f.name_of("per_layer_config")
    if not isinstance(value, Mapping):
        msg = f"{field} must be an object from layer numbers to values"
        raise SpecError(msg)
    found: dict[int, Mapping[str, object]] = {}
    for key, values in value.items():
        text = str(key)
        if not text.isascii() or not text.isdigit() or len(text) > 6:
            msg = f"{field}: {text[:40]!r} is no layer number"
            raise SpecError(msg)
        if not isinstance(values, Mapping):
            msg = f"{field}.{text} must be an object"
            raise SpecError(msg)
        if int(text) in found:
            msg = f"{field} names layer {int(text)} twice"
            raise SpecError(msg)
        found[int(text)] = values
    return found
