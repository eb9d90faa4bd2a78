"""What vLLM's classes make of a config beyond its layers: lengths, formats, drafts, refusals."""

from collections.abc import Sequence

from kvsim.io.hf_config.fields import Fields
from kvsim.io.hf_config.rotary import rotary_tables
from kvsim.io.limits import MAX_CONFIG_LAYERS
from kvsim.message import Message
from kvsim.specs.attention import CacheBehaviour, FullAttention, SlidingWindow
from kvsim.specs.latent import CompressedAttention, LatentAttention, SlidingLatentAttention
from kvsim.specs.model import Layer
from kvsim.specs.vllm_traits import VllmTraits

LENGTH_FIELDS = (
    "max_position_embeddings",
    "n_positions",
    "max_seq_len",
    "seq_length",
    "model_max_length",
    "max_target_positions",
    "max_sequence_length",
    "max_seq_length",
    "seq_len",
)
"""Fields of which the smallest is the model's length.

Source: vLLM `_get_and_verify_max_len`, vllm/config/model.py, 0.32.0.
"""

SCALED_ALREADY = ("su", "longrope", "llama3")
"""Rope types whose length fields hold the scaled length."""

DRAFT_COUNT_FIELDS = ("num_nextn_predict_layers", "mtp_num_hidden_layers", "num_mtp_layers")
WHOLE_MODEL_DRAFTS = frozenset(("MistralLarge3ForCausalLM",))
"""Architectures whose drafter is built with as many layers as the model.

Source: vLLM `SpeculativeConfig.hf_config_override`, vllm/config/speculative.py, 0.32.0.
"""

IGNORE_CACHE_DTYPE = frozenset(("falcon",))
"""Model types whose class builds its attention without the cache's settings.

Source: vLLM `FalconAttention`, vllm/model_executor/models/falcon.py, 0.32.0.
"""

WINDOW_OFFSETS = {"cohere2": 1, "cohere2_moe": 1}
"""Model types whose class adds tokens to the window.

Source: vLLM `CohereAttention`, vllm/model_executor/models/commandr.py, 0.32.0.
"""

ATTENTION_FIRST = frozenset(("zamba2",))
"""Model types whose shared attention blocks are built before the layers that use them.

Source: vLLM `Zamba2Model`, vllm/model_executor/models/zamba2.py, 0.32.0.
"""

LISTED_WINDOWS = frozenset(("inkling_text", "inkling2_text"))
"""Model types whose class reads `local_layer_ids` and no `layer_types`.

Source: vLLM `InklingAttention`, built with 0.32.0 from the configuration class's defaults.
"""

UNMIXED_WINDOWS = frozenset(("qwen2", "qwen3", "qwen2_vl", "qwen2_5_vl"))
"""Families whose class asserts that all layers have the window or none.

Its reading of `max_window_layers` is that so many layers have it, transformers' that all but
so many have; a model that states both as the number of its layers has the window everywhere.

Source: vLLM `Qwen2Model`, vllm/model_executor/models/qwen2.py, 0.32.0.
"""

EXPANDED_LATENTS = frozenset(("minicpm3",))
"""Model types whose latents the class expands before it caches them.

Source: vLLM `MiniCPM3Attention`, vllm/model_executor/models/minicpm3.py.
"""

GEMMA4_VIDEO_TOKENS = 32 * (70 + 2 + 6)
"""Frames of a video, and tokens of one: the picture's, its two ends and its time.

Source: vLLM `Gemma4ProcessingInfo.get_mm_max_tokens_per_item`, models/gemma4_mm.py, 0.32.0.
"""

CHECKPOINT_ALIGNMENTS = {"glm5_next_text": 16}
POOLED = ("ForSequenceClassification", "ForTokenClassification", "ForRewardModel")
GENERATING = ("ForCausalLM", "LMHeadModel", "ForConditionalGeneration")
IMPLICIT_DRAFTS = {"qwen3_next": 1}
"""Modules of multi-token prediction where the file does not say.

Source: vLLM `Qwen3NextMultiTokenPredictor`, vllm/model_executor/models/qwen3_next_mtp.py.
"""
ENCODERS = frozenset(("bert", "roberta", "xlm-roberta", "camembert", "electra", "modernbert"))
"""Model types whose pooled classes attend in both directions and cache nothing."""


def vllm_traits(top: Fields, f: Fields, *, model_type: str, layers: Sequence[Layer]) -> VllmTraits:
    """What vLLM does with this config that the layers do not say.

    Args:
        top: the whole config.
        f: the language model's part of it.
        model_type: of the language model.
        layers: what each layer caches.
    """
    architecture = next(iter(top.texts("architectures") or ()), "")
    is_encoder = model_type in ENCODERS and not architecture.endswith(GENERATING)
    is_pooling = is_encoder or architecture.endswith(POOLED)
    return VllmTraits(
        refusal=_refusal(model_type, layers),
        max_model_len=_max_model_len(f, model_type),
        kv_cache_dtype=_cache_dtype(top, f),
        layers=_built_layers(f, model_type, layers),
        ignores_cache_dtype=model_type in IGNORE_CACHE_DTYPE,
        window_offset=WINDOW_OFFSETS.get(model_type, 0),
        attention_first=model_type in ATTENTION_FIRST,
        is_pooling=is_pooling,
        is_encoder_only=is_encoder,
        item_tokens=_item_tokens(top, f),
        index_pool=f.size("index_kpool"),
        checkpoint_alignment=CHECKPOINT_ALIGNMENTS.get(model_type),
        draft_layers=_draft_layers(
            f, architecture, layers, usual=IMPLICIT_DRAFTS.get(model_type, 0)
        ),
        rotary_tables=rotary_tables(f.fork(), model_type=model_type, layers=layers),
    )


def _item_tokens(top: Fields, f: Fields) -> int:
    """Tokens of one video where all of them must be computed in one step; 0 where none must.

    Source:
        vLLM `Gemma4ModelArchConfigConvertor.is_mm_prefix_lm`, transformers_utils/
        model_arch_config_convertor.py, and `EngineArgs._get_min_mm_batched_tokens`, 0.32.0.
    """
    sees = top.fork().text("model_type") == "gemma4"
    both_ways = f.fork().raw("use_bidirectional_attention") == "vision"
    return GEMMA4_VIDEO_TOKENS if sees and both_ways else 0


def _refusal(model_type: str, layers: Sequence[Layer]) -> str | None:
    windows = sum(any(isinstance(b, SlidingWindow) for b in layer) for layer in layers)
    if model_type.removesuffix("_text") in UNMIXED_WINDOWS and 0 < windows < len(layers):
        return Message(
            "max_window_layers leaves a window to {windows} of {layers} layers: vllm stops",
            windows=windows,
            layers=len(layers),
        )
    return None


def _built_layers(f: Fields, model_type: str, layers: Sequence[Layer]) -> tuple[Layer, ...] | None:
    """Layers as the class builds them; None where they are what they mean."""
    if model_type in LISTED_WINDOWS:
        return _with_listed_windows(f, layers)
    if model_type in EXPANDED_LATENTS:
        return tuple(tuple(_expanded(f, b) for b in layer) for layer in layers)
    if model_type.removesuffix("_text") in UNMIXED_WINDOWS and f.flag("use_sliding_window"):
        window, whole = f.size("sliding_window"), f.size("max_window_layers") == len(layers)
        if window is not None and whole:
            return tuple(tuple(_windowed(b, window) for b in layer) for layer in layers)
    return None


def _with_listed_windows(f: Fields, layers: Sequence[Layer]) -> tuple[Layer, ...] | None:
    """A window only where the class's own list of layers names one."""
    whole = next((x for x in layers if any(_attends_all(b) for b in x)), None)
    listed = f.wholes("local_layer_ids") or ()
    if whole is None:
        return None
    return tuple(layer if i in listed else whole for i, layer in enumerate(layers))


def _expanded(f: Fields, behaviour: CacheBehaviour) -> CacheBehaviour:
    """Keys and values of every head in place of the latent; values are padded to the keys."""
    if not isinstance(behaviour, LatentAttention):
        return behaviour
    heads = behaviour.num_attention_heads
    width = f.whole("qk_nope_head_dim") + behaviour.qk_rope_head_dim
    return FullAttention(num_attention_heads=heads, num_kv_heads=heads, head_dim=width)


def _windowed(behaviour: CacheBehaviour, window: int) -> CacheBehaviour:
    if not isinstance(behaviour, FullAttention):
        return behaviour
    return SlidingWindow(
        num_attention_heads=behaviour.num_attention_heads,
        num_kv_heads=behaviour.num_kv_heads,
        head_dim=behaviour.head_dim,
        v_head_dim=behaviour.v_head_dim,
        sliding_window=window,
    )


def _max_model_len(f: Fields, model_type: str) -> int | None:
    """The smallest stated length, times the rope factor where the length is not scaled yet."""
    stated = [n for field in LENGTH_FIELDS if (n := f.size(field)) is not None]
    if not stated:
        return None
    length = f.size("model_max_length") or min(stated)
    if "gemma3" in model_type:
        return length
    factor = 1.0
    for rope in _rope_sections(f):
        kind = rope.text("rope_type", "type", default="default")
        if kind in SCALED_ALREADY:
            continue
        factor = rope.number("factor") or factor
        original = rope.size("original_max_position_embeddings")
        if kind == "yarn" and original is not None:
            length = original
    return int(length * factor)


def _rope_sections(f: Fields) -> Sequence[Fields]:
    """The rope's settings; newer files have them by layer type."""
    rope = f.section("rope_scaling") or f.section("rope_parameters")
    if rope is None:
        return ()
    nested = [section for name in rope.names() if (section := rope.section(name)) is not None]
    return nested or (rope,)


def _cache_dtype(top: Fields, f: Fields) -> str | None:
    """The cache format that a quantised checkpoint was calibrated for.

    Source:
        vLLM `resolve_kv_cache_dtype_string`, vllm/utils/torch_utils.py, 0.32.0.
    """
    section = top.section("quantization_config") or f.section("quantization_config")
    if section is None:
        return None
    nested = section.section("quantization") or section
    algorithm = nested.raw("kv_cache_quant_algo")
    scheme = nested.section("kv_cache_scheme")
    if isinstance(algorithm, str) and algorithm.lower() == "fp8":
        return "fp8"
    if scheme is not None and scheme.optional_whole("num_bits", low=0) == 8:
        return "fp8"
    return None


def _draft_layers(
    f: Fields, architecture: str, layers: Sequence[Layer], *, usual: int
) -> tuple[Layer, ...]:
    """What multi-token prediction caches: each of its modules is one more attention layer."""
    stated = f.optional_whole(*DRAFT_COUNT_FIELDS, low=0, high=MAX_CONFIG_LAYERS)
    count = usual if stated is None else stated
    if not count:
        return ()
    if architecture in WHOLE_MODEL_DRAFTS:
        return tuple(layers)
    if any(isinstance(b, CompressedAttention) for layer in layers for b in layer):
        window = next(b for layer in layers for b in layer if isinstance(b, SlidingLatentAttention))
        return ((window,),) * count
    own = [layer for layer in layers if any(_attends_all(b) for b in layer)]
    return (own[-1],) * count if own else ()


def _attends_all(behaviour: object) -> bool:
    windowed = isinstance(behaviour, SlidingWindow | SlidingLatentAttention)
    return isinstance(behaviour, FullAttention | LatentAttention) and not windowed
