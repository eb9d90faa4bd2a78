"""What vLLM's classes make of a config beyond its layers: lengths, formats, drafts, refusals."""

from collections.abc import Sequence

from kvsim.io.hf_config.fields import Fields
from kvsim.specs.attention import FullAttention, SlidingWindow
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

UNMIXED_WINDOWS = frozenset(("qwen2",))
"""Model types whose class asserts that all layers have the window or none.

Source: vLLM `Qwen2Model`, vllm/model_executor/models/qwen2.py, 0.32.0.
"""

CHECKPOINT_ALIGNMENTS = {"glm5_next_text": 16}
POOLED = ("ForSequenceClassification", "ForTokenClassification", "ForRewardModel")
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
    is_pooling = architecture.endswith(POOLED)
    return VllmTraits(
        refusal=_refusal(model_type, layers),
        max_model_len=_max_model_len(f, model_type),
        kv_cache_dtype=_cache_dtype(top, f),
        layers=_built_layers(f, model_type, layers),
        ignores_cache_dtype=model_type in IGNORE_CACHE_DTYPE,
        window_offset=WINDOW_OFFSETS.get(model_type, 0),
        attention_first=model_type in ATTENTION_FIRST,
        is_pooling=is_pooling,
        is_encoder_only=is_pooling and model_type in ENCODERS,
        index_pool=f.size("index_kpool"),
        checkpoint_alignment=CHECKPOINT_ALIGNMENTS.get(model_type),
        draft_layers=_draft_layers(f, architecture, layers),
    )


def _refusal(model_type: str, layers: Sequence[Layer]) -> str | None:
    windows = sum(any(isinstance(b, SlidingWindow) for b in layer) for layer in layers)
    if model_type in UNMIXED_WINDOWS and 0 < windows < len(layers):
        return f"max_window_layers leaves a window to {windows} of {len(layers)} layers: vllm stops"
    return None


def _built_layers(f: Fields, model_type: str, layers: Sequence[Layer]) -> tuple[Layer, ...] | None:
    """Layers as the class builds them: a window only where its own list of layers names one."""
    if model_type not in LISTED_WINDOWS:
        return None
    whole = next((x for x in layers if any(_attends_all(b) for b in x)), None)
    listed = f.wholes("local_layer_ids") or ()
    if whole is None:
        return None
    return tuple(layer if i in listed else whole for i, layer in enumerate(layers))


def _max_model_len(f: Fields, model_type: str) -> int | None:
    """The smallest stated length, times the rope factor where the length is not scaled yet."""
    stated = [n for field in LENGTH_FIELDS if (n := f.size(field)) is not None]
    if not stated:
        return None
    length = f.size("model_max_length") or min(stated)
    rope = f.section("rope_scaling") or f.section("rope_parameters")
    if rope is None or "gemma3" in model_type:
        return length
    kind = rope.text("rope_type", "type", default="default")
    if kind in SCALED_ALREADY:
        return length
    factor = rope.number("factor") or 1.0
    original = rope.size("original_max_position_embeddings")
    if kind == "yarn" and original is not None:
        length = original
    return int(length * factor)


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


def _draft_layers(f: Fields, architecture: str, layers: Sequence[Layer]) -> tuple[Layer, ...]:
    """What multi-token prediction caches: each of its modules is one more attention layer."""
    count = f.optional_whole(*DRAFT_COUNT_FIELDS, low=0) or 0
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
