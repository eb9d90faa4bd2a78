"""transformers' cache: its settings, and where single models depart from the mechanism."""

from dataclasses import dataclass
from enum import StrEnum

from kvsim.dtypes import DType
from kvsim.errors import SpecError
from kvsim.specs.attention import check_positive
from kvsim.specs.option import option

NEWEST_TRANSFORMERS = "5.23.0"


class CacheImplementation(StrEnum):
    """The cache classes whose bytes are known."""

    DYNAMIC = "dynamic"
    STATIC = "static"
    QUANTIZED = "quantized"


class QuantizedBackend(StrEnum):
    """Who quantises a QuantizedCache."""

    QUANTO = "quanto"
    HQQ = "hqq"


BACKEND_BITS = {QuantizedBackend.QUANTO: (2, 4), QuantizedBackend.HQQ: (1, 2, 4, 8)}
"""Widths that a backend accepts and packs without gaps.

Source: transformers `QuantoQuantizedLayer` and `HQQQuantizedLayer`, cache_utils.py, 5.23.0.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transformers:
    """transformers' cache settings; `num_decoded_tokens` of the cached tokens came by decoding."""

    cache_implementation: CacheImplementation = option(
        CacheImplementation.DYNAMIC, "cache class: dynamic, static or quantized"
    )
    num_decoded_tokens: int | None = option(
        None, "decode steps after the prefill; 0: right after it (default: 1)"
    )
    live_only: bool = option(False, "count live tensors, not the storage that they pin")
    max_cache_len: int | None = option(None, "tokens that a static cache allocates")
    backend: QuantizedBackend = option(QuantizedBackend.QUANTO, "quantised cache: quanto or hqq")
    nbits: int = option(4, "quantised cache: bits per value")
    q_group_size: int = option(64, "quantised cache: values that share a scale and a zero point")
    residual_length: int = option(128, "quantised cache: decoded tokens kept before quantisation")

    def __post_init__(self) -> None:
        check_positive(q_group_size=self.q_group_size, residual_length=self.residual_length)
        decoded = self.num_decoded_tokens
        is_whole = isinstance(decoded, int) and not isinstance(decoded, bool)
        if decoded is not None and (not is_whole or decoded < 0):
            msg = f"num_decoded_tokens={decoded!r} must be a whole number >= 0"
            raise SpecError(msg)
        if self.max_cache_len is not None:
            check_positive(max_cache_len=self.max_cache_len)
        allowed = BACKEND_BITS[self.backend]
        if self.nbits not in allowed:
            msg = f"nbits={self.nbits} must be one of {allowed} with backend={self.backend}"
            raise SpecError(msg)


@dataclass(frozen=True, slots=True, kw_only=True)
class TransformersTraits:
    """Where transformers' cache of one model is not what the mechanism alone would keep.

    Source:
        Tiny models of each architecture, run with transformers 5.23.0: the recorded census.
    """

    caches: bool = True  # False: the implementation recomputes everything (GPT-1, XLM)
    caches_hidden_states: bool = False  # inputs of layers, and those of one dummy token (XLNet)
    repeats_kv_heads: bool = False  # every query head is cached (Falcon's new decoder)
    ignores_window: bool = False  # windowed layers keep every token (GPT-Neo)
    states_in_module: bool = False  # recurrent states are no part of the cache (RecurrentGemma)
    conv_dtype: DType | None = None  # convolution states in this format whatever the run's dtype
    index_dtype: DType | None = None  # indexer keys in this format whatever the run's dtype
    index_elems: int | None = None  # elements of an indexer entry, where it is not the key alone
