"""TensorRT-LLM's layout: one pool per attention window, and a copy of it in host memory."""

from collections import Counter
from dataclasses import dataclass

from kvsim.dtypes import BF16, FP8, FP16, INDEX_FP8, NVFP4, DType
from kvsim.engines.heads import check_heads_per_rank
from kvsim.engines.layout import LayerBytes, SequenceBytes
from kvsim.errors import SpecError, UnsupportedError
from kvsim.message import Message
from kvsim.specs.attention import (
    CacheBehaviour,
    ChunkedAttention,
    CrossAttention,
    FullAttention,
    SharedCache,
)
from kvsim.specs.engine import EngineName, parse_version
from kvsim.specs.latent import Indexer, LatentAttention, SlidingLatentAttention
from kvsim.specs.model import LayerGroup, ModelSpec
from kvsim.specs.parallel import Parallelism
from kvsim.specs.state import RecurrentState
from kvsim.specs.tensorrt_llm import TensorrtLlm
from kvsim.units import at_most, ceil_div, round_up

CACHE_DTYPES = {
    "bf16": BF16,
    "bfloat16": BF16,
    "fp16": FP16,
    "float16": FP16,
    "fp8": FP8,
    "nvfp4": NVFP4,
}
"""Storage formats that `kv_cache_config.dtype` takes."""

INDEX_BLOCK_TOKENS = 64
"""Tokens of the separate index blocks of sparse latent attention, up to 1.1."""

_UNKNOWN = (ChunkedAttention, CrossAttention, SlidingLatentAttention)


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowCells:
    """Layers that share a window, and what a token takes in all of them.

    `charged_bytes` is what the estimator charges: it multiplies heads and width before it
    divides by the ranks, where the pool rounds the heads up.
    """

    kind: str
    count: int
    window: int | None  # None: the whole length
    token_bytes: int
    charged_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorrtLlmLayout:
    """One model's cache on one rank of TensorRT-LLM."""

    settings: TensorrtLlm
    cells: tuple[WindowCells, ...]
    state_layers: int
    state_bytes: int  # one sequence's recurrent states
    max_seq_len: int | None
    engine: EngineName = EngineName.TENSORRT_LLM

    @property
    def engine_version(self) -> str | None:
        """The version whose rules were used."""
        return self.settings.engine_version

    @property
    def not_modeled(self) -> tuple[str, ...]:
        """What sizes from this layout leave out."""
        if self.settings.use_kv_cache_manager_v2:
            return ("how the second manager rounds its pools",)
        return ("tokens that the temporary pool of the estimation takes",)

    @property
    def token_bytes(self) -> int:
        """One token in the pools."""
        return sum(c.token_bytes for c in self.cells)

    @property
    def charged_token_bytes(self) -> int:
        """One token as the estimator charges it (`kv size is ...` in the log)."""
        return sum(c.charged_bytes for c in self.cells)

    @property
    def windows(self) -> tuple[int | None, ...]:
        """The distinct windows, smallest first; None, the whole length, last."""
        return tuple(sorted({c.window for c in self.cells}, key=lambda w: (w is None, w or 0)))

    def sequence(self, num_tokens: int) -> SequenceBytes:
        """What one sequence holds: whole blocks, those of the window where there is one."""
        size, layers = self.settings.tokens_per_block, []
        growing = 0
        for cell in self.cells:
            held = num_tokens if cell.window is None else at_most(num_tokens, cell.window)
            layers.append(
                LayerBytes(cell.kind, cell.count, round_up(held, size) * cell.token_bytes, 0)
            )
            growing += cell.token_bytes * (cell.window is None or num_tokens < cell.window)
        if self.state_layers:
            layers.append(LayerBytes("recurrent state", self.state_layers, 0, self.state_bytes))
        return SequenceBytes(tuple(layers), growing)


def tensorrt_llm_layout(
    model: ModelSpec, settings: TensorrtLlm | None = None, parallel: Parallelism | None = None
) -> TensorrtLlmLayout:
    """A model's cache as TensorRT-LLM lays it out on one rank.

    A layer's window is the setting's, not the model's: by default every layer keeps all.

    Raises:
        SpecError: if a rank would have no head.
        UnsupportedError: for a format or a behaviour that the engine does not have, or whose
            rule is not known.

    Source:
        TensorRT-LLM `KVCacheManager.get_cache_size_per_token` and `get_cache_bytes_per_token`,
        _torch/pyexecutor/resource_manager.py, 1.1 to 1.2.
    """
    settings, parallel = settings or TensorrtLlm(), parallel or Parallelism()
    ranks = 1 if settings.enable_attention_dp else parallel.tensor_parallel_size
    check_heads_per_rank(model, ranks)
    dtype = storage_format(settings.dtype, model.dtype)
    groups = model.layer_groups
    layers = sorted(
        (i, number)
        for number, group in enumerate(groups)
        if any(not isinstance(b, RecurrentState | SharedCache) for b in group.layer)
        for i in group.indices
    )
    cells = Counter((_window(settings, place), number) for place, (_, number) in enumerate(layers))
    stored = _Storage(settings, dtype, ranks)
    built = tuple(
        _cell(groups[number], count, window, stored) for (window, number), count in cells.items()
    )
    states = [(b, g.count) for g in groups for b in g.layer if isinstance(b, RecurrentState)]
    return TensorrtLlmLayout(
        settings=settings,
        cells=_with_draft(built, settings),
        state_layers=sum(count for _, count in states),
        state_bytes=sum(
            count * b.state_bytes(model.dtype, tensor_parallel_size=ranks) for b, count in states
        ),
        max_seq_len=settings.max_seq_len or model.max_model_len,
    )


def storage_format(name: str, dtype: DType) -> DType:
    """The cache's format under `kv_cache_config.dtype`; auto is the model's.

    Raises:
        UnsupportedError: for a format that TensorRT-LLM does not have.
    """
    if name == "auto":
        return dtype
    if name.lower() not in CACHE_DTYPES:
        known = ", ".join(CACHE_DTYPES)
        msg = Message(
            "kv_cache_dtype={name} is no cache format of tensorrt-llm: {known}",
            name=name[:40],
            known=known,
        )
        raise UnsupportedError(msg)
    return CACHE_DTYPES[name.lower()]


def _window(settings: TensorrtLlm, layer: int) -> int | None:
    """A layer's window: the list repeats, and nothing is longer than a sequence."""
    windows = settings.max_attention_window
    if windows is None:
        return None
    window = windows[layer % len(windows)]
    longest = settings.max_seq_len
    return None if longest is not None and window >= longest else window


@dataclass(frozen=True, slots=True)
class _Storage:
    """What decides a cell's width beside the behaviour."""

    settings: TensorrtLlm
    dtype: DType
    ranks: int


def _cell(group: LayerGroup, count: int, window: int | None, stored: _Storage) -> WindowCells:
    dtype = stored.dtype
    for b in group.layer:
        if isinstance(b, RecurrentState | SharedCache | Indexer):
            continue
        if isinstance(b, FullAttention) and not isinstance(b, _UNKNOWN):
            width = dtype.nbytes(b.head_dim) + dtype.nbytes(b.value_head_dim)
            pool = ceil_div(b.num_kv_heads, stored.ranks) * width
            keys = b.head_dim * b.num_kv_heads // stored.ranks
            values = b.value_head_dim * b.num_kv_heads // stored.ranks
            return _cells(b, count, window, pool, dtype.nbytes(keys) + dtype.nbytes(values))
        if isinstance(b, LatentAttention) and not isinstance(b, _UNKNOWN):
            width = dtype.nbytes(b.kv_lora_rank + b.qk_rope_head_dim)
            width += _index_bytes(group, stored.settings, dtype)
            return _cells(b, count, window, width, width)
        raise _unknown(b)
    msg = "a layer caches nothing that is known"
    raise SpecError(msg)


def _cells(
    b: CacheBehaviour, count: int, window: int | None, token_bytes: int, charged_bytes: int
) -> WindowCells:
    return WindowCells(
        kind=b.kind,
        count=count,
        window=window,
        token_bytes=count * token_bytes,
        charged_bytes=count * charged_bytes,
    )


def _index_bytes(group: LayerGroup, settings: TensorrtLlm, dtype: DType) -> int:
    """Index keys of sparse latent attention: in blocks of 64 tokens, at the cache's width.

    Source:
        TensorRT-LLM `KVCacheManager` for DeepSeek-V3.2, early 1.1; later versions keep the
        index elsewhere, by a rule that was not read.
    """
    indexers = [b for b in group.layer if isinstance(b, Indexer)]
    if not indexers:
        return 0
    if parse_version(settings.engine_version) > (1, 1) or indexers[0].compress_rate > 1:
        raise _unknown(indexers[0])
    per_block = dtype.nbytes(INDEX_FP8.nbytes(indexers[0].index_head_dim)) * INDEX_BLOCK_TOKENS
    return ceil_div(per_block, settings.tokens_per_block)


def _with_draft(cells: tuple[WindowCells, ...], settings: TensorrtLlm) -> tuple[WindowCells, ...]:
    """A draft's layers cache as the last of the target's do."""
    extra = settings.num_draft_layers
    if not extra or not cells:
        return cells
    last = cells[-1]
    draft = WindowCells(
        kind="draft layers",
        count=extra,
        window=last.window,
        token_bytes=last.token_bytes // last.count * extra,
        charged_bytes=last.charged_bytes // last.count * extra,
    )
    return (*cells, draft)


def _unknown(b: CacheBehaviour) -> UnsupportedError:
    return UnsupportedError(
        Message("{kind}: its layout in {engine} is not known", kind=b.kind, engine="tensorrt-llm")
    )
