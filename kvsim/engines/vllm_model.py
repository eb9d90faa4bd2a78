"""From a model's cache behaviours to the caches that vLLM registers, on one rank."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from kvsim.engines.vllm_behaviours import LayerSpecs
from kvsim.engines.vllm_cache_config import VllmCacheConfig
from kvsim.engines.vllm_spec_base import AttentionSpec, KVCacheSpec
from kvsim.specs.attention import CacheBehaviour, FullAttention, SharedCache
from kvsim.specs.latent import Indexer
from kvsim.specs.model import Layer, ModelSpec
from kvsim.specs.state import RecurrentState
from kvsim.specs.vllm_traits import VllmTraits, is_read_through


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisteredCache:
    """One attention or state module, in the order in which the engine builds them."""

    layer: int  # of the model; drafted layers count on
    spec: KVCacheSpec | None  # None: it stores nothing of its own
    shares_with: int | None = None  # position of the registered cache that it reads
    is_draft: bool = False
    tp_replicas: int = 1  # tensor-parallel ranks that hold the same content


@dataclass(frozen=True, slots=True)
class _Module:
    """One module of a layer: what it was built from, and its spec if it stores anything."""

    layer: int
    behaviour: CacheBehaviour
    spec: KVCacheSpec | None
    is_draft: bool


def register_caches(
    model: ModelSpec, specs: LayerSpecs, *, with_drafts: bool
) -> tuple[RegisteredCache, ...]:
    """Every cache of a model in registration order; equal layers share one spec object.

    Args:
        model: what each layer caches.
        specs: how the settings store a behaviour.
        with_drafts: whether the layers of multi-token prediction are built too.

    Source:
        vLLM's model classes and their `get_kv_cache_spec`, 0.32.0.
    """
    layers = model.layers if model.vllm.layers is None else model.vllm.layers
    modules = list(_modules(layers, specs, first=0, is_draft=False))
    if model.vllm.attention_first:
        modules.sort(key=lambda module: not isinstance(module.spec, AttentionSpec))
    if with_drafts:
        drafts = model.vllm.draft_layers
        modules += _modules(drafts, specs, first=model.num_layers, is_draft=True)
    return tuple(_placed(modules, model.vllm, specs.config))


def _modules(
    layers: Sequence[Layer], specs: LayerSpecs, *, first: int, is_draft: bool
) -> Iterator[_Module]:
    built: dict[tuple[Layer, bool], list[tuple[CacheBehaviour, KVCacheSpec | None]]] = {}
    for i, layer in enumerate(layers):
        skips = specs.skips(i)
        key = (layer, skips)
        if key not in built:
            built[key] = [
                (b, spec) for b in _in_order(layer) for spec in specs.build(b, layer, skips=skips)
            ]
        for behaviour, spec in built[key]:
            yield _Module(first + i, behaviour, spec, is_draft)


def _in_order(layer: Layer) -> Iterable[CacheBehaviour]:
    """The behaviours as the engine builds them: what attention reads through comes before it."""
    return sorted(layer, key=lambda b: not (isinstance(b, Indexer) or is_read_through(b, layer)))


def replicas(behaviour: CacheBehaviour, config: VllmCacheConfig) -> int:
    """Tensor-parallel ranks that hold a copy of each part of a cache.

    Decode-context ranks split the tokens of what would be copies.
    """
    tp, dcp = config.tensor_parallel_size, config.decode_context_parallel_size
    if isinstance(behaviour, FullAttention):
        return max(1, tp // behaviour.num_kv_heads // dcp)
    return 1 if isinstance(behaviour, RecurrentState) else max(1, tp // dcp)


def _placed(
    modules: Sequence[_Module], traits: VllmTraits, config: VllmCacheConfig
) -> Iterator[RegisteredCache]:
    last: dict[CacheBehaviour, int] = {}
    for position, module in enumerate(modules):
        shares = None
        if isinstance(module.behaviour, SharedCache):
            shares = last.get(module.behaviour.attention)
        else:
            last[module.behaviour] = position
        yield RegisteredCache(
            layer=module.layer,
            spec=None if traits.is_encoder_only else module.spec,
            shares_with=shares,
            is_draft=module.is_draft,
            tp_replicas=replicas(module.behaviour, config),
        )
