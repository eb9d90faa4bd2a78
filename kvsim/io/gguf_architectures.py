"""What llama.cpp's architectures do beyond their metadata: windows, recurrent layers, indexers.

Source: llama.cpp `load_arch_hparams` of src/models/*.cpp and `llama_model::create_memory`,
src/llama-model.cpp, 0.5.0-dev.
"""

from dataclasses import dataclass, replace
from enum import StrEnum


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Which layers look back over a window, and how far, where the metadata leaves it out."""

    period: int | None  # every so many layers one is full; None: the file lists the layers
    dense_first: bool = False  # the full layer opens the period instead of closing it
    default: int | None = None  # the window of a file that states none; None: no window layers
    always: int | None = None  # the window whatever the file states
    is_chunked: bool = False
    covers_attention: bool = False  # every attention layer
    only_num_layers: int | None = None  # windows in the size with so many layers alone


class Recurrent(StrEnum):
    """Which layers are recurrent."""

    NONE = "none"
    ALL = "all"
    BESIDE_ATTENTION = "all, beside attention"
    WITHOUT_KV_HEADS = "those without KV heads"
    WITHOUT_KV_HEADS_OR_FF = "those without KV heads and without a feed-forward part"
    LISTED = "those that the file lists, or all but every so many"


class State(StrEnum):
    """What a recurrent layer keeps."""

    MAMBA_1 = "mamba-1"
    MAMBA_2 = "mamba-2"
    DELTA = "gated delta rule"
    KDA = "KDA"
    CONV = "short convolution"
    RWKV = "RWKV"
    LIGHTNING = "lightning attention"


class Indexed(StrEnum):
    """Which layers have an indexer's cache."""

    NONE = "none"
    ALL = "all"
    LISTED = "those that the file lists, else all"
    ATTENTION = "attention layers"
    AFTER_DENSE = "those behind the leading dense ones"


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """One architecture's rules."""

    window: Window | None = None
    recurrent: Recurrent = Recurrent.NONE
    state: State = State.MAMBA_2
    indexed: Indexed = Indexed.NONE
    index_has_values: bool = False  # one head of values beside the index keys
    is_latent: bool = False  # latent attention where the file states its head sizes
    rolls_back: bool = False
    one_slot_in_ollama: bool = False  # Ollama's server/sched.go, fb3076099
    num_own_kv_layers: int | None = None  # the rest borrow; None: as the file says
    is_compressed: bool = False
    creates_cache: bool = True
    has_flash_attn: bool = True
    repeats_layers: bool = False  # runs its layers so many times, each time with a cache


DELTA = Architecture(recurrent=Recurrent.LISTED, state=State.DELTA, one_slot_in_ollama=True)
ROLLING_DELTA = replace(DELTA, rolls_back=True)
ONE_SLOT = Architecture(one_slot_in_ollama=True)
HYBRID = Architecture(recurrent=Recurrent.WITHOUT_KV_HEADS)
NEMOTRON = Architecture(
    recurrent=Recurrent.WITHOUT_KV_HEADS_OR_FF, rolls_back=True, one_slot_in_ollama=True
)
RWKV = Architecture(recurrent=Recurrent.ALL, state=State.RWKV)
LATENT = Architecture(is_latent=True)


def _windowed(period: int | None, **fields: int | bool) -> Architecture:
    return Architecture(window=Window(period=period, **fields))  # type: ignore[arg-type]


SPECIAL = {
    "afmoe": _windowed(4),
    "arwkv7": RWKV,
    "bailingmoe3": Architecture(
        recurrent=Recurrent.WITHOUT_KV_HEADS, state=State.KDA, is_latent=True, rolls_back=True
    ),
    "cohere2": _windowed(4),
    "cohere2moe": _windowed(4, dense_first=True),
    "deepseek2": LATENT,
    "deepseek2-ocr": LATENT,
    "deepseek32": Architecture(is_latent=True, indexed=Indexed.ALL),
    "deepseek4": Architecture(is_compressed=True, rolls_back=True),
    "dots3note": Architecture(is_latent=True, indexed=Indexed.LISTED, window=Window(period=None)),
    "exaone-moe": _windowed(4, default=128),
    "exaone4": _windowed(4, default=4096, only_num_layers=64),
    "falcon-h1": Architecture(recurrent=Recurrent.BESIDE_ATTENTION),
    "gemma2": _windowed(2, default=4096),
    "gemma3": _windowed(6),
    "gemma3n": Architecture(window=Window(period=5), num_own_kv_layers=20),
    "gemma4": _windowed(None),
    "glm-dsa": Architecture(is_latent=True, indexed=Indexed.LISTED),
    "glm5-next": Architecture(
        recurrent=Recurrent.WITHOUT_KV_HEADS,
        state=State.KDA,
        is_latent=True,
        indexed=Indexed.LISTED,
        rolls_back=True,
    ),
    "gpt-oss": _windowed(2),
    "granite_swa": _windowed(None),
    "granitehybrid": HYBRID,
    "grok": Architecture(has_flash_attn=False),
    "hy_v4": Architecture(is_latent=True, indexed=Indexed.LISTED),
    "jamba": Architecture(recurrent=Recurrent.WITHOUT_KV_HEADS, state=State.MAMBA_1),
    "kimi-k3": Architecture(
        recurrent=Recurrent.WITHOUT_KV_HEADS, state=State.KDA, is_latent=True, rolls_back=True
    ),
    "kimi-linear": Architecture(
        recurrent=Recurrent.WITHOUT_KV_HEADS, state=State.KDA, is_latent=True
    ),
    "laguna": _windowed(4, dense_first=True),
    "lfm2": Architecture(
        recurrent=Recurrent.WITHOUT_KV_HEADS,
        state=State.CONV,
        window=Window(period=None, covers_attention=True),
        rolls_back=True,
        one_slot_in_ollama=True,
    ),
    "lfm2moe": Architecture(
        recurrent=Recurrent.WITHOUT_KV_HEADS,
        state=State.CONV,
        rolls_back=True,
        one_slot_in_ollama=True,
    ),
    "llama4": _windowed(4, default=8192, always=8192, is_chunked=True),
    "mamba": Architecture(recurrent=Recurrent.ALL, state=State.MAMBA_1),
    "mamba2": Architecture(recurrent=Recurrent.ALL),
    "maple": _windowed(None),
    "mellum": _windowed(4),
    "mimo2": _windowed(None),
    "minimax-01": Architecture(recurrent=Recurrent.LISTED, state=State.LIGHTNING),
    "minimax-m3": Architecture(indexed=Indexed.AFTER_DENSE, index_has_values=True),
    "mistral4": LATENT,
    "muse-glimmer": _windowed(4),
    "nanbeige": Architecture(repeats_layers=True),
    "nemotron_h": NEMOTRON,
    "nemotron_h_moe": NEMOTRON,
    "olmo2": _windowed(4),
    "plamo2": HYBRID,
    "plamo3": _windowed(8),
    "qwen35": ROLLING_DELTA,
    "qwen35moe": ROLLING_DELTA,
    "qwen3next": DELTA,
    "qwen3vl": ONE_SLOT,
    "qwen3vlmoe": ONE_SLOT,
    "qwen4exp": Architecture(
        recurrent=Recurrent.LISTED,
        state=State.DELTA,
        indexed=Indexed.ATTENTION,
        rolls_back=True,
    ),
    "rwkv6": RWKV,
    "rwkv6qwen2": RWKV,
    "rwkv7": RWKV,
    "smallthinker": _windowed(4, dense_first=True, always=4096),
    "spark2_5": _windowed(None),
    "step35": _windowed(None),
}
"""Architectures with rules of their own."""

_PLAIN_NAMES = (
    "apertus arcee arctic baichuan bailingmoe bailingmoe2 bitnet bloom chameleon chatglm codeshell "
    "cogvlm command-r dbrx deci deepseek dots1 ernie4_5 ernie4_5-moe exaone falcon gemma glm4 "
    "glm4moe gpt2 gptj gptneox granite granitemoe grovemoe hrm_text hunyuan-dense hunyuan-moe "
    "hunyuan_vl hy_v3 internlm2 jais jais2 llama maincoder minicpm minicpm3 minimax-m2 mistral3 "
    "mpt nemotron olmo olmoe openelm orion paddleocr pangu-embedded phi2 phi3 phimoe plamo plm "
    "pockettts qwen qwen2 qwen2moe qwen2vl qwen3 qwen3moe qwen3tts refact "
    "seed_oss smollm3 stablelm starcoder starcoder2 talkie xverse"
)
PLAIN = frozenset(_PLAIN_NAMES.split())
"""Architectures whose every layer keeps keys and values of the whole context."""

_NO_CACHE_NAMES = (
    "bert modern-bert nomic-bert nomic-bert-moe neo-bert jina-bert-v2 jina-bert-v3 eurobert "
    "gemma-embedding dream llada llada-moe rnd1 wavtokenizer-dec"
)
NO_CACHE = frozenset(_NO_CACHE_NAMES.split())
"""Architectures for which llama.cpp creates no cache."""
