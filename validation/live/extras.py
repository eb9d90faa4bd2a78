"""torch and transformers, imported where used: without them a message, not a traceback."""

import os
from importlib import import_module
from typing import Any

import kvsim

EXTRA = "validation"
QUIET = "9"
"""Level of the profiler's own log at which it prints nothing."""


def load(package: str) -> Any:  # noqa: ANN401 - a module whose types are not installed
    """The package as a module.

    Raises:
        MissingExtraError: if it is not installed; the message names the extra that brings it.
    """
    os.environ.setdefault("KINETO_LOG_LEVEL", QUIET)  # read when torch is first imported
    try:
        return import_module(package)
    except ModuleNotFoundError as error:
        raise kvsim.MissingExtraError(package=error.name or package, extra=EXTRA) from None


def has(package: str) -> bool:
    """Whether a package can be imported."""
    try:
        import_module(package)
    except ImportError:
        return False
    return True


def quiet_transformers() -> Any:  # noqa: ANN401 - a module whose types are not installed
    """The transformers package without its advice on stderr, which is about users' models."""
    load("torch")
    transformers = load("transformers")
    transformers.logging.set_verbosity_error()
    return transformers
