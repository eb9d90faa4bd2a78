"""The settings that decide vLLM's KV-cache layout, as its configuration holds them after start."""

from dataclasses import dataclass
from enum import StrEnum

from kvsim.errors import SpecError
from kvsim.specs.attention import check_positive


class KVCacheLayout(StrEnum):
    """Order of the cache's dimensions in memory, outermost first.

    L layers, B blocks, H head slots, N states of a block, C content of a state.

    Source:
        vLLM `KVCacheLayout`, vllm/v1/kv_cache_layout.py, 0.32.0.
    """

    LBHNC = "LBHNC"
    LBNHC = "LBNHC"
    LHBNC = "LHBNC"
    BLHNC = "BLHNC"
    BLNHC = "BLNHC"
    BHLNC = "BHLNC"

    @property
    def is_block_outermost(self) -> bool:
        """A block's bytes of all layers lie together."""
        return self.value[0] == "B"

    @property
    def is_layer_outermost(self) -> bool:
        """A layer's bytes of all blocks lie together."""
        return self.value[0] == "L"

    @property
    def is_block_compact(self) -> bool:
        """A layer's bytes of one block lie together."""
        return set(self.value[:2]) == {"L", "B"}


class MambaCacheMode(StrEnum):
    """What prefix caching keeps of recurrent states."""

    NONE = "none"
    ALIGN = "align"


@dataclass(frozen=True, slots=True, kw_only=True)
class VllmCacheConfig:
    """What of vLLM's configuration reaches the KV-cache layout; no defaults are looked up here.

    Source:
        vLLM `VllmConfig` and its parts, vllm/config/, 0.32.0.
    """

    max_model_len: int  # longest prompt plus output, tokens
    max_num_batched_tokens: int  # most tokens in one step
    block_size: int = 16  # tokens per block, after the attention backends had their say
    async_scheduling: bool = False
    enable_prefix_caching: bool = True
    tensor_parallel_size: int = 1
    pipeline_parallel_size: int = 1
    decode_context_parallel_size: int = 1
    mamba_cache_mode: MambaCacheMode = MambaCacheMode.NONE
    kv_cache_layout: KVCacheLayout = KVCacheLayout.LBNHC
    disable_hybrid_kv_cache_manager: bool = False
    num_gpu_blocks_override: int | None = None
    auto_max_model_len: bool = False  # max_model_len=-1: `max_model_len` is then the model's own
    prefix_match_unit: int | None = None  # tokens per block hash; None: the engine's choice
    max_num_encoder_input_tokens: int | None = None  # None: as many as batched tokens
    num_prefill_lookahead_tokens: int = 0  # speculative modules that read ahead of the prefill
    use_v2_model_runner: bool = True
    num_null_blocks: int = 1  # blocks that stand for "no block"; vLLM before its V1 had none

    def __post_init__(self) -> None:
        check_positive(
            max_model_len=self.max_model_len,
            max_num_batched_tokens=self.max_num_batched_tokens,
            block_size=self.block_size,
            tensor_parallel_size=self.tensor_parallel_size,
            pipeline_parallel_size=self.pipeline_parallel_size,
            decode_context_parallel_size=self.decode_context_parallel_size,
        )
        for name in ("num_gpu_blocks_override", "prefix_match_unit"):
            if (value := getattr(self, name)) is not None:
                check_positive(**{name: value})
        if self.num_null_blocks not in (0, 1):
            msg = f"num_null_blocks={self.num_null_blocks} must be 0 or 1"
            raise SpecError(msg)
        if self.num_prefill_lookahead_tokens < 0:
            msg = f"num_prefill_lookahead_tokens={self.num_prefill_lookahead_tokens} must be >= 0"
            raise SpecError(msg)
        _coerce(self, "mamba_cache_mode", MambaCacheMode)
        _coerce(self, "kv_cache_layout", KVCacheLayout)

    @property
    def max_concurrent_batches(self) -> int:
        """Steps under way at once.

        Source:
            vLLM `VllmConfig.max_concurrent_batches`, vllm/config/vllm.py, 0.32.0.
        """
        stages = self.pipeline_parallel_size
        if self.async_scheduling and (self.use_v2_model_runner or stages == 1):
            return stages + 1
        return stages

    @property
    def max_in_flight_tokens(self) -> int:
        """Most tokens that are scheduled but not settled; blocks are freed behind settled ones."""
        return self.max_concurrent_batches * self.max_num_batched_tokens

    @property
    def max_encoder_tokens(self) -> int:
        """Encoder tokens that a cross-attention layer is charged for."""
        if self.max_num_encoder_input_tokens is None:
            return self.max_num_batched_tokens
        return self.max_num_encoder_input_tokens


def _coerce(config: VllmCacheConfig, name: str, kind: type[StrEnum]) -> None:
    value = getattr(config, name)
    if isinstance(value, kind):
        return
    if value not in list(kind):
        msg = f"{name}={value!r} must be one of {', '.join(kind)}"
        raise SpecError(msg)
    object.__setattr__(config, name, kind(value))
