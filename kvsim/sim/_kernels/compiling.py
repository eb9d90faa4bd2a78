"""How kernels are compiled: pieces into one function, that function once per machine."""

from collections.abc import Callable
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar, cast

import numba

F = TypeVar("F", bound=Callable[..., object])

_OPTIONS: dict[str, Any] = {"_nrt": False, "error_model": "numpy"}
"""Kernels own no memory, so nothing is counted; no divisor is 0, so none is tested."""


def piece(function: F) -> F:
    """A part of a kernel, compiled into whatever calls it.

    Without inlining, each call would copy the description of every array.
    """
    alone: dict[str, Any] = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
    return cast("F", numba.njit(forceinline=True, **alone, **_OPTIONS)(function))


def kernel(function: F, given: tuple[object, ...], notify: Callable[[str], None]) -> F:
    """A function that Python calls, compiled for arguments like those given.

    Args:
        function: made of pieces.
        given: what it will be called with.
        notify: told in a line if it has to be compiled first.
    """
    compiled = _dispatcher(function)
    if compiled.signatures:  # a function is always given the same types
        return cast("F", compiled)
    folder = compiled.stats.cache_path
    is_kept = folder and any(Path(folder).glob(f"*{function.__qualname__}*.nbi"))
    if not is_kept:
        again = "once on this machine" if folder else "each time: no folder for it can be written"
        notify(f"compiling the simulator's {function.__name__} kernel, {again}")
    compiled.compile(tuple(numba.typeof(value) for value in given))  # type: ignore[no-untyped-call]
    return cast("F", compiled)


@cache
def _dispatcher(function: Callable[..., object]) -> Any:  # noqa: ANN401 - numba's, private
    """What compiles a function when it is called, or loads what was kept on disk.

    Numba looks at the file of the function alone to see whether what it kept is old, so its name
    says what all files of the kernels hold.
    """
    function.__qualname__ = f"{function.__name__}_{_digest()}"
    try:
        return numba.njit(cache=True, **_OPTIONS)(function)
    except RuntimeError:  # no folder can be written
        return numba.njit(**_OPTIONS)(function)


def _digest() -> str:
    files = sorted(Path(__file__).parent.glob("*.py"))
    return sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:16]
