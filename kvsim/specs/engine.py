"""Engine settings under the engines' own flag names, and the defaults they resolve to."""

from dataclasses import dataclass
from enum import StrEnum

from kvsim.errors import SpecError
from kvsim.specs.attention import check_positive
from kvsim.specs.hardware import Accelerator
from kvsim.specs.latent import Indexer
from kvsim.specs.model import ModelSpec
from kvsim.specs.option import option
from kvsim.specs.parallel import Parallelism
from kvsim.units import GiB

NEWEST_VLLM = "0.32.0"


class EngineName(StrEnum):
    """Engines whose layout kvsim knows."""

    IDEAL = "ideal"
    VLLM = "vllm"
    LLAMA_CPP = "llama.cpp"
    OLLAMA = "ollama"
    TRANSFORMERS = "transformers"
    SGLANG = "sglang"
    TENSORRT_LLM = "tensorrt-llm"


class UsageContext(StrEnum):
    """How vLLM is used; batch limits depend on it."""

    API_SERVER = "OPENAI_API_SERVER"
    LLM_CLASS = "LLM_CLASS"
    ENGINE = "ENGINE_CONTEXT"


@dataclass(frozen=True, slots=True, kw_only=True)
class Vllm:
    """vLLM's settings; None means the engine's own default, which `resolve` looks up."""

    max_model_len: int | None = option(None, "longest prompt plus output, tokens")
    max_num_seqs: int | None = option(None, "most requests in one step")
    max_num_batched_tokens: int | None = option(None, "most tokens in one step")
    gpu_memory_utilization: float = option(0.92, "fraction of device memory the engine may use")
    kv_cache_dtype: str = option("auto", "storage format of the cache; auto: the model's")
    block_size: int | None = option(None, "tokens per KV block")
    dtype: str = option("auto", "format of weights and activations; auto: the checkpoint's")
    quantization: str | None = option(None, "weight quantisation; default: the checkpoint's")
    enforce_eager: bool = option(False, "run without CUDA graphs")
    enable_prefix_caching: bool | None = option(None, "share blocks of equal prefixes")
    async_scheduling: bool | None = option(None, "schedule a step before the last is settled")
    kv_cache_memory_bytes: int | None = option(None, "bytes for the cache, instead of profiling")
    num_gpu_blocks_override: int | None = option(None, "blocks, instead of what memory gives")
    usage_context: UsageContext = option(UsageContext.API_SERVER, "server or library use")
    engine_version: str = option(NEWEST_VLLM, "vLLM version whose rules apply")

    def __post_init__(self) -> None:
        if not 0 < self.gpu_memory_utilization <= 1:
            msg = f"gpu_memory_utilization={self.gpu_memory_utilization} must be in (0, 1]"
            raise SpecError(msg)
        for name in ("max_model_len", "max_num_seqs", "max_num_batched_tokens", "block_size"):
            if (value := getattr(self, name)) is not None:
                check_positive(**{name: value})
        for name in ("kv_cache_memory_bytes", "num_gpu_blocks_override"):
            if (value := getattr(self, name)) is not None:
                check_positive(**{name: value})
        parse_version(self.engine_version)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedVllm:
    """vLLM's settings with every default filled in, as the engine does for this deployment."""

    max_model_len: int
    max_num_seqs: int
    max_num_batched_tokens: int
    block_size: int
    enable_prefix_caching: bool
    async_scheduling: bool
    max_in_flight_tokens: int
    engine_version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchLimits:
    """Default `max_num_batched_tokens` and `max_num_seqs` of a usage context."""

    tokens: int
    seqs: int


BIG_DEVICE_BYTES = 70 * GiB
HUGE_DEVICE_BYTES = 160 * GiB
DEFAULT_BLOCK_SIZE = 16
SPARSE_BLOCK_SIZE = 64  # what every sparse-attention backend with an indexer accepts


def batch_limits(accelerator: Accelerator | None, context: UsageContext) -> BatchLimits:
    """Default batch limits on a device: only its memory and the word "a100" decide.

    Without a device they are those of a usage context that looks at none.

    Source:
        vLLM `EngineArgs.get_batch_defaults`, vllm/engine/arg_utils.py, 0.32.0.

    Example:
        >>> from kvsim.units import GiB
        >>> h100 = Accelerator(name="H100", vendor="NVIDIA", architecture="Hopper",
        ...                    nominal_bytes=80 * GiB)
        >>> batch_limits(h100, UsageContext.API_SERVER)
        BatchLimits(tokens=8192, seqs=1024)
    """
    if accelerator is None or context is UsageContext.ENGINE:
        return BatchLimits(tokens=2048, seqs=128)
    server = context is UsageContext.API_SERVER
    memory = accelerator.total_bytes.best
    if memory >= HUGE_DEVICE_BYTES:
        return BatchLimits(tokens=16384, seqs=1024)
    if memory >= BIG_DEVICE_BYTES and "a100" not in accelerator.name.lower():
        return BatchLimits(tokens=8192 if server else 16384, seqs=1024)
    return BatchLimits(tokens=2048 if server else 8192, seqs=256)


def resolve_vllm(
    engine: Vllm,
    *,
    model: ModelSpec,
    accelerator: Accelerator | None,
    parallel: Parallelism,
) -> ResolvedVllm:
    """The settings vLLM would run with: what was given, and the engine's default for the rest.

    Raises:
        SpecError: if `max_model_len` exceeds what the model was made for, or is unknown.

    Source:
        vLLM `EngineArgs._set_default_max_num_seqs_and_batched_tokens_args`, arg_utils.py, and
        `VllmConfig.max_in_flight_tokens`, config/vllm.py, 0.32.0.
    """
    max_model_len = resolve_max_model_len(engine.max_model_len, model)
    limits = batch_limits(accelerator, engine.usage_context)
    seqs, tokens = engine.max_num_seqs or limits.seqs, engine.max_num_batched_tokens
    if tokens is None:
        tokens = limits.tokens
        if model.is_encoder_decoder:  # no chunked prefill: a prompt must fit in one step
            tokens = max(tokens, max_model_len)
        tokens = min(tokens, seqs * max_model_len)
    if engine.max_num_seqs is None:
        seqs = min(seqs, tokens)
    decoder = model.num_kv_layers > 0 and not model.is_encoder_decoder
    caching, is_async = engine.enable_prefix_caching, engine.async_scheduling
    is_async = True if is_async is None else is_async
    stages = parallel.pipeline_parallel_size
    return ResolvedVllm(
        max_model_len=max_model_len,
        max_num_seqs=seqs,
        max_num_batched_tokens=tokens,
        block_size=engine.block_size or _default_block_size(model),
        enable_prefix_caching=decoder if caching is None else caching,
        async_scheduling=is_async,
        max_in_flight_tokens=tokens * (stages + 1 if is_async else stages),
        engine_version=engine.engine_version,
    )


def resolve_max_model_len(asked: int | None, model: ModelSpec) -> int:
    """The asked context, or the model's own; SpecError if it is longer than the model's."""
    if asked is None:
        if model.max_model_len is None:
            msg = f"max_model_len must be given: {model.name} states no max_position_embeddings"
            raise SpecError(msg)
        return model.max_model_len
    if model.max_model_len is not None and asked > model.max_model_len:
        msg = f"max_model_len={asked} must be <= the model's maximum of {model.max_model_len}"
        raise SpecError(msg)
    return asked


def _default_block_size(model: ModelSpec) -> int:
    sparse = any(isinstance(b, Indexer) for group in model.layer_groups for b in group.layer)
    return SPARSE_BLOCK_SIZE if sparse else DEFAULT_BLOCK_SIZE


def parse_version(text: str) -> tuple[int, int]:
    """Major and minor number of a version; SpecError unless it starts with two numbers.

    Example:
        >>> parse_version("0.32.0")
        (0, 32)
    """
    parts = text.removeprefix("v").split(".")
    if len(parts) < 2 or not all(p.isascii() and p.isdigit() and len(p) < 6 for p in parts[:2]):
        msg = f"engine_version={text[:40]} must look like {NEWEST_VLLM}"
        raise SpecError(msg)
    return int(parts[0]), int(parts[1])
