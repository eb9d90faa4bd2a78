"""Records as tables and as a trace: what is written, and what a spreadsheet must not compute."""

import itertools
import json
from dataclasses import replace

import polars as pl
import pytest

import kvsim
from kvsim.cli import main
from kvsim.io.frames import escaped
from kvsim.io.sweep_files import sweep_store
from kvsim.sim import timeline
from kvsim.sim.series import PreemptionSeries
from kvsim.sim.timeline import Timeline
from tests.sim.runs import serve, workload

SCARCE = ["simulate", "gpt2", "--num-gpu-blocks", "80", "--num-requests", "12"]
SCARCE += ["--prompt-tokens", "200", "--output-tokens", "200", "--json"]


@pytest.fixture(scope="module")
def done():
    """A run with preemptions."""
    return serve(workload((7, 9), (7, 9), (3, 4)), num_gpu_blocks=5)


def test_tables_hold_the_records(done):
    """
    A row for each request, step and preemption; times follow from the records.
    """
    requests, steps, lost = (done.to_polars(t) for t in ("requests", "steps", "preemptions"))

    assert requests["e2e_s"].to_list() == [r.e2e_s for r in done.requests]
    assert requests["num_stalls"].to_list() == [len(r.stalls) for r in done.requests]
    assert steps["num_used_blocks"].max() == done.peak_blocks
    assert lost["by_index"].to_list() == [p.by_index for p in done.preemptions] != []
    with pytest.raises(kvsim.SpecError, match="table=rows must be one of requests, steps"):
        done.to_polars("rows")


def test_types_do_not_depend_on_the_run(done):
    """
    A run without preemptions has the same columns: tables of several runs can be put together.
    """
    other = serve(workload((4, 1)), num_gpu_blocks=9)

    for table in ("requests", "steps", "preemptions"):
        assert other.to_polars(table).schema == done.to_polars(table).schema


@pytest.mark.parametrize("ending", ["json", "csv", "parquet"])
def test_the_command_line_writes_every_table(ending, tmp_path, capsys):
    """
    The file's ending says the format; what is read back is what was simulated.
    """
    tables = {"requests": "--output", "steps": "--output-steps"}
    tables |= {"preemptions": "--output-preemptions"}
    paths = {name: tmp_path / f"{name}.{ending}" for name in tables}
    flags = [text for name, flag in tables.items() for text in (flag, str(paths[name]))]

    assert main([*SCARCE, *flags]) == 0
    result = json.loads(capsys.readouterr().out)
    read = {n: getattr(pl, f"read_{ending}")(p) for n, p in paths.items()}
    assert len(read["requests"]) == result["requests"] == 12
    assert len(read["steps"]) == result["steps"]
    assert len(read["preemptions"]) == result["preemptions"] > 0
    assert read["requests"]["ttft_s"].mean() == pytest.approx(result["ttft_s"]["mean"])


def test_a_wrong_ending_is_refused_before_anything_runs(capsys):
    """
    Field, value and rule; a folder that is not there is one line too.
    """
    assert main([*SCARCE, "--output", "rows.xlsx"]) == 2
    assert "output=rows.xlsx must end with .json, .csv or .parquet" in capsys.readouterr().err
    assert main([*SCARCE, "--output", "/nowhere/rows.csv"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_cells_that_a_spreadsheet_would_compute_are_escaped():
    """
    Text that begins with = + - @; numbers below 0 stay numbers.
    """
    cells = ["=1+1", "+1", "-1", "@x", "\tx", "plain", None, "1=1"]
    frame = escaped(pl.DataFrame({"text": cells, "number": [-1] * len(cells)}))

    assert frame["text"].to_list() == ["'=1+1", "'+1", "'-1", "'@x", "'\tx", "plain", None, "1=1"]
    assert frame["number"].to_list() == [-1] * len(cells)


def test_a_trace_is_valid_and_bounded(done, tmp_path, monkeypatch):
    """
    Slices of a lane never overlap, times never fall in a lane, and what is left out is said.
    """
    path = tmp_path / "run.json"
    kvsim.write_timeline(done, path)
    trace = json.loads(path.read_text())
    slices = [e for e in trace["traceEvents"] if e["ph"] == "X"]

    assert {e["ph"] for e in trace["traceEvents"]} == {"M", "C", "i", "X"}
    for lane in {e["tid"] for e in slices}:
        mine = [e for e in slices if e["tid"] == lane]
        for before, after in itertools.pairwise(mine):
            assert before["ts"] + before["dur"] <= after["ts"] + 1e-6
    assert sum(e["dur"] for e in slices) == pytest.approx(1e6 * sum(r.e2e_s for r in done.requests))
    assert trace["otherData"]["requests_left_out"] == 0

    for name in ("MAX_REQUESTS", "MAX_POINTS", "MAX_PREEMPTIONS"):
        monkeypatch.setattr(timeline, name, 1)
    short = Timeline(done=replace(done, preemptions=PreemptionSeries.of([*done.preemptions] * 3)))
    assert short.about["requests_left_out"] == 2
    assert len(list(short.events())) <= 2 + 3 + 1 + 3


def test_the_command_line_writes_a_trace(tmp_path, capsys):
    """
    `--trace-out FILE` holds what Perfetto opens.
    """
    path = tmp_path / "trace.json"

    assert main([*SCARCE, "--trace-out", str(path)]) == 0
    assert len(json.loads(path.read_text())["traceEvents"]) > 100
    capsys.readouterr()
    assert main([*SCARCE, "--trace-out", str(tmp_path / "no" / "trace.json")]) == 2
    assert "trace_out=trace.json: No such file" in capsys.readouterr().err


def test_a_sweep_as_csv_is_escaped_too(tmp_path):
    """
    Names that users give stand in its cells.
    """
    path = tmp_path / "sweep.csv"
    store = sweep_store(path, {"model": str, "blocks": int})
    store.open("digest", {}, resume=False)
    store.write_part(0, [("=cmd()", -3)])
    store.finish([0], "digest", {}, summary={})

    assert path.read_text() == "model,blocks\n'=cmd(),-3\n"
