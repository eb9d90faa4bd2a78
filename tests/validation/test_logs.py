"""The replay of posted logs: what it counts as right, and what it doesn't let pass."""

import json
from pathlib import Path

import pytest

from tests.io.log_samples import SAMPLES
from validation.__main__ import main

POSTED = Path(__file__).parents[3] / "shared/data/logs"


def row(name):
    engine, version, outcome, _, says = SAMPLES[name]
    expected = {
        key: value for key, value in says.items() if value or key != "engine_config_differs"
    }
    return {
        "file": f"{name}.txt",
        "engine": engine,
        "version": version,
        "outcome": outcome,
        "model": None,
        "gpu": None,
        "expected": expected,
    }


def replay(folder, capsys, rows):
    for name, sample in SAMPLES.items():
        (folder / f"{name}.txt").write_text(sample[3])
    (folder / "index.jsonl").write_text("".join(json.dumps(each) + "\n" for each in rows))
    code = main(["recorded", "logs", str(folder), "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_logs_that_are_read_as_expected_are_exact(tmp_path, capsys):
    """
    The counts add up, and nothing is left out.
    """
    code, report = replay(tmp_path, capsys, [row(name) for name in SAMPLES])

    assert code == 0
    assert report["exact"] == report["total"] == len(SAMPLES)


@pytest.mark.parametrize(
    ("part", "key", "value"),
    [
        ("settings", "max_model_len", 4095),
        ("settings", "enforce_eager", 0),
        ("measured", "kv_cache_gib", [12.79, 12.71]),
        ("measured", "kv_tokens", None),
        ("engine_config_differs", "dtype", "torch.bfloat16"),
        ("measured", "a_new_figure", 1),
    ],
)
def test_a_log_that_is_read_otherwise_is_wrong(tmp_path, capsys, part, key, value):
    """
    One value off is enough, and the case names it.
    """
    other = row("vllm-v1")
    other["expected"] = other["expected"] | {part: other["expected"][part] | {key: value}}
    code, report = replay(tmp_path, capsys, [other])

    assert code == 3
    assert report["wrong"] == 1
    assert f"{part}.{key}" in report["cases"][0]["reason"]


def test_a_log_that_is_not_there_is_refused(tmp_path, capsys):
    """
    A folder without an index is no record; a row without its file is counted, not dropped.
    """
    assert main(["recorded", "logs", str(tmp_path)]) == 2
    capsys.readouterr()
    code, report = replay(tmp_path, capsys, [row("sglang"), row("ollama") | {"file": "none.txt"}])

    assert code == 0
    assert (report["exact"], report["refused"], report["total"]) == (1, 1, 2)


@pytest.mark.skipif(not POSTED.is_dir(), reason="the posted logs are other people's")
def test_every_posted_log_is_read_as_its_text_says(capsys):
    """
    All of the open half, in the form in which people posted them.
    """
    assert main(["recorded", "logs", str(POSTED), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)

    assert report["exact"] == report["total"] == 49
