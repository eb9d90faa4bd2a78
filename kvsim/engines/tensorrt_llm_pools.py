"""How TensorRT-LLM divides its cache memory: estimate, blocks per window, host pool."""

from dataclasses import dataclass

from kvsim.engines.tensorrt_llm import TensorrtLlmLayout
from kvsim.errors import SpecError, UnsupportedError
from kvsim.message import Message
from kvsim.units import ceil_div


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowPool:
    """Blocks of one window on the device and in host memory; `window` None is the whole length."""

    window: int | None
    block_bytes: int
    primary_blocks: int
    secondary_blocks: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorrtLlmPools:
    """The pools of one rank."""

    layout: TensorrtLlmLayout
    windows: tuple[WindowPool, ...]
    state_slots: int  # sequences whose recurrent state is resident; 0 without recurrent layers
    refusal: str | None = None

    @property
    def tokens(self) -> int:
        """`max tokens in paged KV cache`: blocks of every window, in tokens."""
        blocks = sum(pool.primary_blocks for pool in self.windows)
        return blocks * self.layout.settings.tokens_per_block

    @property
    def pool_bytes(self) -> int:
        """Bytes that the engine prints for the primary pools."""
        return sum(pool.primary_blocks * pool.block_bytes for pool in self.windows)

    @property
    def host_bytes(self) -> int:
        """Bytes of the secondary pools."""
        return sum(pool.secondary_blocks * pool.block_bytes for pool in self.windows)

    def max_requests(self, num_tokens: int) -> int:
        """Requests of `num_tokens` tokens whose cache fits at once."""
        size = self.layout.settings.tokens_per_block
        limits = [
            pool.primary_blocks // ceil_div(min(num_tokens, pool.window or num_tokens), size)
            for pool in self.windows
        ]
        limits += [self.state_slots] if self.layout.state_layers else []
        return min(limits, default=0)


def available_bytes(
    *, total_bytes: int, peak_bytes: int, temporary_bytes: int, fraction: float
) -> int:
    """Bytes for the cache: the fraction of what is free beside weights and activation peak.

    Args:
        total_bytes: the device's memory.
        peak_bytes: most that torch held while profiling, and all that is outside torch.
        temporary_bytes: the pool that the profiling run used; it is given back.
        fraction: `free_gpu_memory_fraction`.

    Source:
        TensorRT-LLM `KvCacheCreator`, _torch/pyexecutor/_util.py, 1.1 to 1.2.

    Example:
        >>> available_bytes(total_bytes=80, peak_bytes=30, temporary_bytes=10, fraction=0.5)
        30
    """
    return int((total_bytes - peak_bytes + temporary_bytes) * fraction)


def tensorrt_llm_pools(layout: TensorrtLlmLayout, cache_bytes: int) -> TensorrtLlmPools:
    """What a rank makes of its cache memory.

    With more than one distinct window every window gets the same share of it, whatever the
    number of its layers; with one, `max_tokens` limits the pool.

    Raises:
        UnsupportedError: for the second manager, whose rounding was not read.

    Source:
        TensorRT-LLM `calculate_max_num_blocks`, resource_manager.py, and vswa.py, 2026.
    """
    settings = layout.settings
    if settings.use_kv_cache_manager_v2:
        msg = "use_kv_cache_manager_v2: how it divides and rounds its pools is not known"
        raise UnsupportedError(msg)
    available = max(0, cache_bytes)
    if settings.max_gpu_total_bytes is not None:
        available = min(available, settings.max_gpu_total_bytes)
    if layout.state_layers:
        return _hybrid(layout, available)
    windows = layout.windows
    pools = tuple(_window_pool(layout, window, available, len(windows)) for window in windows)
    empty = not all(pool.primary_blocks for pool in pools)
    return TensorrtLlmPools(
        layout=layout,
        windows=pools,
        state_slots=0,
        refusal="no block fits: free_gpu_memory_fraction must be higher" if empty else None,
    )


def _window_pool(
    layout: TensorrtLlmLayout, window: int | None, available: int, num_windows: int
) -> WindowPool:
    """One window's blocks: an equal share, and the same share of the host pool."""
    settings = layout.settings
    token = sum(c.token_bytes for c in layout.cells if c.window == window)
    tokens = available // num_windows // token
    if num_windows == 1:
        tokens = min(tokens, available // layout.charged_token_bytes)
        tokens = min(tokens, settings.max_tokens or tokens)
    host = (settings.host_cache_size or 0) // num_windows
    return WindowPool(
        window=window,
        block_bytes=token * settings.tokens_per_block,
        primary_blocks=tokens // settings.tokens_per_block,
        secondary_blocks=host // token // settings.tokens_per_block,
    )


def _hybrid(layout: TensorrtLlmLayout, available: int) -> TensorrtLlmPools:
    """Attention blocks beside a state per resident sequence.

    Source:
        TensorRT-LLM `_calculate_max_num_blocks_for_linear_attention`, mid-2026, without
        periodic snapshots (the default).
    """
    settings, token = layout.settings, layout.token_bytes
    if len(layout.windows) > 1:
        msg = "windows beside recurrent layers: the engine's rule is not known"
        raise UnsupportedError(msg)
    if not token:
        msg = "a model without attention layers: the engine's rule is not known"
        raise SpecError(msg)
    left = available - settings.max_batch_size * layout.state_bytes
    tokens = max(0, left // token)
    tokens = min(tokens, settings.max_tokens or tokens)
    blocks = tokens // settings.tokens_per_block
    block_bytes = token * settings.tokens_per_block
    primary = blocks * block_bytes
    host = blocks * (settings.host_cache_size or 0) // primary if primary else 0
    refusal = None
    if not blocks:
        refusal = Message(
            "the states of max_batch_size={slots} leave no block", slots=settings.max_batch_size
        )
    pool = WindowPool(
        window=None, block_bytes=block_bytes, primary_blocks=blocks, secondary_blocks=host
    )
    return TensorrtLlmPools(
        layout=layout,
        windows=(pool,),
        state_slots=settings.max_batch_size,
        refusal=refusal,
    )
