"""Why a pool holds what it holds: each pipeline stage's memory and request, part by part."""

from dataclasses import dataclass, replace

from kvsim.engines.vllm import VllmCacheLayout
from kvsim.engines.vllm_cache_group import KVCacheGroup
from kvsim.engines.vllm_costs import PoolCost, RequestCost, pool_cost, request_cost
from kvsim.engines.vllm_groups import resolve_block_sizes
from kvsim.engines.vllm_layout import RankPool, VllmLayout


@dataclass(frozen=True, slots=True, kw_only=True)
class StageWhy:
    """One pipeline stage on one of its tensor-parallel ranks.

    `num_gpu_blocks` is what this stage alone would have; the engine gives every stage the
    smallest of them. `request` is what one request of `max_model_len` takes here.
    """

    stage: int
    num_layers: int  # with a cache
    block_bytes: int
    num_gpu_blocks: int
    pool: PoolCost
    request: RequestCost


def explain_stages(layout: VllmCacheLayout, available_bytes: int) -> tuple[StageWhy, ...]:
    """Every stage's memory and request, whether or not the engine would start.

    Args:
        layout: the model's cache.
        available_bytes: cache memory of each rank.

    Returns:
        One entry per pipeline stage; the parts of a pool add up to `available_bytes`, those of
        a request to its blocks.
    """
    planned = _planned(layout, available_bytes)
    return tuple(_stage(layout, planned, i) for i in range(len(planned.ranks)))


def _planned(layout: VllmCacheLayout, available_bytes: int) -> VllmLayout:
    """The layout as the engine plans it, before it checks whether a request fits."""
    override = layout.config.num_gpu_blocks_override
    ranks = tuple(
        RankPool(
            available_bytes=available_bytes,
            planned_bytes=available_bytes if override is None else override * stage.block_bytes,
            groups=stage.groups,
            bytes_per_block=stage.block_bytes,
            num_null_blocks=layout.config.num_null_blocks,
        )
        for stage in layout.stages
    )
    pool = layout.pool(available_bytes)
    config = replace(layout.config, max_model_len=pool.max_model_len)
    return VllmLayout(
        config=config,
        ranks=ranks,
        num_blocks=pool.num_gpu_blocks,
        blocks_per_request=pool.request_blocks,
        block_sizes=resolve_block_sizes(layout.groups, config),
        kv_tp_replicas=1,
    )


def _stage(layout: VllmCacheLayout, planned: VllmLayout, index: int) -> StageWhy:
    rank = planned.ranks[index]
    copies = sum(_copied_bytes(layout, group, planned) for group in rank.groups)
    return StageWhy(
        stage=index,
        num_layers=layout.stages[index].num_layers,
        block_bytes=rank.bytes_per_block,
        num_gpu_blocks=rank.num_blocks,
        pool=pool_cost(planned, rank=index),
        request=replace(request_cost(planned, rank=index), replicated_bytes=copies),
    )


def _copied_bytes(layout: VllmCacheLayout, group: KVCacheGroup, planned: VllmLayout) -> int:
    """Bytes of a request that other tensor-parallel ranks hold too, in one group."""
    blocks, copied, copies = group.max_blocks(planned.config), 0, layout.cache.replicas
    for member in group.members if group.layers else ():
        page = member.spec.page_size_bytes
        for layer in member.layers:
            copied += blocks * page * (copies[layer] - 1) // copies[layer]
    return copied
