"""Every speed figure of the project: run the benchmarks, compare with the history, record.

Run with `./run bench`; `benchmarks/README.md` explains.
"""

import argparse
import contextlib
import json
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import pytest
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from benchmarks.history import HISTORY, read_figures, read_history

FOLDER = Path(__file__).parent
SLOWER = 1.25
"""A ratio to the last record above which a figure is marked: shared machines vary by a tenth."""


def parse(argv):
    parser = argparse.ArgumentParser(prog="./run bench", description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="parts of names; none: all")
    parser.add_argument("--record", action="store_true", help="append the figures to the history")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser.parse_args(argv)


def measure(names):
    """The figures of the benchmarks whose name holds one of these parts, and pytest's status."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        chosen = ["-k", " or ".join(names)] if names else []
        options = ["-q", "--benchmark-only", "--benchmark-timer=time.process_time"]
        options += ["--benchmark-quiet", f"--benchmark-json={report}"]
        options += ["-W", "ignore::pytest_benchmark.logger.PytestBenchmarkWarning"]
        files = sorted(str(path) for path in FOLDER.glob("bench_*.py"))
        status = pytest.main([*options, *chosen, *files])
        found = report.exists() and report.stat().st_size
        document = json.loads(report.read_text(encoding="utf-8")) if found else {}
    return read_figures(document, date=f"{datetime.now(UTC):%Y-%m-%d}"), status


def show(figures, history):
    """One row per figure: seconds, speeds, and the ratio to the last one on the same machine."""
    table = Table(title="Benchmarks: CPU seconds unless marked wall", caption=figures[0].machine)
    for column in (
        "benchmark",
        "workload",
        "median s",
        "per CPU second, notes",
        "of last",
        "recorded",
    ):
        table.add_column(column, justify="left" if column in ("benchmark", "workload") else "right")
    for figure in figures:
        last = figure.last_in(history)
        ratio = "new" if last is None else f"{figure.seconds / last.seconds:.2f}x"
        is_slower = last is not None and figure.seconds > SLOWER * last.seconds
        table.add_row(
            escape(figure.name),
            escape(figure.workload),
            f"{figure.seconds:.3g}" + (" wall" if figure.is_wall else ""),
            "\n".join([*(f"{value:,} {unit}" for unit, value in figure.speeds), *figure.notes]),
            f"[red]{ratio} slower[/red]" if is_slower else ratio,
            "" if last is None else last.date,
        )
    Console(width=None if sys.stdout.isatty() else 160).print(table)


def main(argv=None):
    """0 when all ran; else pytest's status. Times are shown, never judged."""
    args = parse(argv)
    if args.json:  # pytest writes to stdout
        with contextlib.redirect_stdout(sys.stderr):
            figures, status = measure(args.names)
    else:
        figures, status = measure(args.names)
    if status == pytest.ExitCode.NO_TESTS_COLLECTED:
        print(f"bench: no benchmark's name holds {' or '.join(args.names)}", file=sys.stderr)
        return 2
    history = read_history(HISTORY)
    if args.json:
        rows = [figure.as_dict() | figure.compared_with(history) for figure in figures]
        print(json.dumps({"schema_version": 1, "benchmarks": rows}))
    elif figures:
        show(figures, history)
    if args.record and figures and status == 0:
        with HISTORY.open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(figure.as_dict()) + "\n" for figure in figures)
    return int(status)


if __name__ == "__main__":
    sys.exit(main())
