"""Groups of layers whose pages differ, packed side by side in block-outermost memory."""

from collections.abc import Sequence
from dataclasses import dataclass

from kvsim.engines.vllm_cache_group import (
    KVCacheGroup,
    LayerSet,
    positions,
    uniform_type_group,
)
from kvsim.engines.vllm_specs import CircularBufferSpec, MambaSpec, SlidingWindowSpec
from kvsim.engines.vllm_unify import are_uniform
from kvsim.errors import UnsupportedError
from kvsim.units import ceil_div


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bucket:
    """Layers that could share a block table, by page; pages in order of appearance."""

    sets: tuple[LayerSet, ...]
    by_page: dict[int, tuple[int, ...]]

    @property
    def is_balanced(self) -> bool:
        """As many layers of each page: the bucket repeats a pattern of one layer per page."""
        return len({len(layers) for layers in self.by_page.values()}) == 1

    @property
    def num_repeats(self) -> int:
        """Layers of the commonest page."""
        return max(len(layers) for layers in self.by_page.values())

    @property
    def num_layers(self) -> int:
        """Layers of all pages."""
        return sum(len(layers) for layers in self.by_page.values())

    def widest_group_bytes(self, num_groups: int) -> int:
        """Bytes of one block in the largest of the groups that the bucket is split into."""
        return sum(ceil_div(len(ids), num_groups) * page for page, ids in self.by_page.items())


def packed_groups(sets: Sequence[LayerSet]) -> tuple[KVCacheGroup, ...]:
    """Uniform-type groups of about equal width.

    Buckets that mix pages stay whole per repeat of their pattern; larger ones are split towards
    the same number of repeats. States are split further, so that they never widen a block.

    Source:
        vLLM `_get_packed_kv_cache_groups`, vllm/v1/core/kv_cache_utils.py, 0.32.0.
    """
    buckets = _bucket(sets)
    repeats = _repeats_per_group(buckets)
    splits = [_split(bucket, repeats) for bucket in buckets]
    block_bytes = max(
        bucket.widest_group_bytes(bucket.num_layers if _is_state(bucket, repeats) else split)
        for bucket, split in zip(buckets, splits, strict=True)
    )
    groups: list[KVCacheGroup] = []
    for bucket, split in zip(buckets, splits, strict=True):
        num_groups = split
        if _is_state(bucket, repeats):
            states = max(block_bytes // bucket.sets[0].spec.page_size_bytes, 1)
            num_groups = max(split, ceil_div(bucket.num_layers, states))
        groups += _deal(bucket, num_groups)
    return tuple(groups)


def _bucket(sets: Sequence[LayerSet]) -> list[_Bucket]:
    found: list[list[LayerSet]] = []
    for one in sets:
        for bucket in found:
            if are_uniform(bucket[0].spec, one.spec):
                bucket.append(one)
                break
        else:
            found.append([one])
    return [_with_pages(bucket) for bucket in found]


def _with_pages(sets: Sequence[LayerSet]) -> _Bucket:
    by_page: dict[int, tuple[int, ...]] = {}
    for one in sets:
        page = one.spec.page_size_bytes
        by_page[page] = tuple(sorted((*by_page.get(page, ()), *one.layers)))
    return _Bucket(sets=tuple(sets), by_page=by_page)


def _repeats_per_group(buckets: Sequence[_Bucket]) -> int | None:
    """Repeats that every group should cover; None if no bucket repeats a pattern of pages."""
    balanced = [bucket for bucket in buckets if bucket.is_balanced]
    mixed = [bucket.num_repeats for bucket in balanced if len(bucket.by_page) > 1]
    if not mixed:
        return None
    return approximate_gcd([bucket.num_repeats for bucket in balanced], lower_bound=max(mixed))


def approximate_gcd(values: Sequence[int], *, lower_bound: int) -> int:
    """The step to which rounding up all values adds least; the largest of equals.

    Source:
        vLLM `_approximate_gcd`, vllm/v1/core/kv_cache_utils.py, 0.32.0.

    Example:
        >>> approximate_gcd([40, 8, 8], lower_bound=4)
        8
    """
    steps = range(max(values), lower_bound - 1, -1)
    return min(steps, key=lambda step: sum(-value % step for value in values), default=lower_bound)


def _split(bucket: _Bucket, repeats: int | None) -> int:
    if bucket.is_balanced and repeats is not None:
        return ceil_div(bucket.num_repeats, repeats)
    return 1


def _is_state(bucket: _Bucket, repeats: int | None) -> bool:
    """Whether a bucket can be cut down to one layer per group: its pages repeat no pattern."""
    spec = bucket.sets[0].spec
    if isinstance(spec, MambaSpec | CircularBufferSpec):
        return True
    return repeats is None and isinstance(spec, SlidingWindowSpec)


def _deal(bucket: _Bucket, num_groups: int) -> list[KVCacheGroup]:
    if num_groups == 1:
        return [uniform_type_group(bucket.sets, positions(bucket.sets))]
    # A bucket of uneven pages loses its surplus here, as in the engine, which stops at the end.
    repeats = tuple(zip(*bucket.by_page.values(), strict=False))
    if num_groups > len(repeats):
        msg = (
            f"{bucket.num_layers} layers of pages {', '.join(map(str, bucket.by_page))} cannot be "
            f"dealt to {num_groups} groups: vLLM would leave one empty, and stops"
        )
        raise UnsupportedError(msg)
    return [
        uniform_type_group(
            bucket.sets, [layer for repeat in repeats[i::num_groups] for layer in repeat]
        )
        for i in range(num_groups)
    ]
