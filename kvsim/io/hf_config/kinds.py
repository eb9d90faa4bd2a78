"""Kind: what one layer is, whatever word a config used for it."""

from enum import StrEnum

from kvsim.errors import SpecError
from kvsim.io.hf_config.fields import Fields


class Kind(StrEnum):
    """What one layer is."""

    FULL = "full"
    SLIDING = "sliding"
    CHUNKED = "chunked"
    PROMPT_AND_WINDOW = "prompt and window"  # the whole prompt, and a window over what follows
    INDEXED = "indexed"  # full attention with keys of an indexer beside it
    COMPRESSED = "compressed"  # a window and compressed entries that an indexer picks from
    HEAVILY_COMPRESSED = "heavily compressed"  # a window and compressed entries, all attended
    STATE = "state"  # Mamba, gated delta rule, KDA, lightning: what the other fields say
    HYBRID = "hybrid"  # attention beside a state in one layer
    HYBRID_SLIDING = "hybrid sliding"
    CONV = "conv"  # short convolution
    RECURRENT = "recurrent"  # RG-LRU
    NONE = "none"  # MLP or MoE alone


WITH_ATTENTION = frozenset(Kind) - {Kind.STATE, Kind.CONV, Kind.RECURRENT, Kind.NONE}
"""Kinds that need heads."""


def check_count(f: Fields, field: str, entries: int, count: int | None) -> None:
    """SpecError unless a list has an entry for every layer."""
    if not entries or (count is not None and entries != count):
        stated = f.name_of("num_hidden_layers")
        msg = f"{field} has {entries} entries, {stated}={count}: they must agree"
        raise SpecError(msg)
