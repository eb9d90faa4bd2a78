"""TensorRT-LLM's settings (PyTorch backend) under its own names."""

from dataclasses import dataclass

from kvsim.errors import SpecError
from kvsim.message import Message
from kvsim.specs.attention import check_positive
from kvsim.specs.engine import parse_version
from kvsim.specs.option import option

NEWEST_TENSORRT_LLM = "1.2"


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorrtLlm:
    """TensorRT-LLM's `KvCacheConfig` and batch limits; None means the engine's own default."""

    free_gpu_memory_fraction: float = option(
        0.9, "fraction of the memory free after weights and activation peak"
    )
    max_tokens: int | None = option(None, "tokens of the pool, at most")
    max_gpu_total_bytes: int | None = option(None, "bytes of the pool, at most")
    host_cache_size: int | None = option(None, "bytes of the secondary pool in host memory")
    tokens_per_block: int = option(32, "tokens per KV block")
    dtype: str = option("auto", "storage format of the cache; auto: the model's")
    max_attention_window: tuple[int, ...] | None = option(
        None, "window of each layer, repeated over the layers; default: the whole length"
    )
    use_kv_cache_manager_v2: bool = option(False, "the newer manager, with pools per layer group")
    max_seq_len: int | None = option(None, "longest prompt plus output, tokens")
    max_batch_size: int = option(2048, "most requests in one step")
    max_num_tokens: int = option(8192, "most tokens in one step")
    enable_attention_dp: bool = option(False, "split requests, not heads, over the ranks")
    num_draft_layers: int = option(0, "layers of a draft model that caches beside the target")
    engine_version: str = option(NEWEST_TENSORRT_LLM, "TensorRT-LLM version whose rules apply")

    def __post_init__(self) -> None:
        if not 0 < self.free_gpu_memory_fraction < 1:
            msg = Message(
                "free_gpu_memory_fraction={free_gpu_memory_fraction} must be in (0, 1)",
                free_gpu_memory_fraction=self.free_gpu_memory_fraction,
            )
            raise SpecError(msg)
        for name in (
            *("max_tokens", "max_gpu_total_bytes", "host_cache_size", "tokens_per_block"),
            *("max_seq_len", "max_batch_size", "max_num_tokens"),
        ):
            if (value := getattr(self, name)) is not None:
                check_positive(**{name: value})
        for window in self.max_attention_window or ():
            check_positive(max_attention_window=window)
        if self.num_draft_layers < 0:
            msg = Message(
                "num_draft_layers={num_draft_layers} must be >= 0",
                num_draft_layers=self.num_draft_layers,
            )
            raise SpecError(msg)
        parse_version(self.engine_version)
