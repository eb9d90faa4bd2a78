"""A Hugging Face config.json, of any nesting and age, to a ModelSpec.

The one place that knows model types: patterns that files leave implicit, defaults that a
configuration class fills in. Everything else follows from fields.
"""

from collections.abc import Mapping

from kvsim.dtypes import BF16, FP32, DType, model_dtype, weight_format
from kvsim.errors import MissingFieldError, SpecError, UnsupportedError
from kvsim.io.hf_config.behaviours import HEAD_FIELDS, HIDDEN_FIELDS, build_layers, read_sizes
from kvsim.io.hf_config.fields import Fields
from kvsim.io.hf_config.patterns import LAYER_COUNT_FIELDS, LAYER_LIST_FIELDS, Kind, layer_kinds
from kvsim.io.hf_config.weights import tower_params, weight_groups
from kvsim.specs.model import ModelSpec, Place, Quantization, WeightGroup

REFUSED = {
    "reformer": "it caches hidden states and hash buckets",
    "xlstm": "its state is not recorded as a cache",
}
"""Model types whose cache no formula gives; refused by name."""

LANGUAGE_SECTIONS = ("text_config", "llm_config", "language_config", "decoder", "decoder_config")
TOWER_SECTIONS = ("vision_config", "audio_config", "vision_encoder_config", "speech_config")
LENGTH_FIELDS = (
    "max_position_embeddings",
    "n_positions",
    "max_seq_len",
    "max_sequence_length",
    "seq_length",
    "max_target_positions",
    "n_ctx",
    "model_max_length",
)
QUANTIZED_NAMES = {
    "awq": "awq",
    "gptq": "gptq",
    "fp8": "fp8",
    "fbgemm_fp8": "fp8",
    "mxfp4": "mxfp4",
    "bitsandbytes": "bitsandbytes",
    "int8": "int8",
}
"""`quant_method` of a checkpoint -> the name of the storage format."""


def model_from_config(config: Mapping[str, object], *, name: str) -> ModelSpec:
    """The model that a config describes.

    Args:
        config: the parsed config.json.
        name: what to call the model in results and messages.

    Raises:
        SpecError: for a missing, impossible or contradictory field.
        UnsupportedError: for an architecture whose cache is not known.
    """
    top = Fields(config)
    f, model_type = _language_tower(top)
    if model_type in REFUSED:
        msg = f"model_type={model_type} is not supported: {REFUSED[model_type]}"
        raise UnsupportedError(msg)
    if not f.has(*LAYER_COUNT_FIELDS, *LAYER_LIST_FIELDS, "hybrid_override_pattern"):
        msg = "num_hidden_layers is missing: this is not a config of a language model"
        raise MissingFieldError(msg)
    dtype = _dtype(f, top)
    kinds = layer_kinds(f, model_type)
    attention = bool({Kind.FULL, Kind.SLIDING, Kind.CHUNKED, Kind.HYBRID} & set(kinds))
    sizes = read_sizes(f, model_type=model_type, dtype=dtype, attention=attention)
    layers = build_layers(f, sizes, kinds)
    weights: tuple[WeightGroup, ...] = ()
    unknown, left_out = None, []
    try:
        weights = weight_groups(f, sizes, layers)
    except MissingFieldError as error:
        unknown = str(error)
    towers = [(n, s) for n in TOWER_SECTIONS if (s := top.section(n)) is not None]
    for section_name, section in towers:
        params = tower_params(section)
        if params is None:
            left_out.append(f"weights of the {section_name.removesuffix('_config')} tower")
        elif weights:
            tower = section_name.removesuffix("_config") + " tower"
            weights += (
                WeightGroup(name=tower, num_params=params, place=Place.FIRST, num_active=0),
            )
    return ModelSpec(
        name=name,
        model_type=model_type,
        dtype=dtype,
        layers=layers,
        hidden_size=sizes.hidden_size,
        vocab_size=f.whole("vocab_size", default=1),
        num_attention_heads=sizes.num_heads,
        max_model_len=f.optional_whole(*LENGTH_FIELDS),
        weights=weights,
        weights_unknown=unknown,
        quantization=_quantization(f, top),
        is_multimodal=bool(towers),
        is_encoder_decoder=f.flag("is_encoder_decoder"),
        not_modeled=tuple(left_out),
    )


def _language_tower(top: Fields) -> tuple[Fields, str]:
    """The object that describes the tower with the cache, and its model type."""
    f = top
    thinker = top.section("thinker_config")
    if thinker is not None:
        f = thinker
    nested = f.section(*LANGUAGE_SECTIONS)
    if nested is not None and nested.has(*HIDDEN_FIELDS, *HEAD_FIELDS, *LAYER_COUNT_FIELDS):
        f = nested
    outer = top.text("model_type")
    return f, f.text("model_type", default=outer)


def _dtype(f: Fields, top: Fields) -> DType:
    """The model's dtype; a config that states none was saved in float32 before it had the field."""
    name = f.text("dtype", "torch_dtype") or top.text("dtype", "torch_dtype")
    if not name or name == "auto":
        return BF16
    dtype = model_dtype(name, field="torch_dtype")
    return BF16 if dtype is FP32 else dtype


def _quantization(f: Fields, top: Fields) -> Quantization | None:
    section = top.section("quantization_config") or f.section("quantization_config")
    if section is None:
        return None
    method = section.text("quant_method", "quant_algo").lower()
    bits = section.optional_whole("bits", "w_bit", low=1, high=16)
    if (
        method == "gptq"
        and bits == 8
        or (method == "bitsandbytes" and section.flag("load_in_8bit"))
    ):
        return Quantization(method=method, format=weight_format("int8"))
    if method not in QUANTIZED_NAMES:
        return None
    only = ("experts",) if method == "mxfp4" else ()
    return Quantization(method=method, format=weight_format(QUANTIZED_NAMES[method]), only=only)


__all__ = ["SpecError", "model_from_config"]
