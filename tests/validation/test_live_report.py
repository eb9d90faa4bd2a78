"""The report's two files, and a user's own record."""

import json
from pathlib import Path

import pytest

from validation.__main__ import main
from validation.report import FILES, Point

LIVE = Path(__file__).parents[2] / "validation/golden/live"
pytestmark = pytest.mark.filterwarnings("ignore")  # plotly's and torch's own


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Both files, from the records alone."""
    pytest.importorskip("plotly")
    made = tmp_path_factory.mktemp("report")
    main(["report", "--no-live", "--output", str(made)])
    return made


@pytest.mark.slow
def test_both_files_are_written(folder):
    """
    One for people, one for programs, with the same counts.
    """
    html = (folder / FILES[0]).read_text("utf-8")
    content = json.loads((folder / FILES[1]).read_text("utf-8"))

    rows = {row["record"]: row for row in content["records"]}
    assert rows["census"]["wrong"] == 0
    assert rows["live transformers: transformers"]["exact"] > 250
    assert all(str(row["total"]) in html for row in content["records"])
    assert content["growth"]
    assert rows["live vllm: vllm"]["exact"] == 9
    assert rows["live llama.cpp: llama_cpp"]["exact"] == 15
    assert {record["kind"] for record in content["live"]} == {
        *("with-and-without", "quantisation", "live-vllm", "live-llama.cpp"),
    }
    assert {row["figure"] for row in content["servers"]} >= {"num_blocks", "tokens", "preemptions"}


@pytest.mark.slow
def test_the_page_needs_no_network(folder):
    """
    The plots' script stands in the file; nothing is loaded from elsewhere.
    """
    html = (folder / FILES[0]).read_text("utf-8")

    assert 'src="http' not in html
    assert "<link" not in html
    assert html.count("plotly-graph-div") >= 6


def test_an_error_is_relative_and_signed():
    """
    Too much is positive.
    """
    point = Point(kind="a", mechanism="b", name="c", predicted=11, measured=10)

    assert round(point.error, 6) == 0.1


def test_a_record_is_added_once(tmp_path, capsys):
    """
    Checked, copied under a name, never overwritten.
    """
    arguments = ["record", str(LIVE / "quantisation.json"), "--name", "mine"]
    arguments += ["--folder", str(tmp_path)]

    assert main(arguments) == 0
    assert (tmp_path / "mine.json").is_file()
    assert main(arguments) == 2
    assert "never overwritten" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        ({"schema_version": 2}, "schema_version=2 must be 1"),
        ({"kind": "x"}, "kind=x must be one of"),
        ({"provenance": None}, "provenance is missing"),
        ({"provenance": {"seed": 0}}, "provenance.date"),
        ({"kind": "live-transformers", "rungs": [{}]}, "rungs[0] lacks subject"),
        ({"kind": "live-transformers"}, "rungs must be given"),
    ],
)
def test_a_record_without_its_origin_is_refused(edit, message, tmp_path, capsys):
    """
    The message names what is missing.
    """
    record = json.loads((LIVE / "quantisation.json").read_text("utf-8")) | edit
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(record))

    assert main(["record", str(path), "--name", "mine", "--folder", str(tmp_path)]) == 2
    assert message in capsys.readouterr().err
