"""Which kind each layer is: explicit lists, letters, periods, and what files leave implicit."""

from kvsim.errors import SpecError, UnsupportedError
from kvsim.io.hf_config.fields import Fields
from kvsim.io.hf_config.implicit import FIELD_RULES, IMPLICIT, LIST_RULES
from kvsim.io.hf_config.kinds import Kind, check_count
from kvsim.io.hf_config.towers import Tower
from kvsim.io.limits import MAX_CONFIG_LAYERS

WORDS = {
    "full_attention": Kind.FULL,
    "attention": Kind.FULL,
    "global_attention": Kind.FULL,
    "global": Kind.FULL,
    "full": Kind.FULL,
    "sliding_attention": Kind.SLIDING,
    "sliding": Kind.SLIDING,
    "sliding_window": Kind.SLIDING,
    "sliding_window_attention": Kind.SLIDING,
    "local_attention": Kind.SLIDING,
    "local": Kind.SLIDING,
    "chunked_attention": Kind.CHUNKED,
    "reference_sliding_attention": Kind.PROMPT_AND_WINDOW,
    "indexed_attention": Kind.INDEXED,
    "deepseek_sparse_attention": Kind.INDEXED,
    "minimax_m3_sparse": Kind.INDEXED,
    "compressed_sparse_attention": Kind.COMPRESSED,
    "heavily_compressed_attention": Kind.HEAVILY_COMPRESSED,
    "linear_attention": Kind.STATE,
    "mamba": Kind.STATE,
    "mamba2": Kind.STATE,
    "kda": Kind.STATE,
    "gated_deltanet": Kind.STATE,
    "hybrid": Kind.HYBRID,
    "hybrid_sliding": Kind.HYBRID_SLIDING,
    "conv": Kind.CONV,
    "short_conv": Kind.CONV,
    "recurrent": Kind.RECURRENT,
    "mlp": Kind.NONE,
    "moe": Kind.NONE,
}
"""The words of `layer_types`, `layers_block_type` and `block_types`."""

LETTERS = {"M": Kind.STATE, "*": Kind.FULL, "-": Kind.NONE, "E": Kind.NONE}
"""The letters of Nemotron-H's `hybrid_override_pattern`."""

LAYER_COUNT_FIELDS = (
    "decoder_layers",
    "num_decoder_layers",
    "decoder_num_hidden_layers",
    "num_hidden_layers",
    "n_layer",
    "n_layers",
    "num_layers",
    "num_transformer_layers",
    "layers",
    "num_blocks",
)
LAYER_LIST_FIELDS = ("layer_types", "layers_block_type")

SUBLAYERS = {"longcat_flash": 2}
"""Attention layers in one layer of the count, where it is not one.

Source: transformers `LongcatFlashConfig.num_hidden_layers`, 5.23.0.
"""


def layer_kinds(f: Fields, tower: Tower) -> tuple[Kind, ...]:
    """The kind of every layer.

    Raises:
        SpecError: if the layer count is missing, or two fields disagree about the layers.
        UnsupportedError: for a layer word that no rule knows.
    """
    f.must_agree("num_hidden_layers", "n_layer", "n_layers", "num_transformer_layers")
    count = f.optional_whole(*LAYER_COUNT_FIELDS, high=MAX_CONFIG_LAYERS)
    stated = _stated(f, count)
    if stated:
        names = list(stated)
        for name in names[1:]:
            if stated[name] != stated[names[0]]:
                msg = f"{f.name_of(names[0])} and {f.name_of(name)} describe different layers"
                raise SpecError(msg)
        kinds = stated[names[0]]
    else:
        if count is None:
            count = f.whole("num_hidden_layers")  # raises, naming the usual field
        kinds = _derived(f, tower, count)
    return kinds if stated else _with_indexer(f, kinds)


def _stated(f: Fields, count: int | None) -> dict[str, tuple[Kind, ...]]:
    """The kinds by every field that lists them layer by layer."""
    found: dict[str, tuple[Kind, ...]] = {}
    for field in LAYER_LIST_FIELDS:
        if (words := f.texts(field)) is not None:
            found[field] = _from_words(f, field, words, count)
    if found and f.has("hybrid_layer_ids"):
        return found  # says again which of the words are hybrid
    if f.has("hybrid_override_pattern"):
        found["hybrid_override_pattern"] = _from_letters(f)
    if count is None:
        return found
    for field, rule in LIST_RULES.items():
        if f.has(field):
            found[field] = tuple(rule(f, count))
    return found


def _derived(f: Fields, tower: Tower, count: int) -> tuple[Kind, ...]:
    """The kinds by periods, by what the model type implies, or all alike."""
    for name, rule in FIELD_RULES.items():
        if f.has(name):
            return tuple(rule(f, count))
    for name in (tower.model_type, tower.family):
        if name in IMPLICIT:
            return tuple(IMPLICIT[name](f, count))
    return (_plain(f),) * (count * SUBLAYERS.get(tower.model_type, 1))


def _plain(f: Fields) -> Kind:
    """Layers of a model without a pattern: full, unless a window is stated but not placed."""
    if f.flag("use_sliding_window", default=True) and f.size("sliding_window"):
        msg = (
            f"{f.name_of('layer_types')} is missing: sliding_window="
            f"{f.raw('sliding_window')} does not say which layers it covers"
        )
        raise SpecError(msg)
    return Kind.FULL


def _with_indexer(f: Fields, kinds: tuple[Kind, ...]) -> tuple[Kind, ...]:
    """Latent attention with index sizes has an indexer in every full layer."""
    if Kind.INDEXED in kinds or not f.has("index_head_dim") or not f.has("kv_lora_rank"):
        return kinds
    return tuple(Kind.INDEXED if kind is Kind.FULL else kind for kind in kinds)


def _from_letters(f: Fields) -> tuple[Kind, ...]:
    field, pattern = f.name_of("hybrid_override_pattern"), f.raw("hybrid_override_pattern")
    if not isinstance(pattern, str) or not 1 <= len(pattern) <= MAX_CONFIG_LAYERS:
        msg = f"{field} must be a string of 1 to {MAX_CONFIG_LAYERS} layer letters"
        raise SpecError(msg)
    for letter in pattern:
        if letter not in LETTERS:
            msg = f"{field}: layer letter {letter!r} is not one of {' '.join(LETTERS)}"
            raise UnsupportedError(msg)
    check_count(
        f, field, len(pattern), f.optional_whole("num_hidden_layers", high=MAX_CONFIG_LAYERS)
    )
    return tuple(LETTERS[letter] for letter in pattern)


def _from_words(
    f: Fields, field: str, words: tuple[str, ...], count: int | None
) -> tuple[Kind, ...]:
    name = f.name_of(field)
    for word in words:
        if word not in WORDS:
            msg = f"{name}: layer kind {word[:40]!r} is not known"
            raise UnsupportedError(msg)
    draft = f.fork().optional_whole("num_nextn_predict_layers", low=0) or 0
    if count is not None and len(words) == count + draft:
        words = words[:count]  # the rest are draft layers
    check_count(f, name, len(words), count)
    return tuple(WORDS[word] for word in words)
