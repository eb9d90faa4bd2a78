"""Trace files as columns: no object per request, and the same numbers as the reader of rows."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from kvsim.io.limits import MAX_REQUEST_TOKENS
from kvsim.io.trace_cells import decimal_cells, whole_cells
from kvsim.io.trace_frames import BLOCK_BYTES, IrregularTrace, frames
from kvsim.io.trace_rows import (
    BAILIAN_BLOCK_TOKENS,
    FIRST_HASH_SEGMENT,
    FIRST_TURN_SEGMENT,
    MILLISECONDS,
    MOONCAKE_BLOCK_TOKENS,
    format_of,
)
from kvsim.specs.workload import FIRST_OUTPUT_SEGMENT, FIRST_PRIVATE_SEGMENT

if TYPE_CHECKING:
    from polars import DataFrame

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

STAMP = r"^[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-5][0-9](\.[0-9]{1,9})?(\+00:00)?$"
UTC_ENDING = "+00:00"
MICROSECONDS_PER_S = 10**6
NANOSECONDS_PER_MICROSECOND = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceColumns:
    """Requests of a trace, in its order; prompts are segments as those of `RequestArrays`."""

    arrival_s: Floats
    num_prompt_tokens: Ints
    num_output_tokens: Ints
    first_segment: Ints
    segment_id: Ints
    segment_tokens: Ints
    output_segment: Ints
    format_name: str


@dataclass(slots=True)
class _Past:
    """What earlier tables of the file said: its format, first time stamp, last arrival, rows."""

    format_name: str = ""
    first_us: int | None = None
    has_zone: bool = False
    last_s: float = 0.0
    num_rows: int = 0


def trace_columns(path: Path, *, block_bytes: int = BLOCK_BYTES) -> Iterator[TraceColumns]:
    """The requests of a trace file, a block of lines at a time.

    Raises:
        IrregularTrace: for what the reader of rows has to look at, or what columns do not hold:
            priorities, requests that wait for others, conversations.
    """
    past = _Past()
    for frame in frames(path, block_bytes=block_bytes):
        yield _columns(frame, past)


def _columns(frame: "DataFrame", past: _Past) -> TraceColumns:
    import polars as pl  # noqa: PLC0415 - heavy

    found = format_of(frozenset(frame.columns))
    if found is None or past.format_name not in ("", found.name):
        raise IrregularTrace
    if any(frame[name].null_count() for name in found.columns):
        raise IrregularTrace
    past.format_name = found.name
    try:
        read = READERS[found.name](frame, past)
    except pl.exceptions.PolarsError as error:  # a cell that is no number, or too large a one
        raise IrregularTrace from error
    _check(read, past)
    past.last_s = float(read.arrival_s[-1])
    past.num_rows += len(read.arrival_s)
    return read


def _check(read: TraceColumns, past: _Past) -> None:
    """IrregularTrace for a request that the reader of rows refuses."""
    counts = (read.num_prompt_tokens, read.num_output_tokens)
    is_sound = (
        np.isfinite(read.arrival_s).all()
        and (np.diff(read.arrival_s, prepend=past.last_s) >= 0).all()
        and all(c.min() >= 1 and c.max() <= MAX_REQUEST_TOKENS for c in counts)
    )
    if not is_sound:
        raise IrregularTrace


def _made(
    past: _Past,
    *,
    arrival_s: Floats,
    num_prompt_tokens: Ints,
    num_output_tokens: Ints,
    num_segments: Ints | None = None,
    segment_id: Ints | None = None,
    segment_tokens: Ints | None = None,
    output_segment: Ints | None = None,
) -> TraceColumns:
    n = len(arrival_s)
    none, own = np.zeros(0, np.int64), FIRST_OUTPUT_SEGMENT + past.num_rows + np.arange(n)
    first = np.zeros(n + 1, np.int64)
    if num_segments is not None:
        np.cumsum(num_segments, out=first[1:])
    return TraceColumns(
        arrival_s=arrival_s,
        num_prompt_tokens=num_prompt_tokens,
        num_output_tokens=num_output_tokens,
        first_segment=first,
        segment_id=none if segment_id is None else segment_id,
        segment_tokens=none if segment_tokens is None else segment_tokens,
        output_segment=own if output_segment is None else output_segment,
        format_name=past.format_name,
    )


def _azure(frame: "DataFrame", past: _Past) -> TraceColumns:
    import polars as pl  # noqa: PLC0415 - heavy

    text = frame["TIMESTAMP"]
    if text.dtype != pl.String or not text.str.contains(STAMP).all():
        raise IrregularTrace
    zoned = text.str.ends_with(UTC_ENDING)
    past.has_zone = bool(zoned[0]) if past.first_us is None else past.has_zone
    if not (zoned == past.has_zone).all():
        raise IrregularTrace
    plain = text.str.strip_suffix(UTC_ENDING)
    stamp = plain.str.to_datetime("%Y-%m-%d %H:%M:%S%.f", time_unit="ns", strict=True)
    us = whole_cells(stamp.to_physical()) // NANOSECONDS_PER_MICROSECOND
    past.first_us = int(us[0]) if past.first_us is None else past.first_us
    return _made(
        past,
        arrival_s=(us - past.first_us) / MICROSECONDS_PER_S,
        num_prompt_tokens=whole_cells(frame["ContextTokens"]),
        num_output_tokens=whole_cells(frame["GeneratedTokens"]),
    )


def _burstgpt(frame: "DataFrame", past: _Past) -> TraceColumns:
    return _made(
        past,
        arrival_s=decimal_cells(frame["Timestamp"]),
        num_prompt_tokens=whole_cells(frame["Request tokens"]),
        num_output_tokens=whole_cells(frame["Response tokens"]),
    )


def _sharegpt(frame: "DataFrame", past: _Past) -> TraceColumns:
    """Lengths; a conversation is left to the reader of rows, which remembers what was said."""
    if any(_is_said(frame, name) for name in ("conversation", "conv_id")):
        raise IrregularTrace
    is_timed = _is_said(frame, "arrival_s")
    return _made(
        past,
        arrival_s=decimal_cells(frame["arrival_s"]) if is_timed else np.zeros(frame.height),
        num_prompt_tokens=whole_cells(frame["prompt_tokens"]),
        num_output_tokens=whole_cells(frame["output_tokens"]),
    )


def _hashed(frame: "DataFrame", past: _Past, *, unit: float, block_tokens: int) -> TraceColumns:
    import polars as pl  # noqa: PLC0415 - heavy

    ids, length = frame["hash_ids"], whole_cells(frame["input_length"])
    if not isinstance(ids.dtype, pl.List) or length.min() < 1 or length.max() > MAX_REQUEST_TOKENS:
        raise IrregularTrace
    count, numbers = whole_cells(ids.list.len()), whole_cells(ids.explode())
    is_sound = (count == -(-length // block_tokens)).all() and (
        numbers.min() >= 0 and numbers.max() < FIRST_TURN_SEGMENT - FIRST_HASH_SEGMENT
    )
    if not is_sound:
        raise IrregularTrace
    tokens = np.full(len(numbers), block_tokens)
    tokens[np.cumsum(count) - 1] = length - (count - 1) * block_tokens
    return _made(
        past,
        arrival_s=decimal_cells(frame["timestamp"]) * unit,
        num_prompt_tokens=length,
        num_output_tokens=whole_cells(frame["output_length"]),
        num_segments=count,
        segment_id=FIRST_HASH_SEGMENT + numbers,
        segment_tokens=tokens,
    )


def _mooncake(frame: "DataFrame", past: _Past) -> TraceColumns:
    return _hashed(frame, past, unit=MILLISECONDS, block_tokens=MOONCAKE_BLOCK_TOKENS)


def _bailian(frame: "DataFrame", past: _Past) -> TraceColumns:
    return _hashed(frame, past, unit=1.0, block_tokens=BAILIAN_BLOCK_TOKENS)


def _own(frame: "DataFrame", past: _Past) -> TraceColumns:
    _check_plain(frame)
    length = whole_cells(frame["num_prompt_tokens"])
    count, ids, tokens = _segments(frame, length)
    output = FIRST_OUTPUT_SEGMENT + past.num_rows + np.arange(frame.height)
    if _is_said(frame, "output_segment"):
        named = frame["output_segment"]
        given = whole_cells(named.drop_nulls())
        if len(given) and not (given.min() >= 0 and given.max() < FIRST_PRIVATE_SEGMENT):
            raise IrregularTrace
        output[named.is_not_null().to_numpy()] = given
    return _made(
        past,
        arrival_s=decimal_cells(frame["arrival_s"]),
        num_prompt_tokens=length,
        num_output_tokens=whole_cells(frame["num_output_tokens"]),
        num_segments=count,
        segment_id=ids,
        segment_tokens=tokens,
        output_segment=output,
    )


def _check_plain(frame: "DataFrame") -> None:
    """IrregularTrace for what columns of requests do not hold: order, samples, waiting."""
    plain = {"priority": 0, "num_samples": 1, "pause_s": 0.0}
    for name, value in plain.items():
        if _is_said(frame, name) and (decimal_cells(frame[name].drop_nulls()) != value).any():
            raise IrregularTrace
    if _is_said(frame, "after"):
        raise IrregularTrace


def _is_said(frame: "DataFrame", name: str) -> bool:
    """Whether any row has a value in this column."""
    return name in frame.columns and frame[name].null_count() < frame.height


def _segments(frame: "DataFrame", length: Ints) -> tuple[Ints, Ints, Ints]:
    """How many segments each prompt has, their ids and their lengths."""
    import polars as pl  # noqa: PLC0415 - heavy

    none = np.zeros(0, np.int64)
    if not _is_said(frame, "prompt"):
        return np.zeros(frame.height, np.int64), none, none
    text = frame["prompt"]
    if text.dtype != pl.String:
        raise IrregularTrace
    text = text.set(text == "", None)
    if text.null_count() == frame.height:
        return np.zeros(frame.height, np.int64), none, none
    pairs = text.drop_nulls().str.split(" ")
    parts = pairs.explode().str.split(":")
    if not (parts.list.len() == 2).all():
        raise IrregularTrace
    ids, tokens = whole_cells(parts.list.get(0)), whole_cells(parts.list.get(1))
    count = np.zeros(frame.height, np.int64)
    count[text.is_not_null().to_numpy()] = whole_cells(pairs.list.len())
    described = np.diff(np.concatenate([[0], np.cumsum(tokens)])[np.cumsum(count)], prepend=0)
    is_sound = (
        ids.min() >= 0
        and ids.max() < FIRST_PRIVATE_SEGMENT
        and tokens.min() >= 0
        and ((described == length) | (count == 0)).all()
    )
    if not is_sound:
        raise IrregularTrace
    return count, ids, tokens


READERS: dict[str, Callable[["DataFrame", _Past], TraceColumns]] = {
    "kvsim": _own,
    "azure": _azure,
    "burstgpt": _burstgpt,
    "mooncake": _mooncake,
    "qwen-bailian": _bailian,
    "sharegpt": _sharegpt,
}
