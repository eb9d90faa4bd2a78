"""Traces of requests as people have them: who asked when, for how much."""

import csv
import gzip
import io
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from os import PathLike
from pathlib import Path
from typing import IO

from kvsim.errors import FileError, SpecError
from kvsim.specs.workload import PromptSegment, Request, Workload

Row = Mapping[str, str]
Reader = Callable[[Row], Request]


@dataclass(frozen=True, slots=True)
class TraceFormat:
    """A format, told by the columns that it must have."""

    name: str
    columns: frozenset[str]
    reader: Callable[[], Reader]  # a fresh one per file: it may remember the first line


def read_trace(path: str | PathLike[str]) -> Workload:
    """The requests of a trace, plain or .gz, in the order of the file.

    Formats, told by their columns: kvsim's own (arrival_s, num_prompt_tokens,
    num_output_tokens, and priority, prompt, output_segment, num_samples where known; `prompt`
    is segments such as "7:500 12:80"), Azure's LLM inference traces (TIMESTAMP, ContextTokens,
    GeneratedTokens), and lengths alone (prompt_tokens, output_tokens, arrival_s where known).

    Raises:
        FileError: if the file cannot be read, or its columns are of no known format.
        SpecError: for a line that describes no request, or times out of order; it names the line.
    """
    file = Path(path)
    try:
        with _open(file) as lines:
            requests = tuple(_requests(file.name, lines))
    except (OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
        msg = f"{file.name}: {getattr(error, 'strerror', None) or error}"
        raise FileError(msg) from None
    if not requests:
        msg = f"{file.name}: the trace holds no request"
        raise SpecError(msg)
    return Workload(requests=requests, name=file.name, source=str(file.name))


def _open(file: Path) -> IO[str]:
    if file.suffix == ".gz":
        return io.TextIOWrapper(gzip.open(file, "rb"), encoding="utf-8-sig", newline="")
    return file.open(encoding="utf-8-sig", newline="")


def _requests(name: str, lines: Iterable[str]) -> Iterator[Request]:
    rows = csv.DictReader(lines, skipinitialspace=True)
    read = _find_format(name, rows.fieldnames or ()).reader()
    last_s = 0.0
    for row in rows:
        place = f"{name}, line {rows.line_num}"
        if None in row or None in row.values():
            msg = f"{place}: the number of columns must be {len(rows.fieldnames or ())}"
            raise SpecError(msg)
        try:
            request = read(row)
        except SpecError as error:
            msg = f"{place}: {error}"
            raise SpecError(msg) from None
        if request.arrival_s < last_s:
            msg = f"{place}: arrival_s={request.arrival_s:g} must be >= {last_s:g}, the line before"
            raise SpecError(msg)
        last_s = request.arrival_s
        yield request


def _find_format(name: str, columns: Iterable[str]) -> TraceFormat:
    have = frozenset(columns)
    for known in FORMATS:
        if known.columns <= have:
            return known
    wanted = "; ".join(f"{f.name}: {', '.join(sorted(f.columns))}" for f in FORMATS)
    msg = f"{name}: columns {', '.join(sorted(have)) or '(none)'} are of no known trace ({wanted})"
    raise FileError(msg)


def _own_reader() -> Reader:
    def read(row: Row) -> Request:
        prompt = _segments(row.get("prompt") or "")
        return Request(
            arrival_s=_number(row, "arrival_s"),
            num_prompt_tokens=_whole(row, "num_prompt_tokens"),
            num_output_tokens=_whole(row, "num_output_tokens"),
            prompt=prompt,
            priority=_whole(row, "priority") if row.get("priority") else 0,
            output_segment=_whole(row, "output_segment") if row.get("output_segment") else None,
            num_samples=_whole(row, "num_samples") if row.get("num_samples") else 1,
        )

    return read


def _lengths_reader() -> Reader:
    def read(row: Row) -> Request:
        return Request(
            arrival_s=_number(row, "arrival_s") if row.get("arrival_s") else 0.0,
            num_prompt_tokens=_whole(row, "prompt_tokens"),
            num_output_tokens=_whole(row, "output_tokens"),
        )

    return read


def _azure_reader() -> Reader:
    """Azure's stamps count from the first line: the trace starts at second 0."""
    first: list[datetime] = []

    def read(row: Row) -> Request:
        stamp = _time(row["TIMESTAMP"])
        first.append(stamp) if not first else None
        return Request(
            arrival_s=(stamp - first[0]).total_seconds(),
            num_prompt_tokens=_whole(row, "ContextTokens"),
            num_output_tokens=_whole(row, "GeneratedTokens"),
        )

    return read


FORMATS = (
    TraceFormat(
        "kvsim", frozenset({"arrival_s", "num_prompt_tokens", "num_output_tokens"}), _own_reader
    ),
    TraceFormat(
        "Azure", frozenset({"TIMESTAMP", "ContextTokens", "GeneratedTokens"}), _azure_reader
    ),
    TraceFormat("lengths", frozenset({"prompt_tokens", "output_tokens"}), _lengths_reader),
)


def _whole(row: Row, name: str) -> int:
    text = row[name].strip()
    if not text.isdecimal():
        msg = f"{name}={text[:40]!r} must be a whole number"
        raise SpecError(msg)
    return int(text)


def _number(row: Row, name: str) -> float:
    try:
        return float(row[name])
    except ValueError:
        msg = f"{name}={row[name][:40]!r} must be a number"
        raise SpecError(msg) from None


def _time(text: str) -> datetime:
    """A time stamp; digits beyond a microsecond are cut."""
    whole, _, fraction = text.strip().partition(".")
    digits = fraction[: len(fraction) - len(fraction.lstrip("0123456789"))]
    zone = fraction[len(digits) :]
    try:
        return datetime.fromisoformat(f"{whole}.{digits[:6]:0<6}{zone}" if digits else whole)
    except ValueError:
        msg = f"TIMESTAMP={text[:40]!r} must be a date and time"
        raise SpecError(msg) from None


def _segments(text: str) -> tuple[PromptSegment, ...]:
    segments = []
    for word in text.split():
        segment_id, _, num_tokens = word.partition(":")
        if not (segment_id.isdecimal() and num_tokens.isdecimal()):
            msg = f"prompt={word[:40]!r} must be segments such as 7:500"
            raise SpecError(msg)
        segments.append(PromptSegment(int(segment_id), int(num_tokens)))
    return tuple(segments)


__all__ = ["FORMATS", "TraceFormat", "read_trace"]
