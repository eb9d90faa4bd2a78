"""Result files of `vllm bench serve`: with `--save-detailed` request by request, else means.

Source:
    vLLM `benchmark` and `main_async`, vllm/benchmarks/serve.py: names and units of the fields.
"""

from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

from kvsim.errors import FileError, SpecError
from kvsim.io.bounded import parse_json, read_text
from kvsim.io.limits import MAX_BENCH_BYTES, MAX_BENCH_NUMBER, MAX_BENCH_REQUESTS
from kvsim.io.numbers import finite
from kvsim.specs.bench import BenchRequest, BenchResult

AT_ONCE = "inf"
MILLISECONDS = 1e-3

Row = Mapping[str, Any]


def read_bench(path: str | PathLike[str]) -> BenchResult:
    """What a result file recorded; of a file with a line per run, the last one.

    Raises:
        FileError: if the file cannot be read or is no JSON object.
        SpecError: for a field that is missing or impossible; it is named.
    """
    file = Path(path)
    text = read_text(file, most_bytes=MAX_BENCH_BYTES, what="benchmark's result")
    row = _last_object(text, file.name)
    if not isinstance(row, dict):
        msg = f"{file.name}: must be a JSON object"
        raise FileError(msg)
    return parse_bench(row, name=file.name)


def _last_object(text: str, name: str) -> object:
    try:
        return parse_json(text, name=name)
    except FileError:
        lines = [line for line in text.splitlines() if line.strip()]
        if len(lines) < 2:
            raise
        return parse_json(lines[-1], name=name)  # --append-result writes a line per run


def parse_bench(row: Row, *, name: str = "bench") -> BenchResult:
    """The result that a decoded JSON object describes; `name` is the file's, for errors.

    Raises:
        SpecError: for a field that is missing or impossible.
    """
    rate = row.get("request_rate", AT_ONCE)
    concurrency = row.get("max_concurrency")
    return BenchResult(
        name=name,
        model_id=str(row.get("model_id") or "unknown model")[:200],
        backend=str(row.get("backend") or row.get("endpoint_type") or "unknown backend")[:100],
        duration_s=_number(row, "duration", name),
        num_completed=_whole(row, "completed", name, most=MAX_BENCH_REQUESTS),
        total_input_tokens=_whole(row, "total_input_tokens", name),
        total_output_tokens=_whole(row, "total_output_tokens", name),
        rate_per_s=None if rate in (AT_ONCE, None) else _positive(row, "request_rate", name),
        burstiness=_positive(row, "burstiness", name) if "burstiness" in row else 1.0,
        max_concurrency=None if concurrency is None else _whole(row, "max_concurrency", name, 1),
        mean_ttft_s=_milliseconds(row, "mean_ttft_ms", name),
        mean_tpot_s=_milliseconds(row, "mean_tpot_ms", name),
        mean_itl_s=_milliseconds(row, "mean_itl_ms", name),
        requests=_requests(row, name),
    )


def _requests(row: Row, name: str) -> tuple[BenchRequest, ...]:
    """Requests that were answered, in order of their start."""
    if "input_lens" not in row or "output_lens" not in row:
        return ()
    prompts, outputs = _list(row, "input_lens", name), _list(row, "output_lens", name)
    n = len(prompts)
    columns = {
        key: _list(row, key, name) if key in row else [None] * n
        for key in ("start_times", "ttfts", "itls")
    }
    for key, values in {"output_lens": outputs, **columns}.items():
        if len(values) != n:
            msg = f"{name}: {key}={len(values)} values must be {n}, as many as input_lens"
            raise SpecError(msg)
    starts = columns["start_times"]
    known = [s for s in starts if s is not None]
    first_s = min((_seconds(s, "start_times", name) for s in known), default=0.0)
    requests = []
    for i in range(n):
        entry = {"input_lens": prompts[i], "output_lens": outputs[i]}
        if not _whole(entry, "output_lens", name):
            continue  # it failed
        start, ttft = starts[i], columns["ttfts"][i]
        requests.append(
            BenchRequest(
                num_prompt_tokens=max(1, _whole(entry, "input_lens", name)),
                num_output_tokens=_whole(entry, "output_lens", name),
                start_s=None if start is None else _seconds(start, "start_times", name) - first_s,
                ttft_s=None if ttft is None else _seconds(ttft, "ttfts", name),
                itls_s=_gaps(columns["itls"][i], name),
            )
        )
    return tuple(sorted(requests, key=lambda r: r.start_s or 0.0))


def _gaps(values: object, name: str) -> tuple[float, ...]:
    if values is None:
        return ()
    if not isinstance(values, list):
        msg = f"{name}: itls must be lists of seconds"
        raise SpecError(msg)
    return tuple(_seconds(value, "itls", name) for value in values)


def _list(row: Row, key: str, name: str) -> list[Any]:
    values = row[key]
    if not isinstance(values, list):
        msg = f"{name}: {key} must be a list"
        raise SpecError(msg)
    return values


def _seconds(value: object, key: str, name: str) -> float:
    return _number({key: value}, key, name)


def _number(row: Row, key: str, name: str) -> float:
    value = row.get(key)
    number = finite(value)
    if number is None or not 0 <= number <= MAX_BENCH_NUMBER:
        msg = f"{name}: {key}={str(value)[:40]} must be a number from 0 to {MAX_BENCH_NUMBER:,}"
        raise SpecError(msg)
    return number


def _positive(row: Row, key: str, name: str) -> float:
    value = _number(row, key, name)
    if not value:
        msg = f"{name}: {key}=0 must be > 0"
        raise SpecError(msg)
    return value


def _whole(row: Row, key: str, name: str, least: int = 0, *, most: int = MAX_BENCH_NUMBER) -> int:
    value = _number(row, key, name)
    if value != value // 1 or not least <= value <= most:
        msg = f"{name}: {key}={value:g} must be a whole number from {least} to {most:,}"
        raise SpecError(msg)
    return int(value)


def _milliseconds(row: Row, key: str, name: str) -> float | None:
    return None if row.get(key) is None else _number(row, key, name) * MILLISECONDS
