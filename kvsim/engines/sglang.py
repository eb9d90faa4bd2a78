"""SGLang's layout: a token pool, a window pool and a state pool beside each other."""

from dataclasses import dataclass

from kvsim.dtypes import DType, model_dtype
from kvsim.engines.heads import check_heads_per_rank
from kvsim.engines.layout import LayerBytes, SequenceBytes
from kvsim.engines.sglang_cells import (
    StateSlot,
    TokenCells,
    attention_ranks,
    state_slot,
    storage_format,
    token_cells,
)
from kvsim.specs.engine import EngineName
from kvsim.specs.model import ModelSpec
from kvsim.specs.parallel import Parallelism
from kvsim.specs.sglang import Sglang
from kvsim.units import MiB, at_most, round_up

SPARSE_PAGE_SIZE = 64  # what sparse latent attention forces
TORCH_LARGE_BYTES, TORCH_ROUND_BYTES = 10 * MiB, 2 * MiB
"""torch rounds allocations above 10 MiB up to 2 MiB (CUDACachingAllocator, `kMinLargeAlloc`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SglangBuffers:
    """What the engine allocates for pools of given sizes, on one rank; it prints these."""

    key_bytes: int  # latents count here
    value_bytes: int
    index_bytes: int
    window_key_bytes: int
    window_value_bytes: int
    draft_bytes: int
    conv_bytes: int
    state_bytes: int

    @property
    def token_bytes(self) -> int:
        """Both token pools, the draft's not included."""
        full = self.key_bytes + self.value_bytes + self.index_bytes
        return full + self.window_key_bytes + self.window_value_bytes

    @property
    def total_bytes(self) -> int:
        """All of it."""
        return self.token_bytes + self.draft_bytes + self.conv_bytes + self.state_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class SglangLayout:
    """One model's cache on one rank of SGLang: cells per token, and slots of state."""

    settings: Sglang
    cells: tuple[TokenCells, ...]  # all layers that cache tokens
    slot: StateSlot
    page_size: int
    is_multimodal: bool = False
    engine: EngineName = EngineName.SGLANG

    @property
    def engine_version(self) -> str | None:
        """The version whose rules were used."""
        return self.settings.engine_version

    @property
    def not_modeled(self) -> tuple[str, ...]:
        """What sizes from this layout leave out."""
        notes = []
        if self.window_cells:
            notes.append("tokens behind a window that are freed an interval late")
        if self.slot.count:
            notes.append("state slots that a request keeps for prefixes")
            if self.settings.num_draft_layers:
                notes.append("scratch states of speculative decoding")
        return tuple(notes)

    @property
    def full_cells(self) -> tuple[TokenCells, ...]:
        """Layers of the pool that keeps every token; all of them where every layer slides."""
        full = tuple(c for c in self.cells if c.sliding_window is None)
        return full or self.cells

    @property
    def window_cells(self) -> tuple[TokenCells, ...]:
        """Layers of the window pool; empty where there is one pool."""
        full = self.full_cells
        return tuple(c for c in self.cells if c not in full)

    @property
    def full_token_bytes(self) -> int:
        """One token in the full pool."""
        return sum(c.all_layers_bytes for c in self.full_cells)

    @property
    def window_token_bytes(self) -> int:
        """One token in the window pool."""
        return sum(c.all_layers_bytes for c in self.window_cells)

    @property
    def draft_token_bytes(self) -> int:
        """One token in the draft's own pool: its layers count as the target's."""
        layers = sum(c.count for c in self.full_cells)
        if not layers:
            return 0
        return self.full_token_bytes * self.settings.num_draft_layers // layers

    @property
    def window(self) -> int:
        """The widest window of the window pool; 0 without one."""
        return max((c.sliding_window or 0 for c in self.window_cells), default=0)

    def sequence(self, num_tokens: int) -> SequenceBytes:
        """What one sequence holds: whole pages, in window layers those of the window, a slot."""
        layers = []
        for cell in self.cells:
            held = round_up(self._held(cell, num_tokens), self.page_size)
            layers.append(LayerBytes(cell.kind, cell.count, held * cell.all_layers_bytes, 0))
        if self.slot.count:
            state = self.slot.total_bytes
            layers.append(LayerBytes("recurrent state", self.slot.count, 0, state))
        marginal = sum(
            c.all_layers_bytes * (self._held(c, num_tokens + 1) > num_tokens) for c in self.cells
        )
        return SequenceBytes(tuple(layers), marginal)

    def _held(self, cell: TokenCells, num_tokens: int) -> int:
        if cell.sliding_window is None or cell in self.full_cells:
            return num_tokens
        return at_most(num_tokens, cell.sliding_window)

    def buffers(
        self, *, tokens: int, window_tokens: int = 0, state_slots: int = 0
    ) -> SglangBuffers:
        """Bytes of the pools for so many tokens and slots: one page and one slot come on top.

        Source:
            SGLang `MHATokenToKVPool._create_buffers`, mem_cache/memory_pool.py, 0.5.23.
        """
        full, window = tokens + self.page_size, window_tokens + self.page_size
        slots = state_slots + 1 if self.slot.count else 0
        return SglangBuffers(
            key_bytes=full * sum(c.count * c.key_bytes for c in self.full_cells),
            value_bytes=full * sum(c.count * c.value_bytes for c in self.full_cells),
            index_bytes=full * sum(c.count * c.index_bytes for c in self.full_cells),
            window_key_bytes=window * sum(c.count * c.key_bytes for c in self.window_cells),
            window_value_bytes=window * sum(c.count * c.value_bytes for c in self.window_cells),
            draft_bytes=full * self.draft_token_bytes,
            conv_bytes=slots * self.slot.conv_bytes,
            state_bytes=slots * self.slot.state_bytes,
        )

    def allocated_bytes(self, *, tokens: int) -> int:
        """What torch takes for the full pool: each layer's keys and values are a buffer.

        Holds up to 0.5.22; later versions put equal keys and values into one buffer.
        """
        rows = tokens + self.page_size
        return sum(
            cell.count * _torch_bytes(rows * width)
            for cell in self.full_cells
            for width in (cell.key_bytes, cell.value_bytes)
        )


def _torch_bytes(num_bytes: int) -> int:
    return round_up(num_bytes, TORCH_ROUND_BYTES) if num_bytes > TORCH_LARGE_BYTES else num_bytes


def sglang_layout(
    model: ModelSpec, settings: Sglang | None = None, parallel: Parallelism | None = None
) -> SglangLayout:
    """A model's cache as SGLang lays it out on one rank.

    Pipeline stages divide the layers; the figures are those of the whole model then.

    Raises:
        SpecError: if heads or groups do not divide over the ranks.
        UnsupportedError: for a format or a behaviour that SGLang does not have, or whose rule
            is not known.
    """
    settings, parallel = settings or Sglang(), parallel or Parallelism()
    dtype = model.dtype if settings.dtype == "auto" else model_dtype(settings.dtype)
    ranks = attention_ranks(settings, parallel.tensor_parallel_size)
    check_heads_per_rank(model, ranks)
    kv_dtype: DType = storage_format(settings.kv_cache_dtype, dtype)
    cells = token_cells(model, settings, kv_dtype=kv_dtype, ranks=ranks)
    sparse = any(cell.index_bytes for cell in cells)
    return SglangLayout(
        settings=settings,
        cells=cells,
        slot=state_slot(model, settings, ranks=ranks),
        page_size=settings.page_size or (SPARSE_PAGE_SIZE if sparse else 1),
        is_multimodal=model.is_multimodal,
    )
