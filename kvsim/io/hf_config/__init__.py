"""A Hugging Face config.json, of any nesting and age, to a ModelSpec.

The one place that knows model types: patterns that files leave implicit, defaults that a
configuration class fills in. Everything else follows from fields.
"""

from collections.abc import Mapping

from kvsim.dtypes import BF16, FP32, DType, model_dtype
from kvsim.errors import MissingFieldError
from kvsim.io.hf_config.fields import Fields
from kvsim.io.hf_config.kinds import WITH_ATTENTION
from kvsim.io.hf_config.layers import build_layers
from kvsim.io.hf_config.llama_cpp import llama_cpp_traits
from kvsim.io.hf_config.patterns import LAYER_COUNT_FIELDS, LAYER_LIST_FIELDS, layer_kinds
from kvsim.io.hf_config.quantization import read_quantization
from kvsim.io.hf_config.sizes import read_sizes
from kvsim.io.hf_config.towers import TOWER_SECTIONS, Tower, language_tower
from kvsim.io.hf_config.traits import transformers_traits
from kvsim.io.hf_config.vllm import vllm_traits
from kvsim.io.hf_config.weights import all_weights
from kvsim.message import Message
from kvsim.specs.model import ModelSpec

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
ENCODER_FIELDS = ("encoder_layers", "num_encoder_layers", "encoder_num_hidden_layers")
DECODER_FIELDS = ("decoder_layers", "num_decoder_layers", "decoder_num_hidden_layers")


# long: a field of the model a line, in the order in which they are read
def model_from_config(
    config: Mapping[str, object], *, name: str, is_complete: bool = False
) -> ModelSpec:
    """The model that a config describes.

    Args:
        config: the parsed config.json.
        name: what to call the model in results and messages.
        is_complete: whether a field that is not there is null in the model's own file; else a
            nested object's may be its class's default.

    Raises:
        SpecError: for a missing, impossible or contradictory field.
        UnsupportedError: for an architecture whose cache is not known.
    """
    top = Fields(config)
    tower = language_tower(top, config, is_complete=is_complete)
    f = tower.fields
    if not f.has(*LAYER_COUNT_FIELDS, *LAYER_LIST_FIELDS, "hybrid_override_pattern"):
        field = f.name_of("num_hidden_layers")
        msg = Message("{field} is missing: this describes no language model", field=field)
        raise MissingFieldError(msg)
    of_kinds = f.fork()
    kinds = layer_kinds(of_kinds, tower)
    attention = bool(WITH_ATTENTION & set(kinds))
    sizes = read_sizes(f.fork(), tower, dtype=_dtype(f, top), attention=attention)
    is_encoder_decoder = _is_encoder_decoder(f, top)
    layers, decided_by = build_layers(
        f,
        sizes,
        kinds,
        has_cross_attention=is_encoder_decoder or _attends_elsewhere(f),
        already_used=of_kinds.used,
    )
    weights = all_weights(f.fork(), top, sizes, layers, is_encoder_decoder=is_encoder_decoder)
    return ModelSpec(
        name=name,
        model_type=tower.model_type,
        dtype=sizes.dtype,
        layers=layers,
        hidden_size=sizes.hidden_size,
        vocab_size=f.whole("vocab_size", default=1),
        num_attention_heads=sizes.num_heads,
        max_model_len=f.optional_whole(*LENGTH_FIELDS),
        weights=weights.groups,
        weights_unknown=weights.unknown,
        quantization=read_quantization(f, top),
        is_multimodal=any(top.section(section) is not None for section in TOWER_SECTIONS),
        is_encoder_decoder=is_encoder_decoder,
        not_modeled=weights.left_out,
        transformers=transformers_traits(f, tower),
        llama_cpp=llama_cpp_traits(
            f.fork(), tower, layers, architectures=top.fork().texts("architectures") or ()
        ),
        decided_by=decided_by,
        vllm=vllm_traits(top, f, model_type=tower.model_type, layers=layers),
    )


def _is_encoder_decoder(f: Fields, top: Fields) -> bool:
    """Whether the layers attend to an encoder; a file that has both sides' layers need not say."""
    both = f.has(*ENCODER_FIELDS) and f.has(*DECODER_FIELDS)
    return top.flag("is_encoder_decoder") or f.flag("is_encoder_decoder", default=both)


def _attends_elsewhere(f: Fields) -> bool:
    """Whether a decoder alone attends to another model's output, as BLIP's does to its images."""
    reads = f.has("encoder_hidden_size") and f.flag("is_decoder")
    return reads or f.flag("add_cross_attention")


def _dtype(f: Fields, top: Fields) -> DType:
    """The model's dtype; a config that states none was saved in float32 before it had the field."""
    top.must_agree("dtype", "torch_dtype")
    name = f.text("dtype", "torch_dtype") or top.text("dtype", "torch_dtype")
    if not name or name == "auto":
        return BF16
    dtype = model_dtype(name, field="torch_dtype")
    return BF16 if dtype is FP32 else dtype


__all__ = ["Tower", "model_from_config"]
