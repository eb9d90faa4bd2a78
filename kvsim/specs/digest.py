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
        shown = (
            f"{f.name}={_text(getattr(value, f.name))}" for f in dataclasses.fields(value) if f.init
        )
        return f"{type(value).__name__}({','.join(shown)})"
    if isinstance(value, Enum):
        return f"{type(value).__name__}.{value.name}"
    if isinstance(value, str):
        return repr(str(value))  # a subclass may print in a way of its own
    if isinstance(value, float):
        return repr(float(value))
    if value is None or isinstance(value, bytes | int):
        return repr(value)
    if isinstance(value, Mapping):
        pairs = (f"{_text(key)}:{_text(each)}" for key, each in value.items())
        return f"{{{','.join(sorted(pairs))}}}"
    if isinstance(value, set | frozenset):
        return f"<{','.join(sorted(_text(each) for each in value))}>"
    if isinstance(value, Iterable):
        return f"[{','.join(_text(each) for each in value)}]"
    msg = f"inputs={type(value).__name__} must be specs, or plain values and collections of them"
    raise SpecError(msg)
