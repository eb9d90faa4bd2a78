"""Metrics pages in the Prometheus text format: read from files and servers, and written."""

import re
import time
from collections.abc import Iterable, Iterator, Sequence
from http.client import HTTPException
from os import PathLike
from pathlib import Path
from typing import IO, NamedTuple
from urllib.parse import SplitResult, urlsplit
from urllib.request import HTTPRedirectHandler, OpenerDirector, ProxyHandler, build_opener

from kvsim.errors import FileError, SpecError
from kvsim.io.limits import MAX_METRICS_BYTES
from kvsim.specs.metrics import UNBOUNDED, Family, Histogram, Labels, MetricKind, MetricsPage

TIMEOUT_S = 10
URL_SCHEMES = ("http", "https")
LOOPBACK = ("localhost", "127.0.0.1", "::1")
METRICS_PATH = "/metrics"
MILLISECONDS = 1e-3

STAMPS, WALL_CLOCK, FILE_TIMES = "time stamps of the samples", "wall clock", "files' times"
"""Clocks: pages read by different ones tell no time between them."""

_NAME = re.compile(r"[A-Za-z_:][A-Za-z0-9_:]*", re.ASCII)
_LABEL = re.compile(r'\s*([A-Za-z_][A-Za-z0-9_]*)\s*=\s*"((?:[^"\\]|\\.)*)"\s*,?')
_CLOSE = re.compile(r"\s*\}")
_ESCAPES = {"\\n": "\n", '\\"': '"', "\\\\": "\\"}


def is_url(source: str) -> bool:
    """Whether a source is a page of a server, not a file."""
    return urlsplit(source).scheme in URL_SCHEMES


def read_metrics(source: str | PathLike[str]) -> MetricsPage:
    """The metrics page of a server, or one that was saved.

    Args:
        source: a file, or a URL of http or https; a URL without a path means its /metrics.

    Raises:
        FileError: if it cannot be read, or is too large to be a metrics page.
        SpecError: for a line that is no sample: with its number.
    """
    if isinstance(source, str) and is_url(source):
        url = urlsplit(source)
        if url.path in ("", "/"):
            url = url._replace(path=METRICS_PATH)
        name = f"{url.hostname}{url.path}"  # never what stands before the host
        return parse_metrics(_fetch(url, name), name=name, read_s=time.time(), clock=WALL_CLOCK)
    path = Path(source)
    try:
        with path.open("rb") as file:
            text = _text(file, path.name)
        changed_s = path.stat().st_mtime
    except OSError as error:
        msg = f"{path.name}: {error.strerror}"
        raise FileError(msg) from error
    return parse_metrics(text, name=path.name, read_s=changed_s, clock=FILE_TIMES)


def parse_metrics(
    text: str, *, name: str, read_s: float | None = None, clock: str | None = None
) -> MetricsPage:
    """The samples of a page; time stamps on it, where it has any, say when it was read.

    Raises:
        SpecError: for a line that is no sample, or a page without any.
    """
    samples: dict[str, dict[Labels, float]] = {}
    stamps = []
    for number, line in enumerate(text.split("\n"), 1):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        sample = _sample(stripped)
        if sample is None:
            msg = f"{name}, line {number}: {stripped[:60]!r} is no sample of a metrics page"
            raise SpecError(msg)
        samples.setdefault(sample.name, {})[sample.labels] = sample.value
        if sample.stamp_ms is not None:
            stamps.append(sample.stamp_ms)
    if not samples:
        msg = f"{name}: the page holds no sample"
        raise SpecError(msg)
    if stamps:
        read_s, clock = max(stamps) * MILLISECONDS, STAMPS
    return MetricsPage(name=name, samples=samples, read_s=read_s, clock=clock)


class _Sample(NamedTuple):
    name: str
    labels: Labels
    value: float
    stamp_ms: float | None


def _sample(line: str) -> _Sample | None:
    """A line's name, labels, value and time stamp; None of a line that is no sample."""
    name = _NAME.match(line)
    if name is None:
        return None
    end, labels = name.end(), {}
    if line[end : end + 1] == "{":
        end += 1
        while (label := _LABEL.match(line, end)) is not None:
            labels[label[1]] = re.sub(r"\\.", lambda m: _ESCAPES.get(m[0], m[0]), label[2])
            end = label.end()
        closed = _CLOSE.match(line, end)
        if closed is None:
            return None
        end = closed.end()
    words = line[end:].partition(" # ")[0].split()  # an exemplar may follow
    try:
        numbers = [float(word) for word in words]
    except ValueError:
        return None
    if not 1 <= len(numbers) <= 2:
        return None
    stamp_ms = numbers[1] if len(numbers) == 2 else None
    return _Sample(name[0], tuple(sorted(labels.items())), numbers[0], stamp_ms)


def _fetch(url: SplitResult, name: str) -> str:
    try:
        with _opener(url.hostname).open(url.geturl(), timeout=TIMEOUT_S) as answer:
            return _text(answer, name)
    except (OSError, HTTPException, ValueError) as error:
        reason = " ".join(str(getattr(error, "reason", None) or error).split())[:100]
        msg = f"{name}: {reason}"
        raise FileError(msg) from error


class _NoRedirects(HTTPRedirectHandler):
    """A metrics page lies where it was asked for; anything else is an error."""

    def redirect_request(self, *_: object) -> None:
        """Nowhere."""


def _opener(host: str | None) -> OpenerDirector:
    """This machine is never behind a proxy."""
    if host in LOOPBACK:
        return build_opener(_NoRedirects(), ProxyHandler({}))
    return build_opener(_NoRedirects())


def _text(file: IO[bytes], name: str) -> str:
    raw = file.read(MAX_METRICS_BYTES + 1)
    if len(raw) > MAX_METRICS_BYTES:
        msg = f"{name}: a metrics page must have at most {MAX_METRICS_BYTES:,} bytes"
        raise FileError(msg)
    return raw.decode("utf-8", "replace")


def write_metrics(
    families: Iterable[Family], path: str | PathLike[str], *, read_s: float | None = None
) -> None:
    """Write a page; with `read_s` every sample carries that time stamp.

    Raises:
        FileError: if the file cannot be written.
    """
    target = Path(path)
    try:
        target.write_text(format_metrics(families, read_s=read_s), encoding="utf-8")
    except OSError as error:
        msg = f"metrics_out={target}: {error.strerror}"
        raise FileError(msg) from error


def format_metrics(families: Iterable[Family], *, read_s: float | None = None) -> str:
    """A page in the Prometheus text format.

    Source:
        Prometheus documentation, exposition formats, text format 0.0.4.

    Example:
        >>> family = Family(name="vllm:num_preemptions", kind=MetricKind.COUNTER, doc="Evictions.",
        ...     values={(("engine", "0"),): 2})
        >>> print(format_metrics([family], read_s=1.5), end="")
        # HELP vllm:num_preemptions_total Evictions.
        # TYPE vllm:num_preemptions_total counter
        vllm:num_preemptions_total{engine="0"} 2.0 1500
    """
    stamp = "" if read_s is None else f" {round(read_s / MILLISECONDS)}"
    lines = []
    for family in families:
        name = family.name + ("_total" if family.kind is MetricKind.COUNTER else "")
        lines += [f"# HELP {name} {family.doc}", f"# TYPE {name} {family.kind}"]
        lines += [
            f"{name}{_written(labels)} {float(value)!r}{stamp}"
            for labels, value in family.values.items()
        ]
        for labels, histogram in family.histograms.items():
            lines += (line + stamp for line in _histogram_lines(name, labels, histogram))
    return "\n".join([*lines, ""])


def _histogram_lines(name: str, labels: Labels, histogram: Histogram) -> Iterator[str]:
    for bound, count in zip(histogram.bounds, histogram.cumulative, strict=True):
        top = "+Inf" if bound == UNBOUNDED else repr(float(bound))
        yield f"{name}_bucket{_written((*labels, ('le', top)))} {float(count)!r}"
    yield f"{name}_count{_written(labels)} {float(histogram.num_observed)!r}"
    yield f"{name}_sum{_written(labels)} {float(histogram.total)!r}"


def _written(labels: Sequence[tuple[str, str]]) -> str:
    if not labels:
        return ""
    parts = (f'{name}="{_escaped(value)}"' for name, value in sorted(labels))
    return "{" + ",".join(parts) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
