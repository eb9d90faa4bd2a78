"""The replays of recorded measurements, on the copies that ship."""

import gzip
import json
import subprocess
import sys
from pathlib import Path

import pytest

import kvsim
from validation.__main__ import main
from validation.recorded import KINDS, Case, RecordError, Report, Verdict, run
from validation.recorded.frame import compare

GOLDEN = Path(__file__).parents[2] / "validation/golden"
CENSUS = GOLDEN / "census/open.jsonl.gz"
NUM_SCORED = 1496


def test_census_is_exact():
    """
    Every scored measurement of every architecture, live and storage bytes.
    """
    report = run("census", CENSUS)

    assert [case.id for case in report.misses] == []
    assert report.total == NUM_SCORED
    assert report.count(Verdict.SKIPPED) == 1


def test_configs_are_exact():
    """
    Every recorded config at 8k and 128k tokens, and its state.
    """
    report = run("configs", GOLDEN / "configs")

    assert [case.id for case in report.misses] == []
    assert report.total == 23


def test_counts_add_up_to_the_total():
    """
    A case that is scored has one verdict.
    """
    cases = tuple(
        Case(id=str(verdict), verdict=verdict, predicted={}, recorded={}) for verdict in Verdict
    )
    summary = Report(kind="configs", cases=cases).as_dict()

    assert summary["total"] == 4
    assert sum(summary[key] for key in ("exact", "within_rounding", "wrong", "refused")) == 4
    assert summary["skipped"] == 1


def test_a_difference_names_its_values():
    """
    A miss without its reason helps nobody.
    """
    case = compare("one", {"total_bytes": 1, "more": 2}, {"total_bytes": 3})

    assert case.verdict is Verdict.WRONG
    assert case.reason == "differs in total_bytes"


def edited_census(tmp_path, **edits):
    """The first line of the census with an edited first measurement."""
    with gzip.open(CENSUS, "rt") as lines:
        row = json.loads(next(lines))
    row["measurements"] = [row["measurements"][0] | edits.pop("measurement", {})]
    row |= edits
    path = tmp_path / "census.jsonl"
    path.write_text(json.dumps(row) + "\n")
    return path


def test_a_wrong_case_is_printed_and_fails(tmp_path, capsys):
    """
    Exit status 3, the miss with both values, and the count at the end.
    """
    path = edited_census(tmp_path, measurement={"total_bytes": 1})

    assert main(["recorded", "census", str(path)]) == 3
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "0 of 1 exact"
    assert any("total_bytes: predicted 8192, recorded 1" in line for line in lines)


def test_a_refusal_is_no_error(tmp_path, capsys):
    """
    Refusing what the record answers is counted apart and leaves 0.
    """
    path = edited_census(tmp_path, config={"model_type": "unheard_of"})

    assert main(["recorded", "census", str(path), "--json"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert (summary["refused"], summary["wrong"], summary["total"]) == (1, 0, 1)
    assert "num_hidden_layers" in summary["cases"][0]["reason"]


def test_naming_what_has_no_formula_is_exact(tmp_path):
    """
    The record has no formula for reformer: the refusal by name is the answer.
    """
    path = edited_census(tmp_path, model_type="reformer", config={"model_type": "reformer"})

    assert run("census", path).count(Verdict.EXACT) == 1


def test_json_has_the_promised_keys(capsys):
    """
    The object's keys are a contract.
    """
    assert main(["recorded", "configs", str(GOLDEN / "configs"), "--json"]) == 0
    summary = json.loads(capsys.readouterr().out)
    counts = ["exact", "within_rounding", "wrong", "refused", "skipped"]
    head = ["schema_version", "provenance", "kind", "total"]
    assert list(summary) == [*head, *counts, "cases"]
    assert summary["provenance"]["kvsim_version"] == kvsim.__version__


def test_json_says_which_record_was_replayed(tmp_path, capsys):
    """
    The same file elsewhere is the same record; one byte more is another.
    """
    seen = []
    for name, more in (("a", b""), ("b", b""), ("c", b"\n")):
        path = tmp_path / f"{name}.jsonl"
        path.write_bytes((GOLDEN / "vllm/static.jsonl").read_bytes() + more)
        main(["recorded", "vllm-static", str(path), "--json"])
        seen.append(json.loads(capsys.readouterr().out)["provenance"]["inputs_sha256"])

    assert seen[0] == seen[1] != seen[2]


@pytest.mark.parametrize("text", ["not json", "[1]", "\xff", "{}"])
def test_a_file_in_another_format_is_bad_input(text, tmp_path, capsys):
    """
    One line on stderr, exit status 2.
    """
    path = tmp_path / "census.jsonl"
    path.write_text(text, encoding="latin-1")

    assert main(["recorded", "census", str(path)]) == 2
    assert capsys.readouterr().err.startswith("validation: census.jsonl")


def test_a_missing_file_is_bad_input():
    """
    The message names it.
    """
    with pytest.raises(RecordError, match="nothing"):
        run("census", Path("nothing"))


def test_every_kind_is_named_once():
    """
    Kinds are the command line's words.
    """
    assert len(set(KINDS.values())) == len(KINDS)


def test_kvsim_validate_is_the_same_program():
    """
    From any folder, with paths as the user gives them.
    """
    command = [sys.executable, "-m", "kvsim", "validate", "recorded", "configs"]
    done = subprocess.run(
        [*command, str(GOLDEN / "configs")],
        cwd=GOLDEN.parents[1],
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.splitlines()[-1] == "23 of 23 exact"
