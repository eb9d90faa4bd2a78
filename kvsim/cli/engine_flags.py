"""Flags of `kvsim plan` that only one engine has, and refusal of those of another."""

import argparse
import dataclasses
from typing import Any

from kvsim.cli.flags import add_fields, from_args
from kvsim.errors import SpecError
from kvsim.specs.engine import EngineName, Vllm
from kvsim.specs.llama_cpp import LlamaCpp, Ollama
from kvsim.specs.sglang import Sglang
from kvsim.specs.tensorrt_llm import TensorrtLlm

SETTINGS: dict[EngineName, type[Any]] = {
    EngineName.SGLANG: Sglang,
    EngineName.TENSORRT_LLM: TensorrtLlm,
    EngineName.LLAMA_CPP: LlamaCpp,
    EngineName.OLLAMA: Ollama,
}

SHARED = frozenset(("max_model_len", "kv_cache_dtype", "dtype", "quantization", "engine_version"))
"""Flags that every engine's plan takes; `--max-model-len` is the length of a request."""

LEFT_OUT = {
    Sglang: {
        *("max_prefill_tokens", "num_draft_layers", "nsa_decode_backend", "hicache_ratio"),
        *("hicache_size", "enable_hierarchical_cache", "attention_backend"),
    },
    TensorrtLlm: {"num_draft_layers", "max_attention_window", "use_kv_cache_manager_v2"},
    LlamaCpp: {"checkpoint_min_step"},
    Ollama: {"flash_attention", "gpu_overhead", "draft_num_predict"},
}
"""Fields without a flag here; the library takes them."""


def add_engine_flags(parser: argparse.ArgumentParser) -> None:
    """A group of flags for every engine beside vLLM."""
    for name, spec in SETTINGS.items():
        group = parser.add_argument_group(f"with --engine {name}")
        add_fields(group, spec, skip={*LEFT_OUT[spec], *SHARED})


def engine_settings(args: argparse.Namespace) -> Any:  # noqa: ANN401 - one of four specs
    """The chosen engine's settings, or None for vLLM, whose flags are read elsewhere.

    Raises:
        SpecError: for an engine without a plan, or another engine's flag.
    """
    name = args.engine
    if name not in (EngineName.VLLM, *SETTINGS):
        msg = f"engine={name[:40]} must be one of {', '.join((EngineName.VLLM, *SETTINGS))}"
        raise SpecError(msg)
    every: dict[EngineName, type[Any]] = {EngineName.VLLM: Vllm, **SETTINGS}
    for other, spec in every.items():
        if other != name:
            _refuse(args, spec, other, name)
    if name == EngineName.VLLM:
        return None
    spec = SETTINGS[name]
    asked_elsewhere = SHARED - {"engine_version"}  # they travel with the deployment
    return from_args(spec, args, skip=frozenset(LEFT_OUT[spec]) | asked_elsewhere)


def _refuse(args: argparse.Namespace, spec: type[Any], other: str, name: str) -> None:
    for field in dataclasses.fields(spec):
        given = getattr(args, field.name, None)
        if field.name in SHARED or given is None:
            continue
        default = list(field.default) if isinstance(field.default, tuple) else field.default
        if given not in (default, field.default):
            msg = f"{field.name}={given} is a flag of {other}, not of {name}"
            raise SpecError(msg)
