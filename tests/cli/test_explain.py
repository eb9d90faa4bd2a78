"""`kvsim explain`: a log in, one JSON object of the published form out."""

import io
import json
from pathlib import Path

import jsonschema
import pytest

from kvsim.cli import main
from tests.io.log_samples import SAMPLES

SCHEMA = json.loads((Path(__file__).parents[2] / "docs/schema/explain.schema.json").read_text())
PAGE = 'vllm:kv_cache_usage_perc{engine="0"} 0.5\n'


def run(capsys, *argv):
    code = main(["explain", *map(str, argv)])
    return code, capsys.readouterr()


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_json_keeps_its_schema(name, tmp_path, capsys):
    """
    A reader of the schema can rely on every key and type, whatever the engine.
    """
    path, page = tmp_path / "log", tmp_path / "page"
    path.write_text(SAMPLES[name][3])
    page.write_text(PAGE)
    code, captured = run(capsys, path, "--metrics", page, "--json")
    result = json.loads(captured.out)

    assert code == 0
    jsonschema.Draft202012Validator(SCHEMA).validate(result)
    assert next(iter(result)) == "schema_version"
    assert result["measured"] == SAMPLES[name][4]["measured"]


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_the_table_shows_what_was_read(name, tmp_path, capsys):
    """
    Without --json people see the same figures.
    """
    path = tmp_path / "log"
    path.write_text(SAMPLES[name][3])
    code, captured = run(capsys, path)

    assert code == 0
    assert SAMPLES[name][2] in captured.out


def test_a_log_may_be_piped_in(monkeypatch, capsys):
    """
    `docker logs server | kvsim explain -`.
    """
    content = io.BytesIO(SAMPLES["vllm-v1"][3].encode("utf-16"))
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(content))
    code, captured = run(capsys, "-", "--json")

    assert code == 0
    assert json.loads(captured.out)["version"] == "0.11.0"


def test_a_calibration_is_written_and_planned_with(tmp_path, capsys):
    """
    From a log to a plan in two commands.
    """
    path, file = tmp_path / "log", tmp_path / "c.json"
    path.write_text(SAMPLES["vllm-v0"][3])
    assert run(capsys, path, "--write-calibration", file, "--json")[0] == 0
    asked = ["plan", "llama-3.1-8b", "--gpu", "l4", "--max-model-len", "8192", "--json"]
    main([*asked, "--calibration", str(file)])
    budget = json.loads(capsys.readouterr().out)["budget"]

    assert budget["weights_bytes"]["best"] == round(8.5107 * 2**30)
    assert "start-up log of vllm 0.6.4" in budget["weights_bytes"]["source"]


@pytest.mark.parametrize(
    ("argv", "names"),
    [
        (["none.log"], "none.log"),
        (["LOG", "--model", "no-such-model"], "no-such-model"),
        (["LOG", "--gpu", "no-such-gpu"], "no-such-gpu"),
        (["LOG", "--trace", "t.csv"], "--metrics"),
        (["EMPTY"], "empty"),
        (["NOISE"], "none of them is named"),
        (["LOG", "--metrics", "none.prom"], "none.prom"),
        (["LLAMA", "--write-calibration", "c.json"], "calibration"),
    ],
)
def test_bad_input_is_one_line(argv, names, tmp_path, monkeypatch, capsys):
    """
    Which argument, and what is wrong with it; exit status 2.
    """
    monkeypatch.chdir(tmp_path)
    files = {
        "LOG": SAMPLES["vllm-v1"][3],
        "LLAMA": SAMPLES["llama.cpp"][3],
        "EMPTY": "\n",
        "NOISE": "a\nb\n",
    }
    for name, text in files.items():
        Path(name).write_text(text)
    code, captured = run(capsys, *argv, "--json")

    assert code == 2
    assert names in captured.err
    assert captured.err.count("\n") == 1
    assert not captured.out


def test_a_page_beside_the_log_is_shown_in_words(tmp_path, capsys):
    """
    Half the cache is free and seven requests wait: what binds is not the cache.
    """
    path, page = tmp_path / "log", tmp_path / "page"
    path.write_text(SAMPLES["vllm-v1"][3])
    page.write_text(PAGE + 'vllm:num_requests_waiting{engine="0"} 7\n')
    code, captured = run(capsys, path, "--metrics", page)
    shown = " ".join(captured.out.split())

    assert code == 0
    assert "running: " in shown
    assert "7 requests wait while 50% of the cache is free: steps bind" in shown


@pytest.mark.parametrize(
    ("hits", "words"),
    [
        (10, "10.0% of prompt tokens are found, 50.0% repeat: blocks are evicted"),
        (45, "45.0% of prompt tokens are found, of the 50.0% that repeat"),
    ],
)
def test_what_a_trace_repeats_stands_beside_what_is_found(hits, words, tmp_path, capsys):
    """
    Two equal prompts: half of all tokens repeats; that a tenth is found is far less than could be.
    """
    path, page, trace = (tmp_path / name for name in ("log", "page", "t.jsonl"))
    path.write_text(SAMPLES["vllm-v1"][3])
    counters = "".join(
        f'vllm:prefix_cache_{name}_total{{engine="0"}} {value}\n'
        for name, value in (("hits", hits), ("queries", 100))
    )
    page.write_text(PAGE + counters)
    row = '{"timestamp": %d, "input_length": 1024, "output_length": 1, "hash_ids": [1, 2]}\n'
    trace.write_text("".join(row % at for at in (0, 1)))
    code, captured = run(capsys, path, "--metrics", page, "--trace", trace)

    assert code == 0
    assert words in " ".join(captured.out.split())
