"""Replays posted start-up logs: what is read of each against what its text says."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import kvsim
from validation.recorded.frame import Case, RecordError, Verdict, read_lines

Row = Mapping[str, Any]

INDEX = "index.jsonl"
PARTS = ("settings", "measured", "engine_config_differs")
NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?(?:[eE][-+]?\d+)?")


def replay(path: Path) -> Iterator[Case]:
    """Every log of a folder's index.jsonl, in its order."""
    index = path / INDEX if path.is_dir() else path
    if not index.exists():
        msg = f"{path.name} holds no {INDEX}"
        raise RecordError(msg)
    for row in read_lines(index):
        yield replay_row(row, index.parent)


def replay_row(row: Row, folder: Path) -> Case:
    """The verdict on one log: read as its text says, or not."""
    file = folder / row["file"]
    expected = {"engine": row["engine"], "version": row["version"]} | flat(row["expected"])
    try:
        log = kvsim.read_engine_log(file)
    except kvsim.KvsimError as error:
        return Case(
            id=row["file"],
            verdict=Verdict.REFUSED,
            predicted={},
            recorded=expected,
            reason=str(error),
        )
    read = {"engine": str(log.engine), "version": log.version} | flat(log.as_dict())
    return judge(row["file"], read, expected, printed_text(file.read_bytes()))


def judge(name: str, read: Row, expected: Row, text: str) -> Case:
    """Exact if every expected value is read, and every other value that is read is printed."""
    wrong = [key for key, value in expected.items() if not same(read.get(key), value)]
    numbers = {as_number(token) for token in NUMBER.findall(text)}
    more = {key: value for key, value in read.items() if key not in expected}
    invented = [key for key, value in more.items() if not is_printed(value, text, numbers)]
    reasons = [f"{key} is read otherwise" for key in wrong]
    reasons += [f"{key} is read and not printed" for key in invented]
    return Case(
        id=name,
        verdict=Verdict.WRONG if reasons else Verdict.EXACT,
        predicted=read,
        recorded=expected,
        reason="; ".join(reasons),
    )


def flat(parts: Row) -> dict[str, Any]:
    """Settings and figures in one mapping, each under its part's name."""
    return {f"{part}.{name}": v for part in PARTS for name, v in parts.get(part, {}).items()}


def same(read: object, value: object) -> bool:
    """Equal, and a switch only to a switch: True is no 1."""
    if isinstance(read, bool) is not isinstance(value, bool):
        return False
    if isinstance(read, list) and isinstance(value, list):
        return len(read) == len(value) and all(map(same, read, value))
    return read == value


def is_printed(value: object, text: str, numbers: set[float]) -> bool:
    """Whether a value's numbers and words are in the text; a switch's name is what is printed."""
    match value:
        case None | bool():
            return True
        case int() | float():
            return abs(value) in numbers
        case list():
            return all(is_printed(each, text, numbers) for each in value)
        case dict():
            return all(is_printed(each, text, numbers) for each in value.values())
    return all(word in text for word in str(value).split())


def as_number(token: str) -> float:
    """A printed number's value."""
    return float(token.replace(",", ""))


def printed_text(content: bytes) -> str:
    """The log's text, in whichever encoding it is."""
    encoding = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8"
    return content.decode(encoding, "replace").replace("\0", "")
