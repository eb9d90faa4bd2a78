"""Where transformers' cache of a model is not what its mechanism alone would keep."""

from kvsim.dtypes import FP32
from kvsim.io.hf_config.attention import INDEX_WIDTH_FIELDS
from kvsim.io.hf_config.fields import Fields
from kvsim.io.hf_config.towers import Tower
from kvsim.specs.transformers import TransformersTraits

BY_FAMILY = {
    **dict.fromkeys(("openai-gpt", "xlm", "flaubert"), TransformersTraits(caches=False)),
    "xlnet": TransformersTraits(caches_hidden_states=True),
    "gpt_neo": TransformersTraits(ignores_window=True),
    "recurrent_gemma": TransformersTraits(states_in_module=True),
    "inkling": TransformersTraits(conv_dtype=FP32),
    "inkling2": TransformersTraits(conv_dtype=FP32),
    "dots3_note": TransformersTraits(index_dtype=FP32),
}
"""Exceptions by the model type, or its family.

Source: tiny models of each, run with transformers 5.23.0: the recorded census.
"""

PACKS_POOLED_KEYS = frozenset(("glm5_next",))
"""Families whose indexer entry holds the key, its running pool, and a count."""


def transformers_traits(f: Fields, tower: Tower) -> TransformersTraits:
    """The exceptions of one model; most have none."""
    if tower.family in PACKS_POOLED_KEYS and f.has(*INDEX_WIDTH_FIELDS):
        return TransformersTraits(index_elems=2 * f.whole(*INDEX_WIDTH_FIELDS) + 1)
    if f.flag("new_decoder_architecture"):
        return TransformersTraits(repeats_kv_heads=True)
    return BY_FAMILY.get(tower.family, TransformersTraits())
