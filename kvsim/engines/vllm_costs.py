"""Where the memory of a vLLM layout goes: rounding, padding, null block, tokens in flight."""

from dataclasses import dataclass, fields

from kvsim.engines.vllm_cache_group import KVCacheGroup, LayerSet
from kvsim.engines.vllm_layout import RankPool, VllmLayout


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolCost:
    """One rank's cache memory in parts; they add up to what was available."""

    usable_bytes: int  # blocks that requests can take
    null_block_bytes: int  # the block that stands for "no block"
    remainder_bytes: int  # too little for another block
    other_ranks_bytes: int  # blocks given up because another rank has fewer
    override_bytes: int  # what `num_gpu_blocks_override` leaves; negative if it asks for more

    @property
    def total_bytes(self) -> int:
        """The rank's available memory."""
        return (
            self.usable_bytes
            + self.null_block_bytes
            + self.remainder_bytes
            + self.other_ranks_bytes
            + self.override_bytes
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestCost:
    """What one request of `max_model_len` takes of the pool, in parts that add up to it.

    `replicated_bytes` is no part of its own but the share that other tensor-parallel ranks
    hold too, as far as the specs say so.
    """

    live_bytes: int  # tokens and states that attention can still read; rounded down
    in_flight_bytes: int  # tokens kept until the steps under way are settled
    state_copies_bytes: int  # further copies of recurrent states
    block_rounding_bytes: int  # slots of whole blocks that no token fills
    page_padding_bytes: int  # pages larger than their content, to equal others or to be aligned
    group_padding_bytes: int  # groups narrower than the widest
    replicated_bytes: int

    @property
    def total_bytes(self) -> int:
        """The request's bytes, as the start-up check counts them."""
        return (
            self.live_bytes
            + self.in_flight_bytes
            + self.state_copies_bytes
            + self.block_rounding_bytes
            + self.page_padding_bytes
            + self.group_padding_bytes
        )


def pool_cost(layout: VllmLayout, *, rank: int = 0) -> PoolCost:
    """One rank's available memory, split into what requests can use and what they cannot.

    Example:
        >>> from kvsim.engines.vllm_cache_config import VllmCacheConfig
        >>> from kvsim.engines.vllm_layer_spec import vllm_layer_spec
        >>> from kvsim.engines.vllm_layout import vllm_layout
        >>> layer = vllm_layer_spec("FullAttentionSpec", block_size=16, num_kv_heads=8,
        ...     head_size=128, dtype="bfloat16")
        >>> config = VllmCacheConfig(max_model_len=64, max_num_batched_tokens=64)
        >>> pool_cost(vllm_layout([layer], config, available_bytes=400_000))
        PoolCost(usable_bytes=327680, null_block_bytes=65536, remainder_bytes=6784, \
other_ranks_bytes=0, override_bytes=0)
    """
    pool = layout.ranks[rank]
    width = pool.bytes_per_block
    null_bytes = min(pool.num_null_blocks, layout.num_blocks) * width
    return PoolCost(
        usable_bytes=layout.num_blocks * width - null_bytes,
        null_block_bytes=null_bytes,
        remainder_bytes=pool.planned_bytes - pool.num_blocks * width,
        other_ranks_bytes=(pool.num_blocks - layout.num_blocks) * width,
        override_bytes=pool.available_bytes - pool.planned_bytes,
    )


def request_cost(layout: VllmLayout, *, rank: int = 0) -> RequestCost:
    """One request of `max_model_len` on a rank, split by cause.

    Example:
        The window's last block is there because it may start inside one.

        >>> from kvsim.engines.vllm_cache_config import VllmCacheConfig
        >>> from kvsim.engines.vllm_layer_spec import vllm_layer_spec
        >>> from kvsim.engines.vllm_layout import vllm_layout
        >>> layer = vllm_layer_spec("SlidingWindowSpec", block_size=16, num_kv_heads=1,
        ...     head_size=64, dtype="bfloat16", sliding_window=32)
        >>> config = VllmCacheConfig(max_model_len=4096, max_num_batched_tokens=33)
        >>> cost = request_cost(vllm_layout([layer], config, available_bytes=2**20))
        >>> cost.live_bytes, cost.in_flight_bytes, cost.block_rounding_bytes
        (8192, 8192, 4096)
    """
    pool = layout.ranks[rank]
    costs = [_group_cost(group, pool, layout) for group in pool.groups]
    return RequestCost(
        **{part.name: sum(getattr(one, part.name) for one in costs) for part in fields(RequestCost)}
    )


def _group_cost(group: KVCacheGroup, pool: RankPool, layout: VllmLayout) -> RequestCost:
    blocks = group.max_blocks(layout.config)
    is_packed = layout.config.kv_cache_layout.is_block_outermost
    width = group.pages_bytes if is_packed else group.strides_bytes
    members = group.members if group.layers else ()
    costs = [_member_cost(one, blocks, layout) for one in members]
    parts = {
        part.name: sum(getattr(one, part.name) for one in costs) for part in fields(RequestCost)
    }
    parts["page_padding_bytes"] += blocks * (width - group.pages_bytes)
    parts["group_padding_bytes"] += blocks * (pool.bytes_per_block - width)
    return RequestCost(**parts)


def _member_cost(one: LayerSet, blocks: int, layout: VllmLayout) -> RequestCost:
    spec, count = one.spec, len(one.layers)
    content, page = count * spec.unpadded_page_size_bytes, count * spec.page_size_bytes
    held = spec.held_tokens(layout.config)
    live, in_flight, copied = (content * tokens // spec.block_size for tokens in held)
    replicas = spec.tp_replicas(layout.config)
    return RequestCost(
        live_bytes=live,
        in_flight_bytes=in_flight,
        state_copies_bytes=copied,
        block_rounding_bytes=blocks * content - live - in_flight - copied,
        page_padding_bytes=blocks * (page - content),
        group_padding_bytes=0,
        replicated_bytes=blocks * page * (replicas - 1) // replicas,
    )
