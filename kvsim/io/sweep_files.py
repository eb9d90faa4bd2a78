"""Sweep files (TOML), and the table of a sweep on disk: parts as they come, then one file."""

import errno
import io
import json
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kvsim.errors import FileError, SpecError
from kvsim.io.bounded import broken_table, read_json, read_toml
from kvsim.io.frames import escaped
from kvsim.io.limits import MAX_TOML_BYTES
from kvsim.io.versions import VERSION, check_version, whose
from kvsim.specs.sweep import SweepGrid, sweep_grid

if TYPE_CHECKING:
    from polars import DataFrame

Cell = str | int | float | bool | None
Rows = Sequence[Sequence[Cell]]
Columns = Mapping[str, type]

SCHEMA_VERSION = 1  # of a sweep's description
PARQUET, CSV = ".parquet", ".csv"
ROW_GROUP = 2**16  # rows
MODES = {"plan": False, "simulate": True}


def read_sweep(path: str | PathLike[str]) -> SweepGrid:
    """The grid that a TOML file describes: `mode`, and a table `grid` of fields.

    Raises:
        FileError: if the file cannot be read, or is no TOML.
        SpecError: for an unknown field, a value that it cannot have, or no value at all.
    """
    mode, fields = read_sweep_fields(path)
    return sweep_grid(fields, simulate=mode)


def read_sweep_fields(path: str | PathLike[str]) -> tuple[bool, dict[str, object]]:
    """Whether the file asks to simulate, and its fields as they stand there, unchecked."""
    file = Path(path)
    table = read_toml(file, most_bytes=MAX_TOML_BYTES, what="sweep")
    mode, fields = table.pop("mode", "plan"), table.pop("grid", {})
    if table:
        msg = f"{file.name}: {min(table)[:40]} must be one of mode, grid"
        raise SpecError(msg)
    if not isinstance(mode, str) or mode not in MODES:
        msg = f"mode={str(mode)[:40]} must be one of {', '.join(MODES)}"
        raise SpecError(msg)
    if not isinstance(fields, dict) or not fields:
        msg = f"{file.name}: grid must be a table of at least one field"
        raise SpecError(msg)
    return MODES[mode], fields


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepStore:
    """A sweep's table on disk: whole parts beside the output until all are there.

    The file `OUTPUT.sweep.json` says which sweep it is; the folder `OUTPUT.parts` holds what is
    done so far, and is gone when the output is whole.
    """

    output: Path
    columns: Columns

    @property
    def description(self) -> Path:
        """The file that says which sweep this is."""
        return _beside(self.output, ".sweep.json")

    @property
    def parts(self) -> Path:
        """The folder of what is done so far."""
        return _beside(self.output, ".parts")

    def open(self, digest: str, sweep: Mapping[str, object], *, resume: bool) -> "Kept":
        """What an earlier run of this sweep left here.

        Args:
            digest: what tells this sweep from others.
            sweep: the sweep in words, for who reads the description or goes on from it.
            resume: whether something must be there.

        Raises:
            SpecError: if the output is another sweep's, or there is nothing to resume.
            FileError: if the folder cannot be written.
        """
        held = read_description(self.output)
        if held is None:
            self._check_new(resume=resume)
        elif held["digest"] == digest:
            if held["complete"] and self.output.exists():
                return Kept(frozenset(), held["complete"])
        elif self._holds_anything():
            owner = whose("sweep", held["sweep"].get("kvsim"))
            msg = f"output={self.output} is {owner}: name another file, or remove it"
            raise SpecError(msg)
        self._describe(digest, sweep, complete=None)
        try:
            self.parts.mkdir(exist_ok=True)
        except OSError as error:
            raise self._failed(error) from None
        found = (part.stem for part in self.parts.glob("*.parquet"))
        return Kept(frozenset(int(stem) for stem in found if stem.isdecimal()), None)

    def _check_new(self, *, resume: bool) -> None:
        if self.output.exists():
            msg = f"output={self.output} is there and no sweep's: name another file"
            raise SpecError(msg)
        if resume:
            msg = f"output={self.output}: there is no sweep to resume"
            raise SpecError(msg)

    def _holds_anything(self) -> bool:
        """Whether another sweep's rows would be lost."""
        return self.output.exists() or any(self.parts.glob("*.parquet"))

    def write_part(self, index: int, rows: Rows) -> None:
        """Keep a part: from now on a rerun skips it.

        Raises:
            FileError: if the disk is full; what was written before stays readable.
        """
        self._write(self._part(index), _frame_bytes(_frame(self.columns, rows), PARQUET))

    def read_part(self, index: int) -> list[tuple[Cell, ...]]:
        """Rows of a part that is kept.

        Raises:
            FileError: if it cannot be read.
        """
        return _read_frame(self._part(index)).rows()

    def read_whole(self) -> list[tuple[Cell, ...]]:
        """Rows of the output, once it is whole; a Parquet file's.

        Raises:
            FileError: if it cannot be read.
        """
        return _read_frame(self.output).rows()

    def finish(
        self,
        indices: Iterable[int],
        digest: str,
        sweep: Mapping[str, object],
        *,
        summary: Mapping[str, object],
    ) -> None:
        """Make one table of the parts, in their order; then they are no longer needed.

        Args:
            indices: all parts.
            digest: as when it was opened.
            sweep: as when it was opened.
            summary: what the whole table says, for who finds it complete.
        """
        import polars as pl  # noqa: PLC0415 - polars is slow to load

        frame = pl.concat([_read_frame(self._part(index)) for index in indices], rechunk=True)
        self._write(self.output, _frame_bytes(frame, self.output.suffix))
        self._describe(digest, sweep, complete=summary)
        shutil.rmtree(self.parts, ignore_errors=True)

    def _describe(
        self, digest: str, sweep: Mapping[str, object], *, complete: Mapping[str, object] | None
    ) -> None:
        about = {"digest": digest, "complete": complete, "sweep": sweep}
        description = {VERSION: SCHEMA_VERSION, **about}
        self._write(self.description, json.dumps(description, indent=1).encode() + b"\n")

    def _part(self, index: int) -> Path:
        return self.parts / f"{index:06d}.parquet"

    def _write(self, path: Path, content: bytes) -> None:
        """Whole or not at all: a reader never sees half a file."""
        unfinished = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            unfinished.write_bytes(content)
            unfinished.replace(path)
        except OSError as error:
            raise self._failed(error) from None
        finally:
            unfinished.unlink(missing_ok=True)

    def _failed(self, error: OSError) -> FileError:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        kept = f"; what is done is kept in {self.parts}" if full else ""
        return FileError(f"{self.output}: {error.strerror or error}{kept}")


@dataclass(frozen=True, slots=True)
class Kept:
    """Parts that an earlier run has done; or the summary of an output that is whole."""

    parts: frozenset[int]
    summary: Mapping[str, Any] | None


def sweep_store(output: str | PathLike[str], columns: Columns) -> SweepStore:
    """The table of a sweep at a path that ends in .parquet or .csv.

    Raises:
        SpecError: for another ending.
        FileError: if the folder is not there.
    """
    path = Path(output)
    if path.suffix not in (PARQUET, CSV):
        msg = f"output={path} must end in {PARQUET} or {CSV}"
        raise SpecError(msg)
    if not path.parent.is_dir():
        msg = f"{path}: the folder is not there"
        raise FileError(msg)
    return SweepStore(output=path, columns=columns)


def read_description(output: str | PathLike[str]) -> dict[str, Any] | None:
    """What `OUTPUT.sweep.json` says of the sweep whose output this is; None without it.

    Raises:
        FileError: if it cannot be read as that.
    """
    path = _beside(Path(output), ".sweep.json")
    if not path.exists():
        return None
    held = read_json(path, most_bytes=MAX_TOML_BYTES, what="description of a sweep")
    found = check_version(held, SCHEMA_VERSION, name=path.name, unstated=1)
    if not {"digest", "complete", "sweep"} <= set(found) or not isinstance(found["sweep"], dict):
        msg = f"{path}: is no description of a sweep"
        raise FileError(msg)
    return found


def _frame(columns: Columns, rows: Rows) -> "DataFrame":
    import polars as pl  # noqa: PLC0415 - polars is slow to load

    types = {int: pl.Int64, float: pl.Float64, bool: pl.Boolean, str: pl.String}
    schema = {name: types[kind] for name, kind in columns.items()}
    return pl.DataFrame(rows, schema=schema, orient="row")


def _frame_bytes(frame: "DataFrame", suffix: str) -> bytes:
    """The content of a Parquet or CSV file; equal tables give equal bytes."""
    buffer = io.BytesIO()
    if suffix == CSV:
        escaped(frame).write_csv(buffer)
    else:
        frame.write_parquet(buffer, row_group_size=ROW_GROUP)
    return buffer.getvalue()


def _read_frame(path: Path) -> "DataFrame":
    import polars as pl  # noqa: PLC0415 - polars is slow to load

    try:
        return pl.read_parquet(path)
    except broken_table() as error:
        msg = f"{path}: is no table that can be read: {str(error).splitlines()[0]}"
        raise FileError(msg) from None


def _beside(output: Path, ending: str) -> Path:
    return output.with_name(output.name + ending)
