"""From layers and memory to what vLLM's log says: blocks, tokens, concurrency, or a refusal."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from math import gcd

from kvsim.engines.vllm_cache_config import VllmCacheConfig
from kvsim.engines.vllm_cache_group import KVCacheGroup
from kvsim.engines.vllm_fit import longest_request
from kvsim.engines.vllm_groups import (
    BlockSizes,
    block_bytes,
    check_layout,
    group_layers,
    resolve_block_sizes,
)
from kvsim.engines.vllm_spec_base import KVCacheSpec
from kvsim.errors import CapacityError, SpecError, UnsupportedError

NULL_BLOCKS = 1
"""Blocks that stand for "no block" and hold nothing: vLLM `BlockPool`, block_pool.py, 0.32.0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RankPool:
    """One rank's blocks before the ranks agree on the smallest number."""

    available_bytes: int  # as given
    planned_bytes: int  # what the override, if any, makes of it
    groups: tuple[KVCacheGroup, ...]  # as far as this rank holds their layers
    bytes_per_block: int  # over all layers of the widest group
    num_null_blocks: int = NULL_BLOCKS

    @property
    def num_blocks(self) -> int:
        """Blocks that this rank has room for, the null block among them."""
        if not self.bytes_per_block:
            return self.num_null_blocks  # no cache, but the pool has its null block
        return max(0, self.planned_bytes) // self.bytes_per_block

    @property
    def admissible_bytes(self) -> int:
        """What the start-up check may give to requests: all but the null block."""
        return self.planned_bytes - self.num_null_blocks * self.bytes_per_block

    def request_bytes(self, config: VllmCacheConfig) -> int:
        """Bytes of pool that one request of `max_model_len` tokens can take.

        Source:
            vLLM `_max_memory_usage_bytes_from_groups`, vllm/v1/core/kv_cache_utils.py, 0.32.0.
        """
        return self.bytes_per_block * sum(group.max_blocks(config) for group in self.groups)


@dataclass(frozen=True, slots=True, kw_only=True)
class VllmLayout:
    """The cache of one model as vLLM lays it out; figures are those of its start-up log."""

    config: VllmCacheConfig  # `max_model_len` as fitted
    ranks: tuple[RankPool, ...]
    num_blocks: int  # on every rank, the null block counted
    blocks_per_request: int  # of one request of `max_model_len`, over all groups
    block_sizes: BlockSizes
    kv_tp_replicas: int  # tensor-parallel ranks that hold the same cache as the first

    @property
    def groups(self) -> tuple[KVCacheGroup, ...]:
        """The first rank's groups; the other ranks differ in the layers alone."""
        return self.ranks[0].groups

    @property
    def bytes_per_block(self) -> int:
        """Bytes of one block on the first rank, over all layers of the widest group."""
        return self.ranks[0].bytes_per_block

    @property
    def max_model_len(self) -> int:
        """Longest request; shorter than asked where the engine fitted it."""
        return self.config.max_model_len

    @property
    def max_concurrency(self) -> float:
        """Requests of `max_model_len` that the log claims; it counts the null block.

        Source:
            vLLM `get_max_concurrency_for_kv_cache_config`, kv_cache_utils.py, 0.32.0.
        """
        if not self.blocks_per_request:
            return 0.0
        return self.num_blocks / self.blocks_per_request

    @property
    def tokens(self) -> int:
        """The log's "KV cache size", rounded down.

        Source:
            vLLM `get_kv_cache_capacity`, vllm/v1/core/kv_cache_utils.py, 0.32.0.
        """
        return int(self.max_concurrency * self.max_model_len)

    @property
    def max_request_bytes(self) -> int:
        """Bytes of pool that one request of `max_model_len` can take on the first rank."""
        return self.ranks[0].request_bytes(self.config)

    @property
    def scheduler_block_size(self) -> int:
        """Tokens to which the scheduler rounds."""
        return self.block_sizes.scheduler

    @property
    def hash_block_size(self) -> int:
        """Tokens per block hash of the prefix cache."""
        return self.block_sizes.hashing


def vllm_layout(
    layers: Sequence[KVCacheSpec],
    config: VllmCacheConfig,
    *,
    available_bytes: int | Sequence[int],
    rank_layers: Sequence[Collection[int]] | None = None,
) -> VllmLayout:
    """Groups, blocks, tokens and concurrency that vLLM makes of given layers and memory.

    Layers of equal specs should share one object: they are then told equal without comparing.

    Args:
        layers: one spec per layer of the model in registration order, as on one
            tensor-parallel rank; layers that borrow another's cache are left out.
        config: vLLM's settings as resolved.
        available_bytes: memory for the cache, of one rank or of each.
        rank_layers: which layers (positions in `layers`) each rank holds, for pipeline stages;
            None: every rank holds all.

    Returns:
        The layout; every rank gets the smallest rank's number of blocks.

    Raises:
        CapacityError: if one request of `max_model_len` does not fit, as the engine refuses it.
        UnsupportedError: where the engine stops for another reason.
        SpecError: if the arguments do not belong together.

    Source:
        vLLM `get_kv_cache_configs`, vllm/v1/core/kv_cache_utils.py, 0.32.0.

    Example:
        Llama-3-8B with 512 MiB: room for 256 blocks, one of them the null block.

        >>> from kvsim.engines.vllm_layer_spec import vllm_layer_spec
        >>> layer = vllm_layer_spec("FullAttentionSpec", block_size=16, num_kv_heads=8,
        ...     head_size=128, dtype="bfloat16")
        >>> config = VllmCacheConfig(max_model_len=4080, max_num_batched_tokens=8192)
        >>> layout = vllm_layout([layer] * 32, config, available_bytes=2**29)
        >>> layout.num_blocks, layout.tokens, f"{layout.max_concurrency:.2f}x"
        (256, 4096, '1.00x')
    """
    groups = group_layers(layers, config)
    memory = (available_bytes,) if isinstance(available_bytes, int) else tuple(available_bytes)
    _check_ranks(memory, rank_layers, num_layers=len(layers))
    ranks = tuple(
        _rank_pool(
            groups if rank_layers is None else tuple(g.project(rank_layers[i]) for g in groups),
            config,
            available_bytes=available,
        )
        for i, available in enumerate(memory)
    )
    if config.auto_max_model_len:
        config = _fit_max_model_len(ranks, config)
    for rank in ranks:
        _check_admission(rank, config)
    for rank in ranks:
        check_layout(rank.groups, config.kv_cache_layout)
    _check_placed(groups, num_layers=len(layers))
    return VllmLayout(
        config=config,
        ranks=ranks,
        num_blocks=min(rank.num_blocks for rank in ranks),
        blocks_per_request=sum(group.max_blocks(config) for group in groups),
        block_sizes=resolve_block_sizes(groups, config),
        kv_tp_replicas=_tp_replicas(ranks[0].groups, config),
    )


def _check_ranks(
    memory: Sequence[int], rank_layers: Sequence[Collection[int]] | None, *, num_layers: int
) -> None:
    if not memory:
        msg = "available_bytes=() must hold at least one rank"
        raise SpecError(msg)
    if rank_layers is None:
        return
    if len(rank_layers) != len(memory):
        msg = f"rank_layers must hold {len(memory)} ranks, as available_bytes does"
        raise SpecError(msg)
    if set().union(*rank_layers) != set(range(num_layers)):
        msg = f"rank_layers must place each of the {num_layers} layers on a rank"
        raise SpecError(msg)


def _check_placed(groups: Sequence[KVCacheGroup], *, num_layers: int) -> None:
    """UnsupportedError if dealing uneven pages left layers out; the engine stops.

    Source:
        vLLM `get_kv_cache_configs`, vllm/v1/core/kv_cache_utils.py, 0.32.0.
    """
    placed = sum(len(group.layers) for group in groups)
    if placed != num_layers:
        msg = f"{num_layers - placed} of {num_layers} layers fit no group: vLLM stops"
        raise UnsupportedError(msg)


def _rank_pool(
    groups: tuple[KVCacheGroup, ...], config: VllmCacheConfig, *, available_bytes: int
) -> RankPool:
    width = block_bytes(groups, config.kv_cache_layout) if groups else 0
    override = config.num_gpu_blocks_override
    planned = available_bytes if override is None or not groups else override * width
    return RankPool(
        available_bytes=available_bytes,
        planned_bytes=planned,
        groups=groups,
        bytes_per_block=width,
        num_null_blocks=config.num_null_blocks,
    )


def _check_admission(rank: RankPool, config: VllmCacheConfig) -> None:
    """CapacityError unless one request of `max_model_len` fits beside the null block.

    Source:
        vLLM `_check_enough_kv_cache_memory`, vllm/v1/core/kv_cache_utils.py, 0.32.0.
    """
    if not rank.groups:
        return
    needed = rank.request_bytes(config)
    available = rank.admissible_bytes
    if needed <= available:
        return
    raise CapacityError(
        max_model_len=config.max_model_len,
        needed_bytes=needed,
        available_bytes=available,
        estimated_max_model_len=_longest(rank, config) or None,
    )


def _longest(rank: RankPool, config: VllmCacheConfig) -> int:
    blocks = rank.admissible_bytes // rank.bytes_per_block
    return longest_request(rank.groups, config, num_blocks=blocks)


def _fit_max_model_len(ranks: Sequence[RankPool], config: VllmCacheConfig) -> VllmCacheConfig:
    """The settings with the longest `max_model_len` that every rank can serve.

    Source:
        vLLM `_auto_fit_max_model_len`, vllm/v1/core/kv_cache_utils.py, 0.32.0.
    """
    for rank in ranks:
        if not rank.groups or rank.request_bytes(config) <= rank.admissible_bytes:
            continue
        longest = _longest(rank, config)
        if not longest:
            one_token = replace(config, max_model_len=1)
            raise CapacityError(
                max_model_len=1,
                needed_bytes=rank.request_bytes(one_token),
                available_bytes=rank.admissible_bytes,
                estimated_max_model_len=None,
            )
        config = replace(config, max_model_len=longest)
    return config


def _tp_replicas(groups: Sequence[KVCacheGroup], config: VllmCacheConfig) -> int:
    """Consecutive tensor-parallel ranks that hold the same cache in every layer.

    Source:
        vLLM `kv_cache_groups_tp_replicas`, vllm/v1/core/kv_cache_utils.py, 0.32.0.
    """
    if not groups:
        return 1
    replicas = (one.spec.tp_replicas(config) for group in groups for one in group.members)
    return gcd(config.tensor_parallel_size, *replicas)
