"""Launch lines of SGLang, llama-server and trtllm-serve, from settings or from a vLLM plan."""

import json
import shlex
from collections.abc import Callable, Mapping
from dataclasses import replace

from kvsim.errors import KvsimError, UnsupportedError
from kvsim.io.commands.vllm import vllm_serve
from kvsim.io.commands.words import changed
from kvsim.message import Message
from kvsim.specs.deployment import Deployment
from kvsim.specs.engine import EngineName
from kvsim.specs.llama_cpp import FlashAttention, LlamaCpp, Ollama
from kvsim.specs.parallel import Parallelism
from kvsim.specs.sglang import Sglang
from kvsim.specs.tensorrt_llm import TensorrtLlm

Settings = Sglang | LlamaCpp | Ollama | TensorrtLlm

SGLANG_FLAGS = {
    name: "--" + name.replace("_", "-")
    for name in (
        *("context_length", "mem_fraction_static", "chunked_prefill_size", "max_prefill_tokens"),
        *("max_running_requests", "max_total_tokens", "page_size", "kv_cache_dtype", "dtype"),
        *("quantization", "swa_full_tokens_ratio", "mamba_full_memory_ratio"),
        *("max_mamba_cache_size", "mamba_ssm_dtype", "disable_radix_cache"),
        *("disable_overlap_schedule", "enable_dp_attention", "dp_size", "cuda_graph_max_bs"),
        *("disable_cuda_graph", "attention_backend", "enable_hierarchical_cache"),
        *("hicache_ratio", "hicache_size"),
    )
}
"""Source: SGLang `ServerArgs.add_cli_args`, sglang/srt/server_args.py, 0.5.23."""

WHOLE_PROMPTS = ["--chunked-prefill-size", "-1"]
SGLANG_DEGREES = {"tensor_parallel_size": "--tp-size", "pipeline_parallel_size": "--pp-size"}

LLAMA_FLAGS = {
    "ctx_size": "--ctx-size",
    "parallel": "--parallel",
    "batch_size": "--batch-size",
    "ubatch_size": "--ubatch-size",
    "cache_type_k": "--cache-type-k",
    "cache_type_v": "--cache-type-v",
    "swa_full": "--swa-full",
    "gpu_layers": "--gpu-layers",
    "n_cpu_moe": "--n-cpu-moe",
    "cpu_moe": "--cpu-moe",
    "ctx_checkpoints": "--ctx-checkpoints",
    "checkpoint_min_step": "--checkpoint-min-step",
}
"""Source: llama.cpp `common_params_parser_init`, common/arg.cpp, 0.5.0-dev."""

IK_FLAGS = {"gpu_layers": "--n-gpu-layers", "mla": "--mla-use"}
"""Flags of ik_llama.cpp that differ. Source: its `gpt_params_find_arg`, common/common.cpp."""

NO_LIMIT = -1

TRT_FLAGS = {
    "free_gpu_memory_fraction": "--kv_cache_free_gpu_memory_fraction",
    "max_seq_len": "--max_seq_len",
    "max_batch_size": "--max_batch_size",
    "max_num_tokens": "--max_num_tokens",
}
TRT_POOL = (
    *("max_tokens", "max_gpu_total_bytes", "host_cache_size", "tokens_per_block", "dtype"),
    "max_attention_window",
)
"""Fields of `kv_cache_config` without a flag; a file of options holds them.

Source: TensorRT-LLM `trtllm-serve`, tensorrt_llm/commands/serve.py, and `KvCacheConfig`, 1.2.
"""

TRT_DEGREES = {"tensor_parallel_size": "--tp_size", "pipeline_parallel_size": "--pp_size"}


def engine_line(deployment: Deployment, settings: Settings) -> str:
    """The line that starts a deployment under another engine than vLLM.

    Raises:
        UnsupportedError: for replicas where one line starts one server; for a format that the
            engine lacks.
    """
    if isinstance(settings, Sglang):
        return _sglang(deployment, settings)
    replicas = deployment.parallel.data_parallel_size
    if replicas > 1:
        msg = f"data_parallel_size={replicas} must be 1: a line starts one server, so plan each"
        raise UnsupportedError(msg)
    if isinstance(settings, TensorrtLlm):
        return _trtllm(deployment, settings)
    if isinstance(settings, LlamaCpp):
        return _llama_server(deployment, settings)
    return _ollama(settings)


def engine_commands(deployment: Deployment) -> Mapping[str, str]:
    """The same plan as every engine's line; engines without one of its settings are left out.

    The longest request, the format of the cache, the requests at once and the degrees carry
    over; fractions of memory do not, because each engine's is of something else.
    """
    lines: dict[str, str] = {EngineName.VLLM: vllm_serve(deployment)}
    for name, settings in SAME.items():
        try:
            lines[name] = engine_line(deployment, settings(deployment))
        except KvsimError:
            continue
    return lines


def _model(deployment: Deployment) -> str:
    return deployment.model.hub_id or deployment.model.name


def _sglang(deployment: Deployment, settings: Sglang) -> str:
    words = ["python", "-m", "sglang.launch_server", "--model-path", _model(deployment)]
    words += changed(SGLANG_DEGREES, deployment.parallel, Parallelism())
    replicas = deployment.parallel.data_parallel_size
    if replicas > 1 and settings.dp_size == 1:
        words += ["--dp-size", str(replicas)]
    if deployment.parallel.enable_expert_parallel:
        words += ["--ep-size", str(deployment.parallel.tensor_parallel_size)]
    settings = _shared(deployment, settings)
    if settings.disable_chunked_prefill:
        words += WHOLE_PROMPTS
        settings = replace(settings, chunked_prefill_size=None)
    return shlex.join(words + changed(SGLANG_FLAGS, settings, Sglang()))


def _shared(deployment: Deployment, settings: Sglang) -> Sglang:
    """Length and formats that a plan keeps with the deployment."""
    asked = deployment.engine
    return replace(
        settings,
        context_length=settings.context_length or asked.max_model_len,
        kv_cache_dtype=_sglang_format(asked.kv_cache_dtype)
        if settings.kv_cache_dtype == "auto"
        else settings.kv_cache_dtype,
        dtype=asked.dtype if settings.dtype == "auto" else settings.dtype,
        quantization=settings.quantization or asked.quantization,
    )


def _sglang_format(name: str) -> str:
    known = {"auto": "auto", "fp8": "fp8_e4m3", "fp8_e4m3": "fp8_e4m3", "fp8_e5m2": "fp8_e5m2"}
    known |= {"bfloat16": "bfloat16"}
    if name not in known:
        msg = Message(
            "kv_cache_dtype={name} is no format of {engine}", name=name, engine=EngineName.SGLANG
        )
        raise UnsupportedError(msg)
    return known[name]


def _gguf(model: str, name: str) -> list[str]:
    """A file that is stated, a repository of such files, or the file that one has to have."""
    if model.endswith(".gguf"):
        return ["-m", model]
    return ["-hf", model] if "gguf" in model.lower() else ["-m", f"{name}.gguf"]


def _llama_server(deployment: Deployment, settings: LlamaCpp) -> str:
    words = ["llama-server", *_gguf(_model(deployment), deployment.model.name)]
    words += changed(LLAMA_FLAGS | (IK_FLAGS if settings.is_ik else {}), settings, LlamaCpp())
    if settings.kv_unified is not None:
        words.append("--kv-unified" if settings.kv_unified else "--no-kv-unified")
    if settings.flash_attn is not FlashAttention.AUTO:
        on = settings.flash_attn is FlashAttention.ON
        ik = ["--flash-attn"] if on else []
        words += ik if settings.is_ik else ["--flash-attn", str(settings.flash_attn)]
    if settings.tensor_split:
        words += ["--tensor-split", ",".join(f"{part:g}" for part in settings.tensor_split)]
    if not settings.kv_offload:
        words.append("--no-kv-offload")
    if settings.cache_ram != LlamaCpp().cache_ram:
        words += [
            "--cache-ram",
            str(NO_LIMIT if settings.cache_ram is None else settings.cache_ram),
        ]
    return shlex.join(words)


def _ollama(settings: Ollama) -> str:
    """The server's environment; what is a parameter of a request stays one."""
    words = [f"OLLAMA_NUM_PARALLEL={settings.num_parallel}"]
    if settings.num_ctx is not None:
        words.append(f"OLLAMA_CONTEXT_LENGTH={settings.num_ctx}")
    if settings.kv_cache_type != Ollama().kv_cache_type:
        words.append(f"OLLAMA_KV_CACHE_TYPE={settings.kv_cache_type}")
    if settings.flash_attention is not None:
        words.append(f"OLLAMA_FLASH_ATTENTION={int(settings.flash_attention)}")
    if settings.gpu_overhead:
        words.append(f"OLLAMA_GPU_OVERHEAD={settings.gpu_overhead}")
    return shlex.join([*words, "ollama", "serve"])


def _trtllm(deployment: Deployment, settings: TensorrtLlm) -> str:
    words = ["trtllm-serve", _model(deployment)]
    words += changed(TRT_DEGREES, deployment.parallel, Parallelism())
    if deployment.parallel.enable_expert_parallel:
        words += ["--ep_size", str(deployment.parallel.tensor_parallel_size)]
    asked = deployment.engine
    settings = replace(
        settings,
        max_seq_len=settings.max_seq_len or asked.max_model_len,
        dtype=_trt_format(asked.kv_cache_dtype) if settings.dtype == "auto" else settings.dtype,
    )
    words += changed(TRT_FLAGS, settings, TensorrtLlm())
    options = _trt_options(settings)
    line = shlex.join(words)
    if not options:
        return line
    return f"{line} --extra_llm_api_options <(echo {shlex.quote(json.dumps(options))})"


def _trt_options(settings: TensorrtLlm) -> dict[str, object]:
    """What has no flag, as the file of options has it; JSON is YAML."""
    default = TensorrtLlm()
    pool = {
        name: list(value) if isinstance(value, tuple) else value
        for name in TRT_POOL
        if (value := getattr(settings, name)) not in (None, getattr(default, name))
    }
    options: dict[str, object] = {"kv_cache_config": pool} if pool else {}
    if settings.enable_attention_dp:
        options["enable_attention_dp"] = True
    return options


def _trt_format(name: str) -> str:
    known = {"auto": "auto", "fp8": "fp8", "fp8_e4m3": "fp8", "nvfp4": "nvfp4"}
    if name not in known:
        msg = Message(
            "kv_cache_dtype={name} is no format of {engine}",
            name=name,
            engine=EngineName.TENSORRT_LLM,
        )
        raise UnsupportedError(msg)
    return known[name]


def _same_sglang(deployment: Deployment) -> Sglang:
    engine = deployment.engine
    return Sglang(
        max_running_requests=engine.max_num_seqs,
        disable_cuda_graph=engine.enforce_eager,
        disable_radix_cache=engine.enable_prefix_caching is False,
        disable_chunked_prefill=engine.enable_chunked_prefill is False,
    )


def _same_llama_cpp(deployment: Deployment) -> LlamaCpp:
    """As many slots as requests run at once, each of the longest length."""
    engine = deployment.engine
    if engine.kv_cache_dtype not in ("auto", "float16", "bfloat16"):
        msg = Message(
            "kv_cache_dtype={name} is no format of {engine}",
            name=engine.kv_cache_dtype,
            engine=EngineName.LLAMA_CPP,
        )
        raise UnsupportedError(msg)
    slots = engine.max_num_seqs
    length = engine.max_model_len
    return LlamaCpp(
        parallel=slots,
        ctx_size=None if length is None else length * (slots or 1),
        cache_type_k="bf16" if engine.kv_cache_dtype == "bfloat16" else "f16",
        cache_type_v="bf16" if engine.kv_cache_dtype == "bfloat16" else "f16",
    )


def _same_tensorrt_llm(deployment: Deployment) -> TensorrtLlm:
    engine, default = deployment.engine, TensorrtLlm()
    return TensorrtLlm(
        max_batch_size=engine.max_num_seqs or default.max_batch_size,
        max_num_tokens=engine.max_num_batched_tokens or default.max_num_tokens,
    )


SAME: Mapping[EngineName, Callable[[Deployment], Settings]] = {
    EngineName.SGLANG: _same_sglang,
    EngineName.LLAMA_CPP: _same_llama_cpp,
    EngineName.TENSORRT_LLM: _same_tensorrt_llm,
}
"""How each engine's settings follow from vLLM's."""
