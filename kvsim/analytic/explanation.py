"""Why a cache takes what it takes: per group of layers the mechanism, its fields, its formula."""

import re
from dataclasses import dataclass

from kvsim.dtypes import DType
from kvsim.engines.ideal import IdealLayout
from kvsim.specs.attention import check_positive
from kvsim.specs.model import LayerGroup
from kvsim.specs.state import RecurrentState


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainedGroup:
    """Equal layers of one sequence in the ideal layout, and the config fields that decided them."""

    layers: str
    count: int
    mechanism: str
    decided_by: tuple[tuple[str, str], ...]  # field, value
    formula: str  # the length filled in
    kv_bytes: int
    state_bytes: int

    @property
    def total_bytes(self) -> int:
        """What the formula comes to."""
        return self.kv_bytes + self.state_bytes

    def as_dict(self) -> dict[str, object]:
        """The group as plain values."""
        return {
            "layers": self.layers,
            "count": self.count,
            "mechanism": self.mechanism,
            "fields": dict(self.decided_by),
            "formula": self.formula,
            "kv_bytes": self.kv_bytes,
            "state_bytes": self.state_bytes,
            "bytes": self.total_bytes,
        }


def explain_layers(layout: IdealLayout, *, num_tokens: int) -> tuple[ExplainedGroup, ...]:
    """Every group of equal layers, those without a cache included.

    Raises:
        SpecError: if there is less than one token.
    """
    check_positive(num_tokens=num_tokens)
    held = layout.sequence(num_tokens).layers
    return tuple(
        ExplainedGroup(
            layers=layer_ranges(group.indices),
            count=group.count,
            mechanism=group.kind,
            decided_by=group.decided_by,
            formula=_formula(group, layout, num_tokens),
            kv_bytes=part.kv_bytes,
            state_bytes=part.state_bytes,
        )
        for group, part in zip(layout.model.layer_groups, held, strict=True)
    )


def layer_ranges(indices: tuple[int, ...]) -> str:
    """Layer numbers as ranges.

    Example:
        >>> layer_ranges((0, 1, 2, 5, 7, 8))
        '0-2, 5, 7-8'
    """
    runs: list[list[int]] = []
    for i in indices:
        if runs and i == runs[-1][1] + 1:
            runs[-1][1] = i
        else:
            runs.append([i, i])
    return ", ".join(f"{a}-{b}" if a != b else f"{a}" for a, b in runs)


def _formula(group: LayerGroup, layout: IdealLayout, num_tokens: int) -> str:
    terms = [
        b.formula(_dtype_of(b, layout), tensor_parallel_size=layout.tensor_parallel_size)
        for b in group.layer
    ]
    if not terms:
        return "0"
    text = " + ".join(terms)
    noun = "layer" if group.count == 1 else "layers"
    filled_in = re.sub(r"\bn\b", str(num_tokens), text)
    return f"{group.count} {noun} x [{filled_in}]"


def _dtype_of(behaviour: object, layout: IdealLayout) -> DType:
    """States follow the model's format, everything else the cache's."""
    return layout.dtype if isinstance(behaviour, RecurrentState) else layout.kv_dtype
