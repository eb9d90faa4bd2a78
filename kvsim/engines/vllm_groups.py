"""Which layers share a block table: vLLM's groups, and the memory that one block takes."""

from collections.abc import Sequence
from dataclasses import replace
from math import gcd, lcm
from typing import NamedTuple

from kvsim.engines.vllm_cache_config import KVCacheLayout, MambaCacheMode, VllmCacheConfig
from kvsim.engines.vllm_cache_group import (
    KVCacheGroup,
    LayerSet,
    collect_layers,
    equal_group,
    layer_sets,
    positions,
    uniform_type_group,
)
from kvsim.engines.vllm_packing import packed_groups
from kvsim.engines.vllm_spec_base import KVCacheSpec
from kvsim.engines.vllm_specs import (
    ChunkedLocalAttentionSpec,
    MambaSpec,
    MLAAttentionSpec,
    SlidingWindowMLASpec,
    SlidingWindowSpec,
)
from kvsim.engines.vllm_unify import (
    is_uniform_spec,
    is_uniform_type,
    merge_specs,
    promote_all,
    promote_local,
    unify_page_sizes,
)
from kvsim.errors import SpecError, UnsupportedError
from kvsim.units import ceil_div, round_up

PADDED_GROUP_RATIO = 1.5
"""Below this ratio of the largest to the smallest bucket the smaller ones are padded.

A heuristic of the engine: `_get_kv_cache_groups_uniform_page_size`, 0.32.0.
"""


class BlockSizes(NamedTuple):
    """Tokens at which the scheduler aligns, and tokens per block hash."""

    scheduler: int
    hashing: int


def group_layers(
    layers: Sequence[KVCacheSpec], config: VllmCacheConfig
) -> tuple[KVCacheGroup, ...]:
    """Groups of a model's layers, in the engine's order; none for a model without a cache.

    Args:
        layers: one spec per layer in registration order, per rank of tensor parallelism.
        config: settings as resolved.

    Raises:
        UnsupportedError: where the engine itself stops.

    Source:
        vLLM `get_kv_cache_groups`, vllm/v1/core/kv_cache_utils.py, 0.32.0.
    """
    sets = _retain_for_speculation(collect_layers(layers), config)
    if not sets:
        return ()
    if config.disable_hybrid_kv_cache_manager:
        sets = promote_all(sets)
    if is_uniform_spec(sets):
        merged = merge_specs([one.spec for one in sets])
        return (equal_group(merged or sets[0].spec, positions(sets)),)
    if is_uniform_type(sets):
        return (uniform_type_group(sets, positions(sets)),)
    pages = {one.spec.page_size_bytes for one in sets}
    if config.kv_cache_layout.is_block_outermost and len(pages) > 1:
        return packed_groups(sets)
    unified = unify_page_sizes(sets)
    return _full_allocation_group(sets) if unified is None else _uniform_page_groups(unified)


def block_bytes(groups: Sequence[KVCacheGroup], layout: KVCacheLayout) -> int:
    """Bytes of one block over all layers: the widest group's, because groups share memory.

    Raises:
        UnsupportedError: if the rank holds no layer at all.

    Source:
        vLLM `_get_kv_cache_bytes_per_block`, vllm/v1/core/kv_cache_utils.py, 0.32.0.
    """
    if layout.is_block_outermost:
        widest = max(group.pages_bytes for group in groups)
        alignments = (
            one.spec.stride_alignment_bytes
            for group in groups
            for one in group.members
            if group.layers
        )
        width = round_up(widest, lcm(*alignments))
    else:
        width = max(group.strides_bytes for group in groups)
    if not width:
        msg = "rank_layers must name at least one layer per rank"
        raise UnsupportedError(msg)
    return width


def check_layout(groups: Sequence[KVCacheGroup], layout: KVCacheLayout) -> None:
    """UnsupportedError if the order of dimensions cannot hold these pages; the engine stops.

    Source:
        vLLM `validate_kv_cache_layout`, vllm/v1/core/kv_cache_utils.py, and
        `compute_layout_strides`, vllm/v1/kv_cache_interface.py, 0.32.0.
    """
    specs = [one.spec for group in groups for one in group.members if group.layers]
    pages = {spec.page_size_bytes for spec in specs}
    needs_apart = len(groups) > 1 and layout.is_layer_outermost
    if len(pages) > 1 and (needs_apart or not layout.is_block_compact):
        shown = ", ".join(map(str, sorted(pages)))
        msg = f"kv_cache_layout={layout} cannot hold pages of {shown} bytes side by side"
        raise UnsupportedError(msg)
    is_strided = not layout.is_block_outermost and any(spec.is_strided for spec in specs)
    if not layout.is_block_compact and (is_strided or any(spec.pads_heads for spec in specs)):
        msg = f"kv_cache_layout={layout} cannot pad pages: their heads lie apart"
        raise UnsupportedError(msg)


def resolve_block_sizes(groups: Sequence[KVCacheGroup], config: VllmCacheConfig) -> BlockSizes:
    """Tokens to which the scheduler rounds, and tokens per block hash.

    Raises:
        SpecError: if `prefix_match_unit` does not fit the groups.
        UnsupportedError: if compressed states do not fit the hashes; the engine stops.

    Source:
        vLLM `resolve_kv_cache_block_sizes`, vllm/v1/core/kv_cache_utils.py, 0.32.0.
    """
    if len(groups) <= 1:
        return _single_block_size(groups, config)
    sizes = [group.spec.tokens_per_block(config) for group in groups]
    scheduler = lcm(*sizes)
    states = [group.spec for group in groups if isinstance(group.spec, MambaSpec)]
    unaligned = any(spec.mamba_cache_mode is not MambaCacheMode.ALIGN for spec in states)
    if not config.enable_prefix_caching or unaligned:
        return BlockSizes(scheduler, scheduler)
    cached = [
        group.spec.tokens_per_block(config) for group in groups if group.spec.prefix_cacheable
    ]
    cached = cached or sizes
    hashing = config.prefix_match_unit or gcd(*cached)
    if any(size % hashing for size in cached):
        msg = f"prefix_match_unit={hashing} must divide the groups' block sizes {cached}"
        raise SpecError(msg)
    _check_compression(groups, _hit_alignment(groups, config, BlockSizes(scheduler, hashing)))
    return BlockSizes(scheduler, hashing)


def _retain_for_speculation(
    sets: tuple[LayerSet, ...], config: VllmCacheConfig
) -> tuple[LayerSet, ...]:
    """Windows keep the tokens that several speculative modules prefill again.

    Source:
        vLLM `get_kv_cache_configs`, vllm/v1/core/kv_cache_utils.py, 0.32.0.
    """
    extra = max(0, config.num_prefill_lookahead_tokens - 1)
    if not any(_retains(one.spec) != extra for one in sets if _has_window(one.spec)):
        return sets
    return layer_sets(
        (
            replace(one.spec, extra_retained_tokens=extra)
            if isinstance(one.spec, SlidingWindowSpec)
            else one.spec,
            one.layers,
        )
        for one in sets
    )


def _has_window(spec: KVCacheSpec) -> bool:
    return isinstance(spec, SlidingWindowSpec)


def _retains(spec: KVCacheSpec) -> int:
    return spec.extra_retained_tokens if isinstance(spec, SlidingWindowSpec) else 0


def _uniform_page_groups(sets: Sequence[LayerSet]) -> tuple[KVCacheGroup, ...]:
    """Buckets of equal layers, dealt to groups of equal size; the last groups hold fewer.

    Source:
        vLLM `_get_kv_cache_groups_uniform_page_size`, vllm/v1/core/kv_cache_utils.py, 0.32.0.
    """
    buckets = _mergeable(sets)
    sizes = [sum(len(one.layers) for one in bucket) for bucket in buckets]
    smallest, largest = min(sizes), max(sizes)
    group_size = largest if largest < PADDED_GROUP_RATIO * smallest else smallest
    groups: list[KVCacheGroup] = []
    for bucket, size in zip(buckets, sizes, strict=True):
        layers = [layer for one in bucket for layer in one.layers]
        num_groups = ceil_div(size, group_size)
        groups += (_merged_group(bucket, layers[i::num_groups]) for i in range(num_groups))
    return tuple(groups)


def _mergeable(sets: Sequence[LayerSet]) -> list[list[LayerSet]]:
    buckets: list[list[LayerSet]] = []
    for one in sets:
        for bucket in buckets:
            if merge_specs([*(held.spec for held in bucket), one.spec]) is not None:
                bucket.append(one)
                break
        else:
            buckets.append([one])
    return buckets


def _merged_group(bucket: Sequence[LayerSet], layers: Sequence[int]) -> KVCacheGroup:
    specs = [bucket[0].spec]
    if len(bucket) > 1:
        chosen = set(layers)
        specs = [one.spec for one in bucket if not chosen.isdisjoint(one.layers)]
    return equal_group(merge_specs(specs) or specs[0], layers)


def _full_allocation_group(sets: Sequence[LayerSet]) -> tuple[KVCacheGroup, ...]:
    """MLA beside windows whose pages cannot meet: every layer keeps every token.

    Source:
        vLLM `_try_get_full_allocation_fallback_groups`, vllm/v1/core/kv_cache_utils.py, 0.32.0.
    """
    specs = [one.spec for one in sets]
    has_both = any(isinstance(spec, MLAAttentionSpec) for spec in specs) and any(
        _has_window(spec) for spec in specs
    )
    barred = any(
        isinstance(spec, SlidingWindowMLASpec | ChunkedLocalAttentionSpec) for spec in specs
    )
    promoted = promote_local(sets) if has_both and not barred else ()
    if not promoted or not is_uniform_type(promoted):
        pages = ", ".join(str(page) for page in sorted({spec.page_size_bytes for spec in specs}))
        msg = f"pages of {pages} bytes cannot be made equal: vLLM pads no MLA page, and stops"
        raise UnsupportedError(msg)
    return (uniform_type_group(promoted, positions(promoted)),)


def _single_block_size(groups: Sequence[KVCacheGroup], config: VllmCacheConfig) -> BlockSizes:
    is_split = not groups or groups[0].spec.dcp_sharded
    size = config.block_size * (config.decode_context_parallel_size if is_split else 1)
    if groups and config.enable_prefix_caching and config.prefix_match_unit not in (None, size):
        msg = f"prefix_match_unit={config.prefix_match_unit} must be the block size {size}"
        raise SpecError(msg)
    return BlockSizes(size, size)


def _hit_alignment(
    groups: Sequence[KVCacheGroup], config: VllmCacheConfig, sizes: BlockSizes
) -> int:
    """Tokens to which prefix hits are rounded: fine where aligned states span several hashes."""
    ranks = config.decode_context_parallel_size
    for group in groups:
        spec = group.spec
        if isinstance(spec, MambaSpec) and spec.mamba_cache_mode is MambaCacheMode.ALIGN:
            spans = spec.block_size > sizes.hashing
            if spans or (ranks > 1 and spec.block_size == sizes.hashing):
                return sizes.hashing
    return sizes.scheduler


def _check_compression(groups: Sequence[KVCacheGroup], alignment: int) -> None:
    for group in groups:
        tokens = getattr(group.spec, "tokens_per_state", 1)
        if not group.spec.prefix_cacheable or not isinstance(tokens, int):
            continue
        if tokens > 1 and alignment % tokens:
            msg = f"tokens_per_state={tokens} must divide the prefix hits' {alignment} tokens"
            raise UnsupportedError(msg)
