"""From bytes of a log to clean lines: encodings, colours, carriage returns, wrappers."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from kvsim.errors import FileError
from kvsim.io.limits import MAX_LOG_BYTES, MAX_LOG_LINE
from kvsim.message import Message

WRAPPED_LINES = 4
"""Lines that one record can be broken over by whoever pasted it."""

_ESCAPE = re.compile(r"\x1b(?:\[[0-9;:?]{0,32}[ -/]?[@-~]|\][^\x07\x1b]{0,500}(?:\x07|\x1b\\)?|.)")
_LOST_ESCAPE = re.compile(r"\[(?:\d{1,3};){0,3}\d{1,3}m")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_WRAPPER_KEYS = ("log", "message", "msg", "text", "line", "MESSAGE", "body", "textPayload")
_RECORD = re.compile(
    r"\s*(?:"
    r"\(\w[\w ]{0,40}pid=\d+|\[?\d{4}[-/]\d\d[-/]\d\d|\[\d\d/\d\d/\d{4}|\d\d:\d\d:\d\d|"
    r"(?:INFO|WARNING|WARN|ERROR|DEBUG|CRITICAL)\b|\[TensorRT-LLM\]|\[rank\d|time=\d{4}-|"
    r"(?:llama_\w+|llm_\w+|print_info|load_tensors|ggml_\w+|sched_reserve|srv|slot|main|init|build)\s*:|"
    r"(?:torch\.\w+Error|RuntimeError|ValueError|Traceback)\b|[\w.-]{1,40}\s+\|\s|"
    r"(?:Loading|Capturing) |[$#>] )"
)


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the log: its number in the file, from 1, and its text without colours.

    `joined` is the text with the lines that continue it, in the two ways in which lines are
    broken: between letters and between words. Empty where nothing continues it.
    """

    number: int
    text: str
    joined: tuple[str, ...] = ()


def load(source: str | Path | bytes) -> str:
    """The text of a log: a file's, or the text itself where it is given.

    A `str` is text if it holds a line break, else the name of a file.

    Raises:
        FileError: if the file cannot be read, is too large or empty.
    """
    if isinstance(source, str) and ("\n" in source or "\r" in source):
        return _bounded(source, "the log")
    if isinstance(source, bytes):
        return _bounded(decode(source), "the log")
    path = Path(source)
    try:
        with path.open("rb") as opened:
            content = opened.read(MAX_LOG_BYTES + 1)
    except (OSError, ValueError) as error:
        msg = f"{str(source)[:200]}: {getattr(error, 'strerror', None) or error}"
        raise FileError(msg) from None
    if len(content) > MAX_LOG_BYTES:
        msg = f"{path.name}: larger than {MAX_LOG_BYTES // 2**20} MiB, so no start-up log"
        raise FileError(msg)
    return _bounded(decode(content), path.name)


def _bounded(text: str, name: str) -> str:
    if len(text) > MAX_LOG_BYTES:
        msg = Message(
            "{name}: larger than {max_log_bytes} MiB, so no start-up log",
            name=name,
            max_log_bytes=MAX_LOG_BYTES // 2**20,
        )
        raise FileError(msg)
    if not text.strip():
        msg = Message("{name}: is empty", name=name)
        raise FileError(msg)
    return text


def decode(content: bytes) -> str:
    r"""Bytes as text: UTF-8 or UTF-16, with or without a mark; what is neither is replaced.

    Example:
        >>> decode("GiB".encode("utf-16")), decode(b"G\xff")
        ('GiB', 'G\ufffd')
    """
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16", "replace")
    head = content[:4096]
    for encoding, zeros in (("utf-16-le", head[1::2]), ("utf-16-be", head[::2])):
        if len(head) > 3 and zeros.count(0) > len(zeros) * 0.8:
            return content.decode(encoding, "replace")
    return content.decode("utf-8-sig", "replace")


def lines_of(text: str) -> list[Line]:
    """Every line without colours and wrappers; a progress bar's repaints are lines of their own."""
    cleaned = list(_cleaned(text))
    records = [bool(_RECORD.match(line)) for _, line in cleaned]
    lines = []
    for i, (number, line) in enumerate(cleaned):
        parts = [line]
        for j in range(i + 1, min(i + WRAPPED_LINES, len(cleaned))):
            if records[j] or not cleaned[j][1].strip():
                break
            parts.append(cleaned[j][1][:2000])
        joined: tuple[str, ...] = ()
        if len(parts) > 1 and len(line) < MAX_LOG_LINE // 10:
            joined = ("".join(parts), " ".join(part.strip() for part in parts))
        lines.append(Line(number, line, joined))
    return lines


def continued(lines: list[Line], start: int, most: int) -> Iterator[str]:
    """The text of the lines that continue a record, until the next record starts."""
    for line in lines[start + 1 : start + 1 + most]:
        if _RECORD.match(line.text):
            return
        yield line.text


def _cleaned(text: str) -> Iterator[tuple[int, str]]:
    for number, raw in enumerate(text.split("\n"), start=1):
        for piece in raw[: 4 * MAX_LOG_LINE].split("\r"):
            for line in _unwrapped(piece):
                yield number, line[:MAX_LOG_LINE]


def _unwrapped(line: str) -> list[str]:
    """A line as the engine printed it: out of a collector's JSON object, and without colours."""
    start = line.find("{")
    if 0 <= start < 80 and line.rstrip().endswith("}") and any(k in line for k in _WRAPPER_KEYS):
        try:
            value = json.loads(line[start:])
        except (ValueError, RecursionError):
            value = None
        if isinstance(value, dict):
            inner = next((value[k] for k in _WRAPPER_KEYS if isinstance(value.get(k), str)), None)
            if inner is not None:
                return [_plain(part) for part in inner.replace("\r", "\n").split("\n")]
    return [_plain(line)]


def _plain(line: str) -> str:
    if "\x1b" in line:
        line = _ESCAPE.sub("", line)
    return _CONTROL.sub("", _LOST_ESCAPE.sub("", line)).rstrip()
