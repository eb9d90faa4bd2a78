"""SweepGrid: every combination of some values of some fields, in a fixed order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod

from kvsim.errors import SpecError
from kvsim.specs.sweep_fields import Value, checked_value, find_field

MAX_POINTS = 10_000_000
"""Most points of a grid: more rows than that are a mistake, or too many for one table."""

Point = Mapping[str, Value]
"""One value of every field."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """A field and its values, at least one, each once."""

    name: str
    values: tuple[Value, ...]

    def __post_init__(self) -> None:
        if not self.values:
            msg = f"{self.name}=[] must hold at least one value"
            raise SpecError(msg)
        seen: set[Value] = set()
        for value in self.values:
            if value in seen:
                msg = f"{self.name}={value!s:.40} must not be given twice"
                raise SpecError(msg)
            seen.add(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepGrid:
    """All combinations of the axes' values; the last axis varies fastest.

    Every point is planned, or with `simulate` served a workload.
    """

    axes: tuple[Axis, ...]
    simulate: bool = False

    def __post_init__(self) -> None:
        names = [axis.name for axis in self.axes]
        if "model" not in names:
            msg = f"grid={', '.join(names) or 'empty'} must name at least a model"
            raise SpecError(msg)
        blocks = self.simulate and "num_gpu_blocks_override" in names
        if "gpu" not in names and not blocks:
            or_blocks = " or num_gpu_blocks_override" if self.simulate else ""
            msg = f"grid={', '.join(names)} must name a gpu{or_blocks}"
            raise SpecError(msg)
        if self.num_points > MAX_POINTS:
            msg = f"grid={self.num_points:,} points must be at most {MAX_POINTS:,}"
            raise SpecError(msg)

    @property
    def num_points(self) -> int:
        """Combinations."""
        return prod(len(axis.values) for axis in self.axes)

    def values(self, name: str) -> tuple[Value, ...]:
        """A field's values; none where the grid does not name it."""
        return next((axis.values for axis in self.axes if axis.name == name), ())

    def as_dict(self) -> dict[str, object]:
        """The grid as plain values, as a sweep file has them."""
        mode = "simulate" if self.simulate else "plan"
        return {"mode": mode, "grid": {axis.name: list(axis.values) for axis in self.axes}}

    def point(self, index: int) -> Point:
        """The combination of that index, from 0 on.

        Example:
            >>> grid = sweep_grid({"model": "gpt2", "gpu": "h100", "block_size": [16, 32]})
            >>> grid.point(1)["block_size"]
            32
        """
        chosen: dict[str, Value] = {}
        for axis in reversed(self.axes):
            index, place = divmod(index, len(axis.values))
            chosen[axis.name] = axis.values[place]
        return {axis.name: chosen[axis.name] for axis in self.axes}


def sweep_grid(fields: Mapping[str, object], *, simulate: bool = False) -> SweepGrid:
    """A grid over fields of a plan or of a simulation; a field has one value, or a list of them.

    Args:
        fields: names to values: model, gpu and num_gpus, the engine's flags, degrees of
            parallelism; simulated: of the workload, too.
        simulate: whether each point serves a workload.

    Raises:
        SpecError: for an unknown field, a value that it cannot have, or no value at all.

    Example:
        >>> grid = sweep_grid(
        ...     {"model": "gpt2", "gpu": ["h100", "b200"], "max_model_len": [512, 1024]})
        >>> grid.num_points
        4
    """
    axes = []
    for name, given in fields.items():
        field = find_field(name, simulate=simulate)
        is_many = isinstance(given, Sequence) and not isinstance(given, str)
        values = tuple(given) if isinstance(given, Sequence) and is_many else (given,)
        axes.append(Axis(name=name, values=tuple(checked_value(field, v) for v in values)))
    return SweepGrid(axes=tuple(axes), simulate=simulate)
