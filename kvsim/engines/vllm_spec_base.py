"""What every layer spec of vLLM answers: page, blocks of a request, alignment.

Source of every class: vllm/v1/kv_cache_interface.py, 0.32.0, under the same name.
"""

from dataclasses import dataclass, replace
from enum import IntEnum, StrEnum
from fractions import Fraction
from math import gcd
from typing import ClassVar, NamedTuple, Self

from kvsim.engines.vllm_cache_config import VllmCacheConfig
from kvsim.errors import SpecError
from kvsim.specs.attention import check_positive
from kvsim.units import round_up


class TorchDtype(StrEnum):
    """Element types of a cache tensor; opaque formats are stored as bytes of uint8."""

    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"
    FLOAT16 = "float16"
    FLOAT8_E4M3 = "float8_e4m3fn"
    FLOAT8_E5M2 = "float8_e5m2"
    UINT8 = "uint8"
    INT8 = "int8"

    @property
    def nbytes(self) -> int:
        """Bytes of one element."""
        return _DTYPE_BYTES[self]


_DTYPE_BYTES = {
    TorchDtype.FLOAT32: 4,
    TorchDtype.BFLOAT16: 2,
    TorchDtype.FLOAT16: 2,
    TorchDtype.FLOAT8_E4M3: 1,
    TorchDtype.FLOAT8_E5M2: 1,
    TorchDtype.UINT8: 1,
    TorchDtype.INT8: 1,
}


class KVQuantMode(IntEnum):
    """How a cache is quantised; layers of different modes never share a group."""

    NONE = 0
    FP8_PER_TENSOR = 1
    INT8_PER_TOKEN_HEAD = 2
    FP8_PER_TOKEN_HEAD = 3
    INT4_PER_TOKEN_HEAD = 4
    NVFP4 = 5
    TURBOQUANT_K8V4 = 6
    TURBOQUANT_4BIT_NC = 7
    TURBOQUANT_K3V4_NC = 8
    TURBOQUANT_3BIT_NC = 9
    NVFP4_DS_MLA = 10
    ULTRAQUANT_4BIT = 11


class HeldTokens(NamedTuple):
    """Why a request of `max_model_len` holds what it holds in a layer, in tokens on this rank."""

    live: int  # what attention can still read
    in_flight: int  # kept because steps under way are not settled
    copied: int = 0  # further copies of a state, for prefix caching or speculation


@dataclass(frozen=True, slots=True, kw_only=True)
class KVCacheSpec:
    """What one layer stores in a block; the base of all specs."""

    prefix_cacheable: ClassVar[bool] = True

    block_size: int  # tokens per block
    dcp_sharded: bool = False  # decode-context ranks split the tokens
    block_stride_alignment: int | None = None  # bytes between blocks are a multiple of this
    kernel_block_multiple: int | None = None  # or: of kernel blocks of up to so many tokens

    def __post_init__(self) -> None:
        check_positive(
            block_size=self.block_size,
            block_stride_alignment=self.block_stride_alignment or 1,
            kernel_block_multiple=self.kernel_block_multiple or 1,
        )

    @property
    def unpadded_page_size_bytes(self) -> int:
        """Bytes that the content of one block takes."""
        raise NotImplementedError

    @property
    def page_size_bytes(self) -> int:
        """Bytes of one block in this layer, padding included."""
        return self.unpadded_page_size_bytes

    @property
    def stride_alignment_bytes(self) -> int:
        """Bytes that the distance between two blocks must be a multiple of.

        Source:
            vLLM `KVCacheSpec.get_block_stride_alignment`.
        """
        if self.kernel_block_multiple is None:
            return self.block_stride_alignment or 1
        kernel_block_size = gcd(self.kernel_block_multiple, self.block_size)
        if kernel_block_size == self.block_size:
            return 1
        return self.with_block_size(kernel_block_size).page_size_bytes

    @property
    def stride_bytes(self) -> int:
        """Bytes between two blocks where a layer's blocks lie together."""
        return round_up(self.page_size_bytes, self.stride_alignment_bytes)

    @property
    def is_strided(self) -> bool:
        """Whether blocks lie further apart than a page."""
        return self.stride_bytes != self.page_size_bytes

    @property
    def pads_heads(self) -> bool:
        """Whether the page is padded behind several heads, which must then lie together."""
        return False

    def max_blocks(self, config: VllmCacheConfig) -> int:
        """Most blocks that one request of `max_model_len` tokens holds."""
        raise NotImplementedError

    def max_memory_usage_bytes(self, config: VllmCacheConfig) -> int:
        """Most bytes that one request of `max_model_len` tokens takes in this layer."""
        return self.max_blocks(config) * self.page_size_bytes

    def held_tokens(self, config: VllmCacheConfig) -> HeldTokens:
        """Tokens behind `max_blocks`; what the blocks have room for beyond them is rounding."""
        raise NotImplementedError

    def is_uniform_with(self, other: "KVCacheSpec") -> bool:
        """Whether `other` needs the same blocks at all times, so that one table serves both."""
        raise NotImplementedError

    def tokens_per_block(self, config: VllmCacheConfig) -> int:
        """Tokens of the request that one block covers, over all decode-context ranks."""
        ranks = config.decode_context_parallel_size if self.dcp_sharded else 1
        return self.block_size * ranks

    def tp_replicas(self, config: VllmCacheConfig) -> int:  # noqa: ARG002
        """Tensor-parallel ranks that hold the same content."""
        return 1

    def with_block_size(self, block_size: int) -> Self:
        """The same layer with other blocks."""
        return replace(self, block_size=block_size)


@dataclass(frozen=True, slots=True, kw_only=True)
class AttentionSpec(KVCacheSpec):
    """Keys and values per token: the base of all attention specs."""

    dcp_sharded: bool = True
    max_tp_shards: int | None = None  # ranks beyond these hold copies; None: not known
    num_kv_heads: int  # on this rank
    head_size: int
    dtype: TorchDtype
    head_size_v: int | None = None  # None: as wide as the keys
    kv_quant_mode: KVQuantMode = KVQuantMode.NONE
    page_size_padded: int | None = None
    num_head_slots: int | None = None  # where the backend packs heads; None: one per head
    state_content_bytes: int | None = None  # where the backend packs them; None: dense
    tokens_per_state: int | Fraction = 1

    def __post_init__(self) -> None:
        KVCacheSpec.__post_init__(self)
        if self.head_size_v is None:
            object.__setattr__(self, "head_size_v", self.head_size)
        check_positive(
            num_kv_heads=self.num_kv_heads,
            head_size=self.head_size,
            states_of_a_block=self.block_size // self.tokens_per_state,
            state_content_bytes=self.state_bytes,
        )
        self._check_padding()

    @property
    def state_bytes(self) -> int:
        """Bytes of one head's stored state."""
        if self.state_content_bytes is not None:
            return self.state_content_bytes
        return (self.head_size + (self.head_size_v or 0)) * self.dtype.nbytes

    @property
    def unpadded_page_size_bytes(self) -> int:
        """Head slots times stored states times the content of one."""
        states = self.block_size // self.tokens_per_state
        return self.head_slots * states * self.state_bytes

    @property
    def head_slots(self) -> int:
        """Heads as the page holds them: one slot per head unless the backend packs them."""
        return self.num_kv_heads if self.num_head_slots is None else self.num_head_slots

    @property
    def pads_heads(self) -> bool:
        """A padded page of several head slots."""
        return self.page_size_padded is not None and self.head_slots > 1

    @property
    def page_size_bytes(self) -> int:
        """The content, or what it was padded to."""
        if self.page_size_padded is None:
            return self.unpadded_page_size_bytes
        return self.page_size_padded

    def tp_replicas(self, config: VllmCacheConfig) -> int:
        """Ranks per distinct shard; none where decode-context ranks split the tokens.

        Source:
            vLLM `_layer_tp_replicas`, vllm/v1/core/kv_cache_utils.py.
        """
        if self.max_tp_shards is None:
            return 1
        if self.dcp_sharded and config.decode_context_parallel_size > 1:
            return 1
        return max(1, config.tensor_parallel_size // self.max_tp_shards)

    def align_page(self, alignment: int | None) -> None:
        """Pad the page to a multiple of `alignment` bytes; only while constructing.

        Source:
            vLLM `_apply_alignment_padding`: an aligned page keeps the padding it came with.
        """
        if alignment is None:
            return
        padded = round_up(self.unpadded_page_size_bytes, alignment)
        if padded != self.unpadded_page_size_bytes:
            object.__setattr__(self, "page_size_padded", padded)

    def _check_padding(self) -> None:
        content, padded = self.unpadded_page_size_bytes, self.page_size_bytes
        if padded < content:
            msg = f"page_size_padded={padded} must be >= the content's {content} bytes"
            raise SpecError(msg)
