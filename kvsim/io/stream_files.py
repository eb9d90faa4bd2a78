"""A streamed run on disk: columns that grow, and the state from which the run goes on."""

import errno
import json
import os
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kvsim.errors import FileError, SpecError
from kvsim.io.bounded import broken_table, read_json
from kvsim.io.limits import MAX_TOML_BYTES
from kvsim.io.versions import VERSION, check_version, whose

if TYPE_CHECKING:
    from polars import DataFrame

Arrays = Mapping[str, NDArray[Any]]

SCHEMA_VERSION = 1  # of a stream's description
DESCRIPTION, STATE = "stream.json", "state.npz"
LENGTH = "length."
"""Before a column's name: its bytes, among the arrays of the state."""

NUM_PARTS = "num_parts"

_NO_STATE = (
    *(OSError, ValueError, TypeError, KeyError, EOFError, MemoryError, RuntimeError),
    *(zipfile.BadZipFile, zlib.error),
)
"""What numpy raises for a file that is none of its own; RuntimeError: zipped in an unknown way."""


@dataclass(slots=True)
class StreamStore:
    """The folder of a streamed run.

    Invariant: `state.npz` is whole, and says how much of each column belongs to it; what a run
    wrote after it is cut off when the run goes on.
    """

    folder: Path
    num_parts: int = 0

    def open(self, digest: str, about: Mapping[str, object], *, resume: bool) -> Arrays | None:
        """The state that an earlier run left; None where there is none.

        Args:
            digest: what tells this run from others.
            about: the run in words, for who reads the description.
            resume: whether a state must be there.

        Raises:
            SpecError: if the folder is another run's, or there is nothing to resume.
            FileError: if the folder cannot be read or written.
        """
        try:
            self.folder.mkdir(exist_ok=True)
            names = {path.name for path in self.folder.iterdir() if path.name[0] != "."}
        except OSError as error:
            raise self._failed(error) from None
        if DESCRIPTION in names:
            self._check_ours(digest)
        elif names:
            msg = f"stream={self.folder} is there and no stream's: name another folder"
            raise SpecError(msg)
        if resume and STATE not in names:
            msg = f"stream={self.folder}: there is no stream to resume"
            raise SpecError(msg)
        if STATE in names:
            return self._restore()
        described = {VERSION: SCHEMA_VERSION, "digest": digest, "run": about}
        self._write(DESCRIPTION, json.dumps(described, indent=1).encode() + b"\n")
        return None

    def _check_ours(self, digest: str) -> None:
        path = self.folder / DESCRIPTION
        held = read_json(path, most_bytes=MAX_TOML_BYTES, what="description of a stream")
        found = check_version(held, SCHEMA_VERSION, name=path.name, unstated=1)
        if found.get("digest") != digest:
            run = found.get("run")
            owner = whose("run", run.get("kvsim") if isinstance(run, dict) else None)
            msg = f"stream={self.folder} is {owner}: name another folder, or remove it"
            raise SpecError(msg)

    def _restore(self) -> Arrays:
        path = self.folder / STATE
        try:
            with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
                kept = dict(file)
            self.num_parts = int(kept.pop(NUM_PARTS))
            lengths = {n.removeprefix(LENGTH): int(kept.pop(n)) for n in [*kept] if LENGTH in n}
        except _NO_STATE as error:
            msg = f"{path}: is no state of a stream: {error}"
            raise FileError(msg) from None
        try:
            for name, length in lengths.items():
                if self._column(name).stat().st_size < length:
                    msg = f"{self._column(name)}: is shorter than the state says"
                    raise FileError(msg)
                os.truncate(self._column(name), length)
            for part in self.parts:
                if int(part.stem.rpartition("-")[2]) >= self.num_parts:
                    part.unlink()
        except OSError as error:
            raise self._failed(error) from None
        return kept

    def commit(self, state: Arrays, columns: Arrays, rows: "DataFrame | None") -> None:
        """Keep what a window added: from now on the run goes on after it.

        Args:
            state: from which the run goes on.
            columns: what is appended.
            rows: a table for the window, where one is wanted.

        Raises:
            FileError: if the disk is full; what was kept before stays.
        """
        lengths = {}
        try:
            for name, values in columns.items():
                with self._column(name).open("ab") as file:
                    file.write(np.ascontiguousarray(values).tobytes())
                    lengths[LENGTH + name] = np.array(file.tell())
            if rows is not None:
                rows.write_parquet(self.folder / f"requests-{self.num_parts:06d}.parquet")
                self.num_parts += 1
            unfinished = self.folder / f".{STATE}.{os.getpid()}"
            with unfinished.open("wb") as file:
                np.savez(file, **state, **lengths, **{NUM_PARTS: np.array(self.num_parts)})  # type: ignore[arg-type]
            unfinished.replace(self.folder / STATE)
        except OSError as error:
            raise self._failed(error) from None

    def column(self, name: str, *, kind: "np.dtype[Any]") -> NDArray[Any]:
        """All values of a column."""
        try:
            return np.fromfile(self._column(name), kind)
        except OSError as error:
            raise self._failed(error) from None

    @property
    def parts(self) -> list[Path]:
        """Tables of requests, window by window."""
        return sorted(self.folder.glob("requests-*.parquet"))

    def join_rows(self, output: Path) -> None:
        """Make one Parquet file of the windows' tables, in the order of the trace.

        Raises:
            FileError: if it cannot be written.
        """
        import polars as pl  # noqa: PLC0415 - polars is slow to load

        unfinished = output.with_name(f".{output.name}.{os.getpid()}")
        try:
            found = pl.scan_parquet(self.parts).sort("index", "sample")
            found.sink_parquet(unfinished)
            unfinished.replace(output)
        except broken_table() as error:
            unfinished.unlink(missing_ok=True)
            msg = f"output={output.name}: {error}"
            raise FileError(msg) from error

    def _column(self, name: str) -> Path:
        return self.folder / f"{name}.bin"

    def _write(self, name: str, content: bytes) -> None:
        unfinished = self.folder / f".{name}.{os.getpid()}"
        try:
            unfinished.write_bytes(content)
            unfinished.replace(self.folder / name)
        except OSError as error:
            raise self._failed(error) from None

    def _failed(self, error: OSError) -> FileError:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        kept = "; what is done is kept, the same command goes on" if full else ""
        return FileError(f"stream={self.folder}: {error.strerror or error}{kept}")


def stream_store(folder: str | PathLike[str]) -> StreamStore:
    """The folder of a streamed run, which need not be there yet."""
    return StreamStore(Path(folder))
