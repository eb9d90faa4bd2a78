"""A model's cache behaviours as llama.cpp's caches: which pool, how many elements a cell."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from kvsim.dtypes import DType
from kvsim.engines.llama_cpp_cells import CellRow, CompressorState, Pool, StateRow
from kvsim.engines.llama_cpp_rules import LatentStorage, Rules
from kvsim.errors import SpecError, UnsupportedError
from kvsim.message import Message
from kvsim.specs.attention import (
    CacheBehaviour,
    ChunkedAttention,
    FullAttention,
    SharedCache,
    SlidingWindow,
)
from kvsim.specs.latent import (
    CompressedAttention,
    Indexer,
    LatentAttention,
    SlidingLatentAttention,
)
from kvsim.specs.model import ModelSpec
from kvsim.specs.state import RecurrentState

NGRAM_HISTORY = "n-gram history"
"""`RecurrentState.mechanism` of the embeddings' history, a row apart in the log."""

COMPRESS_RATES = {
    Pool.COMPRESSED: 4,
    Pool.COMPRESSED_INDEX: 4,
    Pool.HEAVILY_COMPRESSED: 128,
}
"""Tokens per cell: DSV4_CSA_RATIO and DSV4_HCA_RATIO, src/llama-kv-cache-dsv4.cpp."""

UNKNOWN_STATES = frozenset({"RG-LRU"})
"""States of families that llama.cpp does not have."""


REMEMBERED = 256
"""Answers kept: a search asks for many contexts of one model, whose layers stay the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """Elements of one layer in one cell of a pool."""

    pool: Pool
    layer: int
    k_elems: int
    v_elems: int


def is_latent(model: ModelSpec) -> bool:
    """Whether any layer caches a latent."""
    return any(isinstance(b, LatentAttention) for g in model.layer_groups for b in g.layer)


def is_compressed(model: ModelSpec) -> bool:
    """Whether the model compresses its cache as DeepSeek-V4 does: every slot has streams then."""
    return any(isinstance(b, CompressedAttention) for g in model.layer_groups for b in g.layer)


def is_recurrent(model: ModelSpec) -> bool:
    """Whether any layer keeps a recurrent state."""
    return any(isinstance(b, RecurrentState) for g in model.layer_groups for b in g.layer)


def window_of(model: ModelSpec, rules: Rules) -> int | None:
    """The one window of the model's window layers; None where they have no cache of their own.

    Raises:
        UnsupportedError: for windows of different lengths.
    """
    if model.llama_cpp.ignores_window or not rules.has_window_cache:
        return None
    windows = {_window(b) for g in model.layer_groups for b in g.layer} - {0}
    if len(windows) > 1:
        msg = Message(
            "llama.cpp has one window for all layers, {name} has {windows}",
            name=model.name,
            windows=sorted(windows),
        )
        raise UnsupportedError(msg)
    return windows.pop() if windows else None


def _window(behaviour: CacheBehaviour) -> int:
    if isinstance(behaviour, SlidingWindow | SlidingLatentAttention):
        return behaviour.sliding_window
    return behaviour.attention_chunk_size if isinstance(behaviour, ChunkedAttention) else 0


@lru_cache(maxsize=REMEMBERED)
def entries(model: ModelSpec, rules: Rules) -> tuple[Entry, ...]:
    """What every layer stores in which pool.

    Raises:
        UnsupportedError: for a behaviour that llama.cpp does not have, or whose rule is unknown.
        SpecError: if an expanded latent's sizes are not known.
    """
    return tuple(_entries(model, rules)) if model.llama_cpp.creates_cache else ()


def _entries(model: ModelSpec, rules: Rules) -> Iterator[Entry]:
    yield from _draft_windows(model)
    windowed = window_of(model, rules) is not None
    hybrid = is_recurrent(model)
    for layer, behaviours in enumerate(model.layers):
        if not behaviours and not hybrid:
            yield Entry(pool=Pool.FULL, layer=layer, k_elems=0, v_elems=0)
        for b in behaviours:
            if isinstance(b, RecurrentState | SharedCache):
                continue
            for kind, build in _BUILDERS.items():
                if isinstance(b, kind):
                    pool, k_elems, v_elems = build(model, rules, b)
                    if pool is Pool.FULL and windowed and _window(b):
                        pool = Pool.SLIDING
                    yield Entry(pool=pool, layer=layer, k_elems=k_elems, v_elems=v_elems)
                    break
            else:
                msg = Message("{kind}: its bytes in llama.cpp are not known", kind=b.kind)
                raise UnsupportedError(msg)


def _draft_windows(model: ModelSpec) -> Iterator[Entry]:
    """Windows of draft layers, which a compressed model keeps beside its own layers'.

    Source:
        llama.cpp `llama_kv_cache_dsv4::llama_kv_cache_dsv4`: its raw cache filters no layer.
    """
    windows = (b for g in model.layer_groups for b in g.layer if isinstance(b, LatentAttention))
    first = next(windows, None)
    if is_compressed(model) and first is not None:
        width = first.kv_lora_rank + first.qk_rope_head_dim
        for draft in range(model.llama_cpp.num_draft_layers):
            layer = model.num_layers + draft
            yield Entry(pool=Pool.SLIDING, layer=layer, k_elems=width, v_elems=0)


Elements = tuple[Pool, int, int]


def _attention(model: ModelSpec, rules: Rules, b: FullAttention) -> Elements:  # noqa: ARG001
    return Pool.FULL, b.num_kv_heads * b.head_dim, b.num_kv_heads * b.value_head_dim


def _latent(model: ModelSpec, rules: Rules, b: LatentAttention) -> Elements:
    traits = model.llama_cpp
    if rules.latent is LatentStorage.EXPANDED or not traits.stores_latent:
        k_dim, v_dim = traits.expanded_head_dim, traits.expanded_v_head_dim
        if k_dim is None or v_dim is None:
            msg = "qk_nope_head_dim and v_head_dim are missing: they decide an expanded latent"
            raise SpecError(msg)
        return Pool.FULL, b.num_attention_heads * k_dim, b.num_attention_heads * v_dim
    width = b.kv_lora_rank + b.qk_rope_head_dim
    as_value = rules.latent is LatentStorage.KEYS_AND_VALUES
    return Pool.FULL, width, b.kv_lora_rank if as_value else 0


def _compressed(model: ModelSpec, rules: Rules, b: CompressedAttention) -> Elements:  # noqa: ARG001
    pool = Pool.COMPRESSED if b.overlaps else Pool.HEAVILY_COMPRESSED
    _check_rate(pool, b.compress_rate)
    return pool, b.head_dim, 0


def _indexer(model: ModelSpec, rules: Rules, b: Indexer) -> Elements:  # noqa: ARG001
    if b.compress_rate > 1:
        _check_rate(Pool.COMPRESSED_INDEX, b.compress_rate)
        return Pool.COMPRESSED_INDEX, b.index_head_dim, 0
    traits = model.llama_cpp
    return Pool.INDEX, b.index_head_dim * traits.index_entries, traits.index_v_head_dim


def _check_rate(pool: Pool, rate: int) -> None:
    if rate != COMPRESS_RATES[pool]:
        msg = f"compress_rate={rate}: llama.cpp's {pool} has {COMPRESS_RATES[pool]}"
        raise UnsupportedError(msg)


_BUILDERS: dict[type, Callable[..., Elements]] = {
    CompressedAttention: _compressed,
    Indexer: _indexer,
    LatentAttention: _latent,
    FullAttention: _attention,
}


@lru_cache(maxsize=REMEMBERED)
def cell_rows(
    model: ModelSpec, rules: Rules, *, type_k: DType, type_v: DType, flash_attn: bool
) -> Mapping[Pool, tuple[CellRow, ...]]:
    """Rows of every pool in bytes; without flash attention values are as wide as the widest.

    Raises:
        UnsupportedError: if a row does not fill whole groups of a quantised format.

    Source:
        llama.cpp `llama_kv_cache::llama_kv_cache`, src/llama-kv-cache.cpp, 0.5.0-dev.
    """
    found = entries(model, rules)
    widest = max((e.v_elems for e in found if e.pool in (Pool.FULL, Pool.SLIDING)), default=0)
    rows: dict[Pool, list[CellRow]] = {}
    for e in found:
        v_elems = e.v_elems
        if v_elems and not flash_attn and e.pool in (Pool.FULL, Pool.SLIDING):
            v_elems = widest
        row = CellRow(
            layer=e.layer,
            k_bytes=_row_bytes(type_k, e.k_elems, "cache_type_k"),
            v_bytes=_row_bytes(type_v, v_elems, "cache_type_v"),
        )
        rows.setdefault(e.pool, []).append(row)
    return {pool: tuple(of_pool) for pool, of_pool in rows.items()}


def _row_bytes(dtype: DType, elems: int, field: str) -> int:
    if elems % dtype.group_elems:
        msg = Message(
            "{field}={name}: groups of {group_elems} do not divide {elems} values",
            field=field,
            name=dtype.name,
            group_elems=dtype.group_elems,
            elems=elems,
        )
        raise UnsupportedError(msg)
    return dtype.nbytes(elems)


@lru_cache(maxsize=REMEMBERED)
def state_rows(model: ModelSpec) -> tuple[StateRow, ...]:
    """Recurrent layers with what they keep of one sequence.

    Raises:
        UnsupportedError: for a state of a family that llama.cpp does not have.
    """
    rows = []
    for layer, behaviours in enumerate(model.layers):
        states = [b for b in behaviours if isinstance(b, RecurrentState)]
        if not states:
            continue
        unknown = UNKNOWN_STATES & {b.mechanism for b in states}
        if unknown:
            msg = Message("{unknown}: its bytes in llama.cpp are not known", unknown=min(unknown))
            raise UnsupportedError(msg)
        own = [b for b in states if b.mechanism != NGRAM_HISTORY]
        history = [b for b in states if b.mechanism == NGRAM_HISTORY]
        rows.append(
            StateRow(
                layer=layer,
                r_elems=sum(b.conv_elems() for b in own),
                s_elems=sum(b.state_elems for b in own),
                p_elems=sum(b.conv_elems() for b in history),
            )
        )
    return tuple(rows)


@lru_cache(maxsize=REMEMBERED)
def compressor_states(model: ModelSpec) -> tuple[CompressorState, ...]:
    """Layers that compress, with the values that wait there.

    Overlapping windows keep twice as many tokens, twice as wide.
    """
    states = []
    for layer, behaviours in enumerate(model.layers):
        for b in behaviours:
            if isinstance(b, CompressedAttention):
                width = b.head_dim
            elif isinstance(b, Indexer) and b.overlaps:
                width = b.index_head_dim
            else:
                continue
            series = 2 if b.overlaps else 1
            elems = series * b.compress_rate * series * width
            states.append(CompressorState(layer=layer, window_elems=elems))
    return tuple(states)
