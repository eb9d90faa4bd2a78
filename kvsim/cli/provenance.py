"""Where a command's result comes from: version, seed, and a digest of all that decided it."""

import argparse
import hashlib
from collections.abc import Mapping
from pathlib import Path

from kvsim import __version__, api
from kvsim.cli.flags import InputFile, OutputFile
from kvsim.specs.digest import digest

Json = dict[str, object]

HOW_IT_RUNS = frozenset(
    ("form", "backend", "address", "workers", "resume", "reproducible", "scheduler")
)
"""Flags that decide where and how a result is computed and shown, never what it is."""

DEFAULT_SEED = 0
"""Of generated requests, where a command's `--seed` is left out."""

SIMULATE = "simulate"
"""Mode of a sweep whose grid has its seeds."""


def provenance(args: argparse.Namespace, result: Mapping[str, object]) -> Json:
    """What to keep beside a result, so that it can be had again.

    Equal digests mean equal results; where something is drawn by chance, with one version of numpy,
    whose generator draws. The digest covers this version, the command and its flags, the model as
    it was understood, the bytes of every file that was read, and what the result itself digested
    (a sweep: the traces that its grid names). A page that was fetched from a running server is
    covered by its address alone.

    Args:
        args: what was parsed.
        result: what the command gave.
    """
    inputs: Json = {
        name: _content(value)
        for name, value in vars(args).items()
        if name not in HOW_IT_RUNS and not _is_absent(value) and not _is_output(value)
    }
    if isinstance(inputs.get("model"), str):
        inputs["model"] = api.load_model(args.model)
    if _seed(args) is not None:
        inputs["seed"] = _seed(args)
    is_drawn = _seed(args) is not None or result.get("mode") == SIMULATE
    return {
        "kvsim_version": __version__,
        "numpy_version": _numpy_version() if is_drawn else None,
        "seed": _seed(args),
        "inputs_sha256": digest(__version__, inputs, result.get("digest")),
    }


def _numpy_version() -> str:
    from importlib.metadata import version  # noqa: PLC0415 - slow to load

    return version("numpy")


def _seed(args: argparse.Namespace) -> int | None:
    """The seed that was given, or that of generated requests where none was; None without any."""
    stated: int | None = getattr(args, "seed", None)
    is_generated = hasattr(args, "seed") and getattr(args, "workload", None) is not None
    return DEFAULT_SEED if stated is None and is_generated else stated


def _is_absent(value: object) -> bool:
    return value is None or value == []


def _is_output(value: object) -> bool:
    if isinstance(value, list):
        return all(isinstance(each, OutputFile) for each in value)
    return isinstance(value, OutputFile)


def _content(value: object) -> object:
    """A file's digest in place of its name; other values as they are."""
    if isinstance(value, list):
        return [_content(each) for each in value]
    if not isinstance(value, InputFile) or not Path(value).is_file():
        return value
    with Path(value).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
