"""llama.cpp's layout of a model's cache: what it allocates when a context is created."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from kvsim.engines.layout import LayerBytes, SequenceBytes
from kvsim.engines.llama_cpp_cells import (
    CellCache,
    CellRow,
    CompressorState,
    Pool,
    StateCache,
    summed,
)
from kvsim.engines.llama_cpp_context import LlamaCppContext, resolve_context, window_cells
from kvsim.engines.llama_cpp_model import (
    COMPRESS_RATES,
    cell_rows,
    compressor_states,
    entries,
    is_compressed,
    is_latent,
    is_recurrent,
    state_rows,
    window_of,
)
from kvsim.engines.llama_cpp_refusals import refuse_formats, refuse_unknown
from kvsim.engines.llama_cpp_rules import Rules, rules_for
from kvsim.errors import SpecError, UnsupportedError
from kvsim.specs.engine import EngineName
from kvsim.specs.llama_cpp import LlamaCpp, cache_type
from kvsim.specs.model import ModelSpec
from kvsim.units import ceil_div, round_up

COMPRESSED_PAD = 256  # cells; llama_kv_cache_dsv4::llama_kv_cache_dsv4
NOT_MODELED = (
    "compute buffers: llama.cpp measures them on its worst-case graph",
    "--fit, which lowers GPU layers, or a context that was not given, until memory suffices",
    "saved prompts in host memory beyond --cache-ram, which is checked after saving",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LlamaCppLayout:
    """A context's caches, in the order of llama.cpp's log; the figures are over all devices."""

    model: ModelSpec
    settings: LlamaCpp
    context: LlamaCppContext
    caches: tuple[CellCache, ...]
    states: tuple[StateCache, ...]  # one where a layer is recurrent, else none
    compressors: tuple[CompressorState, ...]
    compressor_copies: int
    engine: EngineName = EngineName.LLAMA_CPP
    engine_version: str | None = None

    @property
    def not_modeled(self) -> tuple[str, ...]:
        """What llama.cpp allocates or decides beside the caches."""
        return NOT_MODELED + self.model.not_modeled

    @property
    def kv_bytes(self) -> int:
        """All cells of keys and values."""
        return sum(cache.total_bytes for cache in self.caches)

    @property
    def compressor_bytes(self) -> int:
        """What compressors keep of waiting tokens."""
        return sum(c.num_bytes(self.compressor_copies) for c in self.compressors)

    @property
    def state_bytes(self) -> int:
        """Recurrent rows, and what compressors keep."""
        return sum(state.total_bytes for state in self.states) + self.compressor_bytes

    @property
    def total_bytes(self) -> int:
        """Everything the context allocates for its caches."""
        return self.kv_bytes + self.state_bytes

    def layer_bytes(self) -> dict[int, int]:
        """Bytes of every layer over all slots."""
        return summed(
            [
                *(cache.layer_bytes() for cache in self.caches),
                *(state.layer_bytes() for state in self.states),
                *({c.layer: c.num_bytes(self.compressor_copies)} for c in self.compressors),
            ]
        )

    def sequence(self, num_tokens: int) -> SequenceBytes:
        """What one slot with cells of its own holds; its cells are allocated at once.

        Raises:
            SpecError: for more tokens than the slot has cells.
            UnsupportedError: where slots share their cells, so that none is a sequence's own.
        """
        slots = self.context.n_seq_max
        if self.context.kv_unified and slots > 1:
            msg = f"{slots} slots share their cells: a sequence has none of its own"
            raise UnsupportedError(msg)
        if num_tokens > self.context.n_ctx_seq:
            msg = f"num_tokens={num_tokens} must be <= a slot's {self.context.n_ctx_seq} cells"
            raise SpecError(msg)
        layers = [
            LayerBytes(cache.pool.value, cache.num_layers, cache.total_bytes // slots, 0)
            for cache in self.caches
            if cache.rows
        ]
        layers += [
            LayerBytes("recurrent state", len(state.layers), 0, state.total_bytes // slots)
            for state in self.states
        ]
        if self.compressors:
            held = self.compressor_bytes // slots
            layers.append(LayerBytes("compressor state", len(self.compressors), 0, held))
        return SequenceBytes(tuple(layers), self.marginal_bytes)

    @property
    def marginal_bytes(self) -> int:
        """What one more token of context adds, padding averaged out."""
        full = self.context.n_ctx_seq
        return sum(
            ceil_div(cache.cell_bytes, cache.tokens_per_cell)
            for cache in self.caches
            if cache.cells * cache.tokens_per_cell >= full
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class LlamaCppSlot:
    """One slot's cache; a context that is not given is the sequence's length, padded."""

    model: ModelSpec
    settings: LlamaCpp
    engine: EngineName = EngineName.LLAMA_CPP

    @property
    def engine_version(self) -> str:
        """The build whose rules apply, or the fork."""
        settings = self.settings
        return settings.variant if settings.is_ik else settings.engine_version

    @property
    def not_modeled(self) -> tuple[str, ...]:
        """What llama.cpp allocates or decides beside the caches."""
        return NOT_MODELED + self.model.not_modeled

    def sequence(self, num_tokens: int) -> SequenceBytes:
        """What one slot of `num_tokens` tokens holds.

        Raises:
            SpecError: for more tokens than the slot has cells.
            UnsupportedError: where slots share their cells, so that none is a sequence's own.
        """
        settings = self.settings
        if settings.ctx_size is None and not (settings.kv_unified and settings.parallel != 1):
            settings = replace(settings, ctx_size=num_tokens, parallel=1, kv_unified=None)
        return llama_cpp_layout(self.model, settings).sequence(num_tokens)


def llama_cpp_layout(model: ModelSpec, settings: LlamaCpp) -> LlamaCppLayout:
    """The caches that llama.cpp allocates for a model with these flags.

    Args:
        model: what `load_model` returned.
        settings: llama-server's flags.

    Raises:
        SpecError: for a context, slots or a mode that must be given or cannot be.
        UnsupportedError: where llama.cpp refuses, or its rule is not known.

    Example:
        >>> from kvsim.api import load_model
        >>> settings = LlamaCpp(ctx_size=131072, parallel=1)
        >>> layout = llama_cpp_layout(load_model("gpt-oss-20b"), settings)
        >>> [(cache.cells, cache.total_bytes // 2**20) for cache in layout.caches]
        [(131072, 3072), (768, 18)]
    """
    refuse_unknown(model)
    rules = rules_for(settings, is_latent=is_latent(model))
    context = resolve_context(model, settings, rules)
    type_k = cache_type(settings.cache_type_k, field="cache_type_k")
    type_v = cache_type(settings.cache_type_v, field="cache_type_v")
    entries(model, rules)  # what has no rule is refused before formats are
    refuse_formats(model, settings, rules, type_k=type_k, type_v=type_v)
    states = state_rows(model)
    rows = cell_rows(model, rules, type_k=type_k, type_v=type_v, flash_attn=context.flash_attn)
    caches = _caches(model, settings, rules, context, rows)
    return LlamaCppLayout(
        model=model,
        settings=settings,
        context=context,
        caches=caches,
        states=(
            StateCache(
                rows=context.n_seq_max,
                n_rs_seq=context.n_rs_seq,
                num_model_layers=model.num_layers,
                layers=states,
            ),
        )
        if states
        else (),
        compressors=compressor_states(model),
        compressor_copies=context.n_seq_max * (1 + context.n_rs_seq),
        engine_version=settings.variant if settings.is_ik else settings.engine_version,
    )


def _caches(
    model: ModelSpec,
    settings: LlamaCpp,
    rules: Rules,
    context: LlamaCppContext,
    rows: Mapping[Pool, tuple[CellRow, ...]],
) -> tuple[CellCache, ...]:
    """The caches that the model's kind of memory creates, those without layers included.

    Source:
        llama.cpp `llama_model::create_memory`, src/llama-model.cpp, 0.5.0-dev.
    """
    compressed = is_compressed(model)
    pools = set(rows)
    if rows or (model.llama_cpp.creates_cache and not is_recurrent(model)):
        pools.add(Pool.FULL)
    if compressed:
        pools |= {Pool.COMPRESSED, Pool.HEAVILY_COMPRESSED, Pool.COMPRESSED_INDEX}
    window = window_of(model, rules)
    full = context.n_ctx_seq
    cells = dict.fromkeys((Pool.FULL, Pool.INDEX), full)
    if window is not None:
        own = window_cells(window, context, rules, own=compressed)
        cells[Pool.SLIDING] = full if settings.swa_full else own
    for pool, rate in COMPRESS_RATES.items():
        cells[pool] = round_up(ceil_div(full, rate), COMPRESSED_PAD)
    streams = context.n_seq_max if compressed else context.num_streams
    return tuple(
        CellCache(
            pool=pool,
            cells=cells[pool],
            num_streams=streams,
            tokens_per_cell=COMPRESS_RATES.get(pool, 1),
            type_k=settings.cache_type_k,
            type_v=settings.cache_type_v,
            rows=rows.get(pool, ()),
        )
        for pool in Pool
        if pool in pools
    )
