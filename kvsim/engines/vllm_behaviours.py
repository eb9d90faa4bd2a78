"""One cache behaviour to the specs that vLLM keeps of it, under fixed settings."""

# long: one cache behaviour after another

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from kvsim.dtypes import FP32, DType
from kvsim.engines.vllm_backend import (
    COMPRESSED,
    INDEXER,
    Backend,
    Device,
    latent_backend,
    plain_backend,
    sparse_backend,
)
from kvsim.engines.vllm_cache_config import MambaCacheMode, VllmCacheConfig
from kvsim.engines.vllm_compressed import (
    compressed_index_specs,
    entry_specs,
    index_specs,
    sliding_latent_spec,
    window_spec,
)
from kvsim.engines.vllm_formats import DS_MLA_BYTES, VllmFormat, torch_dtype, vllm_format
from kvsim.engines.vllm_spec_base import KVCacheSpec, TorchDtype
from kvsim.engines.vllm_specs import (
    ChunkedLocalAttentionSpec,
    CrossAttentionSpec,
    FullAttentionSpec,
    MambaSpec,
    MLAAttentionSpec,
    SlidingWindowSpec,
)
from kvsim.errors import UnsupportedError
from kvsim.message import Message
from kvsim.specs.attention import (
    CacheBehaviour,
    ChunkedAttention,
    CrossAttention,
    FullAttention,
    SharedCache,
    SlidingWindow,
    heads_per_rank,
)
from kvsim.specs.cache_dtype import DS_MLA
from kvsim.specs.latent import (
    CompressedAttention,
    Indexer,
    LatentAttention,
    SlidingLatentAttention,
)
from kvsim.specs.model import Layer
from kvsim.specs.state import RecurrentState
from kvsim.specs.vllm_traits import VllmTraits, is_read_through

MAMBA_TYPES = {
    "mamba-1": "MAMBA1",
    "mamba-2": "MAMBA2",
    "gated delta rule": "GDN_ATTN",
    "KDA": "GDN_ATTN",
    "lightning attention": "LINEAR",
    "short convolution": "SHORT_CONV",
}
"""vLLM's name of a state's backend. Source: `MambaAttentionBackendEnum`, 0.32.0."""

DRAFTED_INPUTS = frozenset(("mamba-2", "gated delta rule"))
"""Mechanisms whose convolution also keeps the inputs of drafted tokens.

Source: vLLM `MambaStateShapeCalculator`, vllm/model_executor/layers/mamba/mamba_utils.py, 0.32.0.
"""

FLOAT32_STATES = frozenset(("KDA",))
"""Mechanisms whose state is float32 whatever the model runs in; on CPUs all are.

Source: vLLM `MambaStateDtypeCalculator.kda_state_dtype`, mamba_utils.py; for CPUs a recorded
start-up of Jamba, 0.32.0.
"""

CHECKPOINT_ALIGNMENTS = {"mamba-2": 1}
"""Tokens at which a mechanism checkpoints its state in a prefill. Source: `MambaMixer2`, 0.32.0."""


_PARTS_OF_COMPRESSED = (SlidingLatentAttention, CompressedAttention, Indexer)


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerSpecs:
    """Builds the specs of behaviours on one tensor-parallel rank."""

    config: VllmCacheConfig
    dtype: DType  # of the model's own values
    kv_cache_dtype: str  # as resolved
    device: Device
    asked_block_size: int | None
    traits: VllmTraits
    is_compressed: bool = False  # whether some of the model's attention is compressed
    convolution_dtype: DType | None = None  # of states; None: the model's
    state_dtype: DType | None = None  # None: the class's choice
    widest_convolution: int = 0  # channels of convolutions that serve attention
    skip_layers: frozenset[str] = frozenset()
    num_speculative_tokens: int = 0
    mamba_block_size: int | None = None
    mamba_page_size_padded: int | None = None

    def skips(self, layer: int) -> bool:
        """Whether a layer keeps the model's own format."""
        return str(layer) in self.skip_layers

    def build(
        self, behaviour: CacheBehaviour, layer: Layer, *, skips: bool = False
    ) -> list[KVCacheSpec | None]:
        """A behaviour's specs in registration order; None for a module that stores nothing.

        Raises:
            UnsupportedError: for a behaviour that vLLM does not have.
        """
        if isinstance(behaviour, SharedCache):
            return [None]
        for kind, make in self._kinds.items():
            if isinstance(behaviour, kind):
                return list(make(self, behaviour, layer, self._format(behaviour, skips=skips)))
        said = "{kind}: its layout in {engine} is not known"
        raise UnsupportedError(Message(said, kind=behaviour.kind, engine="vllm"))

    def _format(self, behaviour: CacheBehaviour, *, skips: bool) -> VllmFormat:
        windowed = isinstance(behaviour, SlidingWindow) and "sliding_window" in self.skip_layers
        own = skips or windowed or self.traits.ignores_cache_dtype
        return vllm_format("auto" if own else self.kv_cache_dtype, self.dtype)

    def backend(self, behaviour: CacheBehaviour, layer: Layer) -> Backend | None:
        """The attention backend of a behaviour; None for states and borrowed caches."""
        asked = self.asked_block_size
        if self.is_compressed and isinstance(behaviour, _PARTS_OF_COMPRESSED):
            return COMPRESSED
        if isinstance(behaviour, Indexer):
            return INDEXER
        if isinstance(behaviour, LatentAttention):
            if _has_indexer(layer, behaviour):
                return sparse_backend(self.device, kv_cache_dtype=self.kv_cache_dtype)
            return latent_backend(self.device, kv_cache_dtype=self.kv_cache_dtype, block_size=asked)
        if isinstance(behaviour, FullAttention):
            name = self._format(behaviour, skips=False).name
            return plain_backend(
                self.device, head_dim=behaviour.head_dim, kv_cache_dtype=name, block_size=asked
            )
        return None

    def _heads(self, b: FullAttention, layer: Layer, fmt: VllmFormat) -> dict[str, object]:
        backend = self.backend(b, layer)
        return {
            "block_size": self.config.block_size,
            "num_kv_heads": heads_per_rank(b.num_kv_heads, self.config.tensor_parallel_size),
            "head_size": b.head_dim,
            "head_size_v": b.value_head_dim,
            "dtype": fmt.dtype,
            "kv_quant_mode": fmt.quant,
            "state_content_bytes": fmt.state_bytes(b.head_dim, b.value_head_dim),
            "kernel_block_multiple": backend.block_multiple if backend and backend.only else None,
        }

    def _full(self, b: FullAttention, layer: Layer, fmt: VllmFormat) -> Sequence[KVCacheSpec]:
        return [FullAttentionSpec(**self._heads(b, layer, fmt))]  # type: ignore[arg-type]

    def _sliding(self, b: SlidingWindow, layer: Layer, fmt: VllmFormat) -> Sequence[KVCacheSpec]:
        window = b.sliding_window + self.traits.window_offset
        heads = self._heads(b, layer, fmt)
        return [SlidingWindowSpec(**heads, sliding_window=window)]  # type: ignore[arg-type]

    def _chunked(self, b: ChunkedAttention, layer: Layer, fmt: VllmFormat) -> Sequence[KVCacheSpec]:
        chunk = b.attention_chunk_size
        heads = self._heads(b, layer, fmt)
        return [ChunkedLocalAttentionSpec(**heads, attention_chunk_size=chunk)]  # type: ignore[arg-type]

    def _cross(self, b: CrossAttention, layer: Layer, fmt: VllmFormat) -> Sequence[KVCacheSpec]:
        return [CrossAttentionSpec(**self._heads(b, layer, fmt))]  # type: ignore[arg-type]

    def _latent(self, b: LatentAttention, layer: Layer, fmt: VllmFormat) -> Sequence[KVCacheSpec]:
        backend = self.backend(b, layer)
        width = b.kv_lora_rank + b.qk_rope_head_dim
        rows = backend is not None and backend.aligns_rows
        return [
            MLAAttentionSpec(
                block_size=self.config.block_size,
                num_kv_heads=1,
                head_size=width,
                dtype=fmt.dtype,
                kv_quant_mode=fmt.quant,
                state_content_bytes=DS_MLA_BYTES if fmt.name == DS_MLA else None,
                cache_dtype_str=fmt.name,
                max_tp_shards=1,
                is_index_group_leader=any(isinstance(other, Indexer) for other in layer),
                block_stride_alignment=width * fmt.dtype.nbytes if rows else None,
                kernel_block_multiple=None if rows or backend is None else backend.block_multiple,
            )
        ]

    def _sliding_latent(
        self, b: SlidingLatentAttention, layer: Layer, fmt: VllmFormat
    ) -> Sequence[KVCacheSpec | None]:
        if not self.is_compressed:
            size = self.config.block_size
            window = b.sliding_window
            return [sliding_latent_spec(b, fmt, block_size=size, sliding_window=window)]
        window_alone = not any(isinstance(other, CompressedAttention) for other in layer)
        return [window_spec(b, fmt), *([None] if window_alone else [])]  # the module is built too

    def _compressed(
        self,
        b: CompressedAttention,
        layer: Layer,  # noqa: ARG002
        fmt: VllmFormat,
    ) -> Sequence[KVCacheSpec]:
        return entry_specs(b, fmt, block_size=self.config.block_size)

    def _indexer(self, b: Indexer, layer: Layer, fmt: VllmFormat) -> Sequence[KVCacheSpec]:  # noqa: ARG002
        size = self.config.block_size
        if b.compress_rate > 1:
            return compressed_index_specs(b, self.dtype, block_size=size)
        return index_specs(b, self.dtype, block_size=size, pool=self.traits.index_pool)

    def _state(self, b: RecurrentState, layer: Layer, fmt: VllmFormat) -> Sequence[KVCacheSpec]:  # noqa: ARG002
        if is_read_through(b, layer):
            return [self._convolution(b)]
        mode = self.config.mamba_cache_mode
        alignment = self.traits.checkpoint_alignment or CHECKPOINT_ALIGNMENTS.get(b.mechanism)
        stored = self._shapes(b)
        size = self.config.block_size if mode is MambaCacheMode.ALIGN else self.config.max_model_len
        return [
            MambaSpec(
                block_size=size,
                shapes=tuple(shape for shape, _ in stored),
                dtypes=tuple(dtype for _, dtype in stored),
                page_size_padded=self.mamba_page_size_padded,
                mamba_type=_mamba_type(b),
                mamba_cache_mode=mode,
                num_speculative_blocks=self.num_speculative_tokens,
                num_prefill_checkpoint_blocks=0 if alignment is None else 1,
                prefill_checkpoint_alignment=alignment,
            )
        ]

    def _convolution(self, b: RecurrentState) -> KVCacheSpec:
        """The last inputs of a layer's convolutions, as a window of one block.

        All layers keep as many channels as the widest.
        """
        channels = max(self.widest_convolution, b.conv_channels)
        return SlidingWindowSpec(
            block_size=b.conv_kernel,
            num_kv_heads=heads_per_rank(b.num_heads, self.config.tensor_parallel_size),
            head_size=channels // b.num_heads,
            head_size_v=0,
            dtype=torch_dtype(self.dtype),
            sliding_window=b.conv_kernel,
        )

    def _shapes(self, b: RecurrentState) -> list[tuple[tuple[int, ...], TorchDtype]]:
        tp = self.config.tensor_parallel_size
        if b.num_groups > 1 and b.num_groups % tp:
            msg = Message(
                "tensor_parallel_size={tp} must divide the {num_groups} groups of "
                "{mechanism}, or there must be one",
                tp=tp,
                num_groups=b.num_groups,
                mechanism=b.mechanism,
            )
            raise UnsupportedError(msg)
        stored: list[tuple[tuple[int, ...], TorchDtype]] = []
        own = self.convolution_dtype or self.dtype
        if conv := b.conv_elems(tp):
            width = b.conv_kernel - 1
            drafted = self.num_speculative_tokens if b.mechanism in DRAFTED_INPUTS else 0
            stored.append(((width + drafted, conv // width), torch_dtype(own)))
        if b.state_elems:
            b.state_bytes(self.dtype, tensor_parallel_size=tp)  # the ranks must divide the heads
            is_float32 = b.mechanism in FLOAT32_STATES or self.device is Device.CPU
            state = FP32 if is_float32 else self.state_dtype or b.state_dtype or own
            stored.append(((b.num_heads // tp, *b.head_shape), torch_dtype(state)))
        return stored

    _kinds: ClassVar[dict[type, Callable[..., Sequence[KVCacheSpec | None]]]] = {
        SlidingWindow: _sliding,  # subclasses before their base
        ChunkedAttention: _chunked,
        CrossAttention: _cross,
        FullAttention: _full,
        SlidingLatentAttention: _sliding_latent,
        LatentAttention: _latent,
        CompressedAttention: _compressed,
        Indexer: _indexer,
        RecurrentState: _state,
    }


def _has_indexer(layer: Layer, behaviour: LatentAttention) -> bool:
    return behaviour.index_topk is not None or any(isinstance(b, Indexer) for b in layer)


def _mamba_type(state: RecurrentState) -> str:
    if state.mechanism not in MAMBA_TYPES:
        msg = Message("{mechanism}: vllm has no class for such states", mechanism=state.mechanism)
        raise UnsupportedError(msg)
    return MAMBA_TYPES[state.mechanism]
