"""A vLLM log's settings as kvsim's, and what is known beside the log."""

from dataclasses import dataclass, replace

from kvsim.errors import KvsimError, UnsupportedError
from kvsim.planner.reconciliation import fraction, numbers, switch, text, whole_number
from kvsim.specs.engine import NEWEST_VLLM, Vllm, parse_version
from kvsim.specs.engine_log import EngineLog
from kvsim.specs.hardware import Accelerator
from kvsim.specs.model import ModelSpec
from kvsim.specs.overheads import OverheadModel
from kvsim.specs.parallel import Parallelism

OLD_UTILIZATION = 0.9
FIRST_UNKNOWN_V0 = "0.6.0"


@dataclass(frozen=True, slots=True, kw_only=True)
class VllmFacts:
    """What is known beside the log."""

    model: ModelSpec | None
    accelerator: Accelerator | None
    overheads: OverheadModel


def of_any_length(model: ModelSpec) -> ModelSpec:
    """The model without its longest length: the engine has already allowed the log's."""
    return replace(model, max_model_len=None, vllm=replace(model.vllm, max_model_len=None))


def version_of(log: EngineLog) -> str:
    """The log's version; where it has none, the newest of the generation that prints so."""
    if log.version is not None:
        try:
            parse_version(log.version)
        except KvsimError:
            return NEWEST_VLLM
        return log.version
    return FIRST_UNKNOWN_V0 if "num_cpu_blocks" in log.measured else NEWEST_VLLM


def vllm_settings(log: EngineLog) -> Vllm:
    """The log's settings as kvsim's; a format that the engine resolved comes before `auto`.

    Raises:
        SpecError: for a setting that is impossible.
    """
    kv_dtype = log.measured.get("resolved_kv_cache_dtype")
    drafting = log.settings.get("speculative_config")
    method = drafting.get("method") if isinstance(drafting, dict) else None
    drafted = drafting.get("num_speculative_tokens") if isinstance(drafting, dict) else None
    if drafting is not None and not isinstance(method, str):
        msg = "speculative_config names no method: the draft's share of the cache is not known"
        raise UnsupportedError(msg)
    return Vllm(
        max_model_len=whole_number(log, "max_model_len") or _first(log, "max_model_len"),
        max_num_seqs=whole_number(log, "max_num_seqs"),
        max_num_batched_tokens=whole_number(log, "max_num_batched_tokens"),
        gpu_memory_utilization=fraction(log, "gpu_memory_utilization", OLD_UTILIZATION) or 0.9,
        kv_cache_dtype=_format(str(kv_dtype or text(log, "kv_cache_dtype"))),
        block_size=whole_number(log, "block_size"),
        dtype=_format(str(log.engine_config_differs.get("dtype", text(log, "dtype")))),
        enforce_eager=switch(log, "enforce_eager") or False,
        enable_prefix_caching=switch(log, "enable_prefix_caching"),
        enable_chunked_prefill=switch(log, "enable_chunked_prefill"),
        num_gpu_blocks_override=whole_number(log, "num_gpu_blocks_override"),
        speculative_method=method if isinstance(method, str) else None,
        num_speculative_tokens=drafted if isinstance(drafted, int) else None,
        engine_version=version_of(log),
    )


def vllm_parallel(log: EngineLog) -> Parallelism:
    """The log's degrees of parallelism."""
    return Parallelism(
        tensor_parallel_size=whole_number(log, "tensor_parallel_size", 1) or 1,
        pipeline_parallel_size=whole_number(log, "pipeline_parallel_size", 1) or 1,
        data_parallel_size=whole_number(log, "data_parallel_size", 1) or 1,
        decode_context_parallel_size=whole_number(log, "decode_context_parallel_size", 1) or 1,
        enable_expert_parallel=switch(log, "enable_expert_parallel") or False,
    )


def _first(log: EngineLog, name: str) -> int | None:
    values = numbers(log, name)
    return int(values[0]) if values else None


def _format(name: str) -> str:
    """Torch's and C's names of formats as the flags have them."""
    short = name.removeprefix("torch.")
    known = {"half": "float16", "float": "float32", "float8_e4m3fn": "fp8_e4m3", "fp8": "fp8_e4m3"}
    return known.get(short, short.replace("float8_", "fp8_"))
