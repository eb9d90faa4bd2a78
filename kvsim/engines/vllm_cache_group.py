"""Layers that share a spec, and groups of layers that share a block table."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import reduce

from kvsim.engines.vllm_cache_config import VllmCacheConfig
from kvsim.engines.vllm_spec_base import KVCacheSpec
from kvsim.units import at_least

UNIFORM_TYPE = "UniformTypeKVCacheSpecs"


@dataclass(frozen=True, slots=True)
class LayerSet:
    """Layers of equal specs, by their position in the model, ascending."""

    spec: KVCacheSpec
    layers: tuple[int, ...]


def layer_sets(pairs: Iterable[tuple[KVCacheSpec, Sequence[int]]]) -> tuple[LayerSet, ...]:
    """Equal specs brought together, in the order in which they first appear in the model.

    Example:
        >>> layer_sets([])
        ()
    """
    merged: dict[KVCacheSpec, tuple[int, ...]] = {}
    for spec, layers in pairs:
        held = merged.get(spec)
        merged[spec] = tuple(layers) if held is None else tuple(sorted((*held, *layers)))
    sets = [LayerSet(spec, layers) for spec, layers in merged.items()]
    return tuple(sorted(sets, key=lambda one: one.layers[0]))


def collect_layers(layers: Sequence[KVCacheSpec]) -> tuple[LayerSet, ...]:
    """The distinct specs of a model; layers that share one object are not compared."""
    shared: dict[int, list[int]] = {}
    for position, spec in enumerate(layers):
        held = shared.get(id(spec))
        if held is None:
            shared[id(spec)] = [position]
        else:
            held.append(position)
    return layer_sets((layers[positions[0]], positions) for positions in shared.values())


def positions(sets: Iterable[LayerSet]) -> tuple[int, ...]:
    """All layers of the sets, in the model's order."""
    return tuple(sorted(layer for one in sets for layer in one.layers))


@dataclass(frozen=True, slots=True, kw_only=True)
class KVCacheGroup:
    """Layers under one block table: a block id means the same tokens in all of them.

    A group of equal specs has one member. A uniform-type group has a member per distinct
    spec; its page is the sum over its layers.

    Source:
        vLLM `KVCacheGroupSpec` and `UniformTypeKVCacheSpecs`, vllm/v1/kv_cache_interface.py.
    """

    layers: tuple[int, ...]  # in the engine's order; empty if this rank holds none of them
    members: tuple[LayerSet, ...]
    is_uniform_type: bool

    @property
    def spec(self) -> KVCacheSpec:
        """The first layer's spec, which stands for the group in the scheduler."""
        return self.members[0].spec

    @property
    def specs(self) -> tuple[KVCacheSpec, ...]:
        """The distinct specs of the group's layers."""
        return tuple(one.spec for one in self.members)

    @property
    def type_name(self) -> str:
        """The spec's class in vLLM."""
        return UNIFORM_TYPE if self.is_uniform_type else type(self.spec).__name__

    @property
    def block_size(self) -> int:
        """Tokens per block, on one decode-context rank."""
        return self.spec.block_size

    @property
    def page_size_bytes(self) -> int:
        """Bytes of a block: of one layer, or over all layers of a uniform-type group."""
        if not self.is_uniform_type:
            return self.spec.page_size_bytes
        return sum(len(one.layers) * one.spec.page_size_bytes for one in self.members)

    @property
    def per_layer_page_sizes(self) -> tuple[int, ...]:
        """The distinct pages of a uniform-type group, ascending; empty for others."""
        if not self.is_uniform_type:
            return ()
        return tuple(sorted({one.spec.page_size_bytes for one in self.members}))

    @property
    def unpadded_page_size_bytes(self) -> int | None:
        """What a padded page holds; None where nothing was padded."""
        if self.is_uniform_type or getattr(self.spec, "page_size_padded", None) is None:
            return None
        return self.spec.unpadded_page_size_bytes

    @property
    def sliding_window(self) -> int | None:
        """The window of the group's layers, if they have one."""
        return None if self.is_uniform_type else getattr(self.spec, "sliding_window", None)

    @property
    def attention_chunk_size(self) -> int | None:
        """The chunk of the group's layers, if they have one."""
        return None if self.is_uniform_type else getattr(self.spec, "attention_chunk_size", None)

    @property
    def pages_bytes(self) -> int:
        """Bytes of one block over the layers that this rank holds."""
        if not self.layers:
            return 0
        return sum(len(one.layers) * one.spec.page_size_bytes for one in self.members)

    @property
    def strides_bytes(self) -> int:
        """`pages_bytes`, each page rounded up to its layer's stride."""
        if not self.layers:
            return 0
        return sum(len(one.layers) * one.spec.stride_bytes for one in self.members)

    def max_blocks(self, config: VllmCacheConfig) -> int:
        """Most blocks that one request of `max_model_len` tokens holds in this group."""
        return reduce(at_least, (one.spec.max_blocks(config) for one in self.members))

    def project(self, held: Collection[int]) -> "KVCacheGroup":
        """The group on a rank that holds only some layers; its block table stays.

        Source:
            vLLM `_project_kv_cache_groups_to_worker`, vllm/v1/core/kv_cache_utils.py.
        """
        layers = tuple(layer for layer in self.layers if layer in held)
        if len(layers) == len(self.layers):
            return self
        if not layers:
            return replace(self, layers=())
        kept = (
            LayerSet(one.spec, tuple(layer for layer in one.layers if layer in held))
            for one in self.members
        )
        return replace(self, layers=layers, members=tuple(one for one in kept if one.layers))


def equal_group(spec: KVCacheSpec, layers: Sequence[int]) -> KVCacheGroup:
    """A group of equal layers."""
    return KVCacheGroup(
        layers=tuple(layers), members=(LayerSet(spec, tuple(layers)),), is_uniform_type=False
    )


def uniform_type_group(sets: Sequence[LayerSet], layers: Sequence[int]) -> KVCacheGroup:
    """A group over the given layers of several sets, each with its own spec."""
    if sum(len(one.layers) for one in sets) == len(layers):
        members = tuple(sets)
    else:
        chosen = set(layers)
        parts = (
            LayerSet(one.spec, tuple(layer for layer in one.layers if layer in chosen))
            for one in sets
        )
        members = tuple(one for one in parts if one.layers)
    return KVCacheGroup(layers=tuple(layers), members=members, is_uniform_type=True)
