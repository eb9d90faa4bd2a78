"""Which kind each layer is: explicit lists, periods, and the patterns that files leave implicit.

i counts layers from 0. "full every k" means that layer i is full when (i + 1) % k == 0.
"""

from collections.abc import Callable
from enum import StrEnum

from kvsim.errors import SpecError, UnsupportedError
from kvsim.io.hf_config.fields import MAX_LAYERS, Fields


class Kind(StrEnum):
    """What one layer is, whatever word a config used for it."""

    FULL = "full"
    SLIDING = "sliding"
    CHUNKED = "chunked"
    LINEAR = "linear"  # gated delta rule, KDA, lightning: what the other fields say
    MAMBA = "mamba"
    HYBRID = "hybrid"  # attention beside a state in one layer
    CONV = "conv"  # short convolution
    RECURRENT = "recurrent"  # RG-LRU
    NONE = "none"  # MLP or MoE alone


WORDS = {
    "full_attention": Kind.FULL,
    "attention": Kind.FULL,
    "global_attention": Kind.FULL,
    "global": Kind.FULL,
    "full": Kind.FULL,
    "sliding_attention": Kind.SLIDING,
    "sliding": Kind.SLIDING,
    "local_attention": Kind.SLIDING,
    "local": Kind.SLIDING,
    "chunked_attention": Kind.CHUNKED,
    "linear_attention": Kind.LINEAR,
    "mamba": Kind.MAMBA,
    "mamba2": Kind.MAMBA,
    "hybrid": Kind.HYBRID,
    "conv": Kind.CONV,
    "short_conv": Kind.CONV,
    "recurrent": Kind.RECURRENT,
    "mlp": Kind.NONE,
    "moe": Kind.NONE,
}
"""The words of `layer_types`, `layers_block_type` and `block_types`."""

LETTERS = {"M": Kind.MAMBA, "*": Kind.FULL, "-": Kind.NONE, "E": Kind.NONE}
"""The letters of Nemotron-H's `hybrid_override_pattern`."""

LAYER_COUNT_FIELDS = (
    "decoder_layers",
    "num_decoder_layers",
    "decoder_num_hidden_layers",
    "num_hidden_layers",
    "n_layer",
    "n_layers",
    "num_layers",
    "layers",
    "num_blocks",
)
LAYER_LIST_FIELDS = ("layer_types", "layers_block_type")

Rule = Callable[[Fields, int], list[Kind]]


def layer_kinds(f: Fields, model_type: str) -> tuple[Kind, ...]:
    """The kind of every layer.

    Raises:
        SpecError: if the layer count is missing, or two fields disagree about it.
        UnsupportedError: for a layer word that no rule knows.
    """
    pattern = f.raw("hybrid_override_pattern")
    if pattern is not None:
        return _from_letters(f, pattern)
    words = f.texts(*LAYER_LIST_FIELDS)
    count = f.optional_whole(*LAYER_COUNT_FIELDS, high=MAX_LAYERS)
    if words is not None:
        return _from_words(f, words, count)
    if count is None:
        count = f.whole("num_hidden_layers")  # raises, naming the usual field
    for name, rule in _FIELD_RULES.items():
        if f.has(name) and (kinds := rule(f, count)) is not None:
            return tuple(kinds)
    if model_type in IMPLICIT:
        return tuple(IMPLICIT[model_type](f, count))
    return tuple(_plain(f, count))


def _from_letters(f: Fields, pattern: object) -> tuple[Kind, ...]:
    field = f.name_of("hybrid_override_pattern")
    if not isinstance(pattern, str) or not 1 <= len(pattern) <= MAX_LAYERS:
        msg = f"{field} must be a string of 1 to {MAX_LAYERS} layer letters"
        raise SpecError(msg)
    for letter in pattern:
        if letter not in LETTERS:
            msg = f"{field}: layer letter {letter!r} is not one of {' '.join(LETTERS)}"
            raise UnsupportedError(msg)
    _check_count(f, field, len(pattern), f.optional_whole("num_hidden_layers", high=MAX_LAYERS))
    return tuple(LETTERS[letter] for letter in pattern)


def _from_words(f: Fields, words: tuple[str, ...], count: int | None) -> tuple[Kind, ...]:
    field = f.name_of("layer_types")
    for word in words:
        if word not in WORDS:
            msg = f"{field}: layer kind {word[:40]!r} is not known"
            raise UnsupportedError(msg)
    _check_count(f, field, len(words), count)
    return tuple(WORDS[word] for word in words)


def _check_count(f: Fields, field: str, entries: int, count: int | None) -> None:
    if not entries or (count is not None and entries != count):
        stated = f.name_of("num_hidden_layers")
        msg = f"{field} has {entries} entries, {stated}={count}: they must agree"
        raise SpecError(msg)


def _every(k: int, n: int, *, at: Kind = Kind.FULL, other: Kind = Kind.SLIDING) -> list[Kind]:
    return [at if (i + 1) % k == 0 else other for i in range(n)]


def _full_every(field: str, k: int, other: Kind = Kind.SLIDING) -> Rule:
    def rule(f: Fields, n: int) -> list[Kind]:
        return _every(f.whole(field, default=k), n, other=other)

    return rule


def _alternate(f: Fields, n: int) -> list[Kind]:
    return _every(2, n)


def _from_window_layer(f: Fields, n: int) -> list[Kind]:
    if not f.flag("use_sliding_window") or not f.has("sliding_window"):
        return [Kind.FULL] * n
    first = f.whole("max_window_layers", low=0)
    return [Kind.SLIDING if i >= first else Kind.FULL for i in range(n)]


def _even_below_window_layer(f: Fields, n: int) -> list[Kind]:
    if not f.flag("use_sliding_window") or not f.has("sliding_window"):
        return [Kind.FULL] * n
    end = f.whole("max_window_layers", low=0)
    return [Kind.SLIDING if i < end and i % 2 == 0 else Kind.FULL for i in range(n)]


def _all_sliding(f: Fields, n: int) -> list[Kind]:
    return [Kind.SLIDING if f.size("sliding_window") else Kind.FULL] * n


def _all_full(f: Fields, n: int) -> list[Kind]:  # noqa: ARG001
    return [Kind.FULL] * n


def _llama4(f: Fields, n: int) -> list[Kind]:
    rope = f.wholes("no_rope_layers")
    if not rope:
        k = f.whole("no_rope_layer_interval", default=4)
        return _every(k, n, other=Kind.CHUNKED)
    _check_count(f, f.name_of("no_rope_layers"), len(rope), n)
    return [Kind.CHUNKED if r else Kind.FULL for r in rope]


def _full_at_multiples(field: str, k: int) -> Rule:
    def rule(f: Fields, n: int) -> list[Kind]:
        step = f.whole(field, default=k)
        return [Kind.FULL if i % step == 0 else Kind.SLIDING for i in range(n)]

    return rule


def _mimo(f: Fields, n: int) -> list[Kind]:
    pattern = f.wholes("hybrid_layer_pattern")
    if pattern is None:
        return [Kind.FULL if i == 0 or (i + 1) % 6 == 0 else Kind.SLIDING for i in range(n)]
    _check_count(f, f.name_of("hybrid_layer_pattern"), len(pattern), n)
    return [Kind.SLIDING if p else Kind.FULL for p in pattern]


def _minimax(f: Fields, n: int) -> list[Kind]:
    types = f.wholes("attn_type_list")
    if types is not None:
        _check_count(f, f.name_of("attn_type_list"), len(types), n)
        return [Kind.FULL if t else Kind.LINEAR for t in types]
    return [Kind.FULL if (i + 1) % 2 else Kind.LINEAR for i in range(n)]


def _kimi_linear(f: Fields, n: int) -> list[Kind]:
    linear = f.section("linear_attn_config")
    layers = linear.wholes("kda_layers", low=1) if linear else None
    if layers is None:
        msg = f"{f.name_of('linear_attn_config.kda_layers')} is missing: it names the KDA layers"
        raise SpecError(msg)
    return [Kind.LINEAR if i + 1 in layers else Kind.FULL for i in range(n)]  # counted from 1


def _jamba(f: Fields, n: int) -> list[Kind]:
    period, offset = f.whole("attn_layer_period"), f.whole("attn_layer_offset", low=0)
    return [Kind.FULL if i % period == offset else Kind.MAMBA for i in range(n)]


def _listed(field: str, other: Kind) -> Rule:
    def rule(f: Fields, n: int) -> list[Kind]:
        listed = f.wholes(field) or ()
        if any(i >= n for i in listed):
            msg = f"{f.name_of(field)} names layer {max(listed)}, the model has {n}"
            raise SpecError(msg)
        return [Kind.FULL if i in listed else other for i in range(n)]

    return rule


def _recurrent_gemma(f: Fields, n: int) -> list[Kind]:
    words = f.texts("block_types") or ("recurrent", "recurrent", "attention")
    kinds = _from_words(f, tuple(words[i % len(words)] for i in range(n)), n)
    return [Kind.SLIDING if k is Kind.FULL else k for k in kinds]


def _all(kind: Kind) -> Rule:
    def rule(f: Fields, n: int) -> list[Kind]:  # noqa: ARG001
        return [kind] * n

    return rule


def _plain(f: Fields, n: int) -> list[Kind]:
    """Layers of a model without a pattern: full, unless a window is stated but not placed."""
    if f.has("sliding_window_pattern"):
        return _every(f.whole("sliding_window_pattern"), n)
    if f.size("sliding_window") and f.flag("use_sliding_window", default=True):
        msg = (
            f"{f.name_of('layer_types')} is missing: sliding_window="
            f"{f.raw('sliding_window')} does not say which layers it covers"
        )
        raise SpecError(msg)
    return [Kind.FULL] * n


_FIELD_RULES: dict[str, Rule] = {
    "attn_layer_period": _jamba,
    "attn_layer_indices": _listed("attn_layer_indices", Kind.MAMBA),
    "full_attn_idxs": _listed("full_attn_idxs", Kind.CONV),
    "full_attention_interval": _full_every("full_attention_interval", 4, Kind.LINEAR),
    "attn_type_list": _minimax,
    "hybrid_layer_pattern": _mimo,
}
"""Fields that settle the pattern whatever the model is called."""

IMPLICIT: dict[str, Rule] = {
    **dict.fromkeys(("gemma2", "t5gemma", "vaultgemma", "gpt_oss"), _alternate),
    **dict.fromkeys(
        ("gemma3_text", "gemma3", "gemma4_text", "gemma4_unified_text", "t5gemma2", "shieldgemma2"),
        _full_every("sliding_window_pattern", 6),
    ),
    **dict.fromkeys(
        ("cohere2", "exaone4", "exaone_moe", "exaone4_5_text"),
        _full_every("sliding_window_pattern", 4),
    ),
    "gemma3n_text": _full_every("sliding_window_pattern", 5),
    "olmo3": _full_every("sliding_window_pattern", 4),
    **dict.fromkeys(
        ("qwen3_next", "qwen3_5_text", "qwen3_5_moe_text", "qwen4_exp_text"),
        _full_every("full_attention_interval", 4, Kind.LINEAR),
    ),
    **dict.fromkeys(
        (
            "qwen2",
            "qwen3",
            "qwen3_moe",
            "qwen2_vl",
            "qwen2_vl_text",
            "qwen2_5_vl",
            "qwen2_5_vl_text",
            "dots1",
            "deepseek_ocr2",
        ),
        _from_window_layer,
    ),
    "qwen2_moe": _even_below_window_layer,
    "llama4_text": _llama4,
    "llama4": _llama4,
    "afmoe": _full_every("global_attn_every_n_layers", 4),
    "modernbert-decoder": _full_at_multiples("global_attn_every_n_layers", 3),
    "cwm": _full_at_multiples("window_pattern", 4),
    "granite_swa": _full_at_multiples("window_pattern", 4),
    "granitemoe_swa": _full_at_multiples("window_pattern", 4),
    "mimo_v2_flash": _mimo,
    "minimax": _minimax,
    "minimax_text_01": _minimax,
    "bailing_hybrid": _full_every("layer_group_size", 4, Kind.LINEAR),
    "kimi_linear": _kimi_linear,
    "recurrent_gemma": _recurrent_gemma,
    "falcon_h1": _all(Kind.HYBRID),
    **dict.fromkeys(("mamba", "mamba2", "falcon_mamba"), _all(Kind.MAMBA)),
    **dict.fromkeys(("granitemoehybrid",), _all(Kind.MAMBA)),
    "olmo_hybrid": _all(Kind.LINEAR),
    **dict.fromkeys(("phi3", "mistral", "ministral", "starcoder2", "mixtral"), _all_sliding),
    "gpt_neo": _all_full,
}
"""Patterns of files written before `layer_types` existed."""
