"""The ideal layout: live tokens only, no blocks, no padding; what the mechanism itself costs."""

from dataclasses import dataclass

from kvsim.dtypes import DType
from kvsim.engines.layout import LayerBytes, SequenceBytes
from kvsim.specs.engine import EngineName
from kvsim.specs.model import ModelSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class IdealLayout:
    """Bytes that the cache mechanism needs, before any engine rounds them up."""

    model: ModelSpec
    kv_dtype: DType
    dtype: DType  # the model's: convolution states follow it
    tensor_parallel_size: int = 1
    engine: EngineName = EngineName.IDEAL
    engine_version: str | None = None

    @property
    def not_modeled(self) -> tuple[str, ...]:
        """An engine's blocks, padding and reserved memory."""
        return ("block rounding, padding and reserved blocks of an engine",)

    def sequence(self, num_tokens: int) -> SequenceBytes:
        """Live tokens of every layer at their width, and the fixed states."""
        tp, marginal, layers = self.tensor_parallel_size, 0, []
        for group in self.model.layer_groups:
            kv = state = growth = 0
            for behaviour in group.layer:
                width = behaviour.token_bytes(self.kv_dtype, tensor_parallel_size=tp)
                live = behaviour.live_tokens(num_tokens)
                kv += live * width
                growth += (behaviour.live_tokens(num_tokens + 1) - live) * width
                state += behaviour.state_bytes(self.dtype, tensor_parallel_size=tp)
            layers.append(
                LayerBytes(group.kind, group.count, group.count * kv, group.count * state)
            )
            marginal += group.count * growth
        return SequenceBytes(tuple(layers), marginal)
