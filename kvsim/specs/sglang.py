"""SGLang's settings under its own flag names."""

from dataclasses import dataclass
from enum import StrEnum

from kvsim.errors import SpecError
from kvsim.message import Message
from kvsim.specs.attention import check_positive
from kvsim.specs.engine import parse_version
from kvsim.specs.option import option

NEWEST_SGLANG = "0.5.23"

_COUNTS = (
    "dp_size",
    "context_length",
    "chunked_prefill_size",
    "max_prefill_tokens",
    "max_running_requests",
    "max_total_tokens",
    "page_size",
    "max_mamba_cache_size",
    "cuda_graph_max_bs",
    "hicache_size",
)


class SparseBackend(StrEnum):
    """Attention backends of sparse latent attention, by what they store for a token in fp8."""

    FLASHMLA = "flashmla"  # 656 bytes: values, scales and rotary key apart
    TRTLLM = "trtllm"  # 576 bytes
    TILELANG = "tilelang"  # 576 bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Sglang:
    """SGLang's settings; None means the engine's own default."""

    mem_fraction_static: float | None = option(
        None, "fraction of the memory free at start for weights and cache"
    )
    context_length: int | None = option(None, "longest prompt plus output, tokens")
    chunked_prefill_size: int | None = option(None, "most tokens of a prefill chunk")
    disable_chunked_prefill: bool = option(False, "prefill whole prompts")
    max_prefill_tokens: int = option(16384, "most tokens of a prefill batch")
    max_running_requests: int | None = option(None, "most requests that run at once")
    max_total_tokens: int | None = option(None, "tokens of the pool, at most")
    page_size: int | None = option(None, "tokens per page of the pool")
    kv_cache_dtype: str = option("auto", "storage format of the cache; auto: the model's")
    dtype: str = option("auto", "format of weights and activations; auto: the checkpoint's")
    quantization: str | None = option(None, "weight quantisation; default: the checkpoint's")
    swa_full_tokens_ratio: float = option(0.8, "tokens of the window pool per token of the full")
    mamba_full_memory_ratio: float = option(0.9, "bytes of the state pool per byte of the cache")
    max_mamba_cache_size: int | None = option(None, "state slots, instead of the ratio")
    mamba_ssm_dtype: str | None = option(None, "format of the state; default: the model's say")
    disable_radix_cache: bool = option(False, "share no prefixes")
    disable_overlap_schedule: bool = option(False, "schedule a step after the last is done")
    enable_dp_attention: bool = option(False, "split requests, not heads, over dp_size groups")
    dp_size: int = option(1, "groups of ranks with a cache of their own")
    cuda_graph_max_bs: int | None = option(None, "largest batch captured as a graph")
    disable_cuda_graph: bool = option(False, "capture no decode graphs")
    disable_prefill_cuda_graph: bool = option(False, "capture no prefill graphs")
    num_draft_layers: int = option(0, "layers of an EAGLE or MTP draft that caches beside them")
    attention_backend: str | None = option(None, "attention kernels; default: by device")
    nsa_decode_backend: SparseBackend = option(
        SparseBackend.FLASHMLA, "backend of sparse latent attention"
    )
    enable_hierarchical_cache: bool = option(False, "keep evicted pages in host memory")
    hicache_ratio: float = option(2.0, "host pool as a multiple of the device pool")
    hicache_size: int | None = option(None, "host pool in GB (10^9), instead of the ratio")
    engine_version: str = option(NEWEST_SGLANG, "SGLang version whose rules apply")

    def __post_init__(self) -> None:
        fraction = self.mem_fraction_static
        if fraction is not None and not 0 < fraction < 1:
            msg = Message("mem_fraction_static={fraction} must be in (0, 1)", fraction=fraction)
            raise SpecError(msg)
        for name in _COUNTS:
            if (value := getattr(self, name)) is not None:
                check_positive(**{name: value})
        if not 0 < self.swa_full_tokens_ratio <= 1:
            msg = Message(
                "swa_full_tokens_ratio={swa_full_tokens_ratio} must be in (0, 1]",
                swa_full_tokens_ratio=self.swa_full_tokens_ratio,
            )
            raise SpecError(msg)
        if self.mamba_full_memory_ratio <= 0 or self.hicache_ratio <= 0:
            msg = Message("mamba_full_memory_ratio and hicache_ratio must be above 0")
            raise SpecError(msg)
        if self.num_draft_layers < 0:
            msg = Message(
                "num_draft_layers={num_draft_layers} must be >= 0",
                num_draft_layers=self.num_draft_layers,
            )
            raise SpecError(msg)
        sglang_version(self.engine_version)


def sglang_version(text: str) -> tuple[int, int, int]:
    """Major, minor and patch number: this engine changes its rules between patches.

    Example:
        >>> sglang_version("0.5.23")
        (0, 5, 23)
    """
    major, minor = parse_version(text)
    rest = text.removeprefix("v").split(".")[2:]
    digits = "".join(c for c in (rest[0] if rest else "0") if c.isdigit())[:5]
    return major, minor, int(digits or 0)
