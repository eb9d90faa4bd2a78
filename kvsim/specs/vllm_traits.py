"""Where vLLM's classes build one model's cache in another way than its behaviours would say."""

from dataclasses import dataclass

from kvsim.specs.attention import CacheBehaviour, FullAttention
from kvsim.specs.state import RecurrentState


@dataclass(frozen=True, slots=True, kw_only=True)
class RotaryTable:
    """Cosines and sines that the engine keeps per position, on every rank, beside the weights."""

    num_positions: int
    width: int  # elements a position, cosines and sines together
    is_float32: bool = False  # else in the model's dtype
    is_float32_in_eager: bool = False  # where FlashInfer rotates: without compilation, on CUDA


@dataclass(frozen=True, slots=True, kw_only=True)
class VllmTraits:
    """What vLLM does with one model that its cache behaviours alone do not say.

    Source:
        vLLM's model classes, built on the meta device with 0.32.0: the recorded layer specs.
    """

    refusal: str | None = None  # why the engine's class does not build this model
    max_model_len: int | None = None  # what the engine derives from the config; None: nothing
    kv_cache_dtype: str | None = None  # what the checkpoint's quantisation makes of "auto"
    layers: tuple[tuple[CacheBehaviour, ...], ...] | None = None  # as the class builds them
    ignores_cache_dtype: bool = False  # attention is built without the cache's settings (Falcon)
    window_offset: int = 0  # tokens that the class adds to the config's window (Cohere2)
    attention_first: bool = False  # all attention is registered before all states (Zamba)
    is_pooling: bool = False  # served without generation
    is_encoder_only: bool = False  # attention that caches nothing
    item_tokens: int = 0  # of the longest image or video, where none is computed in pieces
    index_pool: int | None = None  # tokens per key of an indexer that pools them (GLM-5-Next)
    checkpoint_alignment: int | None = None  # tokens at which states are checkpointed in prefill
    draft_layers: tuple[tuple[CacheBehaviour, ...], ...] = ()  # what multi-token prediction adds
    rotary_tables: tuple[RotaryTable, ...] = ()  # one per distinct setting, shared by layers


def is_read_through(behaviour: CacheBehaviour, layer: tuple[CacheBehaviour, ...]) -> bool:
    """Whether a convolution serves the attention beside it: vLLM keeps it as a short window.

    Source:
        vLLM `InklingConvState`, recorded layer specs of 0.32.0.
    """
    if not isinstance(behaviour, RecurrentState) or behaviour.state_elems:
        return False
    return any(isinstance(b, FullAttention) for b in layer)


def keeps_state(behaviour: CacheBehaviour, layer: tuple[CacheBehaviour, ...]) -> bool:
    """Whether the engine keeps a state of its own for a behaviour, as it does for Mamba's."""
    return isinstance(behaviour, RecurrentState) and not is_read_through(behaviour, layer)
