"""vLLM's layout of a model's cache: what a sequence holds, and what a pool holds."""

from dataclasses import dataclass, replace
from functools import lru_cache

from kvsim.dtypes import DType
from kvsim.engines.layout import LayerBytes, Pool, SequenceBytes
from kvsim.engines.vllm_cache_config import MambaCacheMode, VllmCacheConfig
from kvsim.engines.vllm_cache_group import KVCacheGroup, LayerSet
from kvsim.engines.vllm_groups import block_bytes, group_layers
from kvsim.engines.vllm_layout import NULL_BLOCKS
from kvsim.engines.vllm_model import align_hybrid, layer_specs
from kvsim.engines.vllm_spec_base import KVCacheSpec
from kvsim.engines.vllm_specs import (
    ChunkedLocalAttentionSpec,
    CrossAttentionSpec,
    MambaSpec,
    MLAAttentionSpec,
    SlidingWindowSpec,
)
from kvsim.specs.engine import EngineName, ResolvedVllm, Vllm
from kvsim.specs.model import ModelSpec
from kvsim.specs.parallel import Parallelism
from kvsim.units import ceil_div


REMEMBERED_LAYOUTS = 256
"""Layouts kept: grouping a hybrid's layers costs more than all that is asked of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VllmCacheLayout:
    """One model's cache on one rank: groups of layers that draw blocks from one pool."""

    config: VllmCacheConfig
    groups: tuple[KVCacheGroup, ...]
    equal_groups: tuple[tuple[KVCacheGroup, int], ...]  # groups that hold as many blocks, counted
    block_bytes: int
    num_gpu_blocks_override: int | None
    engine_version: str | None
    num_encoder_tokens: int
    engine: EngineName = EngineName.VLLM

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

        Windows hold the blocks that the window touches; a state holds the copies that the
        cache mode keeps.
        """
        layers, marginal = [], 0
        for group in self.groups:
            blocks = self._blocks(group.spec, num_tokens)
            is_state = isinstance(group.spec, MambaSpec)
            for member in group.members:
                held = blocks * len(member.layers) * member.spec.page_size_bytes
                kind = _kind(member)
                layers.append(
                    LayerBytes(
                        kind, len(member.layers), 0 if is_state else held, held if is_state else 0
                    )
                )
            padding = blocks * (self.block_bytes - group.pages_bytes)
            if padding:
                layers.append(LayerBytes("padding to the widest group", 0, padding, 0))
            if self._grows(group.spec, num_tokens):
                marginal += self.block_bytes // group.block_size
        return SequenceBytes(_merged(layers), marginal)

    def pool(self, available_bytes: int) -> Pool:
        """What a rank makes of its cache memory, and whether the engine would start.

        Source:
            vLLM `get_kv_cache_configs`, vllm/v1/core/kv_cache_utils.py, 0.32.0.
        """
        override = self.num_gpu_blocks_override
        blocks = available_bytes // self.block_bytes if override is None else override
        request_blocks = self._request_blocks(self.config)
        concurrency = blocks / request_blocks
        usable = blocks - NULL_BLOCKS
        longest = self.config.max_model_len if request_blocks <= usable else self._longest(usable)
        return Pool(
            num_gpu_blocks=blocks,
            reserved_blocks=NULL_BLOCKS,
            block_size=self.block_size,
            block_bytes=self.block_bytes,
            request_blocks=request_blocks,
            kv_cache_tokens=int(concurrency * self.config.max_model_len),
            max_concurrency=concurrency,
            longest_model_len=longest,
            refusal=None if request_blocks <= usable else self._refusal(longest),
        )

    def _request_blocks(self, config: VllmCacheConfig) -> int:
        return max(1, sum(n * group.max_blocks(config) for group, n in self.equal_groups))

    def _longest(self, usable_blocks: int) -> int:
        """The longest `max_model_len` whose request fits; 0 if none does."""
        low, high = 0, self.config.max_model_len if usable_blocks > 0 else 0
        while low < high:
            middle = (low + high + 1) // 2
            if self._request_blocks(replace(self.config, max_model_len=middle)) <= usable_blocks:
                low = middle
            else:
                high = middle - 1
        return low

    def _refusal(self, longest: int) -> str:
        hint = f"; at most {longest} tokens fit" if longest else ""
        return f"one request of max_model_len={self.config.max_model_len} does not fit{hint}"

    def _blocks(self, spec: KVCacheSpec, num_tokens: int) -> int:
        """Blocks that a sequence of `num_tokens` computed tokens holds in a group."""
        if isinstance(spec, MambaSpec):
            return spec.max_blocks(self.config)
        if isinstance(spec, CrossAttentionSpec):
            return ceil_div(self.num_encoder_tokens, spec.block_size)
        freed = 0
        if isinstance(spec, SlidingWindowSpec):
            freed = max(0, num_tokens - spec.sliding_window + 1) // spec.block_size
        elif isinstance(spec, ChunkedLocalAttentionSpec):
            chunk = spec.attention_chunk_size
            freed = (num_tokens - 1) // chunk * chunk // spec.block_size
        return ceil_div(num_tokens, spec.block_size) - freed

    def _grows(self, spec: KVCacheSpec, num_tokens: int) -> bool:
        if isinstance(spec, MambaSpec | CrossAttentionSpec):
            return False
        if isinstance(spec, SlidingWindowSpec):
            return num_tokens < spec.sliding_window
        if isinstance(spec, ChunkedLocalAttentionSpec):
            return num_tokens < spec.attention_chunk_size
        return True


@lru_cache(maxsize=REMEMBERED_LAYOUTS)
def vllm_cache_layout(
    model: ModelSpec,
    engine: Vllm,
    resolved: ResolvedVllm,
    parallel: Parallelism,
    *,
    kv_dtype: DType,
    dtype: DType,
) -> VllmCacheLayout:
    """A model's cache as vLLM would lay it out with these settings.

    Pipeline stages divide the layers; the stage with the widest block stands for the rank.

    Raises:
        SpecError: if the heads do not divide over the ranks.
        UnsupportedError: for a format or a layout that vLLM does not have.
    """
    tp = parallel.tensor_parallel_size
    blocks = align_hybrid(
        model,
        block_size=resolved.block_size,
        kv_dtype=kv_dtype,
        dtype=dtype,
        tensor_parallel_size=tp,
    )
    align = blocks.state_page_bytes is not None and resolved.enable_prefix_caching
    config = VllmCacheConfig(
        max_model_len=resolved.max_model_len,
        max_num_batched_tokens=resolved.max_num_batched_tokens,
        block_size=blocks.block_size,
        async_scheduling=resolved.async_scheduling,
        enable_prefix_caching=resolved.enable_prefix_caching,
        tensor_parallel_size=tp,
        pipeline_parallel_size=parallel.pipeline_parallel_size,
        mamba_cache_mode=MambaCacheMode.ALIGN if align else MambaCacheMode.NONE,
    )
    specs = layer_specs(
        model,
        config,
        kv_dtype=kv_dtype,
        dtype=dtype,
        tensor_parallel_size=tp,
        state_page_bytes=blocks.state_page_bytes,
    )
    groups = group_layers(specs, config)
    return VllmCacheLayout(
        config=config,
        groups=groups,
        equal_groups=_counted(groups),
        block_bytes=_widest_stage(groups, config, parallel, num_caches=len(specs)),
        num_gpu_blocks_override=engine.num_gpu_blocks_override,
        engine_version=resolved.engine_version,
        num_encoder_tokens=model.num_encoder_tokens or config.max_encoder_tokens,
    )


def _counted(groups: tuple[KVCacheGroup, ...]) -> tuple[tuple[KVCacheGroup, int], ...]:
    """One group for all that have the same specs, and how many those are."""
    counted: dict[tuple[int, ...], tuple[KVCacheGroup, int]] = {}
    for group in groups:
        specs = tuple(id(member.spec) for member in group.members)
        first, seen = counted.get(specs, (group, 0))
        counted[specs] = (first, seen + 1)
    return tuple(counted.values())


def _widest_stage(
    groups: tuple[KVCacheGroup, ...],
    config: VllmCacheConfig,
    parallel: Parallelism,
    *,
    num_caches: int,
) -> int:
    """Bytes of one block on the pipeline stage that holds most of it."""
    layout = config.kv_cache_layout
    if parallel.pipeline_parallel_size == 1:
        return block_bytes(groups, layout)
    return max(
        block_bytes(tuple(group.project(stage) for group in groups), layout)
        for stage in parallel.stage_layers(num_caches)
    )


_KINDS = {
    "FullAttentionSpec": "full attention",
    "SlidingWindowSpec": "sliding window",
    "ChunkedLocalAttentionSpec": "chunked attention",
    "CrossAttentionSpec": "cross attention",
    "MambaSpec": "recurrent state",
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
