"""Traces as columns: io's readers and the simulator's arrays wired together."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice
from os import PathLike
from pathlib import Path

import numpy as np

from kvsim.errors import UnsupportedError
from kvsim.io.trace_columns import TraceColumns, trace_columns
from kvsim.io.trace_frames import WINDOW_BYTES, WINDOW_REQUESTS, IrregularTrace
from kvsim.io.traces import TraceReader, read_trace
from kvsim.sim.request_arrays import RequestArrays, as_arrays, joined
from kvsim.specs.workload import Workload


def read_requests(
    path: str | PathLike[str],
    *,
    skip_bad: bool = False,
    on_progress: Callable[[int], None] | None = None,
) -> RequestArrays | Workload:
    """The requests that a trace file holds, as columns where columns hold all that they say.

    A million requests take a second and a fifth of a GiB so. What asks for more than times, lengths
    and prefixes (priorities, several answers, requests that wait for others), conversations, and
    traces with a line that is no request are read row by row, as `read_trace` does.

    Args:
        path: CSV, JSON lines or Parquet in a known format; CSV and JSON may be gzipped.
        skip_bad: leave malformed lines out; the source counts them.
        on_progress: told every now and then how many requests were read.

    Raises:
        FileError: if the file cannot be read, or its columns are of no known format.
        SpecError: for a line that describes no request, or times out of order; it names the line.
    """
    file = Path(path)
    parts: list[RequestArrays] = []
    num_read = 0
    try:
        for read in trace_columns(file):
            parts.append(_arrays(read, first_place=num_read, name=file.name))
            num_read += len(parts[-1])
            if on_progress is not None:
                on_progress(num_read)
    except IrregularTrace:
        parts = []
    if not parts:
        return read_trace(file, skip_bad=skip_bad, on_progress=on_progress)
    return parts[0] if len(parts) == 1 else joined(parts)


def request_windows(
    path: str | PathLike[str], *, skip_bad: bool, first_place: int
) -> Iterator[RequestArrays]:
    """The requests of a trace file, window by window; a window holds as many whatever came before.

    Args:
        path: as `read_requests` takes it.
        skip_bad: leave malformed lines out.
        first_place: of the first request that is wanted; those before it end a window.

    Raises:
        FileError: if the file cannot be read, or its columns are of no known format.
        SpecError: for a line that describes no request, or times out of order; it names the line.
        UnsupportedError: for requests that wait for the answers of others.
    """
    file, num_read = Path(path), 0
    try:
        for read in trace_columns(file, block_bytes=WINDOW_BYTES):
            window = _arrays(read, first_place=num_read, name=file.name)
            num_read += len(window)
            if num_read > first_place:
                yield window
    except IrregularTrace:
        pass
    else:
        if num_read:
            return
    reader = TraceReader(path=file, skip_bad=skip_bad)
    rows = reader.requests()
    start = max(num_read, first_place)
    for _ in islice(rows, start):
        pass
    while chunk := tuple(islice(rows, WINDOW_REQUESTS)):
        if any(request.after is not None for request in chunk):
            msg = f"{file.name}: requests that wait for the answers of others cannot be streamed"
            raise UnsupportedError(msg)
        window = as_arrays(Workload(requests=chunk))
        yield replace(window, place=window.place + start)
        start += len(chunk)


def _arrays(read: TraceColumns, *, first_place: int, name: str) -> RequestArrays:
    n = len(read.arrival_s)
    return RequestArrays(
        arrival_s=read.arrival_s,
        num_prompt_tokens=read.num_prompt_tokens,
        num_output_tokens=read.num_output_tokens,
        first_segment=read.first_segment,
        segment_id=read.segment_id,
        segment_tokens=read.segment_tokens,
        output_segment=read.output_segment,
        place=first_place + np.arange(n),
        sample=np.zeros(n, np.int64),
        source=f"{name}, {read.format_name} format",
    )
