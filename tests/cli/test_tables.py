"""What commands print without `--json`: the same figures, as a reader takes them in."""

# long: one claim after another about one subject

import json
import os
import sys

import pytest

from kvsim.cli import main
from kvsim.cli.app import start_app
from kvsim.errors import SpecError

GPT2 = ("gpt2", "--gpu", "h100")
SHORT = ("--prompt-tokens", "100", "--output-tokens", "10")
POOLS = ("simulate", *GPT2, "--num-requests", "2", "--prefill-replicas", "1")
POOLS += ("--decode-replicas", "1")


@pytest.fixture
def shown(capsys, monkeypatch):
    """The lines that a command prints on a wide terminal, and the object that it prints as JSON."""
    monkeypatch.setenv("COLUMNS", "200")

    def run(*argv):
        main([*argv])
        text = capsys.readouterr().out
        main([*argv, "--json"])
        return text, json.loads(capsys.readouterr().out)

    return run


def test_each_sentence_stands_after_its_verdict(shown):
    """
    Verdict and threshold first; the figures below, each with its unit.
    """
    text, result = shown("claims", *GPT2)

    for claim in result["claims"]:
        tokens = claim["threshold_tokens"]
        bound = "" if tokens is None else f" {tokens:,} TOKENS"
        assert f"{claim['verdict'].upper()}{bound}  {claim['claim']}" in text
    assert "gpt2 on H100-SXM5-80GB" in text
    assert "slower 12.7 times" in text


def test_a_plan_without_room_says_that_nothing_is_left(shown):
    """
    A negative size of the cache would be no size.
    """
    text, _ = shown("plan", "llama-3.1-405b", "--gpu", "L4", "--max-model-len", "4096")

    assert "0 B: nothing is left to cache" in text
    assert "-7.88 MiB" not in text


def test_claims_about_several_devices_say_so(shown):
    """
    The count stands before the device's name.
    """
    text, result = shown("claims", "llama-3.1-70b", "--gpu", "h100", "--num-gpus", "4")

    assert result["num_gpus"] == 4
    assert "llama-3.1-70b on 4 x H100-SXM5-80GB" in text


def test_the_frontier_has_a_row_per_context(shown):
    """
    What fits at once stands beside the length.
    """
    text, result = shown("frontier", *GPT2)

    for length, most in zip(result["lengths"], result["max_requests"], strict=True):
        assert f"{length:,}  " in text
        assert f"{most:,}" in text
    assert text.count("\n") == len(result["lengths"]) + 5


def test_waste_of_a_chat_shows_every_method(shown):
    """
    A row for each way to reserve, its shares as per cents.
    """
    text, result = shown("waste", "--chat", "--num-requests", "20")

    for row in result["reports"][0]["methods"]:
        line = next(line for line in text.splitlines() if line.startswith(f" {row['method']} "))
        assert f"{row['used']:.1%}" in line


def test_a_formula_is_shown_with_its_numbers(shown):
    """
    `--explain`: the fields that decided, and what the formula comes to.
    """
    text, result = shown("kv", "gpt2", "--num-tokens", "100", "--explain")

    assert "n_layer = 12" in text
    assert f"= {result['total_bytes']:,} bytes" in text
    assert result["total_bytes"] == 12 * 2 * 768 * 2 * 100


def test_what_the_host_holds_is_shown(shown):
    """
    Chunks, and how many of the longest prompts they make.
    """
    text, result = shown("plan", *GPT2, "--kv-offloading-size", "4")
    held = result["offload"]

    assert "What 4.00 GiB of host memory hold" in text
    for value in (held["num_chunks"], held["prompts"], held["tokens"]):
        assert f"{value:,}" in text


def test_a_run_with_tiers_and_limits_shows_both(shown):
    """
    What was loaded and stored, and the share of requests that kept the limits.
    """
    argv = ("simulate", *GPT2, "--num-requests", "20", "--kv-offloading-size", "4")
    argv += ("--prompt-tokens", "200", "--output-tokens", "50")
    text, result = shown(*argv, "--slo-ttft-s", "1")

    assert "Tiers below the device" in text
    assert "served step by step" in text
    assert (result["goodput"]["slo_ttft_s"], result["goodput"]["requests"]) == (1, 20)


def test_each_replica_has_a_row(shown):
    """
    Requests go round; the rows add up to the whole.
    """
    text, result = shown("simulate", *GPT2, *SHORT, "-dp", "2", "--num-requests", "10")
    rows = [line.split() for line in text.splitlines() if line.split()[:1] in (["0"], ["1"])]

    assert f"Each replica ({result['routing']})" in text
    assert [int(row[1]) for row in rows] == [one["requests"] for one in result["replicas"]]
    assert sum(int(row[1]) for row in rows) == 10


def test_two_pools_say_what_binds(shown):
    """
    Waits for each pool and the transfer, and when the decode pool's first token comes.
    """
    text, result = shown(*POOLS, *SHORT)
    pools = result["disaggregation"]

    assert f"longest for {pools['binding'] or 'nothing'}" in text
    assert f"decode pool after {pools['second_token_s']['mean']:,.4f} s" in text


def test_waste_of_a_trace_is_that_of_its_first_requests(shown, tmp_path, capsys):
    """
    Written and read again: all three requests, or the first two of them, at the stated step time.
    """
    trace = tmp_path / "chat.jsonl"
    main(["workload", "chat", "--num-requests", "3", "--output", str(trace)])
    assert "written to" in capsys.readouterr().out
    argv = ("waste", "--trace", str(trace), "--step-time-s", "0.5")
    text, two = shown(*argv, "--num-requests", "2")
    _, most = shown(*argv, "--num-requests", "4")

    assert (two["reports"][0]["num_requests"], most["reports"][0]["num_requests"]) == (2, 3)
    assert two["reports"][0]["workload"].endswith(", first 2 requests")
    assert "first" not in most["reports"][0]["workload"]
    assert two["reports"][0]["setting"]["batch_time"]["base_s"] == 0.5
    assert "stated by the user" in text


def test_waste_in_the_pool_that_a_device_leaves(shown):
    """
    The same tokens that the plan promises; a shorter longest length bounds the chat.
    """
    _, plan = shown("plan", *GPT2)
    argv = ("waste", "--chat", "--num-requests", "3", "--max-model-len", "256")
    _, result = shown(*argv, "--model", "gpt2", "--gpu", "h100")
    setting = result["reports"][0]["setting"]

    assert setting["max_model_len"] == 256
    assert setting["num_slots"] == plan["capacity"]["kv_cache_tokens"]


@pytest.mark.parametrize(
    ("engine", "total"), [("transformers", 100), ("ollama", 256), ("vllm", 112)]
)
def test_each_engine_stores_a_sequence_in_its_own_steps(engine, total, shown):
    """
    100 tokens as they are, in cells of 256, in blocks of 16: 36,864 bytes each.
    """
    text, result = shown("kv", "gpt2", "--num-tokens", "100", "--engine", engine)

    assert result["total_bytes"] == total * 12 * 2 * 768 * 2
    assert engine in text


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (("waste", "--chat", "--model", "gpt2"), "model=gpt2 and gpu=None must both be given"),
        (
            ("waste", "--chat", *("--model", "gpt2", "--gpu", "h100", "--kv-cache-tokens", "9")),
            "must both be given, or kv_cache_tokens alone",
        ),
        ((*POOLS, "--kv-offloading-size", "1"), "two connectors at once are not modelled"),
        (
            (*POOLS, "--speculative-method", "ngram", "--num-speculative-tokens", "2"),
            "drafts of two pools are not modelled",
        ),
        (("workload", "chat", "--seconds", "3"), "seconds=3.0 must be left out: it is for"),
        (("waste", "--paper", "--frames"), "are of --trace or --chat, not of --paper"),
        (("waste", "--chat", "--num-requests", "0"), "num_requests=0 must be >= 1"),
        (("app", "--port", "0"), "port=0 must be in [1, 65535]"),
        (("app", "--port", "65536"), "port=65536 must be in [1, 65535]"),
        (
            ("simulate", *GPT2, "--num-requests", "2", "--offload-bytes-per-s", "1"),
            "kv_offloading_size must be given where the speed of an offload is",
        ),
    ],
)
def test_bad_flags_are_one_line_and_exit_2(argv, words, capsys):
    """
    Field, value and rule; no traceback.
    """
    assert main([*argv]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("kvsim: ")
    assert words in captured.err
    assert captured.err.count("\n") == 1


@pytest.fixture
def replaced(monkeypatch):
    """What a command would become, in place of becoming it."""
    calls = []
    monkeypatch.setattr(os, "chdir", calls.append)
    monkeypatch.setattr(os, "execv", lambda *call: calls.append(call))
    monkeypatch.setattr(os, "execve", lambda *call: calls.append(call))
    return calls


def test_the_app_listens_on_this_machine_alone(replaced, capsys):
    """
    Bound to loopback, on the port asked for, with its own settings.
    """
    pytest.importorskip("streamlit")
    main(["app", "--port", "8599"])
    (folder, (program, command)) = replaced

    assert program == sys.executable
    assert command[:4] == [sys.executable, "-m", "streamlit", "run"]
    assert command[command.index("--server.address") + 1] == "127.0.0.1"
    assert command[command.index("--server.port") + 1] == "8599"
    assert (folder / "main.py").is_file()
    assert "http://127.0.0.1:8599" in capsys.readouterr().err


def test_a_port_is_checked_before_anything_starts(replaced):
    """
    The library function refuses as the command does.
    """
    with pytest.raises(SpecError, match="port=-1 must be in"):
        start_app(port=-1)
    assert replaced == []


def test_validate_hands_its_arguments_over(replaced):
    """
    The validation is imported from the installation, not from where the user stands.
    """
    main(["validate", "recorded", "--json"])
    ((program, command, environment),) = replaced

    assert program == sys.executable
    assert command[1:] == ["-P", "-m", "validation", "recorded", "--json"]
    assert environment["PYTHONPATH"]


NVIDIA = """\
#!/bin/sh
echo "NVIDIA H100 80GB HBM3, 570.10, 81559, 1000, 80559"
echo "NVIDIA GB10, 570.10, [N/A], [N/A], [N/A]"
echo "half a line"
"""


def test_doctor_reads_the_devices_of_the_drivers_tool(tmp_path, monkeypatch, capsys):
    """
    Memory that the tool does not state is unknown, not nought; a broken line is left out.
    """
    tool = tmp_path / "nvidia-smi"
    tool.write_text(NVIDIA)
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    main(["doctor", "--json"])
    found = json.loads(capsys.readouterr().out)

    assert found["driver"] == "570.10"
    assert [d["total_mib"] for d in found["devices"]] == [81559, None]
    main(["doctor"])
    assert "NVIDIA H100 80GB HBM3" in capsys.readouterr().out


def test_doctor_takes_a_tool_that_fails_for_none(tmp_path, monkeypatch, capsys):
    """
    A driver that does not answer is as good as none.
    """
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\nexit 9\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    main(["doctor", "--json"])
    found = json.loads(capsys.readouterr().out)

    assert (found["driver"], found["devices"]) == (None, [])
