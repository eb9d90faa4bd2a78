"""What SGLang's pools store per token and per slot, on one rank, from a model's behaviours."""

from dataclasses import dataclass

from kvsim.dtypes import BF16, FP8, FP8_DS_MLA, FP16, FP32, INDEX_FP8, DType, model_dtype
from kvsim.errors import SpecError, UnsupportedError
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
from kvsim.specs.latent import Indexer, LatentAttention, SlidingLatentAttention
from kvsim.specs.model import LayerGroup, ModelSpec
from kvsim.specs.sglang import Sglang, SparseBackend
from kvsim.specs.state import RecurrentState

FP4 = DType("fp4_e2m1", 16, 9)  # 16 values of 4 bits and one 8-bit scale

CACHE_DTYPES = {
    "bf16": BF16,
    "bfloat16": BF16,
    "fp16": FP16,
    "float16": FP16,
    "fp8": FP8,
    "fp8_e4m3": FP8,
    "fp8_e5m2": FP8,
    "fp4_e2m1": FP4,
}
"""Storage formats that `--kv-cache-dtype` takes."""

_UNKNOWN = (ChunkedAttention, CrossAttention, SlidingLatentAttention)
"""Behaviours that SGLang serves by rules that were not read."""

ASCEND = "ascend"
"""The backend of Huawei's NPUs; it keeps index keys in the cache's own format.

Source: a start-up log of DeepSeek-V3.2 on it: 5.45 GiB for 67,968 tokens are 704 values a layer.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenCells:
    """Equal layers of one pool, and what a token takes in one of them."""

    kind: str
    count: int
    key_bytes: int
    value_bytes: int = 0  # 0: keys and values are one
    index_bytes: int = 0
    sliding_window: int | None = None

    @property
    def token_bytes(self) -> int:
        """One token in one layer."""
        return self.key_bytes + self.value_bytes + self.index_bytes

    @property
    def all_layers_bytes(self) -> int:
        """One token in all of these layers."""
        return self.count * self.token_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class StateSlot:
    """One slot of the state pool over all recurrent layers."""

    count: int = 0
    conv_bytes: int = 0
    state_bytes: int = 0

    @property
    def total_bytes(self) -> int:
        """Both."""
        return self.conv_bytes + self.state_bytes


def storage_format(name: str, dtype: DType) -> DType:
    """The cache's format under `--kv-cache-dtype`; auto is the model's.

    Raises:
        UnsupportedError: for a format that SGLang does not have.
    """
    if name == "auto":
        return dtype
    if name.lower() not in CACHE_DTYPES:
        msg = Message(
            "kv_cache_dtype={name} is no cache format of sglang: {known}",
            name=name[:40],
            known=", ".join(CACHE_DTYPES),
        )
        raise UnsupportedError(msg)
    return CACHE_DTYPES[name.lower()]


def attention_ranks(settings: Sglang, tensor_parallel_size: int) -> int:
    """Ranks that share the heads: with DP attention only those of one group.

    Raises:
        SpecError: if the groups do not divide the ranks.
    """
    if not settings.enable_dp_attention:
        return tensor_parallel_size
    if tensor_parallel_size % settings.dp_size:
        msg = Message(
            "dp_size={dp_size} must divide tensor_parallel_size={tensor_parallel_size}",
            dp_size=settings.dp_size,
            tensor_parallel_size=tensor_parallel_size,
        )
        raise SpecError(msg)
    return tensor_parallel_size // settings.dp_size


def token_cells(
    model: ModelSpec, settings: Sglang, *, kv_dtype: DType, ranks: int
) -> tuple[TokenCells, ...]:
    """Cells of the layers that cache tokens, equal layers together.

    Raises:
        UnsupportedError: for a behaviour or a format whose rule is not known.

    Source:
        SGLang `DefaultPoolConfigurator._compute_cell_size` and `calculate_mla_kv_cache_dim`,
        model_executor/pool_configurator.py, 0.5.23.
    """
    cells = (_cell(group, settings, kv_dtype, ranks) for group in model.layer_groups)
    return tuple(cell for cell in cells if cell is not None)


def _cell(group: LayerGroup, settings: Sglang, dtype: DType, ranks: int) -> TokenCells | None:
    index = sum(_index_bytes(b, settings, dtype) for b in group.layer if isinstance(b, Indexer))
    for b in group.layer:
        if isinstance(b, RecurrentState | SharedCache | Indexer):
            continue
        if isinstance(b, FullAttention) and not isinstance(b, _UNKNOWN):
            if dtype is FP4:
                msg = "kv_cache_dtype=fp4_e2m1 in sglang is known for latent attention only"
                raise UnsupportedError(msg)
            heads = heads_per_rank(b.num_kv_heads, ranks)
            window = b.sliding_window if isinstance(b, SlidingWindow) else None
            return TokenCells(
                kind=b.kind,
                count=group.count,
                key_bytes=heads * dtype.nbytes(b.head_dim),
                value_bytes=heads * dtype.nbytes(b.value_head_dim),
                sliding_window=window,
            )
        if isinstance(b, LatentAttention) and not isinstance(b, _UNKNOWN):
            key = _latent_bytes(b, settings, dtype)
            return TokenCells(kind=b.kind, count=group.count, key_bytes=key, index_bytes=index)
        raise _unknown(b)
    return None


def _index_bytes(b: Indexer, settings: Sglang, dtype: DType) -> int:
    if b.compress_rate > 1:
        raise _unknown(b)
    if settings.attention_backend == ASCEND:
        return dtype.nbytes(b.index_head_dim)
    return INDEX_FP8.nbytes(b.index_head_dim)


def _latent_bytes(b: LatentAttention, settings: Sglang, dtype: DType) -> int:
    """A latent and its rotary key; sparse attention in fp8 stores them by its backend."""
    width = b.kv_lora_rank + b.qk_rope_head_dim
    if b.index_topk is None or dtype is not FP8:
        return dtype.nbytes(width)
    if settings.nsa_decode_backend is not SparseBackend.FLASHMLA:
        return dtype.nbytes(width)
    if width != FP8_DS_MLA.group_elems:
        msg = Message(
            "sparse latent attention of {width} elements: its fp8 layout is not known", width=width
        )
        raise UnsupportedError(msg)
    return FP8_DS_MLA.nbytes(width)


def _unknown(b: CacheBehaviour) -> UnsupportedError:
    return UnsupportedError(
        Message("{kind}: its layout in {engine} is not known", kind=b.kind, engine="sglang")
    )


def state_slot(model: ModelSpec, settings: Sglang, *, ranks: int) -> StateSlot:
    """A slot of the state pool: convolutions in bf16, states in float32 unless stated.

    Source:
        SGLang `_handle_max_mamba_cache`, mem_cache/kv_cache_configurator.py, 0.5.23.
    """
    asked = settings.mamba_ssm_dtype
    conv = state = count = 0
    for group in model.layer_groups:
        for b in group.layer:
            if isinstance(b, RecurrentState):
                b.state_bytes(BF16, tensor_parallel_size=ranks)  # refuses what does not divide
                stored = b.state_dtype or FP32
                if asked is not None:
                    stored = model_dtype(asked, field="mamba_ssm_dtype")
                conv += group.count * BF16.nbytes(b.conv_elems(ranks))
                state += group.count * stored.nbytes(b.state_elems // ranks)
                count += group.count
    return StateSlot(count=count, conv_bytes=conv, state_bytes=state)
