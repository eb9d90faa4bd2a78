"""How SGLang divides its cache memory into tokens, window tokens and state slots."""

from dataclasses import dataclass

from kvsim.engines.sglang import SglangBuffers, SglangLayout
from kvsim.errors import SpecError, UnsupportedError
from kvsim.message import Message
from kvsim.specs.sglang import Sglang, sglang_version
from kvsim.units import ceil_div, round_up

SLOT_COUNTED = (0, 5, 17)  # from here on the extra state slot is part of the budget
TWO_POOL_BYTES = (0, 5, 12)  # from here on window layers are counted at their own bytes
TWO_POOL_LAYERS = (0, 5, 8)  # up to here by their number of layers

EXTRA_BUFFER_SLOTS = 2  # slots for prefix checkpoints that an overlapping scheduler needs
RADIX_SLOTS = 3  # slots that a running request and its prefixes take beside those

DEFAULT_REQUESTS = 512  # running requests per context length's worth of tokens
REQUEST_BOUNDS = (2048, 4096)
REQUEST_ROW_EXTRA_TOKENS = 4
REQUEST_ENTRY_BYTES = 4
GB = 10**9


@dataclass(frozen=True, slots=True, kw_only=True)
class SglangPools:
    """The pools of one rank; `tokens` is the log's `max_total_num_tokens`."""

    layout: SglangLayout
    tokens: int
    window_tokens: int  # 0 where there is one pool
    state_slots: int  # 0 without recurrent layers; one more is allocated
    refusal: str | None = None

    @property
    def buffers(self) -> SglangBuffers:
        """Bytes that the engine prints for these pools."""
        return self.layout.buffers(
            tokens=self.tokens, window_tokens=self.window_tokens, state_slots=self.state_slots
        )

    @property
    def host_bytes(self) -> int:
        """The host pool of a hierarchical cache; 0 where it is off.

        Source:
            SGLang `HiRadixCache`: `--hicache-size` in GB, else a ratio of the device's pool.
        """
        settings = self.layout.settings
        if not settings.enable_hierarchical_cache:
            return 0
        if settings.hicache_size is not None:
            return settings.hicache_size * GB
        return int(self.buffers.token_bytes * settings.hicache_ratio)

    def max_running_requests(self, context_length: int) -> int:
        """Most requests that the scheduler runs at once.

        Source:
            SGLang `resolve_max_num_reqs`, model_executor/pool_configurator.py, 0.5.23.
        """
        settings = self.layout.settings
        asked = settings.max_running_requests
        if asked is None:
            low, high = REQUEST_BOUNDS
            likely = self.tokens * DEFAULT_REQUESTS // context_length
            limit = min(max(likely, low), high)
        else:
            limit = max(1, asked // settings.dp_size)
        limit = min(limit, self.tokens // 2)
        if self.layout.slot.count:
            limit = min(limit, self.state_slots // slots_per_request(settings))
        return limit

    def max_requests(self, num_tokens: int) -> int:
        """Requests of `num_tokens` tokens whose cache fits at once."""
        page, layout = self.layout.page_size, self.layout
        limits = []
        if layout.cells:
            limits.append(self.tokens // round_up(num_tokens, page))
        if layout.window_cells:
            held = round_up(min(num_tokens, layout.window), page) + page
            limits.append(self.window_tokens // held)
        if layout.slot.count:
            limits.append(self.state_slots // slots_per_request(layout.settings))
        return min(limits, default=0)

    def request_table_bytes(self, context_length: int) -> int:
        """The table of requests, which no budget counts: a row each, and one to spare."""
        rows = self.max_running_requests(context_length) + 1
        return rows * (context_length + REQUEST_ROW_EXTRA_TOKENS) * REQUEST_ENTRY_BYTES


def slots_per_request(settings: Sglang) -> int:
    """State slots that a running request keeps, checkpoints for prefixes included.

    Source:
        SGLang `_calculate_mamba_ratio`, 0.5.23.
    """
    if settings.disable_radix_cache:
        return 1
    overlap = not settings.disable_overlap_schedule
    return RADIX_SLOTS + (EXTRA_BUFFER_SLOTS if overlap else 1)


def sglang_pools(
    layout: SglangLayout, available_bytes: int, *, chunked_prefill_size: int | None = None
) -> SglangPools:
    """What a rank makes of its cache memory, and whether the engine would start.

    Args:
        layout: the model's cells.
        available_bytes: the cache's budget on this rank.
        chunked_prefill_size: the resolved chunk; needed where the window pool is sized by it.

    Source:
        SGLang `HybridSWAPoolConfigurator` and `config_from_budget`, pool_configurator.py, 0.5.23.
    """
    slots, taken = _state_slots(layout, available_bytes)
    left = max(0, available_bytes - taken)
    window_tokens = 0
    if layout.window_cells:
        tokens, window_tokens = _two_pools(layout, left, chunked_prefill_size)
    else:
        cell = layout.full_token_bytes + layout.draft_token_bytes
        tokens = _floor(left // cell, layout.page_size) if cell else 0
    limit = layout.settings.max_total_tokens
    if limit is not None and tokens > limit:
        tokens = _floor(limit, layout.page_size)
        if layout.window_cells:
            ratio = layout.settings.swa_full_tokens_ratio
            window_tokens = min(window_tokens, _floor(int(tokens * ratio), layout.page_size))
    refusal = None
    if (layout.cells and tokens <= 0) or (layout.slot.count and slots <= 0):
        refusal = "not enough memory: mem_fraction_static must be higher"
    elif layout.window_cells and window_tokens <= layout.window + layout.page_size:
        refusal = f"window pool of {window_tokens} tokens does not hold the window"
    return SglangPools(
        layout=layout,
        tokens=tokens,
        window_tokens=window_tokens,
        state_slots=slots,
        refusal=refusal,
    )


def _floor(tokens: int, page_size: int) -> int:
    return tokens // page_size * page_size


def _state_slots(layout: SglangLayout, available_bytes: int) -> tuple[int, int]:
    """State slots, and the bytes that they take from the budget.

    Source:
        SGLang `_handle_max_mamba_cache`; the slot on top is counted from 0.5.17 on.
    """
    slot, settings = layout.slot.total_bytes, layout.settings
    if not slot:
        return 0, 0
    counted = sglang_version(settings.engine_version) >= SLOT_COUNTED
    running = settings.max_running_requests
    if settings.max_mamba_cache_size is not None:
        slots = settings.max_mamba_cache_size // settings.dp_size
    elif settings.disable_radix_cache and running is not None:
        slots = running // settings.dp_size
    else:
        ratio = settings.mamba_full_memory_ratio
        share = available_bytes * ratio / (1 + ratio)
        slots = max(0, int((share - slot if counted else share) // slot))
    return slots, (slots + 1 if counted else slots) * slot


def _two_pools(
    layout: SglangLayout, available_bytes: int, chunked_prefill_size: int | None
) -> tuple[int, int]:
    """Tokens of the full pool and of the window pool."""
    settings, page = layout.settings, layout.page_size
    if settings.num_draft_layers:
        msg = "num_draft_layers beside a window pool: how sglang charges the draft is not known"
        raise UnsupportedError(msg)
    ratio, version = settings.swa_full_tokens_ratio, sglang_version(settings.engine_version)
    if settings.disable_radix_cache and settings.max_running_requests is not None:
        window = _capped_window_tokens(layout, chunked_prefill_size)
        left = max(0, available_bytes - window * layout.window_token_bytes)
        return _floor(left // layout.full_token_bytes, page), window
    if version >= TWO_POOL_BYTES:
        cell = layout.full_token_bytes + ratio * layout.window_token_bytes
        tokens = _floor(int(available_bytes / cell), page)
    elif version <= TWO_POOL_LAYERS:
        full = sum(c.count for c in layout.full_cells)
        window_layers = sum(c.count for c in layout.window_cells)
        alike = layout.full_token_bytes // full * (full + window_layers)
        alike_tokens = available_bytes // alike
        tokens = int(alike_tokens * (full + window_layers) / (ratio * window_layers + full))
        tokens = _floor(tokens, page)
    else:
        msg = Message(
            "engine_version={engine_version}: its rule for two pools was not read",
            engine_version=settings.engine_version,
        )
        raise UnsupportedError(msg)
    return tokens, _floor(int(tokens * ratio), page)


def _capped_window_tokens(layout: SglangLayout, chunked_prefill_size: int | None) -> int:
    """The window pool's tokens where the requests are known and no prefix is kept.

    Source:
        SGLang `compute_swa_request_cap`, pool_configurator.py, 0.5.23.
    """
    settings, page = layout.settings, layout.page_size
    if chunked_prefill_size is None:
        msg = "chunked_prefill_size must be given: the window pool is sized by it"
        raise SpecError(msg)
    requests = settings.max_running_requests or 1
    chunks = 1 if settings.disable_overlap_schedule else 2
    per_request = layout.window + 2 * page
    total = requests * per_request + chunks * chunked_prefill_size + page
    return ceil_div(total, page) * page
