"""Who measured what: device, versions, command, date and seed of a measurement."""

import datetime as dt
import platform
import sys
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path

import kvsim

SCHEMA_VERSION = 1  # of a live record
PACKAGES = ("torch", "transformers", "optimum-quanto", "hqq")
REQUIRED = ("command", "date", "device", "kvsim", "python", "seed", "versions")
"""What a record must say of itself."""


def provenance(
    *,
    backend: str,
    arguments: Sequence[str],
    device: dict[str, object],
    seed: int,
    versions: Mapping[str, str] | None = None,
) -> dict[str, object]:
    """The facts that make a measurement repeatable; paths are cut to their names.

    `versions` are those of another interpreter; None: what is installed here.
    """
    if versions is None:
        versions = {name: found for name in PACKAGES if (found := version(name))}
    shown = [Path(text).name if Path(text).is_absolute() else text for text in arguments]
    return {
        "command": " ".join(["python -m validation live", backend, *shown]),
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "device": device,
        "kvsim": kvsim.__version__,
        "python": platform.python_version(),
        "platform": sys.platform,
        "seed": seed,
        "versions": dict(versions),
    }


def version(package: str) -> str | None:
    """The installed version of a package; None if it is not there."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
