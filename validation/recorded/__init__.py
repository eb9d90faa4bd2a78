"""Replays of recorded measurements: predictions from public functions against what was recorded."""

from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path

from validation.recorded.frame import Case, RecordError, Report, Verdict

KINDS = {
    "census": "validation.recorded.census",
    "configs": "validation.recorded.configs",
}
"""Kinds of records -> the module whose `replay(path)` yields their cases."""


def run(kind: str, path: Path) -> Report:
    """Replay every case of a kind.

    Args:
        kind: one of KINDS.
        path: a file or folder in that kind's format; companion files are found beside it.

    Raises:
        RecordError: if the file is not there or not in the format.
    """
    if not path.exists():
        msg = f"{path}: no such file or folder"
        raise RecordError(msg)
    replay: Callable[[Path], Iterator[Case]] = import_module(KINDS[kind]).replay
    return Report(kind=kind, cases=tuple(replay(path)))


__all__ = ["KINDS", "Case", "RecordError", "Report", "Verdict", "run"]
