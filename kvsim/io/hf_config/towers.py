"""The object of a config that describes the tower with the cache, with its class's defaults."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import Any

from kvsim.errors import SpecError, UnsupportedError
from kvsim.io.hf_config.fields import Fields
from kvsim.message import Message

LANGUAGE_SECTIONS = (
    "text_config",
    "llm_config",
    "language_config",
    "decoder",
    "decoder_config",
    "language_model",
    "text_model",
    "model_config",
)
WRAPPER_SECTIONS = ("thinker_config",)
"""Objects that hold the language section of an omni model."""

MAX_SECTIONS = 4
"""Deepest nesting of language sections; omni models have two."""

TOWER_SECTIONS = (
    "vision_config",
    "audio_config",
    "vision_encoder_config",
    "audio_encoder_config",
    "speech_config",
    "encoder_config",
)
DESCRIBES_LAYERS = (
    "num_hidden_layers",
    "n_layer",
    "n_layers",
    "num_layers",
    "layers",
    "decoder_layers",
    "num_decoder_layers",
    "layer_types",
    "layers_block_type",
    "hybrid_override_pattern",
)
"""Fields that only the object of a tower has."""

REFUSED = {
    "reformer": "it caches hidden states and hash buckets",
    "xlstm": "its state is not recorded as a cache",
    "blt": "its three towers cache bytes and patches, at lengths of their own",
}
"""Model types whose cache no formula gives; refused by name."""

ENCODES_IMAGES = ("image_size", "patch_size", "num_channels")
"""Fields of a vision tower; one that has no words either caches nothing."""

CLASS_DEFAULTS_AT_TOP = ("head_dim", "global_head_dim")
"""Defaults that hold for the top object too: its files were written before the field existed."""


@dataclass(frozen=True, slots=True)
class Tower:
    """The language tower's object, its model type, and the type of the whole model."""

    fields: Fields
    model_type: str
    outer_type: str

    @property
    def family(self) -> str:
        """The model type without the suffix that marks a text tower."""
        return self.model_type.removesuffix("_text")


def language_tower(top: Fields, config: Mapping[str, object], *, is_complete: bool) -> Tower:
    """The tower whose cache the model keeps.

    Args:
        top: the whole config.
        config: its plain values.
        is_complete: whether what is left out is null, not a class's default.

    Raises:
        UnsupportedError: for a model type whose cache no formula gives.
    """
    outer = top.text("model_type")
    values, path, model_type, depth = config, "", outer, 0
    while (name := _section(values, model_type)) is not None:
        inner = values[name]
        assert isinstance(inner, Mapping)
        own = inner.get("model_type")
        stated = own if isinstance(own, str) else _tables()["sections"].get(model_type, {})
        model_type = stated if isinstance(stated, str) else stated.get(name, model_type)
        values, path, depth = inner, f"{path}{name}.", depth + 1
        if depth > MAX_SECTIONS:
            msg = f"{path.removesuffix('.')[:40]}: language sections nested deeper than {depth - 1}"
            raise SpecError(msg)
    if model_type in REFUSED:
        msg = Message(
            "model_type={model_type} is not supported: {why}",
            model_type=model_type,
            why=Message(REFUSED[model_type]),
        )
        raise UnsupportedError(msg)
    if "vocab_size" not in values and all(name in values for name in ENCODES_IMAGES):
        msg = Message(
            "model_type={model_type} is not supported: it encodes images and caches nothing",
            model_type=model_type[:40],
        )
        raise UnsupportedError(msg)
    defaults = _defaults(model_type, nested=bool(path) and not is_complete)
    fields = Fields(values, path=path, defaults=defaults)
    return Tower(fields, model_type, outer)


def _section(values: Mapping[str, object], model_type: str) -> str | None:
    """The name of the object inside that leads to the language tower, if there is one."""
    for name in WRAPPER_SECTIONS + LANGUAGE_SECTIONS:
        inner = values.get(name)
        if not isinstance(inner, Mapping):
            continue
        own = inner.get("model_type")
        known = own if isinstance(own, str) else _tables()["sections"].get(model_type, {}).get(name)
        described = any(inner.get(field) is not None for field in DESCRIBES_LAYERS)
        holds_another = any(isinstance(inner.get(n), Mapping) for n in LANGUAGE_SECTIONS)
        if described or known in _tables()["classes"] or holds_another:
            return name
    return None


def _defaults(model_type: str, *, nested: bool) -> Mapping[str, object]:
    """Class defaults: all of them for a nested object, few for the top one.

    A nested object leaves out what equals its class's default; the top one never does.

    Source:
        transformers `PreTrainedConfig.to_diff_dict`, configuration_utils.py, 5.23.0.
    """
    found = _tables()["classes"].get(model_type, {})
    if not nested:
        found = {name: found[name] for name in CLASS_DEFAULTS_AT_TOP if name in found}
    return MappingProxyType(found)


def class_default(model_type: str, field: str) -> object:
    """What a model type's configuration class says of a field; None if it says nothing."""
    found: object = _tables()["classes"].get(model_type, {}).get(field)
    return found


@cache
def _tables() -> dict[str, dict[str, Any]]:
    path = resources.files("kvsim.io") / "data" / "class_defaults.toml"
    return tomllib.loads(path.read_text("utf-8"))
