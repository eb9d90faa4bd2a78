"""Trace files, plain or .gz, read as a stream: CSV, JSON lines, Parquet."""

import csv
import gzip
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import IO, Any

from kvsim.errors import FileError, SpecError
from kvsim.io.bounded import BROKEN_TEXT, broken_table
from kvsim.io.limits import MAX_TRACE_LINE
from kvsim.io.trace_rows import (
    FORMATS,
    TraceFormat,
    TraceState,
    format_of,
    own_row,
    plain_name,
)
from kvsim.message import Message
from kvsim.specs.workload import Request, Workload

PARQUET_BATCH_ROWS = 65_536
GZIP_MAGIC = b"\x1f\x8b"
BAD_LINES_SHOWN = 5
REQUESTS_PER_REPORT = 1000
PARQUET, JSON_LINES, CSV = ".parquet", ".jsonl", ".csv"


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that is no request, and why."""

    line: int
    reason: str


@dataclass(slots=True, kw_only=True)
class TraceReader:
    """Requests of a trace file, in the order of the file.

    Invariant: `num_bad` lines were left out so far, the first few of them in `bad_lines`; it
    stays 0 unless `skip_bad`.
    """

    path: Path
    skip_bad: bool = False
    format_name: str = ""
    num_bad: int = 0
    bad_lines: list[BadLine] = field(default_factory=list)

    def requests(self) -> Iterator[Request]:
        """Yield a request per line; the file is never held as a whole.

        Raises:
            FileError: if the file cannot be read, or is in no known format.
            SpecError: for a file without a request, and for a line that describes none or is
                earlier than the one before: with its number and the reason.
        """
        state, last_s, found = TraceState(), 0.0, None
        num_requests = 0
        for line, row in self._rows():
            if isinstance(row, str):
                self._bad(line, row)
                continue
            found = found or self._format(row)
            try:
                request = _read(found, row, state)
                if request.arrival_s < last_s:
                    msg = Message(
                        "arrival_s={arrival_s} must be >= {last_s}, the line before",
                        arrival_s=f"{request.arrival_s:g}",
                        last_s=f"{last_s:g}",
                    )
                    raise SpecError(msg)  # noqa: TRY301 - the same fate as other bad lines
            except SpecError as error:
                self._bad(line, error.words)
                continue
            last_s = request.arrival_s
            num_requests += 1
            yield request
        if not num_requests:
            msg = Message("{name}: the trace holds no request", name=self.path.name)
            raise SpecError(msg)

    def _bad(self, line: int, reason: str) -> None:
        if not self.skip_bad:
            msg = Message(
                "{name}, line {line}: {reason}",
                name=self.path.name,
                line=line,
                reason=Message.of_all([reason]),
            )
            raise SpecError(msg)
        self.num_bad += 1
        if len(self.bad_lines) < BAD_LINES_SHOWN:
            self.bad_lines.append(BadLine(line, reason))

    def _format(self, row: Mapping[str, Any]) -> TraceFormat:
        found = format_of(frozenset(row))
        if found is None:
            known = "; ".join(f"{f.name}: {', '.join(sorted(f.columns))}" for f in FORMATS)
            columns = ", ".join(sorted(row))[:200] or "(none)"
            msg = Message(
                "{name}: columns {columns} are of no known trace ({known})",
                name=self.path.name,
                columns=columns,
                known=known,
            )
            raise FileError(msg)
        self.format_name = found.name
        return found

    def _rows(self) -> Iterator[tuple[int, dict[str, Any] | str]]:
        """Line numbers with rows, or with the reason why a line is none."""
        name = self.path.name.removesuffix(".gz")
        if name.endswith(PARQUET):
            yield from _parquet_rows(self.path)
            return
        try:
            with _open(self.path) as file:
                is_json = name.endswith((JSON_LINES, ".json", ".ndjson"))
                lines = _lines(file, self.path.name)
                yield from _json_rows(lines) if is_json else _csv_rows(lines)
        except BROKEN_TEXT as error:
            reason = getattr(error, "strerror", None) or str(error)
            msg = f"{self.path.name}: {reason}"
            raise FileError(msg) from error


def _read(found: TraceFormat, row: Mapping[str, Any], state: TraceState) -> Request:
    try:
        return found.read(row, state)
    except KeyError as error:
        msg = Message("{column} is missing", column=error.args[0])
        raise SpecError(msg) from None
    finally:
        state.num_rows += 1


def _open(path: Path) -> IO[str]:
    with path.open("rb") as file:
        zipped = file.read(len(GZIP_MAGIC)) == GZIP_MAGIC
    if zipped:
        return gzip.open(path, "rt", encoding="utf-8", newline="")
    return path.open(encoding="utf-8", newline="")


def _lines(file: IO[str], name: str) -> Iterator[str]:
    """The file's lines; one without an end is refused before it fills memory."""
    number = 0
    while line := file.readline(MAX_TRACE_LINE + 1):
        number += 1
        if len(line) > MAX_TRACE_LINE:
            msg = Message(
                "{name}, line {number}: longer than {max_trace_line} characters, so no trace",
                name=name,
                number=number,
                max_trace_line=f"{MAX_TRACE_LINE:,}",
            )
            raise FileError(msg)
        yield line


def _csv_rows(lines: Iterator[str]) -> Iterator[tuple[int, dict[str, Any] | str]]:
    reader = csv.reader(lines)
    try:
        header = [plain_name(column) for column in next(reader, ())]
        for values in reader:
            if not values:
                continue
            if len(values) != len(header):
                yield reader.line_num, f"the number of columns must be {len(header)}"
            else:
                yield reader.line_num, dict(zip(header, values, strict=True))
    except csv.Error as error:
        yield reader.line_num, str(error)


def _json_rows(lines: Iterator[str]) -> Iterator[tuple[int, dict[str, Any] | str]]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            yield number, f"no JSON: {error}"
            continue
        if isinstance(row, dict):
            yield number, {plain_name(key): value for key, value in row.items()}
        else:
            yield number, "must be a JSON object"


def _parquet_rows(path: Path) -> Iterator[tuple[int, dict[str, Any] | str]]:
    import polars as pl  # noqa: PLC0415 - heavy, and only this format needs it

    try:
        frame = pl.scan_parquet(path)
        start = 0
        while rows := frame.slice(start, PARQUET_BATCH_ROWS).collect().to_dicts():
            for i, row in enumerate(rows, start + 1):
                yield i, {plain_name(key): value for key, value in row.items()}
            start += len(rows)
    except broken_table() as error:
        msg = f"{path.name}: is no table that can be read: {str(error).splitlines()[0]}"
        raise FileError(msg) from error


def read_trace(
    path: str | PathLike[str],
    *,
    skip_bad: bool = False,
    limit: int | None = None,
    on_progress: Callable[[int], None] | None = None,
) -> Workload:
    """The workload that a trace file holds.

    Args:
        path: CSV, JSON lines or Parquet in a known format; CSV and JSON may be gzipped.
        skip_bad: leave malformed lines out; the workload's source counts them.
        limit: most requests to read, from the start; None means all.
        on_progress: told every now and then how many requests were read.

    Raises:
        FileError: if the file cannot be read, has a line of more than 32 Mi characters, or its
            columns are of no known format.
        SpecError: for a line that describes no request, or times out of order; it names the line.
    """
    reader = TraceReader(path=Path(path), skip_bad=skip_bad)
    requests = tuple(_first(reader.requests(), limit, on_progress))
    source = Message("{name}, {format} format", name=reader.path.name, format=reader.format_name)
    if reader.num_bad:
        source = Message("{source}, {bad} bad lines left out", source=source, bad=reader.num_bad)
    return Workload(requests=requests, name=reader.path.name, source=source)


def _first(
    requests: Iterator[Request], limit: int | None, on_progress: Callable[[int], None] | None
) -> Iterator[Request]:
    for count, request in enumerate(requests, 1):
        yield request
        if on_progress is not None and not count % REQUESTS_PER_REPORT:
            on_progress(count)
        if count == limit:
            return


def write_trace(workload: Iterable[Request], path: str | PathLike[str]) -> None:
    """Write requests in kvsim's own format: .csv, .jsonl or .parquet, the first two also .gz.

    Raises:
        FileError: for another ending, or if the file cannot be written.
    """
    target = Path(path)
    name = target.name.removesuffix(".gz")
    rows = (own_row(request) for request in workload)
    try:
        if name.endswith(PARQUET):
            import polars as pl  # noqa: PLC0415

            pl.DataFrame(list(rows), infer_schema_length=None).write_parquet(target)
        elif name.endswith((CSV, JSON_LINES)):
            with _create(target) as file:
                _write_lines(rows, file, as_json=name.endswith(JSON_LINES))
        else:
            msg = f"trace={target.name} must end with .csv, .jsonl (or either with .gz) or .parquet"
            raise FileError(msg)
    except OSError as error:
        msg = f"trace={target}: {error.strerror}"
        raise FileError(msg) from error


def _create(path: Path) -> IO[str]:
    if path.suffix == ".gz":
        return gzip.open(path, "wt", encoding="utf-8", newline="")
    return path.open("w", encoding="utf-8", newline="")


def _write_lines(rows: Iterator[dict[str, object]], file: IO[str], *, as_json: bool) -> None:
    if as_json:
        for row in rows:
            file.write(json.dumps(row) + "\n")
        return
    writer: csv.DictWriter[str] | None = None
    for row in rows:
        if writer is None:
            writer = csv.DictWriter(file, row)
            writer.writeheader()
        writer.writerow(row)
