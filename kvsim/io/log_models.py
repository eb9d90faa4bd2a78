"""The catalogue's model behind a name in a log: a hub id, a folder, a file's title."""

import re

from kvsim.errors import UnknownNameError
from kvsim.io.catalog import CatalogModel, catalog_models, find_model
from kvsim.io.hf_config import model_from_config
from kvsim.specs.model import ModelSpec

_SNAPSHOT = re.compile(r"models--[^/]+?--([^/]+)/snapshots/")
_SAME_SHAPE = frozenset(
    (
        *("instruct", "it", "chat", "base", "hf", "pt", "thinking", "2507", "exp", "v1.0", "gguf"),
        *("awq", "gptq", "fp8", "nvfp4", "fp4", "mxfp4", "int4", "int8", "bnb", "4bit", "8bit"),
        *("bit", "dynamic", "quantized", "w4a16", "w8a8", "w8a16", "bf16", "fp16", "mlx", "q4"),
        *("k", "m", "q8", "q5", "q6", "g128", "mindie", "unsloth", "autoround", "marlin"),
    )
)
"""Words of a checkpoint's name that change its weights or their format, not its cache."""


DERIVED = {
    "Llama-3-8B": "llama-3.1-8b",
    "Llama-3-70B": "llama-3.1-70b",
    "Hermes-3-Llama-3.1-8B": "llama-3.1-8b",
    "DeepSeek-R1-Distill-Llama-8B": "llama-3.1-8b",
    "DeepSeek-R1-Distill-Llama-70B": "llama-3.3-70b",
    "DeepSeek-R1-Distill-Qwen-1.5B": "qwen2.5-1.5b",
    "DeepSeek-R1-Distill-Qwen-7B": "qwen2.5-7b",
    "DeepSeek-R1-Distill-Qwen-14B": "qwen2.5-14b",
    "DeepSeek-R1-Distill-Qwen-32B": "qwen2.5-32b",
    "DeepSeek-R1-0528-Qwen3-8B": "qwen3-8b",
    "DeepSeek-R1-0528": "deepseek-r1",
    "DeepSeek-V3-0324": "deepseek-v3",
    "DeepSeek-V3.1": "deepseek-v3",
    "QwQ-32B": "qwen2.5-32b",
    "Qwen2-1.5B": "qwen2.5-1.5b",
    "Qwen2-7B": "qwen2.5-7b",
    "Qwen2-72B": "qwen2.5-72b",
    "Qwen2.5-7B-Instruct-1M": "qwen2.5-7b",
    "Qwen2.5-14B-Instruct-1M": "qwen2.5-14b",
    "Qwen2.5-Coder-0.5B": "qwen2.5-0.5b",
    "Qwen2.5-Coder-1.5B": "qwen2.5-1.5b",
    "Qwen2.5-Coder-3B": "qwen2.5-3b",
    "Qwen2.5-Coder-7B": "qwen2.5-7b",
    "Qwen2.5-Coder-14B": "qwen2.5-14b",
    "Qwen2.5-Coder-32B": "qwen2.5-32b",
    "Qwen2.5-Math-1.5B": "qwen2.5-1.5b",
    "Qwen2.5-Math-7B": "qwen2.5-7b",
    "Qwen3-Coder-30B-A3B": "qwen3-30b-a3b",
    "Kimi-K2-Thinking": "kimi-k2",
}
"""Checkpoints trained on from a model of the catalogue: the same layers, heads and widths.

Source: their config.json, recalled; a log's own figures confirm or refute it.
"""


def model_named(name: str) -> CatalogModel | None:
    """The catalogue's model of that name; None where the name says another or an unknown one.

    Paths count by their last folder. Tunes and quantised copies have their base's cache.

    Example:
        >>> model_named("/data/models/Meta-Llama-3.1-8B-Instruct").id
        'llama-3.1-8b'
        >>> model_named("acme/secret-7b") is None
        True
    """
    try:
        return find_model(name)
    except UnknownNameError:
        pass
    snapshot = _SNAPSHOT.search(name)
    last = snapshot[1] if snapshot else re.split(r"[/\\]", name.strip().rstrip("/\\"))[-1]
    wanted = _shape(last)
    if not wanted:
        return None
    for tune, base in DERIVED.items():
        if wanted == _shape(tune):
            return find_model(base)
    for model in catalog_models():
        if wanted in (_shape(model.hub_id.split("/")[-1]), _shape(model.name), _shape(model.id)):
            return model
    return None


def catalog_model(name: str) -> ModelSpec | None:
    """The model itself; None where the catalogue has none of that name."""
    entry = model_named(name)
    if entry is None:
        return None
    spec = model_from_config(entry.config, name=entry.id, is_complete=True)
    return spec.with_hub_id(entry.hub_id)


def _shape(name: str) -> tuple[str, ...]:
    """The words of a name that decide its shape, without case, dashes and vendors."""
    plain = name[:200].lower().replace("___", ".").removesuffix(".gguf")
    words = [word for word in re.split(r"[-_ ]+", plain) if word]
    words = [re.sub(r"^(qwen|llama|gemma|phi|gpt)(\d)", r"\1 \2", word) for word in words]
    split = [part for word in words for part in word.split()]
    kept = [word for word in split if word not in _SAME_SHAPE and word not in ("meta", "nvidia")]
    return tuple(kept)
