"""vLLM's layout of a model's cache: what a sequence holds, and what a pool holds."""

from dataclasses import dataclass, replace
from functools import lru_cache

from kvsim.engines.layout import LayerBytes, Pool, SequenceBytes
from kvsim.engines.vllm_backend import device_of
from kvsim.engines.vllm_cache import REMEMBERED_CACHES, VllmCache, build_cache
from kvsim.engines.vllm_cache_config import VllmCacheConfig
from kvsim.engines.vllm_cache_group import KVCacheGroup, LayerSet
from kvsim.engines.vllm_groups import block_bytes, check_layout, group_layers
from kvsim.engines.vllm_spec_base import KVCacheSpec
from kvsim.engines.vllm_specs import (
    ChunkedLocalAttentionSpec,
    CircularBufferSpec,
    CrossAttentionSpec,
    MambaSpec,
    MLAAttentionSpec,
    SlidingWindowSpec,
)
from kvsim.message import Message
from kvsim.specs.engine import EngineName, ResolvedVllm, Vllm, resolve_vllm
from kvsim.specs.hardware import Accelerator
from kvsim.specs.model import ModelSpec
from kvsim.specs.parallel import Parallelism
from kvsim.units import at_least, ceil_div


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One pipeline stage's share of the cache."""

    num_layers: int  # caches that it stores
    groups: tuple[KVCacheGroup, ...]  # as far as it holds their layers
    block_bytes: int  # over all layers of its widest group; 0: it stores none


@dataclass(frozen=True, slots=True, kw_only=True)
class VllmCacheLayout:
    """One model's cache on one rank: groups of layers that draw blocks from one pool.

    Pipeline stages hold different layers; the stage with the widest block decides how many
    blocks all of them have, and stands for the rank.
    """

    cache: VllmCache
    groups: tuple[KVCacheGroup, ...]
    equal_groups: tuple[tuple[KVCacheGroup, int], ...]  # groups that hold as many blocks, counted
    stages: tuple[Stage, ...]
    num_encoder_tokens: int
    engine: EngineName = EngineName.VLLM

    @property
    def config(self) -> VllmCacheConfig:
        """The settings that decide the layout."""
        return self.cache.config

    @property
    def settings(self) -> ResolvedVllm:
        """The engine's settings after the layers had their say."""
        return self.cache.settings

    @property
    def engine_version(self) -> str:
        """The version whose rules were used."""
        return self.settings.engine_version

    @property
    def block_bytes(self) -> int:
        """Bytes of one block on the stage that holds most of it."""
        return max((stage.block_bytes for stage in self.stages), default=0)

    @property
    def not_modeled(self) -> tuple[str, ...]:
        """Copies that the prefix cache keeps of what no request holds."""
        return ()

    @property
    def block_size(self) -> int:
        """Tokens per block, of the smallest group that grows."""
        return min((g.block_size for g in self.groups), default=self.config.block_size)

    def sequence(self, num_tokens: int) -> SequenceBytes:
        """What one decoding sequence holds: whole blocks, over every group's padded width.

        Of several pipeline stages, the one with the widest block stands for the rank. Windows
        hold the blocks that the window touches; a state holds the copies that the cache mode keeps.
        """
        layers, marginal = [], 0
        stage = max(self.stages, key=lambda one: one.block_bytes)
        for group in stage.groups:
            blocks = self._blocks(group.spec, num_tokens)
            is_state = isinstance(group.spec, MambaSpec)
            for member in group.members if group.layers else ():
                held = blocks * len(member.layers) * member.spec.page_size_bytes
                kind = _kind(member)
                layers.append(
                    LayerBytes(
                        kind, len(member.layers), 0 if is_state else held, held if is_state else 0
                    )
                )
            if stage.block_bytes > group.pages_bytes:
                padding = blocks * (stage.block_bytes - group.pages_bytes)
                layers.append(LayerBytes("padding to the widest group", 0, padding, 0))
            per_token = stage.block_bytes // group.spec.tokens_per_block(self.config)
            marginal += per_token * self._grows(group.spec, num_tokens)
        return SequenceBytes(_merged(layers), marginal)

    def pool(self, available_bytes: int) -> Pool:
        """What a rank makes of its cache memory, and whether the engine would start.

        Source:
            vLLM `get_kv_cache_configs`, vllm/v1/core/kv_cache_utils.py, 0.32.0.
        """
        blocks = self._num_blocks(available_bytes)
        usable = blocks - self.config.num_null_blocks
        config = self.config
        request_blocks = self.request_blocks(config)
        longest = config.max_model_len if request_blocks <= usable else self._longest(usable)
        if config.auto_max_model_len and longest:
            config = replace(config, max_model_len=longest)
            request_blocks = self.request_blocks(config)
        concurrency = blocks / request_blocks if request_blocks else 0.0
        return Pool(
            num_gpu_blocks=blocks,
            reserved_blocks=self.config.num_null_blocks,
            block_size=self.block_size,
            block_bytes=self.block_bytes,
            request_blocks=request_blocks,
            kv_cache_tokens=int(concurrency * config.max_model_len),
            max_concurrency=concurrency,
            longest_model_len=longest,
            max_model_len=config.max_model_len,
            refusal=None if request_blocks <= usable else self._refusal(longest),
        )

    def _num_blocks(self, available_bytes: int) -> int:
        if not self.block_bytes:
            return self.config.num_null_blocks  # nothing to store, but the pool has its null block
        override = self.config.num_gpu_blocks_override
        return max(0, available_bytes) // self.block_bytes if override is None else override

    def request_blocks(self, config: VllmCacheConfig) -> int:
        """Most blocks that a request of `max_model_len` tokens holds, over all groups."""
        return sum(n * group.max_blocks(config) for group, n in self.equal_groups)

    def _longest(self, usable_blocks: int) -> int:
        """The longest `max_model_len` whose request fits; 0 if none does."""
        low, high = 0, self.config.max_model_len if usable_blocks > 0 else 0
        while low < high:
            middle = (low + high + 1) // 2
            if self.request_blocks(replace(self.config, max_model_len=middle)) <= usable_blocks:
                low = middle
            else:
                high = middle - 1
        return low

    def _refusal(self, longest: int) -> str:
        length = self.config.max_model_len
        said = Message("one request of max_model_len={length} does not fit", length=length)
        most = Message("at most {longest} tokens fit", longest=longest)
        return Message.of_all((said, most)) if longest else said

    def _blocks(self, spec: KVCacheSpec, num_tokens: int) -> int:
        """Blocks that a sequence of `num_tokens` computed tokens holds in a group."""
        if isinstance(spec, MambaSpec | CircularBufferSpec):
            return spec.max_blocks(self.config)
        if isinstance(spec, CrossAttentionSpec):
            return ceil_div(self.num_encoder_tokens, spec.block_size)
        size, freed = spec.tokens_per_block(self.config), 0
        if isinstance(spec, SlidingWindowSpec):
            freed = at_least(num_tokens - spec.sliding_window + 1, 0) // size
        elif isinstance(spec, ChunkedLocalAttentionSpec):
            chunk = spec.attention_chunk_size
            freed = (num_tokens - 1) // chunk * chunk // size
        return ceil_div(num_tokens, size) - freed

    def _grows(self, spec: KVCacheSpec, num_tokens: int) -> bool:
        if isinstance(spec, MambaSpec | CrossAttentionSpec | CircularBufferSpec):
            return False
        if isinstance(spec, SlidingWindowSpec):
            return num_tokens < spec.sliding_window
        if isinstance(spec, ChunkedLocalAttentionSpec):
            return num_tokens < spec.attention_chunk_size
        return True


def vllm_cache_layout(
    model: ModelSpec,
    engine: Vllm,
    parallel: Parallelism,
    *,
    accelerator: Accelerator | None,
) -> VllmCacheLayout:
    """A model's cache as vLLM would lay it out with these settings.

    Raises:
        SpecError: if the heads do not divide over the ranks.
        UnsupportedError: for a format or a layout that vLLM does not have.
    """
    resolved = resolve_vllm(engine, model=model, accelerator=accelerator, parallel=parallel)
    return resolved_layout(model, engine, resolved, parallel, accelerator=accelerator)


def resolved_layout(
    model: ModelSpec,
    engine: Vllm,
    resolved: ResolvedVllm,
    parallel: Parallelism,
    *,
    accelerator: Accelerator | None,
) -> VllmCacheLayout:
    """The cache under settings that are resolved already.

    Raises:
        SpecError: if the heads do not divide over the ranks.
        UnsupportedError: for a format or a layout that vLLM does not have.
    """
    cache = build_cache(model, engine, resolved, parallel, device_of(accelerator))
    encoder_tokens = model.num_encoder_tokens or cache.config.max_encoder_tokens
    return _laid_out(cache, encoder_tokens)


@lru_cache(maxsize=REMEMBERED_CACHES)
def _laid_out(cache: VllmCache, num_encoder_tokens: int) -> VllmCacheLayout:
    groups = group_layers(cache.specs, cache.config)
    held = (tuple(g.project(frozenset(stage)) for g in groups) for stage in cache.stages)
    stages = tuple(
        _stage(groups_held, cache, len(positions))
        for groups_held, positions in zip(held, cache.stages, strict=True)
    )
    return VllmCacheLayout(
        cache=cache,
        groups=groups,
        equal_groups=_counted(groups),
        stages=stages,
        num_encoder_tokens=num_encoder_tokens,
    )


def _stage(groups: tuple[KVCacheGroup, ...], cache: VllmCache, num_layers: int) -> Stage:
    order = cache.config.kv_cache_layout
    width = 0
    if num_layers:
        check_layout(groups, order)
        width = block_bytes(groups, order)
    return Stage(num_layers=num_layers, groups=groups, block_bytes=width)


def _counted(groups: tuple[KVCacheGroup, ...]) -> tuple[tuple[KVCacheGroup, int], ...]:
    """One group for all that have the same specs, and how many those are."""
    counted: dict[tuple[int, ...], tuple[KVCacheGroup, int]] = {}
    for group in groups:
        specs = tuple(id(member.spec) for member in group.members)
        first, seen = counted.get(specs, (group, 0))
        counted[specs] = (first, seen + 1)
    return tuple(counted.values())


_KINDS = {
    "FullAttentionSpec": "full attention",
    "SlidingWindowSpec": "sliding window",
    "ChunkedLocalAttentionSpec": "chunked attention",
    "CrossAttentionSpec": "cross attention",
    "MambaSpec": "recurrent state",
    "SlidingWindowMLASpec": "sliding latent attention",
    "CircularBufferSpec": "tokens to be compressed",
}


def _kind(member: LayerSet) -> str:
    spec = member.spec
    if isinstance(spec, MLAAttentionSpec):
        return "indexer keys" if spec.cache_role == "indexer" else "latent attention"
    return _KINDS[type(spec).__name__]


def _merged(layers: list[LayerBytes]) -> tuple[LayerBytes, ...]:
    """Entries of one kind together, in order of first appearance."""
    merged: dict[str, LayerBytes] = {}
    for one in layers:
        before = merged.get(one.kind)
        if before is not None:
            one = LayerBytes(  # noqa: PLW2901 - the sum takes its place
                one.kind,
                before.count + one.count,
                before.kv_bytes + one.kv_bytes,
                before.state_bytes + one.state_bytes,
            )
        merged[one.kind] = one
    return tuple(merged.values())
