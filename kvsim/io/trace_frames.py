"""Trace files cut into tables of whole lines, where every line is plain enough to read at once."""

import gzip
import io
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING

from kvsim.io.bounded import BROKEN_TEXT, broken_table
from kvsim.io.limits import MAX_TRACE_LINE
from kvsim.io.trace_rows import plain_name
from kvsim.units import MiB

if TYPE_CHECKING:
    from polars import DataFrame

BLOCK_BYTES = 32 * MiB
"""Of text that is read at once; a line that is longer is left to the reader of rows."""

WINDOW_BYTES = 2 * MiB
"""Of text that is read, served and forgotten at once."""

WINDOW_REQUESTS = 2**16
"""Requests that are, where they are read row by row."""

PARQUET_ROWS = 2**17
MAX_CELL_BYTES = 131_072
"""Longest cell that Python's csv module reads."""

GZIP_MAGIC = b"\x1f\x8b"


class IrregularTrace(Exception):  # noqa: N818 - no error: the reader of rows takes over
    """A trace that only the reader of rows reads right, or knows what is wrong with."""


def frames(path: Path, *, block_bytes: int = BLOCK_BYTES) -> Iterator["DataFrame"]:
    """Tables of a trace file's lines in their order; every cell of a CSV file is text.

    Raises:
        IrregularTrace: for lines, quotes or files that are not as simple as those of most traces.
    """
    name = path.name.removesuffix(".gz")
    if name.endswith(".parquet"):
        yield from _parquet(path)
        return
    try:
        with _open(path) as file:
            if name.endswith((".jsonl", ".json", ".ndjson")):
                for block in _blocks(file, block_bytes):
                    yield _json_frame(block)
            else:
                yield from _csv(file, block_bytes)
    except BROKEN_TEXT as error:
        raise IrregularTrace from error


def _open(path: Path) -> IO[bytes] | gzip.GzipFile:
    with path.open("rb") as file:
        zipped = file.read(len(GZIP_MAGIC)) == GZIP_MAGIC
    return gzip.open(path, "rb") if zipped else path.open("rb")


def _blocks(file: IO[bytes] | gzip.GzipFile, block_bytes: int) -> Iterator[bytes]:
    """Whole lines, each with its end; none of them is blank."""
    rest = b""
    while block := file.read(block_bytes):
        lines, end, after = block.rpartition(b"\n")
        if len(rest) + block.find(b"\n") > MAX_TRACE_LINE:
            raise IrregularTrace
        if end:
            yield _plain(rest + lines + end)
            rest = after
        elif len(rest := rest + block) > block_bytes:
            raise IrregularTrace
    if rest:
        yield _plain(rest + b"\n")


def _plain(block: bytes) -> bytes:
    lines = block.replace(b"\r\n", b"\n") if b"\r" in block else block
    if lines.startswith(b"\n") or any(odd in lines for odd in (b"\n\n", b"\r", b"\0")):
        raise IrregularTrace
    return lines


def _csv(file: IO[bytes] | gzip.GzipFile, block_bytes: int) -> Iterator["DataFrame"]:
    header = file.readline(MAX_CELL_BYTES).decode().removesuffix("\n").removesuffix("\r")
    names = [plain_name(column) for column in header.split(",")]
    if '"' in header or len(set(names)) < len(names):
        raise IrregularTrace
    for block in _blocks(file, block_bytes):
        yield _csv_frame(block, names)


def _csv_frame(block: bytes, names: list[str]) -> "DataFrame":
    import polars as pl  # noqa: PLC0415 - heavy

    num_lines = block.count(b"\n")
    if b'"' in block or block.count(b",") != num_lines * (len(names) - 1):
        raise IrregularTrace
    try:
        frame = pl.read_csv(
            io.BytesIO(block),
            has_header=False,
            schema=dict.fromkeys(names, pl.String),
            quote_char=None,
        )
    except pl.exceptions.PolarsError as error:
        raise IrregularTrace from error
    longest = max(frame[name].str.len_bytes().max() or 0 for name in names)
    if frame.height != num_lines or not isinstance(longest, int) or longest > MAX_CELL_BYTES:
        raise IrregularTrace
    return frame


def _json_frame(block: bytes) -> "DataFrame":
    """A table of JSON objects that hold values and one list each at most."""
    import polars as pl  # noqa: PLC0415 - heavy

    num_lines = block.count(b"\n")
    is_flat = block.count(b"{") == num_lines and block.count(b"[") <= num_lines
    if not is_flat or b"\\" in block:
        raise IrregularTrace
    try:
        frame = pl.read_ndjson(io.BytesIO(block), infer_schema_length=None)
    except pl.exceptions.PolarsError as error:
        raise IrregularTrace from error
    for name in frame.columns:
        is_twice = block.count(b'"' + name.encode() + b'"') > num_lines
        if is_twice or plain_name(name) != name:
            raise IrregularTrace
    if frame.height != num_lines:
        raise IrregularTrace
    return frame


def _parquet(path: Path) -> Iterator["DataFrame"]:
    import polars as pl  # noqa: PLC0415 - heavy

    try:
        scanned, start = pl.scan_parquet(path), 0
        while (frame := scanned.slice(start, PARQUET_ROWS).collect()).height:
            if any(plain_name(name) != name for name in frame.columns):
                raise IrregularTrace
            yield frame
            start += frame.height
    except broken_table() as error:
        raise IrregularTrace from error
