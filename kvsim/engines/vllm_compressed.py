"""What vLLM keeps of compressed attention, and of an indexer that pools its keys."""

from kvsim.dtypes import DType
from kvsim.engines.vllm_backend import COMPRESSED, INDEXER
from kvsim.engines.vllm_formats import DS_V4_BYTES, VllmFormat, torch_dtype
from kvsim.engines.vllm_spec_base import KVCacheSpec, TorchDtype
from kvsim.engines.vllm_specs import (
    CircularBufferSpec,
    MLAAttentionSpec,
    SlidingWindowMLASpec,
)
from kvsim.errors import UnsupportedError
from kvsim.specs.latent import (
    CompressedAttention,
    Compressor,
    Indexer,
    LatentAttention,
    SlidingLatentAttention,
)

ALIGNMENT = 576
"""Bytes to whose multiples pages are padded: the kernels' rows.

Source: vLLM `DeepseekV4SWACache`, vllm/v1/attention/backends/mla/sparse_swa.py, 0.32.0.
"""

WINDOW_BLOCK = 64
"""Tokens per block of the window. Source: the same class."""

STATE_BLOCKS = {4: 4, 128: 8}
"""Tokens per block of a compressor's state, by tokens per entry.

Source: vLLM `CompressorStateCache`, vllm/models/deepseek_v4/compressor.py, 0.32.0.
"""

VERSION = "deepseek_v4"
WIDTH = 512
"""Elements of a vector that the packed format is made for."""


def window_spec(b: SlidingLatentAttention, fmt: VllmFormat) -> KVCacheSpec:
    """The window beside the compressed entries: key and value are one packed vector."""
    return SlidingWindowMLASpec(
        block_size=WINDOW_BLOCK,
        num_kv_heads=1,
        head_size=_checked_width(b.kv_lora_rank + b.qk_rope_head_dim),
        dtype=fmt.dtype,
        kv_quant_mode=fmt.quant,
        state_content_bytes=DS_V4_BYTES,
        sliding_window=b.sliding_window,
        cache_dtype_str=fmt.name,
        alignment=ALIGNMENT,
        model_version=VERSION,
        max_tp_shards=1,
    )


def entry_specs(b: CompressedAttention, fmt: VllmFormat, *, block_size: int) -> list[KVCacheSpec]:
    """The entries, and the state of the compressor that makes them."""
    entries = MLAAttentionSpec(
        block_size=block_size,
        num_kv_heads=1,
        head_size=_checked_width(b.head_dim),
        dtype=fmt.dtype,
        kv_quant_mode=fmt.quant,
        state_content_bytes=DS_V4_BYTES,
        tokens_per_state=b.compress_rate,
        cache_dtype_str=fmt.name,
        alignment=ALIGNMENT,
        model_version=VERSION,
        max_tp_shards=1,
        kernel_block_multiple=COMPRESSED.kernel_block,
    )
    return [entries, _state_spec(b, b.head_dim)]


def compressed_index_specs(b: Indexer, dtype: DType, *, block_size: int) -> list[KVCacheSpec]:
    """Compressed indexer keys, and the state of their compressor."""
    keys = MLAAttentionSpec(
        block_size=block_size,
        num_kv_heads=1,
        head_size=b.token_bytes(dtype),
        dtype=TorchDtype.UINT8,
        tokens_per_state=b.compress_rate,
        alignment=ALIGNMENT,
        max_tp_shards=1,
        kernel_block_multiple=COMPRESSED.kernel_block,
    )
    return [keys, _state_spec(b, b.index_head_dim)]


def index_specs(
    b: Indexer, dtype: DType, *, block_size: int, pool: int | None
) -> list[KVCacheSpec]:
    """Indexer keys, one for every `pool` tokens, and a ring of those that are not pooled yet."""
    tokens = pool or 1
    keys = MLAAttentionSpec(
        block_size=block_size,
        num_kv_heads=1,
        head_size=b.token_bytes(dtype),
        dtype=TorchDtype.UINT8,
        tokens_per_state=tokens,
        cache_role="indexer",
        max_tp_shards=1,
        kernel_block_multiple=INDEXER.kernel_block * tokens,
    )
    if tokens == 1:
        return [keys]
    tail = CircularBufferSpec(
        block_size=tokens,
        num_kv_heads=2,  # a key and its gate
        head_size=b.index_head_dim,
        head_size_v=0,
        dtype=torch_dtype(dtype),
        dcp_sharded=False,
    )
    return [keys, tail]


def sliding_latent_spec(
    b: LatentAttention, fmt: VllmFormat, *, block_size: int, sliding_window: int
) -> KVCacheSpec:
    """A window over latent vectors."""
    return SlidingWindowMLASpec(
        block_size=block_size,
        num_kv_heads=1,
        head_size=b.kv_lora_rank + b.qk_rope_head_dim,
        dtype=fmt.dtype,
        kv_quant_mode=fmt.quant,
        sliding_window=sliding_window,
        cache_dtype_str=fmt.name,
        max_tp_shards=1,
    )


def _state_spec(compressor: Compressor, width: int) -> KVCacheSpec:
    """Projections and gates of the tokens that entries are still made of, in float32."""
    rate = compressor.compress_rate
    if rate not in STATE_BLOCKS:
        msg = f"compress_rate={rate} must be one of {', '.join(map(str, STATE_BLOCKS))}: vllm stops"
        raise UnsupportedError(msg)
    windows = 2 if compressor.overlaps else 1
    return SlidingWindowMLASpec(
        block_size=STATE_BLOCKS[rate],
        num_kv_heads=1,
        head_size=2 * windows * width,
        dtype=TorchDtype.FLOAT32,
        sliding_window=windows * rate,
        alignment=ALIGNMENT,
        max_tp_shards=1,
    )


def _checked_width(width: int) -> int:
    if width != WIDTH:
        msg = f"head_dim={width} must be {WIDTH} with compressed attention: vllm has no other"
        raise UnsupportedError(msg)
    return width
