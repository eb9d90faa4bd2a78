"""One digest for what decides a result, the same in every process and on every machine."""

import dataclasses
import hashlib
from collections.abc import Iterable, Mapping
from enum import Enum

from kvsim.errors import SpecError


def digest(*inputs: object) -> str:
    """SHA-256 over descriptions, by their fields' names and values.

    Every field counts that is given when a spec is made, those that comparison leaves out among
    them: a checkpoint's tensors decide its weights. So do kinds of number: 1 is not 1.0.

    Args:
        inputs: specs, and plain values, sequences, sets and mappings of them.

    Raises:
        SpecError: for a value of another kind, whose text could differ between runs.

    Example:
        >>> from kvsim.specs.parallel import Parallelism
        >>> digest(Parallelism()) == digest(Parallelism(tensor_parallel_size=1))
        True
        >>> digest(Parallelism()) == digest(Parallelism(tensor_parallel_size=2))
        False
    """
    return hashlib.sha256(_text(inputs).encode("utf-8", "surrogatepass")).hexdigest()


def _text(value: object) -> str:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        given = [f.name for f in dataclasses.fields(value) if f.init]
        return _named(value, [f"{name}={_text(getattr(value, name))}" for name in given])
    if isinstance(value, Enum):
        return _named(value, [value.name])
    if value is None or isinstance(value, str | bytes | int | float):
        return _scalar(value)
    if isinstance(value, Mapping):
        pairs = (f"{_text(key)}:{_text(each)}" for key, each in value.items())
        return f"{{{','.join(sorted(pairs))}}}"
    if isinstance(value, Iterable):
        parts = [_text(each) for each in value]
        unordered = isinstance(value, set | frozenset)
        return f"<{','.join(sorted(parts))}>" if unordered else f"[{','.join(parts)}]"
    msg = f"inputs={type(value).__name__} must be specs, or plain values and collections of them"
    raise SpecError(msg)


def _named(value: object, parts: Iterable[str]) -> str:
    return f"{type(value).__name__}({','.join(parts)})"


def _scalar(value: str | bytes | float | None) -> str:
    """The text of a plain value; a subclass of its kind may print in a way of its own."""
    if isinstance(value, str):
        return repr(str(value))
    return repr(float(value)) if isinstance(value, float) else repr(value)
