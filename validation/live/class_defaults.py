"""Writes the table of configuration-class defaults that kvsim ships, from transformers itself.

Usage: python -m validation.live.class_defaults > kvsim/io/data/class_defaults.toml
"""

import dataclasses
import sys
from collections.abc import Iterator
from typing import Any

import transformers
from transformers.models.auto import modeling_auto
from transformers.models.auto.configuration_auto import CONFIG_MAPPING, CONFIG_MAPPING_NAMES

SECTIONS = ("text_config", "decoder", "decoder_config", "thinker_config")
MAPPINGS = (
    "MODEL_FOR_CAUSAL_LM_MAPPING_NAMES",
    "MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES",
)
LEFT_OUT = ("chunk_size_feed_forward", "output_hidden_states", "use_cache")
WORDS = (
    *("layer", "hidden", "head", "dim", "embd", "d_model", "d_kv", "d_ff", "vocab", "window"),
    *("rank", "expert", "intermediate", "ffn", "topk", "top_k", "tie_word", "kernel", "state"),
    *("mamba", "ssm", "conv", "groups", "chunk", "interval", "encoder_decoder", "kv_", "n_inner"),
    *("max_position", "n_positions", "is_decoder", "expand", "sparse", "k_eq_v", "gate"),
)
"""Parts of the names of fields that decide a cache or weights."""

HELD_APART = {
    "gemma4_text": {"global_head_dim": 512},
    "gemma4_unified_text": {"global_head_dim": 512},
    "diffusion_gemma_text": {"global_head_dim": 512},
    "embedding_gemma2_text": {"global_head_dim": 512},
}
"""Defaults that a class keeps in the body of its constructor, as
`kwargs.pop("global_head_dim", 512)` in Gemma4TextConfig."""


def main() -> None:
    """Print the table: one line a class, then which class a composite's section defaults to."""
    out = sys.stdout.write
    out(f"# Defaults of transformers {transformers.__version__}'s configuration classes, for the\n")
    out("# fields that nested objects of published files leave out because they equal them.\n")
    out("# source: python -m validation.live.class_defaults, from the classes themselves\n\n")
    sections = dict(language_sections())
    types = {inner for by_name in sections.values() for inner in by_name.values()}
    for mapping in MAPPINGS:
        types |= set(getattr(modeling_auto, mapping))
    out("[classes]\n")
    for model_type in sorted(types & set(CONFIG_MAPPING_NAMES)):
        fields = defaults(model_type) | HELD_APART.get(model_type, {})
        if fields:
            text = ", ".join(f"{name} = {toml(value)}" for name, value in fields.items())
            out(f'"{model_type}" = {{ {text} }}\n')
    out("\n[sections]\n")
    for model_type, by_name in sorted(sections.items()):
        text = ", ".join(f'{name} = "{inner}"' for name, inner in by_name.items())
        out(f'"{model_type}" = {{ {text} }}\n')


def language_sections() -> Iterator[tuple[str, dict[str, str]]]:
    """Composite types and the model types that their language sections have by default."""
    for model_type in CONFIG_MAPPING_NAMES:
        config = build(model_type)
        inner = {
            name: section.model_type
            for name in SECTIONS
            if (section := getattr(config, name, None)) is not None
            and getattr(section, "model_type", "") not in ("", model_type)
        }
        if inner:
            yield model_type, inner


def defaults(model_type: str) -> dict[str, Any]:
    """The deciding fields of a class as it declares them, before it derives one from another."""
    declared = {f.name: f.default for f in dataclasses.fields(CONFIG_MAPPING[model_type])}
    return {
        name: value
        for name, value in declared.items()
        if (isinstance(value, bool | int) or value == "auto")
        and any(word in name for word in WORDS)
        and not name.endswith(("_id", "_type", "_act", "activation"))
        and name not in LEFT_OUT
        and not (name in ("is_encoder_decoder", "is_decoder") and not value)
    }


def build(model_type: str) -> Any:  # noqa: ANN401 - any configuration class
    """A class with its defaults; None if it cannot be built without arguments."""
    try:
        return CONFIG_MAPPING[model_type]()
    except Exception:
        return None


def toml(value: bool | int | str) -> str:  # noqa: FBT001
    """A value in TOML."""
    return str(value).lower() if isinstance(value, bool) else repr(value).replace("'", '"')


if __name__ == "__main__":
    main()
