"""Engine settings under the engines' own flag names, and the defaults they resolve to."""

# long: a setting a line

from dataclasses import dataclass
from enum import StrEnum

from kvsim.errors import SpecError, UnsupportedError
from kvsim.message import Message
from kvsim.specs.attention import check_positive
from kvsim.specs.batch_limits import (
    OTHER_CONTEXT,
    BatchLimits,
    Platform,
    UsageContext,
    batch_limits,
    platform_of,
)
from kvsim.specs.cache_dtype import resolve_cache_dtype, resolve_dtype
from kvsim.specs.hardware import Accelerator
from kvsim.specs.latent import LatentAttention
from kvsim.specs.model import ModelSpec
from kvsim.specs.model_len import resolve_max_model_len
from kvsim.specs.option import option
from kvsim.specs.parallel import Parallelism
from kvsim.specs.speculative import DRAFTERS, find_drafter
from kvsim.specs.state import RecurrentState
from kvsim.specs.version import NEWEST_VLLM, is_v0, parse_version, schedules_ahead
from kvsim.specs.vllm_traits import keeps_state
from kvsim.units import GiB

DEFAULT_BLOCK_SIZE = 16  # tokens, before the attention backends have their say


class EngineName(StrEnum):
    """Engines whose layout kvsim knows."""

    IDEAL = "ideal"
    VLLM = "vllm"
    LLAMA_CPP = "llama.cpp"
    OLLAMA = "ollama"
    TRANSFORMERS = "transformers"
    SGLANG = "sglang"
    TENSORRT_LLM = "tensorrt-llm"


class PerformanceMode(StrEnum):
    """What vLLM's defaults aim at; throughput doubles the batch limits."""

    BALANCED = "balanced"
    INTERACTIVITY = "interactivity"
    THROUGHPUT = "throughput"


@dataclass(frozen=True, slots=True, kw_only=True)
class Vllm:
    """vLLM's settings; None means the engine's own default, which `resolve_vllm` looks up."""

    max_model_len: int | None = option(None, "longest prompt plus output, tokens")
    auto_max_model_len: bool = option(False, "the longest max_model_len that memory allows (-1)")
    max_num_seqs: int | None = option(None, "most requests in one step")
    max_num_batched_tokens: int | None = option(None, "most tokens in one step")
    gpu_memory_utilization: float = option(0.92, "fraction of device memory the engine may use")
    kv_cache_dtype: str = option("auto", "storage format of the cache; auto: the model's")
    kv_cache_dtype_skip_layers: tuple[str, ...] = option(
        (), "layers that keep the model's format: indices, or sliding_window"
    )
    block_size: int | None = option(None, "tokens per KV block")
    dtype: str = option("auto", "format of weights and activations; auto: the checkpoint's")
    quantization: str | None = option(None, "weight quantisation; default: the checkpoint's")
    enforce_eager: bool = option(False, "run without CUDA graphs")
    enable_prefix_caching: bool | None = option(None, "share blocks of equal prefixes")
    enable_chunked_prefill: bool | None = option(None, "split long prompts over steps")
    async_scheduling: bool | None = option(None, "schedule a step before the last is settled")
    disable_hybrid_kv_cache_manager: bool = option(
        False, "keep every token in every layer, windows included"
    )
    mamba_cache_dtype: str = option("auto", "format of convolution states; auto: the model's")
    mamba_ssm_cache_dtype: str = option("auto", "format of recurrent states; auto: the class's")
    kv_cache_memory_bytes: int | None = option(None, "bytes for the cache, instead of profiling")
    num_gpu_blocks_override: int | None = option(None, "blocks, instead of what memory gives")
    kv_offloading_size: float | None = option(
        None, "host memory for the cache, GiB over all ranks of a replica, native backend"
    )
    speculative_method: str | None = option(None, f"drafter: {', '.join(DRAFTERS)}")
    num_speculative_tokens: int | None = option(None, "tokens drafted per step")
    performance_mode: PerformanceMode = option(PerformanceMode.BALANCED, "aim of the defaults")
    usage_context: UsageContext = option(UsageContext.API_SERVER, "server or library use")
    engine_version: str = option(NEWEST_VLLM, "vLLM version whose rules apply")

    def __post_init__(self) -> None:
        if not 0 < self.gpu_memory_utilization <= 1:
            msg = Message(
                "gpu_memory_utilization={gpu_memory_utilization} must be in (0, 1]",
                gpu_memory_utilization=self.gpu_memory_utilization,
            )
            raise SpecError(msg)
        for name in (
            "max_model_len",
            "max_num_seqs",
            "max_num_batched_tokens",
            "block_size",
            "kv_cache_memory_bytes",
            "num_gpu_blocks_override",
            "num_speculative_tokens",
        ):
            if (value := getattr(self, name)) is not None:
                check_positive(**{name: value})
        if self.kv_offloading_size is not None and not self.kv_offloading_size > 0:
            msg = Message(
                "kv_offloading_size={kv_offloading_size} must be > 0",
                kv_offloading_size=f"{self.kv_offloading_size:g}",
            )
            raise SpecError(msg)
        if self.auto_max_model_len and self.max_model_len is not None:
            msg = Message(
                "max_model_len={max_model_len} and auto_max_model_len exclude each other",
                max_model_len=self.max_model_len,
            )
            raise SpecError(msg)
        if self.speculative_method is not None:
            find_drafter(self.speculative_method, self.num_speculative_tokens)
        elif self.num_speculative_tokens is not None:
            msg = Message(
                "num_speculative_tokens={num_speculative_tokens} needs speculative_method",
                num_speculative_tokens=self.num_speculative_tokens,
            )
            raise SpecError(msg)
        parse_version(self.engine_version)

    @property
    def kv_offloading_bytes(self) -> int:
        """Host memory that a replica's cache gets; 0 without offload."""
        return int((self.kv_offloading_size or 0) * GiB)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedVllm:
    """vLLM's settings with every default filled in, as the engine does for this deployment.

    What `resolve_vllm` returns holds the block size before the layers were looked at; the
    settings of a layout hold it afterwards, and those of recurrent states with it.
    """

    max_model_len: int
    max_num_seqs: int
    max_num_batched_tokens: int
    block_size: int
    enable_prefix_caching: bool
    async_scheduling: bool
    max_in_flight_tokens: int
    engine_version: str
    enable_chunked_prefill: bool = True
    dtype: str = "bfloat16"
    kv_cache_dtype: str = "auto"
    disable_hybrid_kv_cache_manager: bool = False
    num_speculative_tokens: int = 0
    mamba_cache_mode: str = "none"
    mamba_block_size: int | None = None
    mamba_page_size_padded: int | None = None


def resolve_vllm(
    engine: Vllm,
    *,
    model: ModelSpec,
    accelerator: Accelerator | None,
    parallel: Parallelism,
) -> ResolvedVllm:
    """The settings vLLM would run with: what was given, and the engine's default for the rest.

    Raises:
        SpecError: if `max_model_len` exceeds what the model was made for.
        UnsupportedError: for a model or a cache format that the engine refuses.

    Source:
        vLLM `EngineArgs._set_default_max_num_seqs_and_batched_tokens_args`, arg_utils.py, and
        `VllmConfig.max_in_flight_tokens`, config/vllm.py, 0.32.0.
    """
    if model.vllm.refusal is not None:
        why = Message.of_all([model.vllm.refusal])
        msg = Message("{name}: {why}", name=model.name, why=why)
        raise UnsupportedError(msg)
    max_model_len = resolve_max_model_len(engine.max_model_len, model)
    limits = _limits(engine, max_model_len, model, accelerator=accelerator, parallel=parallel)
    is_async = _is_async(engine, model, accelerator)
    batches = parallel.pipeline_parallel_size + (1 if is_async else 0)
    is_causal = not (_reads_whole(model) or _is_latent_on_cpu(model, accelerator))
    has_tokens = any(not isinstance(b, RecurrentState) for g in model.layer_groups for b in g.layer)
    has_states = any(keeps_state(b, g.layer) for g in model.layer_groups for b in g.layer)
    old = is_v0(engine.engine_version)
    shares = is_causal and has_tokens and not old
    caching = _given(asked=engine.enable_prefix_caching, default=shares)
    return ResolvedVllm(
        max_model_len=max_model_len,
        max_num_seqs=limits.seqs,
        max_num_batched_tokens=limits.tokens,
        block_size=engine.block_size or DEFAULT_BLOCK_SIZE,
        enable_prefix_caching=caching,
        enable_chunked_prefill=_given(asked=engine.enable_chunked_prefill, default=is_causal),
        async_scheduling=is_async,
        max_in_flight_tokens=limits.tokens * batches,
        engine_version=engine.engine_version,
        dtype=resolve_dtype(engine.dtype, model).name,
        kv_cache_dtype=resolve_cache_dtype(engine.kv_cache_dtype, model),
        disable_hybrid_kv_cache_manager=engine.disable_hybrid_kv_cache_manager or old,
        num_speculative_tokens=engine.num_speculative_tokens or 0,
        mamba_cache_mode="align" if has_states and caching else "none",
    )


def _given(*, asked: bool | None, default: bool) -> bool:
    return default if asked is None else asked


def _reads_whole(model: ModelSpec) -> bool:
    """Whether a prompt must be computed in one step, and shares no prefix.

    Source:
        vLLM `is_chunked_prefill_supported` and `is_prefix_caching_supported`, config/model.py.
    """
    return model.is_encoder_decoder or model.vllm.is_encoder_only


def _is_latent_on_cpu(model: ModelSpec, accelerator: Accelerator | None) -> bool:
    """Whether the engine gives up chunked prefill and prefix caching.

    Source:
        vLLM `CpuPlatform.check_and_update_config`, vllm/platforms/cpu.py, 0.32.0.
    """
    if platform_of(accelerator) is not Platform.CPU:
        return False
    return any(isinstance(b, LatentAttention) for group in model.layer_groups for b in group.layer)


def _is_async(engine: Vllm, model: ModelSpec, accelerator: Accelerator | None) -> bool:
    """Whether steps are scheduled ahead; CPUs never do, some drafters cannot.

    Source:
        vLLM `VllmConfig.__post_init__`, vllm/config/vllm.py; vllm/platforms/cpu.py, 0.32.0.
    """
    if platform_of(accelerator) is Platform.CPU:
        return False
    method = engine.speculative_method
    able = schedules_ahead(engine.engine_version)
    able = able and (method is None or DRAFTERS[method].runs_async)
    if engine.async_scheduling and method is not None and not DRAFTERS[method].runs_async:
        msg = f"async_scheduling must be off with speculative_method={method}"
        raise UnsupportedError(msg)
    return _given(asked=engine.async_scheduling, default=able and not model.vllm.is_pooling)


def _limits(
    engine: Vllm,
    max_model_len: int,
    model: ModelSpec,
    *,
    accelerator: Accelerator | None,
    parallel: Parallelism,
) -> BatchLimits:
    """Batch limits: what was given stays as it is, the rest follows the device and the length."""
    world = parallel.tensor_parallel_size * parallel.pipeline_parallel_size
    default = batch_limits(accelerator, engine.usage_context, world_size=world)
    factor = 2 if engine.performance_mode is PerformanceMode.THROUGHPUT else 1
    seqs = engine.max_num_seqs or default.seqs * factor
    tokens = engine.max_num_batched_tokens
    if tokens is None:
        tokens = default.tokens * factor
        is_whole = _reads_whole(model)
        if _is_latent_on_cpu(model, accelerator):
            tokens, is_whole = OTHER_CONTEXT.tokens, True
        if engine.enable_chunked_prefill is False or is_whole:  # a prompt must fit in one step
            tokens = max(tokens, max_model_len)
        tokens = max(tokens, model.vllm.item_tokens)
        tokens = min(tokens, seqs * max_model_len)
    if engine.max_num_seqs is None:
        seqs = min(seqs, tokens)
    _check_limits(engine, max_model_len, tokens=tokens, seqs=seqs)
    return BatchLimits(tokens=tokens, seqs=seqs)


def _check_limits(engine: Vllm, max_model_len: int, *, tokens: int, seqs: int) -> None:
    """SpecError for limits that the engine refuses.

    Source:
        vLLM `SchedulerConfig.verify_max_model_len`, vllm/config/scheduler.py, 0.32.0.
    """
    if tokens < seqs:
        msg = Message(
            "max_num_batched_tokens={tokens} must be >= max_num_seqs={seqs}",
            tokens=tokens,
            seqs=seqs,
        )
        raise SpecError(msg)
    if engine.enable_chunked_prefill is False and tokens < max_model_len:
        msg = Message(
            "max_num_batched_tokens={tokens} must be >= max_model_len={max_model_len} without "
            "chunked prefill",
            tokens=tokens,
            max_model_len=max_model_len,
        )
        raise SpecError(msg)


__all__ = [
    "NEWEST_VLLM",
    "BatchLimits",
    "EngineName",
    "PerformanceMode",
    "ResolvedVllm",
    "UsageContext",
    "Vllm",
    "batch_limits",
    "parse_version",
    "resolve_max_model_len",
    "resolve_vllm",
]
