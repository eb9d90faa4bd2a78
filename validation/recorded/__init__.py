"""Replays of recorded measurements: predictions from public functions against what was recorded."""

from collections.abc import Callable, Iterator
from importlib import import_module, util
from pathlib import Path
from typing import Any

from validation.recorded.frame import Case, RecordError, Report, Verdict

KINDS = {
    "census": "census",
    "configs": "configs",
    "measured": "measured",
    "vllm-specs": "vllm_specs",
    "vllm-static": "vllm_static",
    "vllm-engine": "vllm_engine",
    "vllm-schedule": "vllm_schedule",
    "llama-cpp": "llama_cpp",
    "logs": "logs",
}
"""Kinds of records -> the module here whose `replay(path)` yields their cases.

A module may have a `summary(path)` too: tables that are printed after the cases.
"""


def run(kind: str, path: Path, *, kernel: bool = False) -> Report:
    """Replay every case of a kind.

    Args:
        kind: one of KINDS.
        kernel: by the compiled twin of the scheduler; kinds without one refuse it.
        path: a file or folder in that kind's format; companion files are found beside it.

    Raises:
        RecordError: if the file is not there or not in the format, or the kind is not built.
    """
    if not path.exists():
        msg = f"{path}: no such file or folder"
        raise RecordError(msg)
    name = f"{__name__}.{KINDS[kind]}"
    if util.find_spec(name) is None:
        msg = f"kind={kind} is not available here"
        raise RecordError(msg)
    module = import_module(name)
    if kernel and not hasattr(module, "replay_kernel"):
        msg = f"kernel: {kind} has no compiled twin"
        raise RecordError(msg)
    replay: Callable[[Path], Iterator[Any]] = module.replay_kernel if kernel else module.replay
    summary: Callable[[Path], Any] = getattr(module, "summary", lambda _: {})
    try:
        cases = tuple(as_case(case) for case in replay(path))
    except (KeyError, TypeError) as error:
        msg = f"{path.name} is not in the format of {kind}: {error!r}"
        raise RecordError(msg) from error
    tables = module.kernel_summary(cases) if kernel else summary(path)
    return Report(kind=kind, cases=cases, summary=tables)


def as_case(case: Any) -> Case:  # noqa: ANN401 - a kind may have a case class of its own
    """The case in the frame's form."""
    if isinstance(case, Case):
        return case
    return Case(
        id=case.id,
        verdict=Verdict(case.verdict),
        predicted=case.predicted,
        recorded=case.recorded,
        reason=case.reason,
    )


__all__ = ["KINDS", "Case", "RecordError", "Report", "Verdict", "run"]
