"""`kvsim sweep`: a file or flags in, a table out; every mistake is one line."""

import json

import polars as pl
import pytest

import kvsim
from kvsim.cli import main

FILE = """
mode = "plan"

[grid]
model = ["gpt2", "llama-3.1-8b"]
gpu = "h100"
max_model_len = [1024, 4096]
"""
FLAGS = ["--grid=model=gpt2,llama-3.1-8b", "--grid=gpu=h100", "--grid=max_model_len=1024,4096"]


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "sweep.toml"
    path.write_text(FILE)
    return path


def run_json(capsys, *argv):
    code = main(["sweep", *map(str, argv), "--json"])
    captured = capsys.readouterr()
    assert captured.err == ""
    return code, json.loads(captured.out)


def error_of(capsys, *argv):
    code = main(["sweep", *map(str, argv)])
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    return code, captured.err


def test_a_file_and_flags_describe_the_same_sweep(capsys, file):
    """The same digest means that one goes on where the other stopped."""
    code, of_file = run_json(capsys, file)
    _, of_flags = run_json(capsys, *FLAGS)

    assert code == 0
    assert of_file["rows"] == of_flags["rows"]
    assert of_file["digest"] == of_flags["digest"]
    assert (of_file["points"], of_file["computed"], of_file["refused"]) == (4, 4, 1)
    refused = "max_model_len=4096 must be <= the model's maximum of 1024"
    assert of_file["refusals"] == [{"reason": refused, "points": 1}]
    assert [row["refusal"] for row in of_file["rows"]] == [None, refused, None, None]


def test_a_flag_replaces_the_files_values(capsys, file):
    """The file is kept for the whole study, a flag varies it."""
    _, result = run_json(capsys, file, "--grid", "max_model_len=512")
    assert result["grid"] == {
        "model": ["gpt2", "llama-3.1-8b"],
        "gpu": ["h100"],
        "max_model_len": [512],
    }


def test_an_output_holds_the_table(capsys, file, tmp_path):
    """Columns and rows as in JSON; the types survive in Parquet."""
    _, shown = run_json(capsys, file)
    output = tmp_path / "table.parquet"
    _, written = run_json(capsys, file, "--output", output)
    frame = pl.read_parquet(output)

    assert written["rows"] is None
    assert written["columns"] == frame.columns == shown["columns"]
    assert frame.to_dicts() == shown["rows"]
    assert frame.schema["max_requests"] == pl.Int64
    assert frame.schema["max_concurrency"] == pl.Float64


def test_resume_needs_the_output_alone(capsys, file, tmp_path):
    """Which sweep it was is written beside it."""
    output = tmp_path / "table.csv"
    run_json(capsys, file, "--output", output)
    code, again = run_json(capsys, "--resume", "--output", output)
    assert (code, again["computed"], again["reused"]) == (0, 0, 4)


def test_a_simulated_file_serves_its_workload(capsys, tmp_path):
    """Fields of the workload are fields of the grid."""
    path = tmp_path / "sweep.toml"
    path.write_text(
        'mode = "simulate"\n[grid]\nmodel = "gpt2"\nnum_gpu_blocks_override = [40, 80]\n'
        "max_model_len = 512\nnum_requests = 5\nprompt_tokens = 100\noutput_tokens = 20\n"
    )
    code, result = run_json(capsys, path, "--workers", "1")
    assert code == 0
    assert [row["requests"] for row in result["rows"]] == [5, 5]
    assert [row["num_gpu_blocks"] for row in result["rows"]] == [40, 80]


def test_a_trace_is_a_field(capsys, tmp_path):
    """Requests from a file, as `kvsim simulate --trace` reads them."""
    trace = tmp_path / "requests.csv"
    kvsim.write_trace(kvsim.generate_workload("chat", num_requests=10), trace)
    fields = ["model=llama-3.1-8b", "gpu=h100", f"trace={trace}", "max_num_seqs=2,4"]
    flags = [f"--grid={field}" for field in fields]
    _, result = run_json(capsys, "--simulate", "--workers=1", *flags)
    assert [row["requests"] for row in result["rows"]] == [10, 10]


def test_a_table_is_shown_without_an_output(capsys, file):
    """The fields that vary, and what decides."""
    assert main(["sweep", str(file)]) == 0
    shown = capsys.readouterr().out
    assert "4 of 4 points" in shown
    assert "1 refused: max_model_len=4096 must be <= the model's maximum of 1024" in " ".join(
        shown.split()
    )
    assert "verdict" in shown


def test_where_a_table_went_is_said(capsys, file, tmp_path):
    """With an output the rows are in the file, and the screen names it."""
    output = tmp_path / "out.parquet"
    assert main(["sweep", str(file), "--output", str(output)]) == 0
    assert f"written to {output}" in capsys.readouterr().out.replace("\n", "")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("grid = [", "is no TOML"),
        ("", "grid must be a table of at least one field"),
        ("[grid]\n", "grid must be a table of at least one field"),
        ("grid = 3\n", "grid must be a table of at least one field"),
        ('mode = "guess"\n' + FILE.replace('mode = "plan"', ""), "mode=guess must be one of"),
        ("[gird]\nmodel = 'gpt2'\n", "gird must be one of mode, grid"),
        (FILE.replace("max_model_len", "max_modellen"), "did you mean max_model_len?"),
        (FILE.replace("[1024, 4096]", "[]"), "max_model_len=[] must hold at least one value"),
        (FILE.replace('"h100"', '"h1000000"'), "gpu=h1000000 is not in the catalogue"),
        (FILE.replace("1024", "1979-05-27"), "must be a whole number"),
    ],
)
def test_a_bad_file_is_one_line(capsys, tmp_path, text, words):
    """Field, value, rule; status 2."""
    path = tmp_path / "sweep.toml"
    path.write_text(text)
    code, error = error_of(capsys, path)
    assert code == 2
    assert words in error


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        ([], "must name at least a model"),
        (["absent.toml"], "absent.toml: No such file or directory"),
        (["--grid", "model"], "must be FIELD=VALUE"),
        (["--grid=model="], "model=[] must hold at least one value"),
        ([*FLAGS, "--backend=slurm"], "backend=slurm must be one of local, ray"),
        ([*FLAGS, "--address=127.0.0.1:1"], "needs backend=ray"),
        ([*FLAGS, "--workers=0"], "num_workers=0 must be a whole number >= 1"),
        ([*FLAGS, "--backend=ray", "--workers=2"], "a cluster has its own"),
        (["--resume"], "no sweep to resume"),
        (["--resume", "--output=absent.csv"], "no sweep to resume"),
    ],
)
def test_bad_flags_are_one_line(capsys, argv, words):
    """Status 2, before anything is computed."""
    code, error = error_of(capsys, *argv)
    assert code == 2
    assert words in error


@pytest.mark.parametrize(
    ("held", "words"),
    [
        ("[1]", "table.csv.sweep.json: must be an object with schema_version 1"),
        ("{}", "is no description of a sweep"),
        ('{"schema_version": 2}', "schema_version=2 must be 1: a newer kvsim wrote it"),
    ],
)
def test_a_description_that_cannot_be_read_is_said(capsys, file, tmp_path, held, words):
    """A file beside the output that is none of ours, or not yet ours, is not guessed at."""
    (tmp_path / "table.csv.sweep.json").write_text(held)
    code, error = error_of(capsys, file, "--output", tmp_path / "table.csv")
    assert code == 2
    assert words in error
