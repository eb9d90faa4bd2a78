"""Deployments and the command line: what is printed, what is refused, what stops a run."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import jsonschema
import pytest

import kvsim
from kvsim.cli import main

SCHEMA = json.loads(
    (Path(__file__).parents[2] / "docs/schema/simulate.schema.json").read_text(encoding="utf-8")
)
SMALL = ["--max-model-len", "4096", "--num-requests", "20"]


def run(capsys, *argv):
    """Exit status, JSON object (None if none was printed) and stderr of `kvsim simulate`."""
    code = main(["simulate", *argv, "--json"])
    printed = capsys.readouterr()
    return code, json.loads(printed.out) if printed.out else None, printed.err


@pytest.mark.parametrize(
    "argv",
    [
        ["llama-3.1-8b", "--gpu", "h100", "--rate", "50", *SMALL],
        ["llama-3.1-8b", "--num-gpu-blocks", "300", *SMALL],
        ["llama-3.1-8b", "--num-gpu-blocks", "300", "-dp", "3", *SMALL],
        [
            *("llama-3.1-8b", "--gpu", "h100", "--prefill-replicas", "2", "--decode-replicas", "1"),
            *("--transfer-bandwidth", "25", *SMALL),
        ],
        ["qwen3-30b-a3b", "--gpu", "h100", "-dp", "2", "--routing", "prefix-aware", *SMALL],
        ["gemma-3-27b", "--gpu", "b200", "--num-gpus", "2", *SMALL],
        ["qwen3-next-80b-a3b", "--gpu", "b200", *SMALL],
        ["deepseek-v3.2", "--gpu", "b200", "--num-gpus", "8", *SMALL],
    ],
)
def test_json_keeps_its_schema(argv, capsys):
    """Dense, windowed, recurrent and latent models, on a device and on stated blocks."""
    code, result, _ = run(capsys, *argv)

    assert code == 0
    jsonschema.Draft202012Validator(SCHEMA).validate(result)
    assert result["requests"] == 20
    assert sum(result["waste"].values()) == pytest.approx(1.0)


def test_one_seed_one_result(capsys):
    """All chance comes from the seed; the simulator's own speed is not part of the result."""
    argv = ["llama-3.1-8b", "--gpu", "h100", "--rate", "50", *SMALL]
    results = [run(capsys, *argv, "--seed", seed)[1] for seed in ("7", "7", "8")]
    for result in results:
        del result["simulated_requests_per_s"]

    assert results[0] == results[1]
    assert results[0] != results[2]


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ([], "num_gpu_blocks_override must be given"),
        (["--num-gpu-blocks", "1"], "needs 17,179,869,184 bytes"),
        (["--num-gpu-blocks", "9000", "--rate", "-1"], "rate_per_s=-1 must be > 0"),
        (["--num-gpu-blocks", "9000", "--step-time", "0"], "step_time_s=0 must be > 0"),
        (["--num-gpu-blocks", "9000", "--step-time", "nowhere.json"], "nowhere.json: No such file"),
        (["--num-gpu-blocks", "9000", "--slo-ttft-s", "0"], "slo_ttft_s=0 must be > 0"),
        (["--gpu", "h100", "--compute-efficiency", "1.5"], "compute_efficiency=1.5 must be in"),
        (
            ["--num-gpu-blocks", "9000", "--bandwidth-efficiency", "0.5"],
            "gpu=None must be given where 100% of its operations and 50% of its bandwidth",
        ),
        (["--num-gpu-blocks", "9000", "--num-requests", "0"], "num_requests=0"),
        (["--gpu", "h100", "--trace", "nowhere.csv"], "nowhere.csv"),
        (["--gpu", "h100", "--trace", "x.csv", "--workload", "poisson"], "exclude each other"),
        (["--gpu", "nothing"], "gpu=nothing"),
        (["--gpu", "h100", "--prompt-tokens", "200000"], "must be < max_model_len=131072"),
    ],
)
def test_bad_input_is_one_line(argv, message, capsys):
    """Exit 2, and the line names the field, the value and the rule."""
    code, result, error = run(capsys, "llama-3.1-8b", *argv)

    assert (code, result) == (2, None)
    assert message in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--routing", "least-loaded"], "routing=least-loaded must be left out"),
        (["--cache-threshold", "0.5", "-dp", "1"], "cache_threshold=0.5 must be left out"),
        (
            ["--prefill-replicas", "1", "--decode-replicas", "2", "--routing", "prefix-aware"],
            "routing=prefix-aware must be left out",
        ),
    ],
)
def test_a_router_with_one_replica_is_refused(capsys, argv, message):
    """What would be ignored is not asked for on purpose."""
    code, _, error = run(capsys, "llama-3.1-8b", "--num-gpu-blocks", "300", *argv, *SMALL)

    assert code == 2
    assert message in error


def test_the_table_shows_what_the_json_holds(capsys):
    """Without `--json` people read tables."""
    main(["simulate", "llama-3.1-8b", "--num-gpu-blocks", "300", *SMALL])

    shown = capsys.readouterr().out
    assert "constant 0.025 s per step" in shown
    assert "time to first token" in shown
    assert "of 300" in shown


def test_limits_decide_the_exit_status(capsys):
    """A missed limit is status 3; the goodput counts who kept it; no limit, no goodput."""
    argv = ["llama-3.1-8b", "--gpu", "h100", "--rate", "50", *SMALL]
    kept, missed = (run(capsys, *argv, "--slo-ttft-s", limit) for limit in ("10", "0.001"))

    assert (kept[0], missed[0]) == (0, 3)
    assert (kept[1]["fits"], missed[1]["fits"]) == (True, False)
    assert kept[1]["goodput"]["requests"] == 20 > missed[1]["goodput"]["requests"]
    jsonschema.Draft202012Validator(SCHEMA).validate(kept[1])
    assert "goodput" not in run(capsys, *argv)[1]
    main(["simulate", *argv, "--slo-ttft-s", "0.001"])
    assert "kept TTFT 1 ms (99% must: missed)" in " ".join(capsys.readouterr().out.split())


def test_measured_efficiencies_are_told_and_lengthen_every_step(capsys):
    """Half of both speeds is twice the time, and no longer a bound without measurement."""
    argv = ["llama-3.1-8b", "--gpu", "h100", *SMALL]
    stated = ["--compute-efficiency", "0.5", "--bandwidth-efficiency", "0.5"]
    whole, half = run(capsys, *argv)[1], run(capsys, *argv, *stated)[1]

    assert half["tpot_s"]["mean"] == pytest.approx(2 * whole["tpot_s"]["mean"])
    assert half["step_time"]["calibrated"]
    assert "50% of its operations" in half["step_time"]["source"]
    assert not whole["step_time"]["calibrated"]
    main(["simulate", *argv])
    assert "Seconds, not calibrated" in capsys.readouterr().out


SLOW = ["--scheduler", "reference"]
"""The compiled twin would be done before anybody can stop it."""


@pytest.mark.slow
def test_ctrl_c_prints_what_was_done_and_exits_130():
    """A run of minutes that is stopped has something to show."""
    argv = ["simulate", "llama-3.1-8b", "--num-gpu-blocks", "9000", "--num-requests", "60000"]
    process = subprocess.Popen(
        [sys.executable, "-m", "kvsim", *argv, "--max-model-len", "4096", "--json", *SLOW],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline and cpu_s(process.pid) < 6:
        time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    printed, error = process.communicate(timeout=60)

    assert process.returncode == 130, error
    result = json.loads(printed)
    assert result["interrupted"]
    assert result["steps"] > 0
    assert result["requests"] < result["requests_asked"] == 60_000


def cpu_s(pid):
    """CPU seconds that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_more_memory_holds_more_requests_at_once():
    """The pool of the larger device lets more of a burst run together."""
    model = kvsim.load_model("llama-3.1-8b")
    trace = kvsim.poisson_workload(kvsim.PoissonTraffic(num_requests=400))
    peaks = []
    for name in ("L40S", "H100-SXM5-80GB"):
        deployment = kvsim.Deployment(
            model=model,
            accelerator=kvsim.accelerator(name),
            engine=kvsim.Vllm(max_model_len=4096, max_num_seqs=512),
        )
        done = kvsim.simulate(deployment, trace)
        peaks.append(max(step.num_running for step in done.steps))

    assert peaks[0] < peaks[1]


def test_tokens_are_drafted_at_the_stated_rate():
    """Multi-token prediction with right drafts ends in fewer steps; the limits are told."""
    deployment = kvsim.Deployment(
        model=kvsim.load_model("deepseek-v3"),
        accelerator=kvsim.accelerator("B200"),
        engine=kvsim.Vllm(max_model_len=4096, speculative_method="mtp", num_speculative_tokens=1),
        parallel=kvsim.Parallelism(tensor_parallel_size=8),
    )
    trace = kvsim.poisson_workload(kvsim.PoissonTraffic(num_requests=5))
    slow, fast = (kvsim.simulate(deployment, trace, acceptance_rate=rate) for rate in (0.0, 1.0))

    assert len(fast.steps) < 0.6 * len(slow.steps)
    assert any("drafts" in left_out for left_out in fast.not_modeled)
