"""Layer patterns by periods and indices, and those that a model type alone implies.

i counts layers from 0. "full every k" means that layer i is full when (i + 1) % k == 0.

Source: transformers' configuration classes, 5.23.0, where they fill `layer_types` in.
"""

from collections.abc import Callable

from kvsim.errors import SpecError
from kvsim.io.hf_config.fields import Fields
from kvsim.io.hf_config.kinds import Kind, check_count

Rule = Callable[[Fields, int], list[Kind]]

RATIO_OF_SPARSE = 4
"""DeepSeek-V4's `compress_ratios`: this one marks the layers with an indexer."""


def _every(
    k: int, n: int, *, at: Kind = Kind.FULL, other: Kind = Kind.SLIDING, first: int | None = None
) -> list[Kind]:
    start = k - 1 if first is None else first
    return [at if i % k == start % k else other for i in range(n)]


def _full_every(k: int, *fields: str, other: Kind = Kind.SLIDING, first: int | None = None) -> Rule:
    def rule(f: Fields, n: int) -> list[Kind]:
        period = f.whole(*fields, default=k) if fields else k
        return _every(period, n, other=other, first=first)

    return rule


def _last_full(rule: Rule) -> Rule:
    """The same pattern, its last layer full."""

    def forced(f: Fields, n: int) -> list[Kind]:
        return [*rule(f, n)[:-1], Kind.FULL]

    return forced


def _all(kind: Kind) -> Rule:
    return lambda f, n: [kind] * n  # noqa: ARG005


def _from_window_layer(f: Fields, n: int) -> list[Kind]:
    if not f.flag("use_sliding_window") or not f.size("sliding_window"):
        return [Kind.FULL] * n
    first = f.whole("max_window_layers", low=0)
    return [Kind.SLIDING if i >= first else Kind.FULL for i in range(n)]


def _even_below_window_layer(f: Fields, n: int) -> list[Kind]:
    if not f.flag("use_sliding_window") or not f.size("sliding_window"):
        return [Kind.FULL] * n
    end = f.whole("max_window_layers", low=0)
    return [Kind.SLIDING if i < end and i % 2 == 0 else Kind.FULL for i in range(n)]


def _all_sliding(*, unless_said: bool) -> Rule:
    def rule(f: Fields, n: int) -> list[Kind]:
        on = f.flag("use_sliding_window", default=unless_said) and f.size("sliding_window")
        return [Kind.SLIDING if on else Kind.FULL] * n

    return rule


def _no_rope_layers(f: Fields, n: int) -> list[Kind]:
    rope = f.wholes("no_rope_layers")
    if not rope:
        return _every(f.whole("no_rope_layer_interval", default=4), n, other=Kind.CHUNKED)
    check_count(f, f.name_of("no_rope_layers"), len(rope), n)
    return [Kind.CHUNKED if r else Kind.FULL for r in rope]


def _where_no_rope(f: Fields, n: int) -> list[Kind]:
    """SmolLM3: layers without rotary positions are full, the others slide if windows are used."""
    if not f.flag("use_sliding_window") or not f.size("sliding_window"):
        return [Kind.FULL] * n
    rope = f.wholes("no_rope_layers")
    if not rope:
        return _every(f.whole("no_rope_layer_interval", default=4), n)
    check_count(f, f.name_of("no_rope_layers"), len(rope), n)
    return [Kind.SLIDING if r else Kind.FULL for r in rope]


def _mimo(f: Fields, n: int) -> list[Kind]:  # noqa: ARG001
    return [Kind.FULL if i == 0 or (i + 1) % 6 == 0 else Kind.SLIDING for i in range(n)]


def _kda_layers(f: Fields, n: int) -> list[Kind]:
    linear = f.section("linear_attn_config")
    layers = linear.wholes("kda_layers", low=1) if linear else None
    if layers is None:
        msg = f"{f.name_of('linear_attn_config.kda_layers')} is missing: it names the KDA layers"
        raise SpecError(msg)
    _check_indices(f, "linear_attn_config.kda_layers", tuple(i - 1 for i in layers), n)
    return [Kind.STATE if i + 1 in layers else Kind.FULL for i in range(n)]  # counted from 1


def _jamba(f: Fields, n: int) -> list[Kind]:
    period, offset = f.whole("attn_layer_period"), f.whole("attn_layer_offset", low=0)
    return [Kind.FULL if i % period == offset else Kind.STATE for i in range(n)]


def _zamba(f: Fields, n: int) -> list[Kind]:
    """Three layers of its own, then a period."""
    period, offset = f.whole("attn_layer_period"), f.whole("attn_layer_offset", low=0)
    first = [Kind.STATE, Kind.STATE, Kind.HYBRID]
    rest = [Kind.HYBRID if i % period == offset else Kind.STATE for i in range(n - len(first))]
    return [*first, *rest][:n]


def _check_indices(f: Fields, field: str, listed: tuple[int, ...], n: int) -> None:
    if any(i >= n for i in listed):
        msg = f"{f.name_of(field)} names layer {max(listed)}, the model has {n}"
        raise SpecError(msg)


def _listed(field: str, other: Kind, *, at: Kind = Kind.FULL) -> Rule:
    def rule(f: Fields, n: int) -> list[Kind]:
        listed = f.wholes(field) or ()
        _check_indices(f, field, listed, n)
        return [at if i in listed else other for i in range(n)]

    return rule


def _marked(field: str, at: Kind, other: Kind) -> Rule:
    """A mark per layer: 1 for the one kind, 0 for the other."""

    def rule(f: Fields, n: int) -> list[Kind]:
        marks = f.wholes(field) or ()
        check_count(f, f.name_of(field), len(marks), n)
        return [at if mark else other for mark in marks]

    return rule


def _compress_ratios(f: Fields, n: int) -> list[Kind]:
    ratios = (f.wholes("compress_ratios") or ())[:n]  # draft layers follow
    check_count(f, f.name_of("compress_ratios"), len(ratios), n)
    kinds = {0: Kind.SLIDING, RATIO_OF_SPARSE: Kind.COMPRESSED}
    return [kinds.get(ratio, Kind.HEAVILY_COMPRESSED) for ratio in ratios]


def _deepseek_v4(f: Fields, n: int) -> list[Kind]:  # noqa: ARG001
    rest = [Kind.COMPRESSED if i % 2 else Kind.HEAVILY_COMPRESSED for i in range(n - 2)]
    return ([Kind.HEAVILY_COMPRESSED] * 2 + rest)[:n]


def _sparse_frequency(f: Fields, n: int) -> list[Kind]:
    section = f.section("sparse_attention_config")
    marks = section.wholes("sparse_attention_freq") if section else None
    if marks is None:
        return [Kind.FULL] * n
    check_count(f, f.name_of("sparse_attention_config.sparse_attention_freq"), len(marks), n)
    return [Kind.INDEXED if mark else Kind.FULL for mark in marks]


def _recurrent_gemma(f: Fields, n: int) -> list[Kind]:
    words = f.texts("block_types", "_block_types") or ("recurrent", "recurrent", "attention")
    kinds = {"recurrent": Kind.RECURRENT, "attention": Kind.SLIDING}
    for word in words:
        if word not in kinds:
            msg = f"{f.name_of('block_types')}: layer kind {word[:40]!r} is not known"
            raise SpecError(msg)
    return [kinds[words[i % len(words)]] for i in range(n)]


def _gpt_neo(f: Fields, n: int) -> list[Kind]:
    """`attention_types` is [[[kind, kind, ...], times], ...]."""
    groups = f.items("attention_types") or ()
    kinds: list[Kind] = []
    words = {"global": Kind.FULL, "local": Kind.SLIDING}
    for group in groups[:n]:
        match group:
            case [[*names], int(times)] if (
                len(names) * times <= n and len(kinds) <= n and all(name in words for name in names)
            ):
                kinds += [words[str(name)] for name in names] * times
            case _:
                msg = f"{f.name_of('attention_types')} must be lists of global or local and a count"
                raise SpecError(msg)
    check_count(f, f.name_of("attention_types"), len(kinds), n)
    return kinds


def _flint(f: Fields, n: int) -> list[Kind]:  # noqa: ARG001
    return [Kind.FULL if i < 2 or i % 4 == 1 or i == n - 1 else Kind.SLIDING for i in range(n)]


def _lfm3(f: Fields, n: int) -> list[Kind]:  # noqa: ARG001
    cycle = {0: Kind.SLIDING, 2: Kind.FULL}
    return [cycle.get(i % 4, Kind.CONV) if i else Kind.CONV for i in range(n)]


def _muse_spark(f: Fields, n: int) -> list[Kind]:  # noqa: ARG001
    return _every(4, n, first=n - 1)


def _cohere2_moe(f: Fields, n: int) -> list[Kind]:
    dense = f.optional_whole("first_k_dense_replace", low=0, high=n) or 0
    prefix = _every(f.whole("prefix_dense_sliding_window_pattern", default=1), dense)
    return prefix + _every(f.whole("sliding_window_pattern", default=4), n - dense)


def _inkling(f: Fields, n: int) -> list[Kind]:
    listed = f.wholes("local_layer_ids")
    if listed is None:
        return _every(6, n, at=Kind.HYBRID, other=Kind.HYBRID_SLIDING)
    _check_indices(f, "local_layer_ids", listed, n)
    return [Kind.HYBRID_SLIDING if i in listed else Kind.HYBRID for i in range(n)]


LIST_RULES: dict[str, Rule] = {
    "attn_layer_indices": _listed("attn_layer_indices", Kind.STATE),
    "full_attn_idxs": _listed("full_attn_idxs", Kind.CONV),
    "attn_type_list": _marked("attn_type_list", Kind.FULL, Kind.STATE),
    "hybrid_layer_pattern": _marked("hybrid_layer_pattern", Kind.SLIDING, Kind.FULL),
    "compress_ratios": _compress_ratios,
}
"""Fields that list the layers, whatever the model is called."""

FIELD_RULES: dict[str, Rule] = {
    "bskcn_1": _all_sliding(unless_said=True),  # Solar's skips over blocks
    "full_attention_interval": _full_every(4, "full_attention_interval", other=Kind.STATE),
    "linear_attn_config": _kda_layers,
    "sparse_attention_config": _sparse_frequency,
    "local_layer_ids": _inkling,
    "layer_group_size": _full_every(4, "layer_group_size", other=Kind.STATE),
    "attention_types": _gpt_neo,
}
"""Fields that settle the pattern by a period or in a form of their own."""

_EVERY_FOURTH = _full_every(4, "sliding_window_pattern")
_EVERY_SIXTH = _full_every(6, "sliding_window_pattern", "_sliding_window_pattern")
_FIRST_OF_FOUR = _full_every(4, "window_pattern", first=0)

IMPLICIT: dict[str, Rule] = {
    **dict.fromkeys(("gemma2", "t5gemma", "t5_gemma_module", "vaultgemma"), _full_every(2)),
    "gpt_oss": _full_every(2),
    **dict.fromkeys(("gemma3", "t5gemma2", "t5gemma2_decoder", "shieldgemma2"), _EVERY_SIXTH),
    **dict.fromkeys(
        ("gemma4", "gemma4_unified", "diffusion_gemma", "embedding_gemma2", "beam"),
        _last_full(_EVERY_SIXTH),
    ),
    "gemma3n": _full_every(5, "sliding_window_pattern"),
    "kolibri1": _full_every(5),
    **dict.fromkeys(
        ("cohere2", "exaone4", "exaone_moe", "exaone4_5", "olmo3", "muse_glimmer"), _EVERY_FOURTH
    ),
    "cohere2_moe": _cohere2_moe,
    "muse_spark": _muse_spark,
    "flint": _flint,
    "lfm3": _lfm3,
    **dict.fromkeys(
        ("qwen3_next", "qwen3_5", "qwen3_5_moe", "qwen4_exp", "olmo_hybrid"),
        _full_every(4, other=Kind.STATE),
    ),
    **dict.fromkeys(
        ("qwen2", "qwen3", "qwen2_vl", "qwen2_5_vl", "qwen2_5_omni", "dots1", "deepseek_ocr2"),
        _from_window_layer,
    ),
    "qwen2_moe": _even_below_window_layer,
    "qwen3_moe": _all_sliding(unless_said=False),
    "smollm3": _where_no_rope,
    "llama4": _no_rope_layers,
    "afmoe": _full_every(4, "global_attn_every_n_layers"),
    "modernbert-decoder": _full_every(3, "global_attn_every_n_layers", first=0),
    **dict.fromkeys(("cwm", "granite_swa", "granitemoe_swa"), _FIRST_OF_FOUR),
    "mimo_v2_flash": _mimo,
    **dict.fromkeys(
        ("minimax", "minimax_text_01"),
        lambda f, n: _every(2, n, other=Kind.STATE, first=0),  # noqa: ARG005
    ),
    "jamba": _jamba,
    "zamba": _zamba,
    "recurrent_gemma": _recurrent_gemma,
    **dict.fromkeys(("inkling", "inkling2"), _inkling),
    **dict.fromkeys(("falcon_h1", "zaya"), _all(Kind.HYBRID)),
    **dict.fromkeys(
        ("mamba", "mamba2", "falcon_mamba", "granitemoehybrid", "rwkv"), _all(Kind.STATE)
    ),
    **dict.fromkeys(
        (
            *("mistral", "ministral", "ministral3", "mixtral", "phi3", "phimoe", "starcoder2"),
            *("phi4_multimodal", "phi3_v", "voxtral_realtime", "kyutai_speech_to_text", "moshi"),
            *("doge", "qwen3_vl_moe", "qwen3_omni_moe"),
        ),
        _all_sliding(unless_said=True),
    ),
    **dict.fromkeys(("laguna", "mellum", "step3p5", "step3p7"), _all(Kind.FULL)),
    "deepseek_v4": _deepseek_v4,
    "unlimited_ocr": _all(Kind.PROMPT_AND_WINDOW),
}
"""Patterns of files written before `layer_types` existed, by model type or its family."""
