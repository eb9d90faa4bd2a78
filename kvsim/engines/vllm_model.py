"""From a model's cache behaviours to vLLM's per-layer specs, on one tensor-parallel rank."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from kvsim.dtypes import BF16, FP8, FP16, FP32, DType
from kvsim.engines.vllm_cache_config import MambaCacheMode, VllmCacheConfig
from kvsim.engines.vllm_spec_base import KVCacheSpec, KVQuantMode, TorchDtype
from kvsim.engines.vllm_specs import (
    ChunkedLocalAttentionSpec,
    CrossAttentionSpec,
    FullAttentionSpec,
    MambaSpec,
    MLAAttentionSpec,
    SlidingWindowSpec,
)
from kvsim.errors import UnsupportedError
from kvsim.specs.attention import (
    CacheBehaviour,
    ChunkedAttention,
    CrossAttention,
    FullAttention,
    SharedCache,
    SlidingWindow,
    heads_per_rank,
)
from kvsim.specs.latent import Indexer, LatentAttention
from kvsim.specs.model import ModelSpec
from kvsim.specs.state import RecurrentState
from kvsim.units import ceil_div

TORCH_DTYPES = {
    BF16: TorchDtype.BFLOAT16,
    FP16: TorchDtype.FLOAT16,
    FP32: TorchDtype.FLOAT32,
    FP8: TorchDtype.UINT8,
}
"""Storage formats that vLLM keeps as one element per value."""

MLA_ALIGNMENT = 128
"""Tokens to which hybrids with latent attention round their block.

Source: vLLM `_align_hybrid_block_size`, vllm/platforms/interface.py, 0.32.0.
"""


def layer_specs(
    model: ModelSpec,
    config: VllmCacheConfig,
    *,
    kv_dtype: DType,
    dtype: DType,
    tensor_parallel_size: int,
    state_page_bytes: int | None,
) -> list[KVCacheSpec]:
    """A spec per cache in registration order; layers that borrow a cache have none.

    Equal layers share one spec object.

    Raises:
        UnsupportedError: for a storage format or a behaviour that vLLM does not have.

    Source:
        vLLM `get_kv_cache_spec` of its attention and Mamba layers, 0.32.0.
    """
    build = _Builder(
        config,
        kv_dtype=kv_dtype,
        dtype=dtype,
        tp=tensor_parallel_size,
        state_page_bytes=state_page_bytes,
    )
    by_layer = {
        group.layer: [spec for b in group.layer for spec in build(b)]
        for group in model.layer_groups
    }
    return [spec for layer in model.layers for spec in by_layer[layer]]


@dataclass(frozen=True, slots=True)
class BlockPlan:
    """Tokens per attention block, and the page that recurrent states are padded to."""

    block_size: int
    state_page_bytes: int | None  # None: states are not padded


def align_hybrid(
    model: ModelSpec,
    *,
    block_size: int,
    kv_dtype: DType,
    dtype: DType,
    tensor_parallel_size: int,
) -> BlockPlan:
    """Blocks of a hybrid: attention blocks grow until their page holds a state.

    Models without both recurrent states and attention keep `block_size`.

    Source:
        vLLM `_align_hybrid_block_size`, vllm/platforms/interface.py, 0.32.0.
    """
    behaviours = [b for group in model.layer_groups for b in group.layer]
    states = [b for b in behaviours if isinstance(b, RecurrentState)]
    attention = [b for b in behaviours if isinstance(b, FullAttention | LatentAttention)]
    if not states or not attention:
        return BlockPlan(block_size, None)
    tp = tensor_parallel_size
    page = max(_state_bytes(state, dtype, tp) for state in states)
    token = max(b.token_bytes(kv_dtype, tensor_parallel_size=tp) for b in attention)
    latent = any(isinstance(b, LatentAttention) for b in attention)
    unit = max(block_size, MLA_ALIGNMENT) if latent else block_size
    aligned = unit * ceil_div(page, unit * token)
    return BlockPlan(aligned, aligned * token)


def _state_bytes(state: RecurrentState, dtype: DType, tp: int) -> int:
    conv = dtype.nbytes(state.conv_elems(tp))
    return conv + (state.state_dtype or dtype).nbytes(state.state_elems // tp)


class _Builder:
    """Builds the specs of one behaviour under fixed settings."""

    def __init__(
        self,
        config: VllmCacheConfig,
        *,
        kv_dtype: DType,
        dtype: DType,
        tp: int,
        state_page_bytes: int | None,
    ) -> None:
        if kv_dtype not in TORCH_DTYPES:
            msg = f"kv_cache_dtype={kv_dtype.name} is no cache format of vllm"
            raise UnsupportedError(msg)
        self._config = config
        self._dtype = dtype
        self._kv_dtype = kv_dtype
        self._tp = tp
        self._state_page_bytes = state_page_bytes
        self._quant = KVQuantMode.FP8_PER_TENSOR if kv_dtype is FP8 else KVQuantMode.NONE

    def __call__(self, behaviour: CacheBehaviour) -> list[KVCacheSpec]:
        for kind, build in self._kinds.items():
            if isinstance(behaviour, kind):
                return [build(self, behaviour)]
        if isinstance(behaviour, SharedCache):
            return []
        msg = f"{behaviour.kind}: its layout in vllm is not known"
        raise UnsupportedError(msg)

    def _heads(self, b: FullAttention) -> dict[str, object]:
        return {
            "block_size": self._config.block_size,
            "num_kv_heads": heads_per_rank(b.num_kv_heads, self._tp),
            "head_size": b.head_dim,
            "head_size_v": b.value_head_dim,
            "dtype": TORCH_DTYPES[self._kv_dtype],
            "kv_quant_mode": self._quant,
        }

    def _full(self, b: FullAttention) -> KVCacheSpec:
        return FullAttentionSpec(**self._heads(b))  # type: ignore[arg-type]

    def _sliding(self, b: SlidingWindow) -> KVCacheSpec:
        return SlidingWindowSpec(**self._heads(b), sliding_window=b.sliding_window)  # type: ignore[arg-type]

    def _chunked(self, b: ChunkedAttention) -> KVCacheSpec:
        return ChunkedLocalAttentionSpec(
            **self._heads(b),  # type: ignore[arg-type]
            attention_chunk_size=b.attention_chunk_size,
        )

    def _cross(self, b: CrossAttention) -> KVCacheSpec:
        return CrossAttentionSpec(**self._heads(b))  # type: ignore[arg-type]

    def _latent(self, b: LatentAttention) -> KVCacheSpec:
        return MLAAttentionSpec(
            block_size=self._config.block_size,
            num_kv_heads=1,
            head_size=b.kv_lora_rank + b.qk_rope_head_dim,
            dtype=TORCH_DTYPES[self._kv_dtype],
            max_tp_shards=1,
        )

    def _indexer(self, b: Indexer) -> KVCacheSpec:
        return MLAAttentionSpec(
            block_size=self._config.block_size,
            num_kv_heads=1,
            head_size=b.token_bytes(self._kv_dtype),
            dtype=TorchDtype.UINT8,
            cache_role="indexer",
            max_tp_shards=1,
        )

    def _state(self, b: RecurrentState) -> KVCacheSpec:
        config, mode = self._config, self._config.mamba_cache_mode
        align = mode is MambaCacheMode.ALIGN
        conv, state = b.conv_elems(self._tp), b.state_elems // self._tp
        stored = [(conv, self._dtype), (state, b.state_dtype or self._dtype)]
        kept = [(elems, TORCH_DTYPES[dtype]) for elems, dtype in stored if elems]
        return MambaSpec(
            block_size=config.block_size if align else config.max_model_len,
            shapes=tuple((elems,) for elems, _ in kept),
            dtypes=tuple(dtype for _, dtype in kept),
            page_size_padded=self._state_page_bytes,
            mamba_cache_mode=mode,
            num_prefill_checkpoint_blocks=1 if b.mechanism == "mamba-2" else 0,
        )

    _kinds: ClassVar[dict[type, Callable[..., KVCacheSpec]]] = {  # subclasses before their base
        SlidingWindow: _sliding,
        ChunkedAttention: _chunked,
        CrossAttention: _cross,
        FullAttention: _full,
        LatentAttention: _latent,
        Indexer: _indexer,
        RecurrentState: _state,
    }
