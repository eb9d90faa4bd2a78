"""The calibration file: memory measured on a machine, which `kvsim plan` reads.

A JSON object: `schema_version`, `provenance` (plain values, `source` among them), `measured` (a
figure's name -> bytes, or low, best and high of them), and optionally `tensor_parallel_size` and
`pipeline_parallel_size` of the measured run.
"""

import json
from collections.abc import Mapping
from dataclasses import fields
from os import PathLike
from pathlib import Path
from typing import Any

from kvsim.errors import FileError, SpecError
from kvsim.io.bounded import read_json
from kvsim.io.limits import MAX_CALIBRATION_BYTES
from kvsim.io.versions import VERSION, check_version
from kvsim.specs.calibration import Calibration
from kvsim.specs.overheads import Interval, Overheads, exact

SCHEMA_VERSION = 1
LARGEST_BYTES = 2**60
FIGURES = tuple(f.name for f in fields(Overheads))
DEGREES = ("tensor_parallel_size", "pipeline_parallel_size")
KEYS = {VERSION, "provenance", "measured", *DEGREES}
ENDS = ("low", "best", "high")


def read_calibration(path: str | PathLike[str]) -> Calibration:
    """The measured memory that a file holds.

    Raises:
        FileError: if the file cannot be read or is no JSON object of this format.
        SpecError: for a figure that no machine can have, or one that is not known.
    """
    content = read_json(path, most_bytes=MAX_CALIBRATION_BYTES, what="calibration")
    return parse_calibration(content, name=Path(path).name)


def parse_calibration(content: object, *, name: str = "calibration") -> Calibration:
    """The calibration that a decoded JSON object describes; `name` is the file's, for errors."""
    content = check_version(content, SCHEMA_VERSION, name=name)
    if unknown := sorted(set(content) - KEYS):
        msg = f"{name}: {unknown[0][:40]!r} must be one of {', '.join(sorted(KEYS))}"
        raise SpecError(msg)
    provenance, measured = content.get("provenance"), content.get("measured")
    for key, value in (("provenance", provenance), ("measured", measured)):
        if not isinstance(value, dict):
            msg = f"{name}: {key} must be an object"
            raise SpecError(msg)
    assert isinstance(provenance, dict)
    assert isinstance(measured, dict)
    source = f"measured: {provenance.get('source')}"
    return Calibration(
        provenance=provenance,
        overheads=Overheads(**{k: _figure(k, v, source) for k, v in measured.items()}),
        **{key: _degree(key, content[key]) for key in DEGREES if content.get(key) is not None},
    )


def write_calibration(path: str | PathLike[str], calibration: Calibration) -> None:
    """Write the file that `read_calibration` reads back.

    Raises:
        FileError: if it cannot be written.
    """
    text = json.dumps(calibration_dict(calibration), indent=1, default=str)
    try:
        Path(path).write_text(text + "\n", "utf-8")
    except OSError as error:
        msg = f"{Path(path).name}: {error}"
        raise FileError(msg) from None


def calibration_dict(calibration: Calibration) -> Mapping[str, object]:
    """The calibration as the plain values of its file."""
    degrees = {key: getattr(calibration, key) for key in DEGREES}
    return {
        VERSION: SCHEMA_VERSION,
        "provenance": dict(calibration.provenance),
        "measured": {k: _plain(getattr(calibration.overheads, k)) for k in calibration.measured},
        **{key: value for key, value in degrees.items() if value is not None},
    }


def _plain(figure: Interval) -> int | dict[str, Any]:
    if figure.is_exact:
        return figure.best
    return {**{end: getattr(figure, end) for end in ENDS}, "source": figure.source}


def _figure(name: str, value: object, source: str) -> Interval:
    if name not in FIGURES:
        msg = f"measured: {name[:40]!r} must be one of {', '.join(FIGURES)}"
        raise SpecError(msg)
    if isinstance(value, dict):
        if unknown := sorted(set(value) - {*ENDS, "source"}):
            msg = f"measured.{name}: {unknown[0][:40]!r} must be one of low, best, high, source"
            raise SpecError(msg)
        ends = {end: _bytes(f"measured.{name}.{end}", value.get(end)) for end in ENDS}
        own = value.get("source", source)
        return Interval(**ends, source=own if isinstance(own, str) else source)
    return exact(_bytes(f"measured.{name}", value), source)


def _bytes(field: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= LARGEST_BYTES:
        msg = f"{field}={str(value)[:40]} must be whole bytes from 0 to {LARGEST_BYTES}"
        raise SpecError(msg)
    return value


def _degree(field: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        msg = f"{field}={str(value)[:40]} must be a whole number >= 1"
        raise SpecError(msg)
    return value
