"""Every layer of a model: what it caches, and which fields decided that."""

from collections.abc import Mapping

from kvsim.errors import SpecError
from kvsim.io.hf_config.attention import attention_layer, cross_attention, shared_indexers
from kvsim.io.hf_config.fields import Fields, show
from kvsim.io.hf_config.kinds import WITH_ATTENTION, Kind
from kvsim.io.hf_config.sizes import Sizes, overrides
from kvsim.io.hf_config.states import state_layer
from kvsim.specs.attention import FullAttention, SharedCache
from kvsim.specs.latent import Indexer, LatentAttention
from kvsim.specs.model import Fields as Decided
from kvsim.specs.model import Layer

WITH_STATE = frozenset((Kind.STATE, Kind.CONV, Kind.RECURRENT, Kind.HYBRID, Kind.HYBRID_SLIDING))
Built = tuple[Layer, Mapping[str, object]]


def build_layers(
    f: Fields,
    sizes: Sizes,
    kinds: tuple[Kind, ...],
    *,
    has_cross_attention: bool,
    already_used: Mapping[str, object],
) -> tuple[tuple[Layer, ...], tuple[Decided, ...]]:
    """What every layer caches, and the fields that decided it, layer by layer.

    Args:
        f: the language tower's fields.
        sizes: what the layers share.
        kinds: the kind of every layer.
        has_cross_attention: whether the layers also attend to an encoder.
        already_used: fields that decided the kinds.
    """
    common = f.fork()
    own = overrides(common, len(kinds))
    blocks = _blocks(common, len(kinds))
    shares_indexer = (False,) * len(kinds)
    if Kind.INDEXED in kinds:
        shares_indexer = shared_indexers(common, sizes, len(kinds))
    cross = _cross_layers(common, kinds, has_cross_attention=has_cross_attention)
    borrows = _borrowers(common, len(kinds))
    cache: dict[tuple[object, ...], tuple[Layer, Decided]] = {}
    layers, decided = [], []
    for i, kind in enumerate(kinds):
        path, values = own.get(i, ("", {}))
        values = {**values, **blocks.get(i, {})}
        asked = Kind.NONE if "no_op" in values else kind
        key = (asked, _fingerprint(values), shares_indexer[i], cross.get(i), i in borrows)
        if key not in cache:
            g = f.fork().overlaid(values, path) if values else f.fork()
            layer = _layer(g, sizes, asked, shares_indexer=shares_indexer[i], cross=cross.get(i))
            if i in borrows:
                layer = _borrowed(layer)
            used = {**already_used, **common.used, **g.used}
            cache[key] = (layer, tuple((name, show(value)) for name, value in used.items()))
        layers.append(cache[key][0])
        decided.append(cache[key][1])
    return tuple(layers), tuple(decided)


def _fingerprint(values: Mapping[str, object]) -> tuple[object, ...]:
    """What tells overrides apart; nested values by identity, whatever their depth."""
    return tuple(
        (name, str(value) if isinstance(value, str | int | float) else id(value))
        for name, value in sorted(values.items(), key=lambda item: str(item[0]))
    )


def _layer(
    f: Fields, sizes: Sizes, kind: Kind, *, shares_indexer: bool, cross: str | None
) -> Layer:
    if cross == "only":
        return (cross_attention(f, sizes),)
    layer: Layer = ()
    if kind in WITH_ATTENTION:
        layer += attention_layer(f, sizes, kind, shares_indexer=shares_indexer)
    if kind in WITH_STATE:
        layer += state_layer(f, sizes, kind)
    if cross == "beside":
        layer += (cross_attention(f, sizes),)
    return layer


def _cross_layers(
    f: Fields, kinds: tuple[Kind, ...], *, has_cross_attention: bool
) -> dict[int, str]:
    """Layers with cross attention: alone where a list names them, beside self-attention else."""
    only = f.wholes("cross_attention_layers")
    if only is not None:
        if any(i >= len(kinds) for i in only):
            msg = f"{f.name_of('cross_attention_layers')} names layer {max(only)} of {len(kinds)}"
            raise SpecError(msg)
        return dict.fromkeys(only, "only")
    return dict.fromkeys(range(len(kinds)), "beside") if has_cross_attention else {}


def _borrowers(f: Fields, num_layers: int) -> frozenset[int]:
    """Layers that read an earlier layer's keys and values."""
    shared = f.optional_whole("num_kv_shared_layers", low=0) or 0
    if shared >= num_layers:
        msg = f"num_kv_shared_layers={shared} must be < num_hidden_layers={num_layers}"
        raise SpecError(msg)
    sources = f.wholes("kv_source_layers")
    if sources is None:
        every = f.optional_whole("cla_share_factor") if f.flag("use_cla") else None
        by_factor = {i for i in range(num_layers) if i % (every or 1)}
        return frozenset(range(num_layers - shared, num_layers)) | by_factor
    if len(sources) != num_layers or any(
        source > i or sources[source] != source for i, source in enumerate(sources)
    ):
        msg = f"{f.name_of('kv_source_layers')} must name, for each layer, one that stores its own"
        raise SpecError(msg)
    return frozenset(i for i, source in enumerate(sources) if source != i)


def _borrowed(layer: Layer) -> Layer:
    """The layer without keys and values of its own; an indexer's keys stay."""
    return tuple(
        SharedCache(attention=b) if isinstance(b, FullAttention | LatentAttention) else b
        for b in layer
        if isinstance(b, FullAttention | LatentAttention | Indexer)
    )


def _blocks(f: Fields, num_layers: int) -> dict[int, Mapping[str, object]]:
    """Nemotron-NAS: `block_configs` give each layer its grouping, or no attention at all."""
    blocks = f.items("block_configs")
    if blocks is None:
        return {}
    if len(blocks) != num_layers:
        msg = f"{f.name_of('block_configs')} has {len(blocks)} entries for {num_layers} layers"
        raise SpecError(msg)
    found: dict[int, Mapping[str, object]] = {}
    heads = f.whole("num_attention_heads")
    for i, block in enumerate(blocks):
        attention = Fields(block if isinstance(block, Mapping) else {}).section("attention")
        if attention is None:
            msg = f"{f.name_of('block_configs')}.{i}.attention is missing, and it decides"
            raise SpecError(msg)
        if attention.flag("no_op") or attention.flag("replace_with_linear"):
            found[i] = {"no_op": True}
        else:
            per_group = attention.whole("n_heads_in_group")
            found[i] = {"num_key_value_heads": max(1, heads // per_group)}
    return found
