"""How many tokens vLLM's native offload keeps in host memory: chunks, keys and groups."""

from dataclasses import dataclass

from kvsim.engines.vllm_cache_config import VllmCacheConfig
from kvsim.engines.vllm_cache_group import KVCacheGroup
from kvsim.engines.vllm_layout import VllmLayout
from kvsim.engines.vllm_specs import (
    CrossAttentionSpec,
    MambaSpec,
    MLAAttentionSpec,
    SlidingWindowMLASpec,
    SlidingWindowSpec,
)
from kvsim.errors import SpecError, UnsupportedError
from kvsim.message import Message
from kvsim.specs.attention import check_positive
from kvsim.specs.version import NEWEST_VLLM, parse_version
from kvsim.units import ceil_div, round_up

MAPPED_PAGE_BYTES = 4096
"""Chunks of a mapped region begin on a page: `SharedOffloadRegion.BLOCK_SIZE_ALIGNMENT`."""

FIRST_READ = (0, 29)
FIRST_WITHOUT_RINGS = (0, 32)
"""Versions whose connector was read; 0.32 leaves out groups that no prefix is found in, and
stores a latent cache of several groups once (0.29: of a single group)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OffloadedGroup:
    """One group of layers whose blocks are stored under keys of their own.

    A group that attends to every token stores every chunk of a prompt. One that attends to its
    end stores the last `tail_chunks`, and as many before every `segment_chunks`-th chunk where
    the retention interval asks for it.
    """

    index: int  # among the cache's groups
    tokens_per_chunk: int
    tail_chunks: int | None = None  # None: all
    segment_chunks: int | None = None  # None: at the prompt's end alone

    def chunks(self, num_tokens: int) -> int:
        """Chunks that a prompt of so many tokens leaves; a part of one is not stored."""
        whole = num_tokens // self.tokens_per_chunk
        if self.tail_chunks is None:
            return whole
        if self.segment_chunks is None:
            return min(whole, self.tail_chunks)
        segments, rest = divmod(whole, self.segment_chunks)
        tail = min(self.tail_chunks, self.segment_chunks)
        return segments * tail + min(rest, tail)


@dataclass(frozen=True, slots=True, kw_only=True)
class OffloadCapacity:
    """What a host tier of a size holds: equal chunks, one per key of (chunk of tokens, group).

    A chunk has room for a block of the widest group on every rank, whichever group's block it
    holds: G groups of equal blocks take G chunks for the tokens of one.
    """

    size_bytes: int  # asked, over all ranks
    num_chunks: int
    chunk_bytes: int  # in host memory, over all ranks, padded to pages
    block_bytes: int  # of one block on one rank
    copies: int  # ranks whose bytes a chunk holds
    blocks_per_chunk: int
    groups: tuple[OffloadedGroup, ...]
    engine_version: str

    @property
    def hit_tokens(self) -> int:
        """Tokens at whose multiples a prefix can be found."""
        return max(group.tokens_per_chunk for group in self.groups)

    def chunks(self, num_tokens: int) -> int:
        """Chunks that a prompt of so many tokens takes, over all groups."""
        return sum(group.chunks(num_tokens) for group in self.groups)

    def num_prompts(self, num_tokens: int) -> int:
        """Prompts of so many tokens that it holds at once, if they share nothing."""
        return self.num_chunks // max(1, self.chunks(num_tokens))

    def tokens(self, num_tokens: int) -> int:
        """Tokens of prompts of a length that it holds, shares of a prompt counted.

        Only what can be found again counts: whole chunks.

        Args:
            num_tokens: of each prompt (>= 1).

        Source:
            The upper bound that vLLM 53902 prints, for lengths that are whole chunks.
        """
        chunks = self.chunks(num_tokens)
        found = num_tokens - num_tokens % self.hit_tokens
        return self.num_chunks * found // chunks if chunks else 0

    @property
    def tokens_per_key(self) -> int:
        """Tokens of the largest group's chunks if it were alone: what the groups divide."""
        return self.num_chunks * self.hit_tokens


def vllm_offload(
    layout: VllmLayout,
    *,
    size_bytes: int,
    engine_version: str = NEWEST_VLLM,
    blocks_per_chunk: int = 1,
    retention_interval: int | None = 0,
) -> OffloadCapacity:
    """What `--kv-offloading-size` gives with the native backend.

    Args:
        layout: what the engine made of its memory: groups, and bytes of a block.
        size_bytes: host memory for the cache, of all ranks together.
        engine_version: whose rules apply.
        blocks_per_chunk: blocks that are stored under one key.
        retention_interval: tokens between windows and states that are kept; 0: at the end of a
            prompt alone, None: wherever a prefix can end.

    Raises:
        SpecError: if the size holds no chunk.
        UnsupportedError: for a version whose rules are not known, or groups that stop the engine.

    Source:
        vLLM `CPUOffloadingSpec`, vllm/v1/kv_offload/cpu/spec.py, and `build_offloading_config`,
        vllm/distributed/kv_transfer/kv_connector/v1/offloading/config.py, 0.32.0.

    Example:
        Llama-3-8B on one rank: 128 KiB per token.

        >>> from kvsim.engines.vllm_layer_spec import vllm_layer_spec
        >>> from kvsim.engines.vllm_layout import vllm_layout
        >>> layer = vllm_layer_spec("FullAttentionSpec", block_size=16, num_kv_heads=8,
        ...     head_size=128, dtype="bfloat16")
        >>> config = VllmCacheConfig(max_model_len=4080, max_num_batched_tokens=8192)
        >>> layout = vllm_layout([layer] * 32, config, available_bytes=2**29)
        >>> vllm_offload(layout, size_bytes=2**30).tokens(4096)
        8192
    """
    check_positive(blocks_per_chunk=blocks_per_chunk)
    groups = _selected(layout, engine_version)
    copies = 1 if _is_stored_once(layout, engine_version) else _world_size(layout.config)
    content = layout.bytes_per_block * copies * blocks_per_chunk
    chunk_bytes = round_up(content, MAPPED_PAGE_BYTES)
    if size_bytes < chunk_bytes:
        msg = Message(
            "kv_offloading_size of {size_bytes} bytes must hold a chunk of {chunk_bytes}",
            size_bytes=size_bytes,
            chunk_bytes=chunk_bytes,
        )
        raise SpecError(msg)
    return OffloadCapacity(
        size_bytes=size_bytes,
        num_chunks=size_bytes // chunk_bytes,
        chunk_bytes=chunk_bytes,
        block_bytes=layout.bytes_per_block,
        copies=copies,
        blocks_per_chunk=blocks_per_chunk,
        groups=tuple(
            _offloaded(index, group, layout, blocks_per_chunk, retention_interval)
            for index, group in groups
        ),
        engine_version=engine_version,
    )


def _selected(layout: VllmLayout, engine_version: str) -> list[tuple[int, KVCacheGroup]]:
    """The groups that take part, by their index.

    Source:
        vLLM `get_offloading_group_ids`, offloading/config.py, 0.32.0.
    """
    version = parse_version(engine_version)
    if version < FIRST_READ:
        msg = Message(
            "engine_version={engine_version}: its native offload is not known here; the rules "
            "were read in 0.29 and 0.32",
            engine_version=engine_version,
        )
        raise UnsupportedError(msg)
    if any(isinstance(group.spec, CrossAttentionSpec) for group in layout.groups):
        msg = Message("kv_offloading_size: vLLM takes no encoder-decoder model with a connector")
        raise UnsupportedError(msg)
    groups = [(i, g) for i, g in enumerate(layout.groups) if g.spec.prefix_cacheable]
    if version < FIRST_WITHOUT_RINGS and len(groups) < len(layout.groups):
        msg = Message(
            "engine_version={engine_version} stops at groups without prefix caching",
            engine_version=engine_version,
        )
        raise UnsupportedError(msg)
    hashing = layout.hash_block_size
    for _, group in groups:
        size = group.spec.tokens_per_block(layout.config)
        if size % hashing:
            msg = Message(
                "kv_offloading_size: blocks of {size} tokens must be multiples of the hash's "
                "{hashing}: vLLM stops (enable_prefix_caching must be on)",
                size=size,
                hashing=hashing,
            )
            raise UnsupportedError(msg)
    return groups


def _is_stored_once(layout: VllmLayout, engine_version: str) -> bool:
    """Whether all ranks hold the same latent cache, so that one of them is stored."""
    config, groups = layout.config, layout.groups
    tp = config.tensor_parallel_size
    kinds = (MLAAttentionSpec, SlidingWindowMLASpec)
    is_latent = any(isinstance(spec, kinds) for group in groups for spec in group.specs)
    if not is_latent or tp == 1 or layout.kv_tp_replicas != tp:
        return False
    if config.pipeline_parallel_size > 1 or config.decode_context_parallel_size > 1:
        return False
    if parse_version(engine_version) >= FIRST_WITHOUT_RINGS:
        return True
    return len(groups) == 1 and type(groups[0].spec) is MLAAttentionSpec


def _world_size(config: VllmCacheConfig) -> int:
    return config.tensor_parallel_size * config.pipeline_parallel_size


def _offloaded(
    index: int,
    group: KVCacheGroup,
    layout: VllmLayout,
    blocks_per_chunk: int,
    retention_interval: int | None,
) -> OffloadedGroup:
    """The chunks of a group that a later prompt could load.

    Source:
        vLLM `SlidingWindowManager.reachable_block_mask` and `MambaManager`'s,
        vllm/v1/core/single_type_kv_cache_manager.py, 0.32.0.
    """
    size = group.spec.tokens_per_block(layout.config) * blocks_per_chunk
    spec = group.spec
    if isinstance(spec, SlidingWindowSpec):
        tail = ceil_div(spec.sliding_window - 1 + spec.extra_retained_tokens, size)
    elif isinstance(spec, MambaSpec):
        tail = 1
    else:
        return OffloadedGroup(index=index, tokens_per_chunk=size)
    segment = None
    if retention_interval != 0:
        segment = (retention_interval or layout.scheduler_block_size) // size
    return OffloadedGroup(
        index=index,
        tokens_per_chunk=size,
        tail_chunks=tail,
        segment_chunks=None if segment is None else max(1, segment),
    )
