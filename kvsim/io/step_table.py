"""The step-time file: measured steps and their line, which `kvsim simulate --step-time` reads.

A JSON object: `schema_version`, `source`, `num_steps`, `line`, `residuals`, `points`, and
`not_modeled`, as `kvsim calibrate` writes it.
"""

import json
from collections.abc import Mapping
from dataclasses import fields
from os import PathLike
from pathlib import Path
from typing import Any, TypeVar

from kvsim.errors import FileError, SpecError
from kvsim.io.bounded import read_json
from kvsim.io.limits import MAX_STEP_TABLE_BYTES
from kvsim.io.numbers import finite
from kvsim.io.versions import VERSION, check_version
from kvsim.specs.step_table import Residuals, StepLine, StepPoint, StepTable

SCHEMA_VERSION = 1

T = TypeVar("T", StepLine, Residuals, StepPoint)


def write_step_table(table: StepTable, path: str | PathLike[str]) -> None:
    """Write the file that `read_step_table` reads back.

    Raises:
        FileError: if it cannot be written.
    """
    text = json.dumps({VERSION: SCHEMA_VERSION, **table.as_dict()}, indent=1)
    try:
        Path(path).write_text(text + "\n", "utf-8")
    except OSError as error:
        msg = f"output={Path(path).name}: {error.strerror}"
        raise FileError(msg) from error


def read_step_table(path: str | PathLike[str]) -> StepTable:
    """The measured steps that a file holds.

    Raises:
        FileError: if the file cannot be read, or is not of this format.
        SpecError: for a figure that is missing or impossible.
    """
    file = Path(path)
    held = read_json(file, most_bytes=MAX_STEP_TABLE_BYTES, what="step-time file")
    content = check_version(held, SCHEMA_VERSION, name=file.name)
    points, notes = content.get("points"), content.get("not_modeled", [])
    if not isinstance(points, list) or not isinstance(notes, list):
        msg = f"{file.name}: points and not_modeled must be lists"
        raise SpecError(msg)
    return StepTable(
        source=str(content.get("source"))[:1000],
        line=_values(StepLine, content.get("line"), f"{file.name}: line"),
        residuals=_values(Residuals, content.get("residuals"), f"{file.name}: residuals"),
        points=tuple(_values(StepPoint, row, f"{file.name}: points") for row in points),
        num_steps=int(_number(content.get("num_steps"), f"{file.name}: num_steps")),
        not_modeled=tuple(str(note) for note in notes),
    )


def _values(spec: type[T], row: object, where: str) -> T:
    if not isinstance(row, Mapping):
        msg = f"{where} must hold objects"
        raise SpecError(msg)
    given: dict[str, Any] = {
        f.name: _number(row.get(f.name), f"{where}.{f.name}") for f in fields(spec)
    }
    if "num_steps" in given:
        given["num_steps"] = int(given["num_steps"])
    return spec(**given)


def _number(value: object, where: str) -> float:
    number = finite(value)
    if number is None or number < 0:
        msg = f"{where}={str(value)[:40]} must be a number >= 0"
        raise SpecError(msg)
    return number
