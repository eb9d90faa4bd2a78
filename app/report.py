"""A page's result as the command line prints it: its version and origin, then its figures."""

import json
from collections.abc import Mapping
from importlib.metadata import version

import kvsim

Json = dict[str, object]


def headed(report: Mapping[str, object], *, asked: object, seed: int | None = None) -> Json:
    """A result behind what it takes to have it again.

    Args:
        report: the result's figures.
        asked: every input that decided them.
        seed: that requests were drawn from; None where nothing was by chance.
    """
    provenance = {
        "kvsim_version": kvsim.__version__,
        "numpy_version": None if seed is None else version("numpy"),
        "seed": seed,
        "inputs_sha256": kvsim.digest(kvsim.__version__, asked),
    }
    return {"schema_version": kvsim.SCHEMA_VERSION, "provenance": provenance, **report}


def as_json(report: Mapping[str, object]) -> str:
    """The object as a file, for people too."""
    return json.dumps(report, allow_nan=False, indent=2)
