"""Figures of speed: every benchmark says what it measures, and a slow-down shows."""

import ast
import json
from pathlib import Path

import pytest

from benchmarks.history import HISTORY, read_figures, read_history

FILES = sorted(HISTORY.parent.glob("bench_*.py"))


def report(**changed):
    """What pytest-benchmark writes, as far as it is read."""
    row = {
        "fullname": "benchmarks/bench_core.py::test_plan[llama-3.1-8b]",
        "extra_info": {"workload": "One warm call.", "plans_per_cpu_s": 5000, "steps": 3},
        "options": {"timer": "process_time"},
        "stats": {"median": 0.0002, "rounds": 50},
    }
    cpu = {"brand_raw": "AMD EPYC", "arch_string_raw": "x86_64", "count": 2}
    machine = {"cpu": cpu, "python_implementation": "CPython", "python_version": "3.11.7"}
    return {"machine_info": machine | {"node": "some-host"}, "benchmarks": [row | changed]}


def figure(date="2026-11-24", **changed):
    (read,) = read_figures(report(**changed), date=date)
    return read


def test_a_figure_names_its_workload_machine_and_date():
    """A speed without them says nothing."""
    assert figure().as_dict() == {
        "name": "bench_core::test_plan[llama-3.1-8b]",
        "workload": "One warm call.",
        "seconds": 0.0002,
        "clock": "process_time",
        "rounds": 50,
        "machine": "AMD EPYC x86_64 x 2, CPython 3.11.7",
        "date": "2026-11-24",
        "extra": {"plans_per_cpu_s": 5000, "steps": 3},
    }
    assert list(figure().speeds) == [("plans", 5000)]


def test_a_slow_down_shows_against_the_last_record():
    """The ratio is to the last figure of the same benchmark on the same kind of machine."""
    old = figure("2026-01-01", stats={"median": 0.1, "rounds": 5})
    last = figure("2026-06-01", stats={"median": 0.0001, "rounds": 5})
    other = figure("2026-07-01", fullname="benchmarks/bench_core.py::test_other")

    assert figure().compared_with([old, last, other]) == {
        "last_date": "2026-06-01",
        "of_last": 2.0,
    }
    assert figure().compared_with([other]) == {"last_date": None, "of_last": None}


def test_the_wall_is_marked():
    """What runs on several cores has no CPU seconds of one process."""
    assert figure(options={"timer": "perf_counter"}).is_wall
    assert not figure().is_wall


def test_an_empty_report_has_no_figures():
    """Where nothing was chosen, nothing was measured."""
    assert read_figures({}, date="2026-11-24") == []


def test_a_history_is_read_back_as_it_was_written(tmp_path):
    """A line per figure, oldest first."""
    path = tmp_path / "history.jsonl"
    lines = [json.dumps(figure(date).as_dict()) for date in ("2026-01-01", "2026-01-02")]
    path.write_text("\n".join(lines) + "\n")

    assert [read.date for read in read_history(path)] == ["2026-01-01", "2026-01-02"]
    assert read_history(tmp_path / "absent.jsonl") == []


def test_the_recorded_history_is_whole():
    """Every line is a figure with a workload, a machine and a date."""
    recorded = read_history(HISTORY)
    assert recorded
    assert all(f.workload and f.machine and f.date and f.seconds > 0 for f in recorded)


@pytest.mark.parametrize("path", FILES, ids=lambda path: Path(path).stem)
def test_every_benchmark_says_what_it_measures(path):
    """The first line of the docstring is the workload in the table and in the history."""
    tests = [
        node
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    ]
    assert tests
    assert [test.name for test in tests if not ast.get_docstring(test)] == []
