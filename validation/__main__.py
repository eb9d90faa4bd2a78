"""`python -m validation`: recorded KIND PATH [--json] [--kernel], live, fit-..., accuracy."""

import argparse
import hashlib
import json
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import kvsim
from validation.recorded import KINDS, Case, RecordError, Report, Verdict, run

SCHEMA_VERSION = 1
EXIT_EXACT, EXIT_BAD_INPUT, EXIT_WRONG, EXIT_MISSING_EXTRA, EXIT_INTERRUPTED = 0, 2, 3, 4, 130
LONGEST_LIST = 8
"""Entries of a list, or letters of a text, that a miss prints in full, in tens of letters."""

COMMANDS = {
    "fit-overheads": "refit the shipped overheads on measured rows",
    "accuracy": "the page on accuracy",
    "fit-workloads": "lengths of traces as quantiles",
    "report": "every record and a live run, as HTML and JSON",
    "record": "check a measurement of your own and add it",
}
"""Modes with flags of their own."""

BACKENDS = ("transformers", "with-and-without", "quantisation", "vllm", "llama.cpp")


def main(argv: Sequence[str] | None = None) -> int:
    """Run a validation.

    Returns:
        0 if no case is wrong, 2 bad input, 3 a case is wrong, 4 an extra is missing,
        130 interrupted.
    """
    arguments = sys.argv[1:] if argv is None else argv
    if arguments and arguments[0] in COMMANDS:  # flags of their own
        return run_command(arguments[0], arguments[1:])
    parser = argparse.ArgumentParser(prog="python -m validation", description=__doc__)
    modes = parser.add_subparsers(dest="mode", required=True)
    recorded = modes.add_parser("recorded", help="replay recorded measurements")
    recorded.add_argument("kind", choices=sorted(KINDS), metavar="KIND", help=", ".join(KINDS))
    recorded.add_argument("path", type=Path, metavar="PATH", help="file or folder")
    recorded.add_argument("--json", action="store_true", help="print one JSON object")
    recorded.add_argument(
        "--kernel", action="store_true", help="vllm-schedule: by the compiled twin of the scheduler"
    )
    live = modes.add_parser("live", help="measure an engine on this machine", add_help=False)
    live.add_argument("backend", choices=BACKENDS, metavar="BACKEND", help=", ".join(BACKENDS))
    live.add_argument("arguments", nargs=argparse.REMAINDER, help="the backend's own")
    for name, doc in COMMANDS.items():
        modes.add_parser(name, help=doc)
    args = parser.parse_args(argv)
    try:
        if args.mode == "live":
            return run_live(args.backend, args.arguments)
        report = run(args.kind, args.path, kernel=args.kernel)
    except kvsim.MissingExtraError as error:
        return fail(error, EXIT_MISSING_EXTRA)
    except (RecordError, OSError, kvsim.KvsimError) as error:
        return fail(error, EXIT_BAD_INPUT)
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    if args.json:
        whence = {"kvsim_version": kvsim.__version__, "inputs_sha256": content(args.path)}
        head = {"schema_version": SCHEMA_VERSION, "provenance": whence}
        print(json.dumps(head | report.as_dict()))
    else:
        show(report)
    return EXIT_WRONG if report.count(Verdict.WRONG) else EXIT_EXACT


def run_command(name: str, arguments: Sequence[str]) -> int:
    """What a command's own `main` returns; 2 for a file that cannot be read."""
    try:
        return int(import_module(f"validation.{_module(name)}").main(arguments))
    except kvsim.MissingExtraError as error:
        return fail(error, EXIT_MISSING_EXTRA)
    except (RecordError, OSError, kvsim.KvsimError) as error:
        return fail(error, EXIT_BAD_INPUT)


def run_live(backend: str, arguments: Sequence[str]) -> int:
    """What a backend's own `main` returns."""
    return int(import_module(f"validation.live.{_module(backend)}").main(arguments))


def _module(name: str) -> str:
    """The module that a command, or a backend, is called from."""
    return name.replace("-", "_").replace(".", "_")


def content(path: Path) -> str:
    """A digest of what was replayed: a file, or every file of a folder with its name.

    A companion that is looked for beside a file (models.json) counts where the folder is given.
    """
    files = sorted(one for one in path.rglob("*") if one.is_file()) if path.is_dir() else [path]
    held = {}
    for file in files:
        with file.open("rb") as opened:
            name = str(file.relative_to(path))
            held[name] = hashlib.file_digest(opened, "sha256").hexdigest()
    return kvsim.digest(held)


def fail(error: Exception, code: int) -> int:
    """One line on stderr."""
    print(f"validation: {' '.join(str(error).split())}", file=sys.stderr)
    return code


def show(report: Report) -> None:
    """The verdicts as a table, every miss, and the count."""
    print(f"{report.kind}: recorded cases by verdict")
    for verdict in Verdict:
        if count := report.count(verdict):
            print(f"  {verdict:<16} {count:>8,}")
    for case in report.misses:
        show_miss(case)
    for title, rows in report.summary.items():
        show_table(title, rows)
    if rounded := report.count(Verdict.WITHIN_ROUNDING):
        print(f"{rounded} of {report.total} within the rounding of the record")
    print(f"{report.count(Verdict.EXACT)} of {report.total} exact")


def show_table(title: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Rows of plain values under their keys, as wide as they need."""
    print(title)
    if not rows:
        return
    table = [list(rows[0]), *([cell(value) for value in row.values()] for row in rows)]
    widths = [max(len(line[i]) for line in table) for i in range(len(table[0]))]
    for line in table:
        print("  " + "  ".join(f"{text:<{w}}" for text, w in zip(line, widths, strict=True)))


def cell(value: object) -> str:
    """A value of a table; fractions with three digits after the point."""
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def show_miss(case: Case) -> None:
    """One case that is not exact: what was predicted, what was recorded, and why."""
    print(f"{case.id}: {case.verdict}" + (f", {case.reason}" if case.reason else ""))
    for key, value in differing(case.predicted, case.recorded).items():
        print(f"  {key}: predicted {short(value[0])}, recorded {short(value[1])}")


def differing(
    predicted: Mapping[str, Any], recorded: Mapping[str, Any]
) -> dict[str, tuple[Any, Any]]:
    """Recorded values that are not what was predicted."""
    return {
        key: (predicted.get(key), value)
        for key, value in recorded.items()
        if predicted.get(key) != value
    }


def short(value: object) -> str:
    """A value on one line; long ones are cut."""
    text = json.dumps(value, default=str)
    limit = LONGEST_LIST * 10
    return text if len(text) <= limit else f"{text[:limit]}... ({len(text)} letters)"


if __name__ == "__main__":
    sys.exit(main())
