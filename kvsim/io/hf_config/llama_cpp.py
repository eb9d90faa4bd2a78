"""What llama.cpp does with a config's model that its cache behaviours alone do not say.

Source: llama.cpp conversion/*.py for the architecture of a model type, src/models/*.cpp and
`llm_arch_supports_rs_rollback`, src/llama-arch.cpp, for what it does, 0.5.0-dev.
"""

import tomllib
from collections.abc import Sequence
from functools import cache
from importlib import resources

from kvsim.io.hf_config.fields import Fields
from kvsim.io.hf_config.towers import Tower
from kvsim.message import Message
from kvsim.specs.attention import ChunkedAttention, SlidingWindow
from kvsim.specs.latent import LatentAttention
from kvsim.specs.llama_cpp import LlamaCppTraits
from kvsim.specs.model import Layer

HAVE_WINDOWS = frozenset(
    (
        "afmoe",
        "cohere2",
        "cohere2_moe",
        "exaone4",
        "exaone4_5",
        "exaone_moe",
        "gemma2",
        "gemma3",
        "gemma3n",
        "gemma4",
        "gemma4_unified",
        "gpt_oss",
        "laguna",
        "llama4",
        "mellum",
        "mimo_v2",
        "mimo_v2_flash",
        "olmo3",
        "plamo3",
        "smallthinker",
        "step3p5",
    )
)
"""Families whose window layers llama.cpp keeps in a cache of their own."""

IGNORE_WINDOWS = frozenset(
    (
        "mistral",
        "mistral3",
        "mixtral",
        "phi3",
        "phimoe",
        "qwen2",
        "qwen2_5_vl",
        "qwen2_moe",
        "qwen2_vl",
        "qwen3",
        "qwen3_moe",
        "starcoder2",
    )
)
"""Families whose window layers llama.cpp stores at the full context."""

ROLL_BACK = frozenset(
    (
        "bailing_moe_v3",
        "deepseek_v4",
        "glm5_next",
        "kimi_k3",
        "lfm2",
        "lfm2_moe",
        "nemotron_h",
        "qwen3_5",
        "qwen3_5_moe",
        "qwen4_exp",
    )
)
"""Families whose state llama.cpp snapshots for every drafted token."""

REFUSED = {
    "qwen4_exp": "its n-gram history is described by a GGUF file alone: give the .gguf",
    "recurrent_gemma": "this family is not known there",
}
"""Families whose cache a config alone does not give."""

ONE_SLOT_IN_OLLAMA = frozenset(
    (
        "lfm2",
        "lfm2_moe",
        "mllama",
        "nemotron_h",
        "qwen3_5",
        "qwen3_5_moe",
        "qwen3_next",
        "qwen3_vl",
        "qwen3_vl_moe",
    )
)
"""Families that Ollama serves one request at a time.

Source: Ollama server/sched.go, fb3076099.
"""

INDEX_HAS_VALUES = frozenset(("minimax_m3", "minimax_m3_vl"))
"""Families whose index cache keeps one head of values beside its keys."""

POOLED_INDEX_ENTRIES = {"glm5_next": 3}
"""Families whose index entry is key, gate and pooled key."""


def llama_cpp_traits(
    f: Fields, tower: Tower, layers: Sequence[Layer], *, architectures: Sequence[str]
) -> LlamaCppTraits:
    """The exceptions of one model; most have none.

    Args:
        f: the language tower's fields.
        tower: the tower.
        layers: what every layer caches.
        architectures: class names that the config states; none: it does not say.
    """
    family = tower.family
    kinds = {b for layer in set(layers) for b in layer}
    windows = any(isinstance(b, SlidingWindow | ChunkedAttention) for b in kinds)
    refusal = REFUSED.get(family)
    if architectures and not _converted().intersection(architectures):
        refusal = Message("its converter does not know {name}", name=architectures[0][:60])
    if windows and family not in HAVE_WINDOWS | IGNORE_WINDOWS:
        refusal = Message("whether it gives {family} layers a window is not known", family=family)
    k_dim, v_dim = None, None
    if any(isinstance(b, LatentAttention) for b in kinds) and f.has("qk_nope_head_dim"):
        k_dim = f.whole("qk_nope_head_dim") + f.whole("qk_rope_head_dim", low=0)
        v_dim = f.size("v_head_dim")
    return LlamaCppTraits(
        refusal=refusal,
        ignores_window=family in IGNORE_WINDOWS,
        rolls_back=family in ROLL_BACK,
        expanded_head_dim=k_dim,
        expanded_v_head_dim=v_dim,
        one_slot_in_ollama=family in ONE_SLOT_IN_OLLAMA,
        index_v_head_dim=f.whole("head_dim", default=0) if family in INDEX_HAS_VALUES else 0,
        index_entries=POOLED_INDEX_ENTRIES.get(family, 1),
    )


@cache
def _converted() -> frozenset[str]:
    """Architectures that llama.cpp's converter reads."""
    text = resources.files("kvsim.io").joinpath("data/llama_cpp.toml").read_text("utf-8")
    return frozenset(tomllib.loads(text)["architectures"])
