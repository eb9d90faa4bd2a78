"""`kvsim solve`: exit codes, contradictions, and an answer that `kvsim plan` confirms."""

import json

import pytest

from kvsim.cli import main

SOLVE = ["solve", "qwen3-32b", "--gpu", "h100"]


def run_json(capsys, *argv):
    code = main([*argv, "--json"])
    captured = capsys.readouterr()
    assert captured.err == ""
    return code, json.loads(captured.out)


def test_plan_confirms_the_answer(capsys):
    """
    The longest context fits, one token more exits with 3; the command holds the value.
    """
    code, answer = run_json(capsys, *SOLVE, "--for", "max_model_len", "--concurrent-requests", "2")

    assert code == 0
    plan = ["plan", "qwen3-32b", "--gpu", "h100", "--concurrent-requests", "2", "--max-model-len"]
    assert run_json(capsys, *plan, str(answer["value"]))[0] == 0
    assert run_json(capsys, *plan, str(answer["value"] + 1))[0] == 3
    assert f"--max-model-len {answer['value']}" in answer["command"]
    assert answer["at_value"]["fits"]
    assert not answer["beyond"]["fits"]


def test_no_solution_exits_3_and_says_what_would_have_to_give(capsys):
    """
    Not bad input: an answer, with the bytes that lack and what would help.
    """
    argv = ["solve", "llama-3.1-70b", "--gpu", "h100", "--for", "max_num_seqs"]
    code, answer = run_json(capsys, *argv)

    assert code == 3
    assert answer["value"] is None
    assert answer["shortfall"]["missing_bytes"] > 2**35
    assert {"tensor_parallel_size", "gpu"} <= {f["setting"] for f in answer["shortfall"]["fixes"]}
    assert main(argv) == 3
    assert "NO max_num_seqs FITS" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--for", "context"], "invalid choice: 'context'"),
        ([], "the following arguments are required: --for"),
        (["--for", "max_model_len", "--max-model-len", "9"], "max_model_len=9 is what --for asks"),
        (["--for", "max_model_len", "--max-model-len", "-1"], "max_model_len=auto is what --for"),
        (["--for", "num_gpus", "--num-gpus", "2"], "num_gpus=2 is what --for asks for"),
        (["--for", "tensor_parallel_size", "-tp", "2"], "tensor_parallel_size=2 is what --for"),
        (["--for", "tensor_parallel_size", "--num-gpus", "2"], "num_gpus=2 decides tensor_par"),
        (
            ["--for", "num_gpu_blocks", "--num-gpu-blocks-override", "9"],
            "num_gpu_blocks_override=9 is what --for asks for",
        ),
        (["--for", "max_num_seqs", "--concurrent-requests", "2"], "concurrent_requests=2 is what"),
        (["--for", "accelerator", "--free-memory", "9GiB"], "free_memory and other_processes are"),
        (["--for", "max_model_len", "-tp", "3"], "tensor_parallel_size=3 must divide"),
        (["--for", "max_model_len", "--engine", "sglang"], "engine=sglang must be vllm"),
    ],
)
def test_contradictions_are_one_line_and_exit_2(argv, message, capsys):
    """
    What is asked for cannot be given, and what no value can mend is the input's fault.
    """
    try:
        code = main([*SOLVE, *argv])
    except SystemExit as stop:  # argparse
        code = stop.code
    captured = capsys.readouterr()

    assert code == 2
    assert message in captured.err
    assert captured.err.count("\n") == 1
    assert captured.out == ""


FLEET = [*SOLVE, "--for", "replicas", "--step-time", "0.05", "--num-gpus", "2"]
CHAT = ["--workload", "chat", "--rate", "4", "--num-requests", "30", "--max-model-len", "8192"]


def test_a_fleet_is_sized_and_priced(capsys):
    """
    Replicas, spares, devices; a price from a flag stands for the catalogue's.
    """
    argv = [*FLEET, *CHAT, "--slo-tpot-s", "0.2", "--spare", "2", "--usd-per-gpu-hour", "3"]
    code, answer = run_json(capsys, *argv)

    assert code == 0
    assert answer["value"] == 1
    assert answer["num_gpus"] == 2 * 3
    assert answer["cost"]["usd_per_month"] == [6 * 3 * 730, 6 * 3 * 730]
    assert main(argv) == 0
    assert "and 2 spare" in capsys.readouterr().out
    kept = [*argv, "--retention-s", "600"]
    assert main(kept) == 0
    assert "keeping caches for 600 s takes" in " ".join(capsys.readouterr().out.split())
    none = [*FLEET, *CHAT, "--slo-ttft-s", "0.01", "--most-replicas", "2"]
    assert run_json(capsys, *none)[0] == 3
    assert main(none) == 3
    assert "NO NUMBER OF REPLICAS KEEPS THE LIMITS" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ([*FLEET, *CHAT], "at least one of slo_ttft_s"),
        ([*FLEET, "--slo-ttft-s", "1"], "one of --workload NAME and --trace FILE must be given"),
        ([*FLEET, *CHAT, "--trace", "x.csv", "--slo-ttft-s", "1"], "one of --workload NAME and"),
        ([*FLEET, *CHAT, "--slo-ttft-s", "1", "--concurrent-requests", "2"], "the traffic says"),
        ([*SOLVE, "--for", "max_model_len", "--rate", "2"], "rate_per_s=2.0 is of --for replicas"),
        (
            [*FLEET, *CHAT, "--slo-ttft-s", "1", "--usd-per-gpu-hour", "1", "--prices", "x"],
            "say the same thing",
        ),
        (
            [*FLEET, "--trace", "x.csv", "--seed", "2", "--slo-ttft-s", "1"],
            "seed=2 is of generated",
        ),
    ],
)
def test_contradictory_fleets_exit_2(argv, message, capsys):
    """
    One line that names what to leave out.
    """
    assert main(argv) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.count("\n") == 1
