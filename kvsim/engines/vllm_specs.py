"""What vLLM's layers store, per layer and rank: one class per behaviour, in its words.

Source of every class: vllm/v1/kv_cache_interface.py, 0.32.0, under the same name.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import ClassVar

from kvsim.engines.vllm_cache_config import MambaCacheMode, VllmCacheConfig
from kvsim.engines.vllm_spec_base import (
    AttentionSpec,
    HeldTokens,
    KVCacheSpec,
    TorchDtype,
)
from kvsim.errors import SpecError, UnsupportedError
from kvsim.message import Message
from kvsim.specs.attention import check_positive
from kvsim.units import at_most, ceil_div


@dataclass(frozen=True, slots=True, kw_only=True)
class FullAttentionSpec(AttentionSpec):
    """Every token stays cached. A window or chunk is recorded where it saves no memory."""

    sliding_window: int | None = None
    attention_chunk_size: int | None = None

    def __post_init__(self) -> None:
        AttentionSpec.__post_init__(self)
        if self.sliding_window is not None and self.attention_chunk_size is not None:
            msg = (
                f"sliding_window={self.sliding_window} and "
                f"attention_chunk_size={self.attention_chunk_size} must not both be recorded"
            )
            raise SpecError(msg)

    def max_blocks(self, config: VllmCacheConfig) -> int:
        """Blocks for this rank's share of the tokens."""
        return ceil_div(self.held_tokens(config).live, self.block_size)

    def held_tokens(self, config: VllmCacheConfig) -> HeldTokens:
        """This rank's share of all tokens."""
        ranks = config.decode_context_parallel_size if self.dcp_sharded else 1
        return HeldTokens(live=ceil_div(config.max_model_len, ranks), in_flight=0)

    def is_uniform_with(self, other: KVCacheSpec) -> bool:
        """All full attention, MLA included."""
        return isinstance(other, FullAttentionSpec)


@dataclass(frozen=True, slots=True, kw_only=True)
class MLAAttentionSpec(FullAttentionSpec):
    """One latent vector per stored state and no separate value; indexer keys look the same."""

    head_size_v: int | None = 0
    cache_dtype_str: str | None = None
    alignment: int | None = None  # bytes that the page is padded to a multiple of
    model_version: str | None = None
    cache_role: str = "sparse"
    is_index_group_leader: bool = False

    def __post_init__(self) -> None:
        self.align_page(self.alignment)
        FullAttentionSpec.__post_init__(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class SlidingWindowSpec(AttentionSpec):
    """Blocks that slid out of the window are freed once the steps that read them are settled."""

    sliding_window: int  # tokens a query attends to, itself included
    extra_retained_tokens: int = 0  # kept for speculative modules that prefill again

    def __post_init__(self) -> None:
        AttentionSpec.__post_init__(self)
        check_positive(sliding_window=self.sliding_window)

    def max_blocks(self, config: VllmCacheConfig) -> int:
        """Blocks for the held tokens, and one more: the window may start inside a block.

        Raises:
            UnsupportedError: if decode-context ranks would split the window.

        Source:
            vLLM `SlidingWindowSpec.max_admission_blocks_per_request`.
        """
        if self.dcp_sharded and config.decode_context_parallel_size > 1:
            msg = Message(
                "decode_context_parallel_size={decode_context_parallel_size} must be 1 with "
                "sliding_window={sliding_window}: vLLM refuses it",
                decode_context_parallel_size=config.decode_context_parallel_size,
                sliding_window=self.sliding_window,
            )
            raise UnsupportedError(msg)
        return ceil_div(sum(self.held_tokens(config)), self.block_size) + 1

    def held_tokens(self, config: VllmCacheConfig) -> HeldTokens:
        """The window, and what unsettled steps keep beyond it."""
        behind = self.sliding_window - 1 + self.extra_retained_tokens
        held = at_most(config.max_model_len, behind + config.max_in_flight_tokens)
        live = at_most(config.max_model_len, self.sliding_window)
        return HeldTokens(live=live, in_flight=held - live)

    def is_uniform_with(self, other: KVCacheSpec) -> bool:
        """The same window."""
        return isinstance(other, SlidingWindowSpec) and other.sliding_window == self.sliding_window


@dataclass(frozen=True, slots=True, kw_only=True)
class SlidingWindowMLASpec(SlidingWindowSpec):
    """A sliding window over latent vectors, or over the states of a compressor."""

    head_size_v: int | None = 0
    cache_dtype_str: str | None = None
    alignment: int | None = None
    model_version: str | None = None

    def __post_init__(self) -> None:
        self.align_page(self.alignment)
        SlidingWindowSpec.__post_init__(self)

    def is_uniform_with(self, other: KVCacheSpec) -> bool:
        """The same window over latent vectors."""
        return (
            isinstance(other, SlidingWindowMLASpec) and other.sliding_window == self.sliding_window
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkedLocalAttentionSpec(AttentionSpec):
    """Attention inside chunks; blocks of earlier chunks are freed once settled."""

    attention_chunk_size: int  # tokens

    def __post_init__(self) -> None:
        AttentionSpec.__post_init__(self)
        check_positive(attention_chunk_size=self.attention_chunk_size)

    def max_blocks(self, config: VllmCacheConfig) -> int:
        """Blocks of one chunk and the tokens in flight; chunks start at block borders."""
        return ceil_div(sum(self.held_tokens(config)), self.block_size)

    def held_tokens(self, config: VllmCacheConfig) -> HeldTokens:
        """The chunk, and what unsettled steps keep beyond it."""
        chunk, longest = self.attention_chunk_size, config.max_model_len
        live = at_most(longest, chunk)
        return HeldTokens(
            live=live, in_flight=at_most(longest, chunk + config.max_in_flight_tokens) - live
        )

    def is_uniform_with(self, other: KVCacheSpec) -> bool:
        """The same chunk."""
        return (
            isinstance(other, ChunkedLocalAttentionSpec)
            and other.attention_chunk_size == self.attention_chunk_size
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CrossAttentionSpec(AttentionSpec):
    """Keys and values of the encoder's output: charged for the whole encoder budget."""

    def max_blocks(self, config: VllmCacheConfig) -> int:
        """Blocks for the encoder's tokens."""
        return ceil_div(config.max_encoder_tokens, self.block_size)

    def held_tokens(self, config: VllmCacheConfig) -> HeldTokens:
        """The encoder's tokens."""
        return HeldTokens(live=config.max_encoder_tokens, in_flight=0)

    def is_uniform_with(self, other: KVCacheSpec) -> bool:
        """All cross attention."""
        return isinstance(other, CrossAttentionSpec)


@dataclass(frozen=True, slots=True, kw_only=True)
class CircularBufferSpec(AttentionSpec):
    """One block per request, reused in a ring: raw keys of the state still being compressed."""

    prefix_cacheable: ClassVar[bool] = False

    def max_blocks(self, config: VllmCacheConfig) -> int:  # noqa: ARG002
        """One."""
        return 1

    def held_tokens(self, config: VllmCacheConfig) -> HeldTokens:
        """As much of the ring as a request can fill."""
        return HeldTokens(live=min(self.block_size, config.max_model_len), in_flight=0)

    def is_uniform_with(self, other: KVCacheSpec) -> bool:
        """All rings."""
        return isinstance(other, CircularBufferSpec)


@dataclass(frozen=True, slots=True, kw_only=True)
class MambaSpec(KVCacheSpec):
    """A state of fixed size per request; its block size says how often a state is kept."""

    shapes: tuple[tuple[int, ...], ...]  # of the states, on this rank
    dtypes: tuple[TorchDtype, ...]
    page_size_padded: int | None = None
    mamba_type: str = "MAMBA2"
    mamba_cache_mode: MambaCacheMode = MambaCacheMode.NONE
    num_speculative_blocks: int = 0
    num_prefill_checkpoint_blocks: int = 0
    prefill_checkpoint_alignment: int | None = None
    tp_replicated: bool = False  # every tensor-parallel rank holds the whole state

    def __post_init__(self) -> None:
        KVCacheSpec.__post_init__(self)
        if len(self.shapes) != len(self.dtypes):
            msg = f"dtypes={self.dtypes} must be one per shape of {self.shapes}"
            raise SpecError(msg)
        for shape in self.shapes:
            check_positive(**{f"shapes[{i}]": size for i, size in enumerate(shape)})
        check_positive(page_size_bytes=self.page_size_bytes)
        if self.page_size_bytes < self.unpadded_page_size_bytes:
            msg = f"page_size_padded={self.page_size_padded} must hold the state"
            raise SpecError(msg)

    @property
    def unpadded_page_size_bytes(self) -> int:
        """Bytes of the states."""
        pairs = zip(self.shapes, self.dtypes, strict=True)
        return sum(prod(shape) * dtype.nbytes for shape, dtype in pairs)

    @property
    def page_size_bytes(self) -> int:
        """The states, or what they were padded to."""
        if self.page_size_padded is None:
            return self.unpadded_page_size_bytes
        return self.page_size_padded

    def max_blocks(self, config: VllmCacheConfig) -> int:
        """Copies of the state: one, one more to cache it aligned, and those for speculation.

        Source:
            vLLM `MambaSpec.max_memory_usage_bytes`; checkpoints need a copy when aligned only.
        """
        if config.mamba_cache_mode is MambaCacheMode.ALIGN:
            return 2 + self.num_speculative_blocks + self.num_prefill_checkpoint_blocks
        return 1 + self.num_speculative_blocks

    def held_tokens(self, config: VllmCacheConfig) -> HeldTokens:
        """One block's worth for the state itself, and as much for every further copy."""
        copies = self.max_blocks(config) - 1
        return HeldTokens(live=self.block_size, in_flight=0, copied=copies * self.block_size)

    def is_uniform_with(self, other: KVCacheSpec) -> bool:
        """Equal pages and as many copies."""
        return isinstance(other, MambaSpec) and self._kept() == other._kept()

    def _kept(self) -> Sequence[int | None]:
        return (
            self.num_speculative_blocks,
            self.num_prefill_checkpoint_blocks,
            self.prefill_checkpoint_alignment,
            self.page_size_bytes,
            self.tp_replicated,
        )
