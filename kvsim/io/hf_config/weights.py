"""Weights from the architecture: how many parameters of which role, layer by layer."""

from dataclasses import dataclass

from kvsim.errors import MissingFieldError, SpecError
from kvsim.io.hf_config.encoders import encoder_group, tower_params
from kvsim.io.hf_config.fields import Fields
from kvsim.io.hf_config.mixers import mixer_groups
from kvsim.io.hf_config.mlp import mlp_groups
from kvsim.io.hf_config.sizes import Sizes
from kvsim.io.hf_config.towers import TOWER_SECTIONS, class_default
from kvsim.message import Message
from kvsim.specs.model import Layer, Place, Shard, WeightGroup

UNTIED = frozenset(
    (
        *("aquila", "baichuan", "chatglm", "internlm2", "kimi_k2", "minimax_text_01", "phi3_v"),
        *("step3_text", "step3p5", "deepseek_vl_v2", "nemotron-nas", "internlm", "qwen"),
    )
)
"""Model types whose own code unties the output head when a file does not say."""

ROTARY = frozenset(("t5", "mt5", "umt5", "longt5", "switch_transformers", "pop2piano", "gptj"))
"""Families with `n_positions` and without a table of positions."""

POSITIONS_IN_ANOTHER_FIELD = frozenset(("opt",))


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """The groups of a model's weights; none where a field is missing, which `unknown` names."""

    groups: tuple[WeightGroup, ...] = ()
    unknown: str | None = None
    left_out: tuple[str, ...] = ()


def all_weights(
    f: Fields,
    top: Fields,
    sizes: Sizes,
    layers: tuple[Layer, ...],
    *,
    is_encoder_decoder: bool,
) -> Weights:
    """The language tower's weights and the other towers', as far as the config determines them."""
    try:
        groups = _language_groups(f, top, sizes, layers, is_encoder_decoder=is_encoder_decoder)
    except MissingFieldError as error:
        return Weights(unknown=error.words)
    left_out = []
    for section_name in TOWER_SECTIONS:
        section = top.section(section_name)
        if section is None:
            continue
        tower = section_name.removesuffix("_config") + " tower"
        try:
            params = tower_params(section, outer_type=sizes.tower.outer_type)
        except SpecError:  # a tower of its own kind: its fields mean something else
            params = None
        if params is None:
            left_out.append(Message("weights of the {tower}", tower=tower))
        else:
            groups.append(
                WeightGroup(name=tower, num_params=params, place=Place.FIRST, num_active=0)
            )
    return Weights(groups=tuple(g for g in groups if g.num_params), left_out=tuple(left_out))


def _language_groups(
    f: Fields,
    top: Fields,
    sizes: Sizes,
    layers: tuple[Layer, ...],
    *,
    is_encoder_decoder: bool,
) -> list[WeightGroup]:
    """Embeddings, mixers, feed-forwards, encoder and norms.

    Raises:
        MissingFieldError: if a size that the weights need is not stated.
    """
    groups = _embeddings(f, top, sizes)
    groups += mixer_groups(f, sizes, layers)
    groups += mlp_groups(f, sizes, layers)
    if is_encoder_decoder:
        groups.append(encoder_group(f, sizes))
    groups += _per_layer_inputs(f, sizes, len(layers))
    groups += _parallel_streams(f, sizes, len(layers))
    every_layer = tuple(range(len(layers)))
    groups.append(
        WeightGroup(
            name="norms",
            num_params=2 * sizes.hidden_size,
            layers=every_layer,
            shard=Shard.REPLICATED,
        )
    )
    return groups


def _embeddings(f: Fields, top: Fields, sizes: Sizes) -> list[WeightGroup]:
    vocab = f.whole("vocab_size")
    table = vocab * (f.size("word_embed_proj_dim") or sizes.hidden_size)
    tied = _is_tied(f, top, sizes)
    groups = [
        WeightGroup(
            name="embedding",
            num_params=table,
            place=Place.FIRST,
            num_active=table if tied else 0,  # tied: the same table is the output head
            pieces=(table,),
        )
    ]
    if not tied:
        head = WeightGroup(name="output head", num_params=table, place=Place.LAST, pieces=(table,))
        groups.append(head)
    positions = f.size("n_positions", "max_target_positions")
    if sizes.family in POSITIONS_IN_ANOTHER_FIELD:
        positions = f.whole("max_position_embeddings")
    if positions and sizes.family not in ROTARY:
        groups.append(_outside("positions", positions * sizes.hidden_size, Shard.REPLICATED))
    return groups


def _is_tied(f: Fields, top: Fields, sizes: Sizes) -> bool:
    """Whether the table of tokens is the output head too: the tower says, the whole, or its class.

    Source:
        transformers `PreTrainedConfig.tie_word_embeddings` is true unless a class says otherwise.
    """
    for fields in (f, top):
        if fields.states("tie_word_embeddings"):
            return fields.flag("tie_word_embeddings")
    for model_type in (sizes.tower.outer_type, sizes.model_type):
        default = class_default(model_type, "tie_word_embeddings")
        if default is not None:
            return bool(default)
    return sizes.model_type not in UNTIED


def _outside(name: str, params: int, shard: Shard = Shard.TENSOR) -> WeightGroup:
    """Weights before the first layer that are looked up, not multiplied with."""
    return WeightGroup(name=name, num_params=params, place=Place.FIRST, num_active=0, shard=shard)


def _per_layer_inputs(f: Fields, sizes: Sizes, num_layers: int) -> list[WeightGroup]:
    """Gemma's per-layer inputs: one small table a layer, and the matrices that mix them in."""
    width = f.size("hidden_size_per_layer_input")
    if width is None:
        return []
    vocab = f.whole("vocab_size_per_layer_input", "vocab_size")
    return [
        _outside("per-layer embedding", vocab * width * num_layers),
        WeightGroup(
            name="per-layer inputs",
            num_params=3 * sizes.hidden_size * width,  # from the embedding; gate; back
            layers=tuple(range(num_layers)),
        ),
    ]


def _parallel_streams(f: Fields, sizes: Sizes, num_layers: int) -> list[WeightGroup]:
    """Gemma-3n: AltUp's streams in and out of the layers, and Laurel's low rank beside them."""
    groups, h = [], sizes.hidden_size
    streams = f.size("altup_num_inputs")
    if streams:
        groups.append(_outside("parallel streams", 2 * (streams - 1) * h * h))
    rank = f.size("laurel_rank")
    if rank:
        every_layer = tuple(range(num_layers))
        groups.append(WeightGroup(name="laurel", num_params=2 * h * rank, layers=every_layer))
    return groups
