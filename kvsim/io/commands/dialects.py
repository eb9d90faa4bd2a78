"""How each engine's launch line is read: names of its flags, and where the model stands."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kvsim.io.commands.engines import LLAMA_FLAGS, SGLANG_FLAGS, TRT_FLAGS
from kvsim.specs.engine import EngineName, Vllm
from kvsim.specs.llama_cpp import LlamaCpp
from kvsim.specs.sglang import Sglang
from kvsim.specs.tensorrt_llm import TensorrtLlm

NOT_ON_A_LINE = {"engine_version", "usage_context", "auto_max_model_len", "speculative_method"}
NOT_ON_A_LINE |= {"num_speculative_tokens", "variant", "num_draft_layers", "nsa_decode_backend"}

DEGREES = {
    "tensor_parallel_size": "tensor_parallel_size",
    "pipeline_parallel_size": "pipeline_parallel_size",
    "data_parallel_size": "data_parallel_size",
    "decode_context_parallel_size": "decode_context_parallel_size",
    "tp": "tensor_parallel_size",
    "pp": "pipeline_parallel_size",
    "dp": "data_parallel_size",
    "dcp": "decode_context_parallel_size",
    "tp_size": "tensor_parallel_size",
    "pp_size": "pipeline_parallel_size",
}
"""Flags of degrees over the engines, dashes as underscores -> the degree."""

EXPERTS = {"enable_expert_parallel"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """How one engine's line is read: its settings, other names of its flags, the model's flags."""

    engine: EngineName
    settings: type[Any]
    aliases: Mapping[str, str]
    models: tuple[str, ...]
    is_positional: bool


DIALECTS = {
    EngineName.VLLM: Dialect(
        engine=EngineName.VLLM,
        settings=Vllm,
        aliases={"q": "quantization", "kv_cache_memory": "kv_cache_memory_bytes"},
        models=("model",),
        is_positional=True,
    ),
    EngineName.SGLANG: Dialect(
        engine=EngineName.SGLANG,
        settings=Sglang,
        aliases={option.lstrip("-").replace("-", "_"): f for f, option in SGLANG_FLAGS.items()},
        models=("model_path", "model"),
        is_positional=False,
    ),
    EngineName.LLAMA_CPP: Dialect(
        engine=EngineName.LLAMA_CPP,
        settings=LlamaCpp,
        aliases={
            **{option.lstrip("-").replace("-", "_"): f for f, option in LLAMA_FLAGS.items()},
            "c": "ctx_size",
            "np": "parallel",
            "b": "batch_size",
            "ub": "ubatch_size",
            "ctk": "cache_type_k",
            "ctv": "cache_type_v",
            "fa": "flash_attn",
            "ngl": "gpu_layers",
            "n_gpu_layers": "gpu_layers",
            "ts": "tensor_split",
            "kvu": "kv_unified",
            "nkvo": "no_kv_offload",
            "ncmoe": "n_cpu_moe",
            "cmoe": "cpu_moe",
            "cram": "cache_ram",
            "ctxcp": "ctx_checkpoints",
            "cms": "checkpoint_min_step",
            "mla_use": "mla",
        },
        models=("hf", "hf_repo", "m", "model"),
        is_positional=False,
    ),
    EngineName.TENSORRT_LLM: Dialect(
        engine=EngineName.TENSORRT_LLM,
        settings=TensorrtLlm,
        aliases={option.lstrip("-"): f for f, option in TRT_FLAGS.items()},
        models=("model",),
        is_positional=True,
    ),
}
