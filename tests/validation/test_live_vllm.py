"""A real vLLM's recorded starts and loads against today's predictions; the live run on a fake."""

# long: one claim after another about one engine

import json
import os
import subprocess
import sys
from importlib import util
from pathlib import Path

import pytest

import kvsim
from tests.validation import fake_vllm
from validation.__main__ import main
from validation.live.server import fetch, free_port, replies, started
from validation.live.vllm_case import Case
from validation.live.vllm_load import Load
from validation.live.vllm_models import ENGINE_MODELS
from validation.live.vllm_predicted import (
    CPU,
    differing,
    predict_load,
    predict_reported,
    predict_start,
)
from validation.live.vllm_readings import Start, config_of, start_of, usage_of

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "validation/golden/live/vllm.json"
RECORD = json.loads(GOLDEN.read_text("utf-8"))
STARTS = {start["case"]["name"]: start for start in RECORD["starts"]}
BLOCKS = ("num_blocks", "tokens", "max_concurrency", "max_model_len")


def ids_of(start):
    return start["case"]["name"]


@pytest.mark.parametrize("start", RECORD["starts"], ids=ids_of)
def test_today_predicts_what_the_engine_said(start):
    """
    Blocks, tokens and concurrency of its start; hits and preemptions of its load.
    """
    case, measured = Case.read(start["case"]), start["measured"]
    subject = case.subject(CPU)

    predicted = predict_start(subject, subject.engine.kv_cache_memory_bytes)
    if case.load is not None:
        predicted |= predict_load(subject, case.load, predicted["num_blocks"])

    assert {name: predicted[name] for name in BLOCKS} == {name: measured[name] for name in BLOCKS}
    assert differing(predicted, measured) == []


def test_the_record_spans_the_mechanisms():
    """
    What vLLM caches in different ways, each with requests that lost their blocks or found them.
    """
    mechanisms = {start["case"]["mechanism"] for start in RECORD["starts"]}

    assert {"GQA", "MLA", "MQA", "alternating window", "Mamba-1 and GQA"} <= mechanisms
    assert {start["status"] for start in RECORD["starts"]} == {"exact"}
    assert set(STARTS) == {model.name for model in ENGINE_MODELS}
    served = [start["measured"] for start in RECORD["starts"] if start["case"]["load"]]
    assert sum(measured["preemptions"] for measured in served) > 20
    assert sum(measured["prefix_hit_tokens"] for measured in served) > 10_000


def test_most_peaks_were_seen():
    """
    The gauge is read now and then: what it showed is never above the prediction, mostly equal.
    """
    peaks = [
        (start["predicted"]["peak_blocks"], start["measured"]["peak_blocks"])
        for start in RECORD["starts"]
        if start["case"]["load"]
    ]

    assert all(measured <= predicted for predicted, measured in peaks)
    assert sum(measured == predicted for predicted, measured in peaks) > len(peaks) / 2


def test_the_record_says_where_it_comes_from():
    """
    Engine, torch, device, command, date and seed.
    """
    facts = RECORD["provenance"]

    assert facts["versions"].keys() == {"vllm", "torch"}
    assert facts["device"]["kind"] == "cpu"
    assert {"command", "date", "seed"} <= facts.keys()


@pytest.fixture
def told(tmp_path, monkeypatch):
    """Makes a fake vLLM importable for other Pythons; keywords say what it tells."""

    def make(name="llama-gqa", **changes):
        folder = fake_vllm.write(tmp_path / "fake", STARTS[name], **changes)
        monkeypatch.setenv("PYTHONPATH", str(folder))
        return STARTS[name]

    return make


def live(*arguments):
    return main(["live", "vllm", "--python", sys.executable, *arguments])


def test_a_server_is_started_loaded_and_compared(told, tmp_path, capsys):
    """
    The record of the run is one that `record` takes.
    """
    start = told()
    path = tmp_path / "mine.json"

    assert live("--models", "llama-gqa", "--output", str(path)) == 0

    record = json.loads(path.read_text("utf-8"))
    assert record["starts"][0]["measured"] | {"peak_running": 0} == (
        start["measured"] | {"peak_running": 0}
    )
    assert record["provenance"]["versions"] == {"torch": "2.13.0+cpu", "vllm": "0.32.0"}
    assert capsys.readouterr().out.splitlines()[-1] == "1 of 1 exact"
    assert main(["record", str(path), "--name", "mine", "--folder", str(tmp_path / "fake")]) == 0


def test_a_difference_is_named(told, capsys):
    """
    By figure, with both values; exit status 3.
    """
    told(num_blocks=40, preemptions=10)

    assert live("--models", "llama-gqa") == 3
    out = capsys.readouterr().out
    assert "llama-gqa num_blocks: predicted 41, measured 40" in out
    assert "llama-gqa preemptions: predicted 11, measured 10" in out


def test_a_peak_may_be_missed_but_not_exceeded(told, capsys):
    """
    Gauges are read now and then.
    """
    told(peak_blocks=30)

    assert live("--models", "llama-gqa") == 0
    assert "no sample caught the highest peak_blocks" in capsys.readouterr().out
    assert differing({"peak_blocks": 30}, {"peak_blocks": 31}) == ["peak_blocks"]


def test_settings_reach_the_server_under_their_own_names(told, tmp_path):
    """
    What is predicted is what is started.
    """
    told()
    path = tmp_path / "mine.json"
    live(
        *("--models", "llama-gqa", "--no-load", "--output", str(path)),
        *("--set", "enable_prefix_caching=false", "max_num_seqs=8"),
    )

    case = json.loads(path.read_text("utf-8"))["starts"][0]["case"]
    assert case["load"] is None
    assert case["settings"]["max_num_seqs"] == 8
    assert case["settings"]["enable_prefix_caching"] is False


def test_a_server_that_does_not_start_in_time_is_ended(told, capsys):
    """
    Its log is shown, and its process is gone.
    """
    told(healthy=False)

    assert live("--models", "llama-gqa", "--start-timeout-s", "2") == 2
    said = capsys.readouterr().err
    assert "KV cache size: 1,312 tokens" in said
    assert said.splitlines()[-1] == "validation: llama-gqa: the start: not within 2 s"
    (arguments,) = [line for line in said.splitlines() if line.startswith("arguments")]
    port = arguments.split("--port ")[1].split()[0]
    assert not replies(f"http://127.0.0.1:{port}/metrics")


def test_a_server_that_ends_shows_its_log(told, capsys):
    """
    The reason is in its last lines.
    """
    told(ends=7)

    assert live("--models", "llama-gqa") == 2
    said = capsys.readouterr().err
    assert "Chunked prefill is enabled" in said
    assert said.splitlines()[-1].endswith("the start: the server ended with status 7")


def test_a_request_that_is_refused_is_one_line(told, capsys):
    """
    With the server's own words.
    """
    told(refuses="prompt is too long")

    assert live("--models", "llama-gqa") == 2
    assert "400 Bad Request: prompt is too long" in capsys.readouterr().err


def test_a_python_without_vllm_is_named(tmp_path, monkeypatch, capsys):
    """
    Exit status 4: something is not installed.
    """
    if util.find_spec("vllm"):
        pytest.skip("vllm is installed")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    assert live("--models", "llama-gqa") == 4
    assert "name one that has it by --python PATH" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--models", "gpt-5"), "models=gpt-5 is not in the catalogue"),
        (("--set", "blocksize=3"), "set=blocksize must be one of"),
        (("--set", "block_size=big"), "block_size=big must be of type int"),
        (("--config", "nowhere.json"), "nowhere.json: "),
    ],
)
def test_bad_input_is_one_line(arguments, message, told, capsys):
    """
    Exit status 2, before anything is started.
    """
    told()

    assert live(*arguments) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"validation: {message}")
    assert len(said.splitlines()) == 1


def test_a_python_that_is_none_is_bad_input(capsys):
    """
    A path that names no program.
    """
    assert main(["live", "vllm", "--python", "/nowhere/python"]) == 2
    assert capsys.readouterr().err.startswith("validation: python=python: ")


def test_what_cannot_start_is_not_started(told, capsys):
    """
    kvsim refuses, with the longest request that would fit.
    """
    told()

    assert live("--models", "llama-gqa", "--set", "kv_cache_memory_bytes=400000") == 0
    out = capsys.readouterr().out
    assert "refused" in out
    assert "0 of 0 exact" in out


@pytest.fixture
def running(told):
    """A fake server that runs, and its address."""
    told()
    port = free_port()
    module = "vllm.entrypoints.openai.api_server"
    command = [sys.executable, "-m", module, "--port", str(port)]
    with started(command, {}) as server:
        url = f"http://127.0.0.1:{port}"
        server.wait_for(lambda: replies(f"{url}/health"), timeout_s=30, what="the fake")
        yield url


@pytest.fixture
def config(tmp_path):
    """The config of the model that the fake serves."""
    path = tmp_path / "config.json"
    path.write_text(json.dumps(STARTS["llama-gqa"]["case"]["config"]))
    return path


def test_a_running_server_is_only_read(running, config, capsys):
    """
    Its page says what it was started with, as far as blocks, tokens and concurrency need it.
    """
    arguments = (
        "--attach",
        running,
        "--config",
        str(config),
        "--set",
        "max_num_batched_tokens=512",
    )
    assert live(*arguments) == 0
    assert "num_blocks=41 block_size=32 tokens=1312 max_concurrency=2.56" in (
        capsys.readouterr().out
    )
    assert json.loads(fetch(f"{running}/posted")) == []


def test_attaching_to_what_is_no_vllm_is_bad_input(config, capsys):
    """
    Nobody there, another scheme, or another server.
    """
    url = f"http://127.0.0.1:{free_port()}"
    assert live("--attach", url, "--config", str(config)) == 2
    assert capsys.readouterr().err.startswith(f"validation: {url}/metrics: ")
    assert live("--attach", "file:///etc/passwd", "--config", str(config)) == 2
    assert "must start with http:// or https://" in capsys.readouterr().err
    with pytest.raises(kvsim.UnsupportedError, match="is this vLLM"):
        config_of(kvsim.parse_metrics("up 1\n", name="page"))
    with pytest.raises(kvsim.UnsupportedError, match="is this vLLM"):
        usage_of(kvsim.parse_metrics("up 1\n", name="page"))
    with pytest.raises(SystemExit):
        live("--attach", url)


def test_profiled_memory_gives_a_range_of_blocks():
    """
    The engine prints its memory with two digits: blocks within them are right, others are not.
    """
    start = STARTS["llama-gqa"]
    case = Case.read({**start["case"], "settings": {"max_model_len": 512, "block_size": 32}})
    subject = case.subject(CPU)
    block = 32 * 4 * 2 * 2 * 32 * 2  # tokens, layers, keys and values, heads, elements, bytes
    right = int(0.5 * kvsim.GiB) // block
    said = {
        "block_size": 32,
        "tokens": 0,
        "max_concurrency": "",
        "max_model_len": 512,
        "enable_prefix_caching": True,
        "available_gib": 0.5,
    }
    for blocks, verdict in ((right, True), (right + 100, True), (right + 1000, False)):
        predicted = predict_reported(subject, Start(**{**said, "num_blocks": blocks}))
        assert (predicted["num_blocks"] == blocks) is verdict


def test_a_log_without_its_line_is_refused():
    """
    Nothing is read that is not there.
    """
    page = 'vllm:cache_config_info{num_gpu_blocks="4",block_size="16",enable_prefix_caching="True",'
    page += 'kv_cache_size_tokens="64",kv_cache_max_concurrency="2.0"} 1.0\n'

    parsed = kvsim.parse_metrics(page, name="page")
    log = kvsim.read_engine_log("(EngineCore pid=7) INFO loading\n")

    assert start_of(parsed, None).num_blocks == 4
    with pytest.raises(kvsim.UnsupportedError, match="the log does not say kv_tokens"):
        start_of(parsed, log)


def test_prompts_share_what_their_segments_share():
    """
    Equal segments are equal tokens, others differ in their first block.
    """
    load = Load(num_requests=3, num_shared_tokens=50, num_own_tokens=20)
    first, second, third = load.prompts(seed=0)

    assert first[:50] == second[:50] == third[:50]
    assert len({tuple(p[50:66]) for p in (first, second, third)}) == 3
    assert [len(p) for p in (first, second, third)] == [
        request.num_prompt_tokens for request in load.workload()
    ]


def python_with_vllm():
    """This interpreter, or the one that KVSIM_VLLM_PYTHON names; None: nowhere."""
    named = os.environ.get("KVSIM_VLLM_PYTHON")
    return named or (sys.executable if util.find_spec("vllm") else None)


@pytest.mark.engine
@pytest.mark.slow
@pytest.mark.skipif(python_with_vllm() is None, reason="vLLM is not installed")
@pytest.mark.parametrize("name", [model.name for model in ENGINE_MODELS])
def test_a_real_engine_says_what_is_predicted(name):
    """
    One start of the real server each, on whatever device it finds.
    """
    done = subprocess.run(
        [
            *(sys.executable, "-m", "validation", "live", "vllm"),
            *("--python", python_with_vllm(), "--models", name),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
