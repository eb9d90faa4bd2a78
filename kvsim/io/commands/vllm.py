"""Launch lines: a deployment as the command that starts it. Flags are the engine's own."""

import json
import shlex

from kvsim.specs.deployment import Deployment
from kvsim.specs.engine import Vllm
from kvsim.specs.parallel import Parallelism

_ENGINE_FLAGS = (
    "max_model_len",
    "max_num_seqs",
    "max_num_batched_tokens",
    "gpu_memory_utilization",
    "kv_cache_dtype",
    "block_size",
    "dtype",
    "quantization",
    "kv_cache_memory_bytes",
    "num_gpu_blocks_override",
    "kv_offloading_size",
    "performance_mode",
    "mamba_cache_dtype",
    "mamba_ssm_cache_dtype",
)
_SWITCHES = ("enforce_eager", "disable_hybrid_kv_cache_manager")
_TOGGLES = ("enable_prefix_caching", "enable_chunked_prefill", "async_scheduling")
_PARALLEL_FLAGS = (
    "tensor_parallel_size",
    "pipeline_parallel_size",
    "data_parallel_size",
    "decode_context_parallel_size",
)


def vllm_serve(deployment: Deployment) -> str:
    """The `vllm serve` line of a deployment; what is at the engine's default is left out.

    Source:
        vLLM `EngineArgs.add_cli_args`, vllm/engine/arg_utils.py, 0.32.0.
    """
    words = ["vllm", "serve", deployment.model.hub_id or deployment.model.name]
    parallel, engine = deployment.parallel, deployment.engine
    for name in _PARALLEL_FLAGS:
        words += _flag(name, getattr(parallel, name), getattr(Parallelism(), name))
    if parallel.enable_expert_parallel:
        words.append("--enable-expert-parallel")
    for name in _ENGINE_FLAGS:
        words += _flag(name, getattr(engine, name), getattr(Vllm(), name))
    words += [_option(name) for name in _SWITCHES if getattr(engine, name)]
    for name in _TOGGLES:
        value = getattr(engine, name)
        if value is not None:
            words.append(_option(name) if value else f"--no-{_option(name)[2:]}")
    return shlex.join(words + _composed(engine))


def _composed(engine: Vllm) -> list[str]:
    """Flags that are more than one field's value."""
    words: list[str] = []
    if engine.auto_max_model_len:
        words += ["--max-model-len", "auto"]
    if engine.kv_cache_dtype_skip_layers:
        words += ["--kv-cache-dtype-skip-layers", *engine.kv_cache_dtype_skip_layers]
    if engine.speculative_method is not None:
        config = {
            "method": engine.speculative_method,
            "num_speculative_tokens": engine.num_speculative_tokens,
        }
        words += ["--speculative-config", json.dumps(config)]
    return words


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")


def _flag(name: str, value: object, default: object) -> list[str]:
    if value == default or value is None:
        return []
    return [_option(name), repr(value) if isinstance(value, float) else str(value)]
