"""Scenario files (TOML): a table `[[scenario]]` each, its fields the flags of a plan."""

from os import PathLike
from pathlib import Path

from kvsim.errors import SpecError
from kvsim.io.bounded import read_toml
from kvsim.io.limits import MAX_TOML_BYTES

SUFFIX = ".toml"
Field = str | int | float | bool | list[str | int | float]


def read_scenario_rows(
    path: str | PathLike[str],
) -> tuple[tuple[str | None, dict[str, Field]], ...]:
    """The scenarios of a file as they stand there: a name, and fields that are not yet checked.

    Raises:
        FileError: if the file cannot be read, or is no TOML.
        SpecError: for a file without a table `[[scenario]]`, or a field that is none.
    """
    file = Path(path)
    table = read_toml(file, most_bytes=MAX_TOML_BYTES, what="scenarios")
    rows = table.pop("scenario", None)
    if table:
        msg = f"{file.name}: {min(table)[:40]} must stand in a table [[scenario]]"
        raise SpecError(msg)
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
        msg = f"{file.name}: scenario must be tables [[scenario]], at least one"
        raise SpecError(msg)
    return tuple(_checked(file.name, row) for row in rows)


def _checked(file: str, row: dict[str, object]) -> tuple[str | None, dict[str, Field]]:
    fields: dict[str, Field] = {}
    for name, value in row.items():
        items = value if isinstance(value, list) else [value]
        if not all(isinstance(item, str | int | float) for item in items):
            msg = f"{file}: {name[:40]} must be text, a number, true, false or a list of them"
            raise SpecError(msg)
        fields[name] = value  # type: ignore[assignment]
    given = fields.pop("name", None)
    return None if given is None else str(given), fields
