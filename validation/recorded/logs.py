"""Replays posted start-up logs: what is read of each against what its text says."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import kvsim
from validation.recorded.frame import Case, RecordError, Verdict, read_lines

Row = Mapping[str, Any]

INDEX = "index.jsonl"
LONGEST_REASON = 60
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
    """The verdict on one log: read as its text says and made up without a rest, or not."""
    file = folder / row["file"]
    expected = {"engine": row["engine"], "version": row["version"]} | flat(row["expected"])
    try:
        explained = kvsim.explain_log(file)
    except kvsim.KvsimError as error:
        return Case(
            id=row["file"],
            verdict=Verdict.REFUSED,
            predicted={},
            recorded=expected,
            reason=str(error),
        )
    log = explained.log
    read = {"engine": str(log.engine), "version": log.version} | flat(log.as_dict())
    reasons = [*misread(read, expected, printed_text(file.read_bytes())), *unexplained(explained)]
    return Case(
        id=row["file"],
        verdict=Verdict.WRONG if reasons else Verdict.EXACT,
        predicted=read,
        recorded=expected,
        reason="; ".join(reasons),
    )


def summary(path: Path) -> dict[str, list[dict[str, Any]]]:
    """What was set beside what makes it up, a row a log; a refused log has none."""
    index = path / INDEX if path.is_dir() else path
    rows = []
    for row in read_lines(index):
        try:
            explained = kvsim.explain_log(index.parent / row["file"])
        except kvsim.KvsimError:
            continue
        rows.append(
            {
                "log": row["file"],
                "outcome": explained.log.outcome.value,
                "as posted": explained.log.outcome == row["outcome"],
                "model": explained.model or "not known",
                "checks": len(explained.checks),
                "explained": sum(check.is_explained for check in explained.checks),
                "not checked": "; ".join(explained.not_checked)[:LONGEST_REASON],
            }
        )
    return {"figures set beside what makes them up": rows}


def unexplained(explained: kvsim.ExplainedLog) -> list[str]:
    """Checks that leave something, each with what it leaves."""
    return [
        f"{check.name}: {check.remainder.low:,} to {check.remainder.high:,} {check.unit} "
        "are left over"
        for check in explained.unexplained
    ]


def misread(read: Row, expected: Row, text: str) -> list[str]:
    """Expected values that are not read, and values that are read and not printed."""
    wrong = [key for key, value in expected.items() if not same(read.get(key), value)]
    numbers = {as_number(token) for token in NUMBER.findall(text)}
    more = {key: value for key, value in read.items() if key not in expected}
    invented = [key for key, value in more.items() if not is_printed(value, text, numbers)]
    return [
        *(f"{key} is read otherwise" for key in wrong),
        *(f"{key} is read and not printed" for key in invented),
    ]


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
