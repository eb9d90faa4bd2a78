"""Feed-forward weights: dense, gated or not, and experts with their shared parts."""

from kvsim.errors import MissingFieldError, SpecError
from kvsim.io.hf_config.fields import Fields
from kvsim.io.hf_config.sizes import Sizes
from kvsim.specs.model import Layer, Shard, WeightGroup
from kvsim.units import ceil_div

NOT_GATED = frozenset(
    (
        *("bart", "biogpt", "bloom", "codegen", "falcon", "gpt2", "gpt_bigcode", "gpt_neo"),
        *("gpt_neox", "gptj", "longt5", "marian", "mbart", "mpt", "nemotron", "nemotron_h", "opt"),
        *("pegasus", "persimmon", "phi", "pop2piano", "starcoder2", "switch_transformers", "t5"),
        *("whisper", "xglm"),
    )
)
"""Families whose feed-forward has two matrices instead of three, where no field says it."""

WITHOUT_MLP = frozenset(("mamba", "mamba2", "falcon_mamba", "rwkv"))
EXPERT_FIELDS = ("num_local_experts", "num_experts", "n_routed_experts", "moe_num_experts")
SPARSE_WORDS = {"sparse": True, "moe": True, "hash_moe": True, "dense": False}
"""The words of `mlp_layer_types`: whether the layer is a mixture of experts."""

TOP_K_FIELDS = (
    "num_experts_per_tok",
    "num_experts_per_token",
    "experts_per_token",
    "moe_topk",
    "moe_top_k",
    "moe_k",
    "top_k_experts",
    "num_selected_experts",
)
FFN_FIELDS = (
    "intermediate_size",
    "decoder_ffn_dim",
    "ffn_dim",
    "d_ff",
    "n_inner",
    "ffn_hidden_size",
    "inner_dim",
    "dim_ff",
    "block_ff_dim",
)
WIDE_BY_FOUR = frozenset(("gpt2", "gpt_bigcode", "gptj", "codegen", "falcon", "bloom", "mpt"))
"""Model types whose feed-forward is four hidden sizes wide when the file does not say."""


def mlp_groups(f: Fields, sizes: Sizes, layers: tuple[Layer, ...]) -> list[WeightGroup]:
    """Dense and expert feed-forward weights of every layer that has them."""
    if sizes.family in WITHOUT_MLP:
        return []
    holders = _holders(f, layers)
    nested = f.section("ffn_config")  # dbrx
    source = nested if nested is not None and nested.has("moe_num_experts") else f
    _check_one_modality(source)
    experts = source.optional_whole(*EXPERT_FIELDS, low=0)
    if not experts or experts == 1:
        return _dense(f, sizes, holders)
    sparse = _sparse_layers(f, holders)
    beside = f.flag("enable_moe_block")  # Gemma 4: experts and a dense part in every layer
    dense = holders if beside else tuple(i for i in holders if i not in set(sparse))
    return _dense(f, sizes, dense, experts=True) + _experts(source, sizes, sparse, experts)


def _check_one_modality(f: Fields) -> None:
    """MissingFieldError where experts differ by modality, as multimodal Ernie's do."""
    for fields in (EXPERT_FIELDS, ("moe_intermediate_size",)):
        if isinstance(f.raw(*fields), list):
            msg = f"{f.name_of(fields[-1])} is a list: which layers hold which experts is missing"
            raise MissingFieldError(msg)


def _matrices(f: Fields, sizes: Sizes) -> int:
    if f.has("feed_forward_proj"):
        return 3 if f.text("feed_forward_proj").startswith("gated") else 2
    return 2 if sizes.family in NOT_GATED else 3


def _holders(f: Fields, layers: tuple[Layer, ...]) -> tuple[int, ...]:
    """Layers with a feed-forward part: all, unless the pattern gives them layers of their own."""
    pattern = f.text("hybrid_override_pattern")
    if pattern:
        return tuple(i for i, letter in enumerate(pattern) if letter in "-E")
    words = f.texts("layers_block_type")
    if words is not None and {"mlp", "moe"} & set(words):
        return tuple(i for i, word in enumerate(words) if word in ("mlp", "moe"))
    return tuple(range(len(layers)))


def _dense(
    f: Fields, sizes: Sizes, layers: tuple[int, ...], *, experts: bool = False
) -> list[WeightGroup]:
    if not layers:
        return []
    widths = f.raw("intermediate_size")
    if isinstance(widths, list):  # one width a layer
        per_layer = f.wholes("intermediate_size", low=1) or ()
        if len(per_layer) <= max(layers):
            msg = f"intermediate_size has {len(per_layer)} entries, a layer has index {max(layers)}"
            raise SpecError(msg)
        by_width: dict[int, list[int]] = {}
        for i in layers:
            by_width.setdefault(per_layer[i], []).append(i)
        return [_mlp(f, sizes, width, tuple(at)) for width, at in by_width.items()]
    default = 4 * sizes.hidden_size if sizes.family in WIDE_BY_FOUR else None
    if experts and f.has("intermediate_size_mlp", "dense_intermediate_size"):
        return [_mlp(f, sizes, f.whole("intermediate_size_mlp", "dense_intermediate_size"), layers)]
    width = _adjusted(f, f.whole(*FFN_FIELDS, default=default))
    shared = f.optional_whole("num_kv_shared_layers", low=0) or 0
    if not shared or not f.flag("use_double_wide_mlp"):
        return [_mlp(f, sizes, width, layers)]
    first = f.whole("num_hidden_layers") - shared
    own, borrowing = [i for i in layers if i < first], [i for i in layers if i >= first]
    parts = ((width, own), (2 * width, borrowing))
    return [_mlp(f, sizes, wide, tuple(at)) for wide, at in parts if at]


def _adjusted(f: Fields, width: int) -> int:
    """LFM2's width: two thirds of what is stated, scaled, and rounded up to a multiple.

    Source:
        transformers `Lfm2MLP`, 5.23.0.
    """
    if not f.flag("block_auto_adjust_ff_dim"):
        return width
    width = 2 * width // 3
    factor = f.number("block_ffn_dim_multiplier")
    if factor is not None:
        width = int(factor * width)
    return ceil_div(width, f.whole("block_multiple_of")) * f.whole("block_multiple_of")


def _mlp(f: Fields, sizes: Sizes, width: int, layers: tuple[int, ...]) -> WeightGroup:
    matrices = _matrices(f, sizes)
    params = matrices * sizes.hidden_size * width
    return WeightGroup(
        name="mlp",
        num_params=params,
        layers=layers,
        quantized=True,
        pieces=_in_and_out(params, matrices),
    )


def _in_and_out(params: int, matrices: int) -> tuple[int, ...]:
    """Gate and up are one tensor, down is another.

    Source:
        vLLM `MergedColumnParallelLinear`, model_executor/layers/linear.py, and `FusedMoE`'s
        `w13_weight` and `w2_weight`, model_executor/layers/fused_moe/layer.py, 0.32.0.
    """
    out = params // matrices
    return (params - out, out)


def _sparse_layers(f: Fields, holders: tuple[int, ...]) -> tuple[int, ...]:
    """Layers whose feed-forward is a mixture of experts."""
    pattern = f.text("hybrid_override_pattern")
    if pattern:
        return tuple(i for i in holders if pattern[i] == "E")
    words = f.texts("layers_block_type")
    if words is not None and "moe" in words:
        return tuple(i for i in holders if words[i] == "moe")
    kinds = f.texts("mlp_layer_types")
    if kinds is not None:
        if unknown := [word for word in kinds if word not in SPARSE_WORDS]:
            msg = f"mlp_layer_types: kind {unknown[0][:40]!r} is not known"
            raise SpecError(msg)
        return tuple(i for i in holders if i < len(kinds) and SPARSE_WORDS[kinds[i]])
    listed = f.numbers_in_text("moe_layers_enum") or f.wholes("moe_layers")
    if listed is not None:
        return tuple(i for i in holders if i in set(listed))
    frequency = f.raw("moe_layer_freq")
    if isinstance(frequency, list):
        marks = f.wholes("moe_layer_freq") or ()
        return tuple(i for i in holders if i < len(marks) and marks[i])
    first = f.optional_whole("first_k_dense_replace", "num_dense_layers", low=0) or 0
    first = max(first, f.optional_whole("moe_layer_start_index", low=0) or 0)
    dense = set(f.wholes("mlp_only_layers") or ())
    period = f.whole("expert_layer_period", "interleave_moe_layer_step", default=1)
    step = f.whole("decoder_sparse_step", "moe_layer_freq", "moe_layer_interval", default=1)
    offset = f.optional_whole("expert_layer_offset", low=0)
    offset = period - 1 if offset is None else offset
    return tuple(
        i
        for i in holders
        if i >= first and i not in dense and i % period == offset and (i + 1) % step == 0
    )


def _experts(f: Fields, sizes: Sizes, layers: tuple[int, ...], experts: int) -> list[WeightGroup]:
    if not layers:
        return []
    h, matrices = sizes.hidden_size, _matrices(f, sizes)
    width = f.whole("moe_intermediate_size", "ffn_hidden_size", "expert_ffn_dim", *FFN_FIELDS)
    latent = f.size("moe_latent_size")
    top_k = f.whole(*TOP_K_FIELDS)
    if top_k > experts:
        msg = f"num_experts_per_tok={top_k} must be <= the number of experts, {experts}"
        raise SpecError(msg)
    one = matrices * (latent or h) * width
    groups = [
        WeightGroup(
            name="experts",
            num_params=experts * one,
            num_active=top_k * one,
            layers=layers,
            shard=Shard.EXPERTS,
            quantized=True,
            pieces=_in_and_out(experts * one, matrices),
        ),
        WeightGroup(name="router", num_params=h * experts, layers=layers, shard=Shard.REPLICATED),
    ]
    if latent:  # into the experts' narrower space and back
        groups.append(WeightGroup(name="latent experts", num_params=2 * h * latent, layers=layers))
    shared = matrices * h * _shared_width(f, sizes, width)
    if shared:
        groups.append(
            WeightGroup(
                name="shared experts",
                num_params=shared,
                layers=layers,
                quantized=True,
                pieces=_in_and_out(shared, matrices),
            )
        )
    return groups


def _shared_width(f: Fields, sizes: Sizes, width: int) -> int:
    """Width of the experts that every token passes, all of them together."""
    stated = f.size(
        "shared_expert_intermediate_size",
        "moe_shared_expert_intermediate_size",
        "shared_intermediate_size",
        "share_expert_dim",
    )
    if stated is not None:
        return stated
    if sizes.family == "llama4":
        return width
    count = f.raw(
        "n_shared_experts", "num_shared_experts", "num_shared_expert", "moe_num_shared_experts"
    )
    if isinstance(count, list):
        count = count[0] if count else 0
    if count is None or isinstance(count, bool) or not isinstance(count, int):
        return 0
    return count * width
