"""Tables to files: JSON, CSV or Parquet, by the file's ending."""

import json
from collections.abc import Iterable, Mapping
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from kvsim.errors import FileError

if TYPE_CHECKING:
    from polars import DataFrame

JSON, CSV, PARQUET = ".json", ".csv", ".parquet"
FORMULA_STARTS = r"^[=+\-@\t\r]"
"""How a cell begins that a spreadsheet would compute."""


def check_ending(path: str | PathLike[str], *, field: str = "output") -> None:
    """FileError for a file that is no known kind of table, before anything is computed."""
    if Path(path).suffix not in (JSON, CSV, PARQUET):
        msg = f"{field}={Path(path).name} must end with {JSON}, {CSV} or {PARQUET}"
        raise FileError(msg)


def write_frame(frame: "DataFrame", path: str | PathLike[str]) -> None:
    """Write a table; text that a spreadsheet would compute gets an apostrophe before it in CSV.

    Raises:
        FileError: for another ending, or if the file cannot be written.
    """
    check_ending(path)
    target = Path(path)
    try:
        if target.suffix == PARQUET:
            frame.write_parquet(target)
        elif target.suffix == CSV:
            escaped(frame).write_csv(target)
        else:
            frame.write_json(target)
    except OSError as error:
        msg = f"output={target.name}: {error.strerror or error}"
        raise FileError(msg) from error


def escaped(frame: "DataFrame") -> "DataFrame":
    """The same table with no text that a spreadsheet would compute."""
    import polars as pl  # noqa: PLC0415 - heavy

    text = pl.col(pl.String)
    return frame.with_columns(
        pl.when(text.str.contains(FORMULA_STARTS)).then("'" + text).otherwise(text).name.keep()
    )


def write_events(
    events: Iterable[Mapping[str, object]],
    path: str | PathLike[str],
    *,
    about: Mapping[str, object],
) -> None:
    """Write a file in the trace event format, which Perfetto and Chrome open, event by event.

    Args:
        events: in any order; times in microseconds.
        path: the file.
        about: what the file says of itself.

    Raises:
        FileError: if the file cannot be written.

    Source:
        Trace Event Format, JSON Object Format, Google, 2016.
    """
    target = Path(path)
    try:
        with target.open("w", encoding="utf-8") as file:
            file.write('{"displayTimeUnit":"ms","otherData":')
            file.write(json.dumps(about))
            file.write(',"traceEvents":[')
            for i, event in enumerate(events):
                file.write((",\n" if i else "\n") + json.dumps(event, allow_nan=False))
            file.write("\n]}\n")
    except OSError as error:
        msg = f"trace_out={target.name}: {error.strerror}"
        raise FileError(msg) from error
