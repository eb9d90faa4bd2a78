"""ModelSpec: what a model keeps per layer, and what its weights are."""

from dataclasses import dataclass, field, replace
from enum import StrEnum

from kvsim.dtypes import DType
from kvsim.errors import SpecError
from kvsim.message import Message
from kvsim.specs.attention import CacheBehaviour, CrossAttention, check_positive
from kvsim.specs.llama_cpp import LlamaCppTraits
from kvsim.specs.tensors import Tensor
from kvsim.specs.transformers import TransformersTraits
from kvsim.specs.vllm_traits import VllmTraits

Layer = tuple[CacheBehaviour, ...]
"""What one layer caches; empty for a layer without a cache."""

Fields = tuple[tuple[str, str], ...]
"""Names of config fields and their values, as text."""


class Shard(StrEnum):
    """How a group of weights divides over tensor-parallel ranks."""

    TENSOR = "tensor"  # split by every rank
    KV_HEADS = "kv heads"  # split as far as there are KV heads, then replicated
    EXPERTS = "experts"  # split like TENSOR, or whole experts per rank
    REPLICATED = "replicated"


class Place(StrEnum):
    """Where weights outside the layers live in a pipeline."""

    FIRST = "first stage"
    LAST = "last stage"


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightGroup:
    """Weights of one role: so many parameters in each of some layers, or once outside them."""

    name: str
    num_params: int  # of one layer, or of the whole group outside the layers
    layers: tuple[int, ...] = ()  # the layers that hold it
    place: Place | None = None  # set instead of `layers` for weights outside them
    num_active: int | None = None  # parameters that one token multiplies with; None: all of them
    shard: Shard = Shard.TENSOR
    num_kv_heads: int = 1  # for Shard.KV_HEADS
    quantized: bool = False  # whether a checkpoint's quantisation covers it
    pieces: tuple[int, ...] = ()  # parameters of each tensor that vLLM makes of it; empty: unknown

    def __post_init__(self) -> None:
        if self.pieces and sum(self.pieces) != self.num_params:
            msg = f"{self.name}: pieces={self.pieces} must add up to num_params={self.num_params}"
            raise SpecError(msg)
        if bool(self.layers) == (self.place is not None):
            msg = f"{self.name}: give either the layers that hold it or its place"
            raise SpecError(msg)

    @property
    def count(self) -> int:
        """How many times the group occurs in the model."""
        return len(self.layers) or 1

    @property
    def active(self) -> int:
        """Parameters of one occurrence that a token multiplies with."""
        return self.num_params if self.num_active is None else self.num_active


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantization:
    """How a checkpoint stores its quantised weights, and which groups those are."""

    method: str  # the checkpoint's own word
    format: DType
    only: tuple[str, ...] = ()  # names of the groups it covers; empty: all quantisable ones


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerGroup:
    """Layers that cache the same things; `decided_by` are config fields with their values."""

    layer: Layer
    indices: tuple[int, ...]
    decided_by: Fields = ()

    @property
    def count(self) -> int:
        """Number of layers."""
        return len(self.indices)

    @property
    def kind(self) -> str:
        """The behaviours' names, for tables."""
        return " + ".join(b.kind for b in self.layer) or "no cache"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSpec:
    """A model as its cache and its weights see it.

    `weights` is empty where the config does not determine them; `weights_unknown` then says
    which field is missing. `not_modeled` lists what a figure derived from this spec leaves out.
    """

    name: str
    hub_id: str | None = None  # what an engine is told to load; None for a config of no known home
    model_type: str
    dtype: DType
    layers: tuple[Layer, ...]
    hidden_size: int
    vocab_size: int
    num_attention_heads: int
    max_model_len: int | None = None
    weights: tuple[WeightGroup, ...] = ()
    weights_unknown: str | None = None
    quantization: Quantization | None = None
    is_multimodal: bool = False
    is_encoder_decoder: bool = False
    not_modeled: tuple[str, ...] = ()
    transformers: TransformersTraits = TransformersTraits()  # noqa: RUF009 - frozen
    vllm: VllmTraits = VllmTraits()  # noqa: RUF009 - frozen
    llama_cpp: LlamaCppTraits = LlamaCppTraits()  # noqa: RUF009 - frozen
    tensors: tuple[Tensor, ...] = field(default=(), repr=False, compare=False)  # of its files
    decided_by: tuple[Fields, ...] = field(default=(), repr=False, compare=False)  # layer by layer
    layer_groups: tuple[LayerGroup, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        check_positive(
            hidden_size=self.hidden_size,
            vocab_size=self.vocab_size,
            num_attention_heads=self.num_attention_heads,
        )
        if not self.layers:
            msg = f"{self.name}: num_hidden_layers=0 must be >= 1"
            raise SpecError(msg)
        if self.max_model_len is not None:
            check_positive(max_model_len=self.max_model_len)
        object.__setattr__(self, "layer_groups", _group(self.layers, self.decided_by))

    def __hash__(self) -> int:
        """Cheap: models are the keys under which engines remember their layouts."""
        return hash((self.name, self.model_type, self.hidden_size, len(self.layers)))

    @property
    def why_weights_are_unknown(self) -> Message:
        """A sentence for who needs them."""
        return Message.of_all([self.weights_unknown or "no weights are described"])

    def with_hub_id(self, hub_id: str) -> "ModelSpec":
        """The same model with the id that engines load it by."""
        return replace(self, hub_id=hub_id)

    def with_encoder_tokens(self, num_encoder_tokens: int) -> "ModelSpec":
        """The same model with the length of the encoder's output that cross attention caches."""
        layers = tuple(
            tuple(
                replace(b, num_encoder_tokens=num_encoder_tokens)
                if isinstance(b, CrossAttention)
                else b
                for b in layer
            )
            for layer in self.layers
        )
        return replace(self, layers=layers)

    @property
    def num_encoder_tokens(self) -> int | None:
        """Encoder output that cross attention caches; None without any, or where nobody said."""
        cross = (b for g in self.layer_groups for b in g.layer if isinstance(b, CrossAttention))
        return next((b.num_encoder_tokens for b in cross), None)

    @property
    def num_layers(self) -> int:
        """All layers, with and without a cache."""
        return len(self.layers)

    @property
    def num_kv_layers(self) -> int:
        """Layers that keep token-dependent entries of their own."""
        return sum(any(b.live_tokens(1) for b in layer) for layer in self.layers)

    @property
    def num_parameters(self) -> int | None:
        """All parameters; None where the config does not determine them."""
        if not self.weights:
            return None
        return sum(w.num_params * w.count for w in self.weights)

    @property
    def num_active_parameters(self) -> int | None:
        """Parameters that one token multiplies with; None where they are not determined."""
        if not self.weights:
            return None
        return sum(w.active * w.count for w in self.weights)

    @property
    def num_head_parameters(self) -> int:
        """Parameters of the output head, tied or not: it works on positions that are sampled."""
        heads = ("output head", "embedding")
        return next((w.active for name in heads for w in self.weights if w.name == name), 0)


def _group(layers: tuple[Layer, ...], decided_by: tuple[Fields, ...]) -> tuple[LayerGroup, ...]:
    """Equal layers together, in order of first appearance."""
    indices: dict[Layer, list[int]] = {}
    for i, layer in enumerate(layers):
        indices.setdefault(layer, []).append(i)
    return tuple(
        LayerGroup(
            layer=layer,
            indices=tuple(ix),
            decided_by=decided_by[ix[0]] if decided_by else (),
        )
        for layer, ix in indices.items()
    )
