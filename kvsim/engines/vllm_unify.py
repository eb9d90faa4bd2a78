"""Making layers alike enough to share memory: merging, promoting windows, equal pages."""

from collections.abc import Sequence
from dataclasses import fields, replace

from kvsim.engines.vllm_cache_group import LayerSet, layer_sets
from kvsim.engines.vllm_spec_base import AttentionSpec, KVCacheSpec
from kvsim.engines.vllm_specs import (
    ChunkedLocalAttentionSpec,
    FullAttentionSpec,
    MambaSpec,
    MLAAttentionSpec,
    SlidingWindowMLASpec,
    SlidingWindowSpec,
)
from kvsim.errors import UnsupportedError

ATTENTION_FIELDS = tuple(field.name for field in fields(AttentionSpec))
WINDOW_MLA_FIELDS = (
    "sliding_window",
    "extra_retained_tokens",
    "tokens_per_state",
    "cache_dtype_str",
    "model_version",
    "dcp_sharded",
    "max_tp_shards",
    "block_stride_alignment",
    "kernel_block_multiple",
)
"""What the engine compares of latent windows before it merges them."""


def merge_specs(specs: Sequence[KVCacheSpec]) -> KVCacheSpec | None:
    """One spec that serves all, or None.

    Full-attention specs may differ in a recorded window or chunk, as long as no two windows
    (or chunks, or one of each) meet. Windows over latent vectors need not even have equal
    pages: the engine compares none of their sizes. All others must be equal.

    Source:
        vLLM `KVCacheSpec.merge` and its overrides, vllm/v1/kv_cache_interface.py, 0.32.0.
    """
    first = specs[0]
    if isinstance(first, SlidingWindowMLASpec):
        same = all(_window_mla_key(spec) == _window_mla_key(first) for spec in specs)
        return replace(first, alignment=None) if same else None
    if isinstance(first, MLAAttentionSpec):
        return _merge_latent(specs)
    if all(spec == first for spec in specs[1:]):
        return first
    full = _plain_full(specs)
    return None if full is None else _merge_full(full)


def _merge_latent(specs: Sequence[KVCacheSpec]) -> MLAAttentionSpec | None:
    """The common spec of latent layers; it keeps the padded page but not the alignment."""
    bare = [replace(s, alignment=None) for s in specs if isinstance(s, MLAAttentionSpec)]
    return bare[0] if len(bare) == len(specs) and all(s == bare[0] for s in bare[1:]) else None


def _merge_full(full: Sequence[FullAttentionSpec]) -> FullAttentionSpec | None:
    windows = _recorded(full, "sliding_window")
    chunks = _recorded(full, "attention_chunk_size")
    if len(windows) + len(chunks) > 1:
        return None
    bare = [replace(spec, sliding_window=None, attention_chunk_size=None) for spec in full]
    if any(spec != bare[0] for spec in bare[1:]):
        return None
    return replace(
        bare[0],
        sliding_window=next(iter(windows), None),
        attention_chunk_size=next(iter(chunks), None),
    )


def _window_mla_key(spec: KVCacheSpec) -> tuple[object, ...]:
    return (type(spec), *(getattr(spec, name, None) for name in WINDOW_MLA_FIELDS))


def is_uniform_type(sets: Sequence[LayerSet]) -> bool:
    """Whether all layers need the same blocks at all times, though pages may differ.

    Source:
        vLLM `UniformTypeKVCacheSpecs.is_uniform_type`, vllm/v1/kv_cache_interface.py, 0.32.0.
    """
    first = sets[0].spec
    return all(are_uniform(first, one.spec) for one in sets)


def are_uniform(first: KVCacheSpec, other: KVCacheSpec) -> bool:
    """Whether `other` can join a uniform-type group that `first` opened."""
    return (
        other.block_size == first.block_size
        and other.dcp_sharded == first.dcp_sharded
        and first.is_uniform_with(other)
    )


def is_uniform_spec(sets: Sequence[LayerSet]) -> bool:
    """Whether one spec serves all layers.

    Raises:
        UnsupportedError: if full-attention layers record several windows; the engine stops.

    Source:
        vLLM `is_kv_cache_spec_uniform`, vllm/v1/core/kv_cache_utils.py, 0.32.0.
    """
    specs = [one.spec for one in sets]
    full = _plain_full(specs)
    for name in ("sliding_window", "attention_chunk_size"):
        sizes = _recorded(full, name) if full else set()
        if len(sizes) > 1:
            shown = " and ".join(map(str, sorted(sizes)))
            msg = f"{name}={shown} must be equal: vLLM puts these layers into one group"
            raise UnsupportedError(msg)
    return merge_specs(specs) is not None


def promote_all(sets: Sequence[LayerSet]) -> tuple[LayerSet, ...]:
    """Windows and chunks kept as full attention: the hybrid manager is disabled.

    Layers that decode-context ranks replicate are promoted apart from the others.

    Source:
        vLLM `unify_hybrid_kv_cache_specs`, vllm/v1/core/kv_cache_utils.py, 0.32.0.
    """
    promoted: list[tuple[KVCacheSpec, Sequence[int]]] = []
    for replicated in (False, True):
        part = [one for one in sets if _is_replicated(one.spec) == replicated]
        if part:
            promoted += ((one.spec, one.layers) for one in promote_local(part))
    return layer_sets(promoted)


def promote_local(sets: Sequence[LayerSet]) -> tuple[LayerSet, ...]:
    """Windows and chunks beside full attention, as full attention of the same block size.

    Raises:
        UnsupportedError: if the layers still need different blocks; the engine stops.

    Source:
        vLLM `_promote_local_kv_cache_specs`, vllm/v1/core/kv_cache_utils.py, 0.32.0.
    """
    if is_uniform_spec(sets) or is_uniform_type(sets):
        return tuple(sets)
    full_sizes = {one.spec.block_size for one in sets if isinstance(one.spec, FullAttentionSpec)}
    block_size = next(iter(full_sizes)) if len(full_sizes) == 1 else None
    promoted = layer_sets(
        (_promoted(one.spec, block_size) if full_sizes else one.spec, one.layers) for one in sets
    )
    if not (is_uniform_spec(promoted) or is_uniform_type(promoted)):
        kinds = ", ".join(sorted({type(one.spec).__name__ for one in promoted}))
        msg = f"disable_hybrid_kv_cache_manager: vLLM cannot keep {kinds} as one kind of layer"
        raise UnsupportedError(msg)
    return promoted


def unify_page_sizes(sets: Sequence[LayerSet]) -> tuple[LayerSet, ...] | None:
    """All pages as large as the largest; None if a layer can neither grow nor be padded.

    A state is padded. Attention takes larger blocks where the page divides the largest, and is
    padded where not; MLA cannot be padded, because it reads whole token rows.

    Source:
        vLLM `unify_kv_cache_spec_page_size`, vllm/v1/core/kv_cache_utils.py, 0.32.0.
    """
    page = max(one.spec.page_size_bytes for one in sets)
    unified: list[tuple[KVCacheSpec, Sequence[int]]] = []
    for one in sets:
        spec = one.spec
        if spec.page_size_bytes != page:
            grown = _with_page(spec, page)
            if grown is None:
                return None
            spec = grown
        unified.append((spec, one.layers))
    return layer_sets(unified)


def _with_page(spec: KVCacheSpec, page: int) -> KVCacheSpec | None:
    grown: KVCacheSpec
    if isinstance(spec, MambaSpec):
        grown = replace(spec, page_size_padded=page)
    elif page % spec.page_size_bytes == 0:
        grown = spec.with_block_size(spec.block_size * (page // spec.page_size_bytes))
    elif isinstance(spec, AttentionSpec) and not isinstance(spec, MLAAttentionSpec):
        grown = replace(spec, page_size_padded=page)
    else:
        return None
    if grown.page_size_bytes != page:
        msg = (
            f"page_size_bytes={spec.page_size_bytes} of {type(spec).__name__} cannot become "
            f"{page}: its own padding stands against it, and vLLM stops"
        )
        raise UnsupportedError(msg)
    return grown


def _plain_full(specs: Sequence[KVCacheSpec]) -> list[FullAttentionSpec] | None:
    """The specs, if all are full attention and none is MLA."""
    plain = [
        spec
        for spec in specs
        if isinstance(spec, FullAttentionSpec) and not isinstance(spec, MLAAttentionSpec)
    ]
    return plain if len(plain) == len(specs) else None


def _recorded(specs: Sequence[FullAttentionSpec], name: str) -> set[int]:
    return {size for spec in specs if (size := getattr(spec, name)) is not None}


def _is_replicated(spec: KVCacheSpec) -> bool:
    return isinstance(spec, AttentionSpec) and not spec.dcp_sharded


def _promoted(spec: KVCacheSpec, block_size: int | None) -> KVCacheSpec:
    if isinstance(spec, SlidingWindowMLASpec):
        msg = (
            f"sliding_window={spec.sliding_window} over latent vectors: vLLM 0.32.0 "
            "cannot keep it as full attention"
        )
        raise UnsupportedError(msg)
    if not isinstance(spec, SlidingWindowSpec | ChunkedLocalAttentionSpec):
        return spec
    values = {name: getattr(spec, name) for name in ATTENTION_FIELDS}
    size = spec.block_size if block_size is None else block_size
    values["block_size"] = size
    if spec.page_size_padded is not None:
        content = spec.unpadded_page_size_bytes * size // spec.block_size
        values["page_size_padded"] = max(spec.page_size_padded, content)
    return FullAttentionSpec(
        sliding_window=getattr(spec, "sliding_window", None),
        attention_chunk_size=getattr(spec, "attention_chunk_size", None),
        **values,
    )
