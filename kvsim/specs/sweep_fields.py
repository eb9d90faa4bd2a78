"""Fields that a sweep can vary: those of plans and simulations, with the type of their values."""

import dataclasses
import types
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum
from functools import cache
from typing import Any, get_args, get_origin

from kvsim.errors import SpecError
from kvsim.specs.efficiencies import Efficiencies
from kvsim.specs.engine import Vllm
from kvsim.specs.limits import ServiceLimits
from kvsim.specs.offload import Offload
from kvsim.specs.parallel import Parallelism
from kvsim.specs.workload import PoissonTraffic
from kvsim.units import parse_bytes

Value = str | int | float | bool | tuple[str, ...]
"""What a field can hold; a field that is not named keeps its default."""

STATED_BYTES = (
    "weights_bytes",
    "activation_peak_bytes",
    "non_torch_bytes",
    "cuda_graph_bytes",
)
"""Parts of the budget that a user measured, in place of the estimate."""

DEVICE_BYTES = (
    "free_bytes",
    "other_processes_bytes",
    "host_memory_bytes",
    "weights_on_host_bytes",
)
"""What `Deployment` knows of the device's memory under the same names."""

SERVING = (PoissonTraffic, Offload, Efficiencies, ServiceLimits)
"""What a simulation is told beside the deployment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """A field's name and the type of its values: int, float, bool, str or tuple."""

    name: str
    kind: type
    choices: tuple[str, ...] = ()

    @property
    def is_size(self) -> bool:
        """Whether it also takes text such as 24GiB."""
        return self.name.endswith("_bytes")


@cache
def sweep_fields(*, simulate: bool) -> dict[str, Field]:
    """Every field of a plan, or of a simulation, by name."""
    names = {"model": str, "gpu": str, "num_gpus": int}
    if simulate:
        names |= {"workload": str, "trace": str, "seed": int}
        names |= {"step_time_s": float, "acceptance_rate": float, "watermark": float}
        names |= {"weights_bytes": int}
    else:
        names |= {"concurrent_requests": int}
        names |= dict.fromkeys((*STATED_BYTES, *DEVICE_BYTES), int)
    fields = {name: Field(name=name, kind=kind) for name, kind in names.items()}
    for spec in (Vllm, Parallelism, *(SERVING if simulate else ())):
        fields |= {field.name: field for field in _fields_of(spec)}
    return fields


def find_field(name: str, *, simulate: bool) -> Field:
    """The field of that name.

    Raises:
        SpecError: for a name that there is not, with the nearest one.
    """
    known = sweep_fields(simulate=simulate)
    if name in known:
        return known[name]
    near = get_close_matches(name, known, n=1)
    hint = f", did you mean {near[0]}?" if near else ""
    what = "simulation" if simulate else "plan"
    msg = f"field={name[:40]} must be one of a {what}'s{hint}"
    raise SpecError(msg)


def checked_value(field: Field, value: object) -> Value:
    """A value of the field's type; a size may be text, a whole number stands for a float.

    Raises:
        SpecError: for a value of another type, or that is not among the choices.
    """
    if field.is_size and isinstance(value, str):
        return parse_bytes(value, field=field.name)
    if field.kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if field.kind is tuple and isinstance(value, list | tuple):
        if all(isinstance(one, str) for one in value):
            return tuple(value)
    elif isinstance(value, str | int | float) and _is_of(field, value):
        return _chosen(field, value) if field.choices else value
    msg = f"{field.name}={str(value)[:40]!r} must be {_WORDS[field.kind]}"
    raise SpecError(msg)


def parsed_value(field: Field, text: str) -> Value:
    """A value from a flag's text; names of a list are joined by +.

    Raises:
        SpecError: for text that is no such value.

    Example:
        >>> parsed_value(find_field("block_size", simulate=False), "16")
        16
    """
    try:
        if field.kind is int and not field.is_size:
            return int(text)
        if field.kind is float:
            return float(text)
    except ValueError:
        return checked_value(field, text)  # refuses it
    if field.kind is bool and text in ("true", "false"):
        return text == "true"
    if field.kind is tuple:
        return tuple(text.split("+")) if text else ()
    return checked_value(field, text)


def _is_of(field: Field, value: str | float) -> bool:
    """Whether the value has the field's type; true is no whole number."""
    return type(value) is field.kind or (field.kind is str and isinstance(value, str))


def _chosen(field: Field, value: object) -> Value:
    """The member of the field's enum that the text names."""
    for member in field.choices:
        if member == value:
            return member
    msg = f"{field.name}={str(value)[:40]} must be one of {', '.join(field.choices)}"
    raise SpecError(msg)


_WORDS = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "text",
    tuple: "a list of names",
}


def _fields_of(spec: type[Any]) -> Iterator[Field]:
    for one in dataclasses.fields(spec):
        kind = _plain_type(one.type)
        if issubclass(kind, StrEnum):
            yield Field(name=one.name, kind=str, choices=tuple(kind))
        else:
            yield Field(name=one.name, kind=kind)


def _plain_type(annotation: object) -> type:
    """`int` of `int | None`, `tuple` of `tuple[str, ...]`."""
    if get_origin(annotation) is types.UnionType:
        annotation = next(t for t in get_args(annotation) if t is not types.NoneType)
    found = get_origin(annotation) or annotation
    if not isinstance(found, type):
        msg = f"{annotation} is no type that a sweep can vary"
        raise TypeError(msg)
    return found
