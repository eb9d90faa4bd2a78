"""From an engine's groups of layers and its settings to a scheduler over an empty cache."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from kvsim.engines.vllm_cache_config import MambaCacheMode, VllmCacheConfig
from kvsim.engines.vllm_cache_group import KVCacheGroup
from kvsim.engines.vllm_groups import resolve_block_sizes
from kvsim.engines.vllm_spec_base import KVCacheSpec
from kvsim.engines.vllm_specs import (
    ChunkedLocalAttentionSpec,
    CircularBufferSpec,
    CrossAttentionSpec,
    FullAttentionSpec,
    MambaSpec,
    SlidingWindowSpec,
)
from kvsim.errors import SpecError, UnsupportedError
from kvsim.sim.block_pool import BlockPool
from kvsim.sim.config import SchedulerConfig
from kvsim.sim.connector import Connector
from kvsim.sim.groups import CacheGroup, CacheRules
from kvsim.sim.holding import HoldingScheduler
from kvsim.sim.kv_cache import EqualGroups, KVCache
from kvsim.sim.loading import LoadingScheduler
from kvsim.sim.local_groups import ChunkGroup, CrossGroup, RingGroup, WindowGroup
from kvsim.sim.offload import TierConnector, TierSizes
from kvsim.sim.offload_groups import OffloadGroup
from kvsim.sim.scheduler import Scheduler
from kvsim.sim.state_chunks import Checkpoints, StateChunks
from kvsim.sim.state_groups import AlignedStateGroup, StateGroup
from kvsim.specs.engine import NEWEST_VLLM
from kvsim.specs.workload import Request


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSetup:
    """An engine before its first request: groups, blocks, settings."""

    groups: tuple[KVCacheGroup, ...]
    cache_config: VllmCacheConfig
    config: SchedulerConfig
    num_gpu_blocks: int  # the null block counted
    engine_version: str = NEWEST_VLLM
    num_encoder_tokens: int = 0  # of requests that state none
    tiers: TierSizes | None = None  # below the device's cache

    def __post_init__(self) -> None:
        if not self.groups:
            msg = "layers must hold at least one layer with a cache"
            raise SpecError(msg)
        if self.num_gpu_blocks < 2:
            msg = f"num_gpu_blocks={self.num_gpu_blocks} must be >= 2: one is the null block"
            raise SpecError(msg)

    @property
    def block_size(self) -> int:
        """Tokens to which the scheduler aligns: a border of every group's blocks."""
        return resolve_block_sizes(self.groups, self.cache_config).scheduler

    def final_tokens(self, request: Request) -> int:
        """Prompt and answer, cut where the context ends."""
        asked = request.num_prompt_tokens + request.num_output_tokens
        return min(asked, self.config.max_model_len)

    def blocks_of(self, num_tokens: int) -> int:
        """Most blocks that one request of so many tokens holds, drafts included."""
        longest = min(num_tokens + self.config.lookahead_tokens, self.config.max_model_len)
        config = replace(self.cache_config, max_model_len=longest)
        return sum(group.max_blocks(config) for group in self.groups)

    def scheduler(self, accept: Callable[[int], int]) -> Scheduler:
        """A scheduler over an empty cache; `accept` says how many drafts are right."""
        if self.tiers is None:
            cache = self.cache()
            states = self._state_chunks(cache)
            return Scheduler(self.config, cache, state_chunks=states, accept=accept)
        return self.loading_scheduler(accept, self._tier_connector)

    def loading_scheduler(
        self, accept: Callable[[int], int], connector: Callable[[KVCache], Connector]
    ) -> LoadingScheduler:
        """A scheduler over an empty cache that gets tokens from outside, too."""
        cache = self.cache()
        return LoadingScheduler(
            self.config,
            cache,
            connector(cache),
            state_chunks=self._state_chunks(cache),
            accept=accept,
        )

    def holding_scheduler(self, accept: Callable[[int], int]) -> HoldingScheduler:
        """A scheduler over an empty cache whose finished requests keep their blocks."""
        cache = self.cache()
        states = self._state_chunks(cache)
        return HoldingScheduler(self.config, cache, state_chunks=states, accept=accept)

    def _state_chunks(self, cache: KVCache) -> StateChunks | None:
        """How recurrent states that are cached cut prompts."""
        if not any(isinstance(group, AlignedStateGroup) for group in cache.groups):
            return None
        config = self.config
        limits = [config.max_num_batched_tokens, config.long_prefill_token_threshold]
        return StateChunks(self._checkpoints(), min(n for n in limits if n))

    def _tier_connector(self, cache: KVCache) -> TierConnector:
        """The tiers below the device."""
        assert self.tiers is not None, "there are none"
        offloaded = [
            self._offloaded(cache, i)
            for i, group in enumerate(self.groups)
            if group.spec.prefix_cacheable
        ]
        shares = self.config.enable_prefix_caching
        return TierConnector(offloaded, self.tiers, shares_loads=shares)

    def _offloaded(self, cache: KVCache, index: int) -> OffloadGroup:
        """A group as the tiers see it.

        Raises:
            UnsupportedError: for layers whose chunks are stored by rules that are not known here.
        """
        group = self.groups[index]
        spec = group.spec
        num_bytes = sum(len(m.layers) * m.spec.unpadded_page_size_bytes for m in group.members)
        if isinstance(spec, SlidingWindowSpec):
            return OffloadGroup(
                cache.groups[index], num_bytes, spec.sliding_window, spec.extra_retained_tokens
            )
        if isinstance(spec, FullAttentionSpec):
            return OffloadGroup(cache.groups[index], num_bytes)
        msg = f"kv_offloading_size: stores of {type(spec).__name__} layers are not modelled"
        raise UnsupportedError(msg)

    def _checkpoints(self) -> Checkpoints:
        """What all groups of states can save inside a chunk."""
        states = [g.spec for g in self.groups if isinstance(g.spec, MambaSpec)]
        can_save = states and all(spec.num_prefill_checkpoint_blocks for spec in states)
        return Checkpoints(
            block_size=self.cache_config.block_size,
            alignment=states[0].prefill_checkpoint_alignment if can_save else None,
        )

    def cache(self) -> KVCache:
        """The empty cache of all groups."""
        rules = self._rules()
        pool = BlockPool(self.num_gpu_blocks, num_groups=len(self.groups))
        groups = [self._group(pool, rules, i) for i in range(len(self.groups))]
        return KVCache(pool, groups, self._equals(groups), rules)

    def _rules(self) -> CacheRules:
        config = self.config
        sizes = resolve_block_sizes(self.groups, self.cache_config)
        interval = config.prefix_cache_retention_interval
        sparse = any(isinstance(g.spec, SlidingWindowSpec | MambaSpec) for g in self.groups)
        if config.enable_prefix_caching and interval and not sparse:
            msg = f"prefix_cache_retention_interval={interval} must be 0 without windows or states"
            raise SpecError(msg)
        if config.enable_prefix_caching and interval and interval % sizes.scheduler:
            msg = (
                f"prefix_cache_retention_interval={interval} must be a multiple of "
                f"{sizes.scheduler} tokens"
            )
            raise SpecError(msg)
        if config.enable_prefix_caching:
            self._check_hashes(sizes.hashing)
        return CacheRules(
            enable_prefix_caching=config.enable_prefix_caching,
            scheduler_block_size=sizes.scheduler,
            hit_alignment=sizes.scheduler,
            retention_interval=interval,
            num_lookahead_tokens=config.lookahead_tokens,
            max_model_len=config.max_model_len,
        )

    def _check_hashes(self, hash_block_size: int) -> None:
        """UnsupportedError if block hashes do not fit the groups' blocks; the engine stops.

        Source:
            vLLM `HybridKVCacheCoordinator`, vllm/v1/core/kv_cache_coordinator.py, 0.32.0.
        """
        for group in self.groups:
            size = group.spec.tokens_per_block(self.cache_config)
            if group.spec.prefix_cacheable and size % hash_block_size:
                msg = (
                    f"enable_prefix_caching needs blocks of {size} tokens to be multiples of the "
                    f"hash's {hash_block_size}: vLLM stops (mamba_cache_mode must be align)"
                )
                raise UnsupportedError(msg)
            if _is_aligned_state(group.spec) and size != hash_block_size:
                msg = (
                    f"states of {size} tokens beside block hashes of {hash_block_size}: prefix "
                    "hits that end inside a block are not modelled"
                )
                raise UnsupportedError(msg)

    def _group(self, pool: BlockPool, rules: CacheRules, index: int) -> CacheGroup:
        """The group's behaviour; layers of one group share a spec, or hold the same blocks."""
        spec = self.groups[index].spec
        size = spec.tokens_per_block(self.cache_config)
        if isinstance(spec, SlidingWindowSpec):
            most = spec.max_blocks(self.cache_config)
            return WindowGroup(pool, rules, spec, index=index, block_size=size, max_blocks=most)
        if isinstance(spec, ChunkedLocalAttentionSpec):
            most = spec.max_blocks(self.cache_config)
            return ChunkGroup(pool, rules, spec, index=index, block_size=size, max_blocks=most)
        if isinstance(spec, MambaSpec):
            kind = AlignedStateGroup if _is_aligned_state(spec) else StateGroup
            return kind(pool, rules, spec, index=index, block_size=size)
        if isinstance(spec, CircularBufferSpec):
            return RingGroup(pool, rules, index=index, block_size=size)
        if isinstance(spec, CrossAttentionSpec):
            return CrossGroup(pool, rules, index=index, block_size=size)
        if isinstance(spec, FullAttentionSpec):
            return CacheGroup(pool, rules, index=index, block_size=size)
        msg = f"layers of type {type(spec).__name__} have no known schedule"
        raise UnsupportedError(msg)

    def _equals(self, groups: Sequence[CacheGroup]) -> list[EqualGroups]:
        """Groups with equal specs together; those that cache no prefixes are left out."""
        indices: dict[object, list[int]] = {}
        for i, group in enumerate(self.groups):
            if group.spec.prefix_cacheable and not isinstance(group.spec, CrossAttentionSpec):
                indices.setdefault(group.spec, []).append(i)
        return [EqualGroups(groups[same[0]], tuple(same)) for same in indices.values()]


def _is_aligned_state(spec: KVCacheSpec) -> bool:
    return isinstance(spec, MambaSpec) and spec.mamba_cache_mode is MambaCacheMode.ALIGN
