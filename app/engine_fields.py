"""The engine, and the few settings of each that decide memory; their names are its own."""

from collections.abc import Callable, Mapping
from typing import Any

import kvsim
from app.fields import Field, Kind, Value

VLLM = kvsim.EngineName.VLLM
ENGINES = (
    VLLM,
    kvsim.EngineName.SGLANG,
    kvsim.EngineName.TENSORRT_LLM,
    kvsim.EngineName.LLAMA_CPP,
    kvsim.EngineName.OLLAMA,
)
"""Engines whose plan is known."""

DIVIDES_LAYERS = (kvsim.EngineName.LLAMA_CPP, kvsim.EngineName.OLLAMA)
"""Engines that give each GPU some of the layers, and store the cache in formats of their own."""

ENGINE = Field(name="engine", kind=Kind.CHOICE, default=VLLM, options=lambda: ENGINES)

CACHE_TYPES = ("f16", "bf16", "q8_0", "q5_1", "q5_0", "q4_1", "iq4_nl", "q4_0", "f32")

_SGLANG = (
    Field(name="mem_fraction_static", kind=Kind.SHARE, default=None),
    Field(name="chunked_prefill_size", kind=Kind.COUNT, default=None, step=1024),
    Field(name="max_running_requests", kind=Kind.COUNT, default=None),
    Field(name="page_size", kind=Kind.COUNT, default=None),
)
_TENSORRT_LLM = (
    Field(
        name="free_gpu_memory_fraction",
        kind=Kind.SHARE,
        default=kvsim.TensorrtLlm().free_gpu_memory_fraction,
    ),
    Field(name="max_batch_size", kind=Kind.COUNT, default=kvsim.TensorrtLlm().max_batch_size),
    Field(
        name="max_num_tokens",
        kind=Kind.COUNT,
        default=kvsim.TensorrtLlm().max_num_tokens,
        step=1024,
    ),
    Field(name="tokens_per_block", kind=Kind.COUNT, default=kvsim.TensorrtLlm().tokens_per_block),
)
_LLAMA_CPP = (
    Field(name="cache_type_k", kind=Kind.CHOICE, default="f16", options=lambda: CACHE_TYPES),
    Field(name="cache_type_v", kind=Kind.CHOICE, default="f16", options=lambda: CACHE_TYPES),
    Field(name="gpu_layers", kind=Kind.COUNT, default=None, least=0),
    Field(name="n_cpu_moe", kind=Kind.COUNT, default=0, least=0),
    Field(name="ubatch_size", kind=Kind.COUNT, default=kvsim.LlamaCpp().ubatch_size, step=512),
    Field(name="swa_full", kind=Kind.SWITCH, default=False),
)
_OLLAMA = (
    Field(name="kv_cache_type", kind=Kind.CHOICE, default="f16", options=lambda: CACHE_TYPES),
    Field(name="num_gpu", kind=Kind.COUNT, default=None, least=0),
)
OWN: Mapping[kvsim.EngineName, tuple[Field, ...]] = {
    kvsim.EngineName.SGLANG: _SGLANG,
    kvsim.EngineName.TENSORRT_LLM: _TENSORRT_LLM,
    kvsim.EngineName.LLAMA_CPP: _LLAMA_CPP,
    kvsim.EngineName.OLLAMA: _OLLAMA,
}
"""Inputs that only one engine has; vLLM's are the deployment's own."""

Settings = kvsim.Sglang | kvsim.TensorrtLlm | kvsim.LlamaCpp | kvsim.Ollama
SETTINGS: Mapping[kvsim.EngineName, Callable[..., Settings]] = {
    kvsim.EngineName.SGLANG: kvsim.Sglang,
    kvsim.EngineName.TENSORRT_LLM: kvsim.TensorrtLlm,
    kvsim.EngineName.LLAMA_CPP: kvsim.LlamaCpp,
    kvsim.EngineName.OLLAMA: kvsim.Ollama,
}

OWN_FIELDS = {field.name: field for fields in OWN.values() for field in fields}

FIX_INPUTS: Mapping[tuple[kvsim.EngineName, str], tuple[str, ...]] = {
    (kvsim.EngineName.TENSORRT_LLM, "dtype"): ("kv_cache_dtype",),
    (kvsim.EngineName.LLAMA_CPP, "cache_type_k and cache_type_v"): (
        "cache_type_k",
        "cache_type_v",
    ),
}
"""Inputs that a fix sets, where they have another name than its setting."""


def settings(engine: str, values: Mapping[str, Value]) -> Settings | None:
    """An engine's own settings from its inputs; None for vLLM.

    Raises:
        KvsimError: for values that it cannot have.
    """
    if engine not in SETTINGS:
        return None
    name = kvsim.EngineName(engine)
    stated: dict[str, Any] = {
        field.name: values[field.name] for field in OWN[name] if values[field.name] is not None
    }
    return SETTINGS[name](**stated)
