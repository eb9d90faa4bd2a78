"""What every kind of recorded replay shares: a case, its verdict, the count of verdicts."""

import gzip
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any


class Verdict(StrEnum):
    """How a prediction compares with its record; a refusal that the record shares is exact."""

    EXACT = "exact"
    WITHIN_ROUNDING = "within_rounding"
    WRONG = "wrong"
    REFUSED = "refused"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One recorded case against its prediction; `reason` says why it is not exact."""

    id: str
    verdict: Verdict
    predicted: Mapping[str, Any]
    recorded: Mapping[str, Any]
    reason: str = ""

    def as_dict(self) -> dict[str, Any]:
        """The case as plain values."""
        return {
            "id": self.id,
            "verdict": str(self.verdict),
            "predicted": dict(self.predicted),
            "recorded": dict(self.recorded),
            "reason": self.reason,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All cases of one kind; the counts of scored verdicts add up to `total`.

    `summary` holds tables that a kind adds: a title, and rows of plain values.
    """

    kind: str
    cases: tuple[Case, ...]
    summary: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)

    def count(self, verdict: Verdict) -> int:
        """Cases with this verdict."""
        return Counter(case.verdict for case in self.cases)[verdict]

    @property
    def total(self) -> int:
        """Cases that are scored."""
        return len(self.cases) - self.count(Verdict.SKIPPED)

    @property
    def misses(self) -> tuple[Case, ...]:
        """Cases that are scored and neither exact nor within the rounding of the record."""
        right = (Verdict.EXACT, Verdict.WITHIN_ROUNDING, Verdict.SKIPPED)
        return tuple(c for c in self.cases if c.verdict not in right)

    def as_dict(self) -> dict[str, Any]:
        """The report as plain values."""
        counts = {str(verdict): self.count(verdict) for verdict in Verdict}
        cases = [case.as_dict() for case in self.cases]
        tables = {title: [dict(row) for row in rows] for title, rows in self.summary.items()}
        added = {"summary": tables} if tables else {}
        return {"kind": self.kind, "total": self.total, **counts, **added, "cases": cases}


class RecordError(Exception):
    """A file that is not in the format its kind expects; the message says what is wrong."""


def compare(
    case_id: str, predicted: Mapping[str, Any], recorded: Mapping[str, Any], *, reason: str = ""
) -> Case:
    """Exact if every recorded value is predicted, else wrong, naming the values that differ."""
    wrong = [key for key, value in recorded.items() if predicted.get(key) != value]
    if wrong:
        reason = f"differs in {', '.join(wrong)}" + (f": {reason}" if reason else "")
    return Case(
        id=case_id,
        verdict=Verdict.WRONG if wrong else Verdict.EXACT,
        predicted=predicted,
        recorded=recorded,
        reason=reason if wrong else "",
    )


def is_gzipped(path: Path) -> bool:
    """Whether a file's name says that it is compressed."""
    return path.suffix == ".gz"


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The JSON objects of a file of lines, gzipped or not.

    Raises:
        RecordError: for a line that holds no object; it names file and line.
    """
    try:
        with gzip.open(path, "rb") if is_gzipped(path) else path.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    yield _object(line, f"{path.name}, line {number}")
    except EOFError as error:
        msg = f"{path.name}: {error}"
        raise RecordError(msg) from None


def _object(line: bytes, place: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except ValueError as error:
        msg = f"{place}: {error}"
        raise RecordError(msg) from None
    if not isinstance(row, dict):
        msg = f"{place}: not an object"
        raise RecordError(msg)
    return row


def files_of(path: Path, patterns: Sequence[str]) -> list[Path]:
    """The file itself, or a folder's files that match any of the patterns."""
    if not path.is_dir():
        return [path]
    found = sorted({file for pattern in patterns for file in path.glob(pattern)})
    if not found:
        msg = f"{path.name} holds no file like {' or '.join(patterns)}"
        raise RecordError(msg)
    return found
