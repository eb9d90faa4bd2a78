"""A sweep on a Ray cluster: the same table as here, whatever happens to its workers."""

import importlib.util
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

import kvsim
from kvsim.cli import main

ROOT = Path(__file__).parents[2]
PLANS = {"model": "llama-3.1-8b", "gpu": "h100", "max_model_len": [4096, 8192]}
RUNS = {
    "model": "llama-3.1-8b",
    "gpu": "h100",
    "max_model_len": 4096,
    "num_requests": 20_000,
    "max_num_seqs": [8, 16],
    "seed": [0, 1, 2, 3, 4, 5],
}
has_ray = importlib.util.find_spec("ray") is not None
needs_ray = pytest.mark.skipif(not has_ray, reason="ray is not installed")


@pytest.mark.slow
@needs_ray
def test_a_killed_worker_of_two_nodes_loses_nothing(tmp_path):
    """Two nodes, a worker killed in the middle: the complete table, byte for byte as here."""
    here, there = tmp_path / "here.csv", tmp_path / "there.csv"
    # Ray's own switch for addresses of this machine alone, and no report to its makers.
    alone = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_USAGE_STATS_ENABLED": "0"}
    done = subprocess.run(
        [sys.executable, Path(__file__).with_name("sweep_on_ray.py"), there, json.dumps(RUNS)],
        env={**os.environ, "PYTHONPATH": str(ROOT), **alone},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    kvsim.sweep(kvsim.sweep_grid(RUNS, simulate=True), output=here, num_workers=1)

    assert json.loads(done.stdout.splitlines()[-1]) == {"killed": 1, "computed": 12}
    assert there.read_bytes() == here.read_bytes()
    assert not Path(f"{there}.parts").exists()


@needs_ray
def test_no_cluster_is_one_line(capsys):
    """Where nothing listens, the answer comes at once."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    fields = [f"--grid={name}={value}" for name, value in (("model", "gpt2"), ("gpu", "h100"))]

    assert main(["sweep", *fields, "--backend", "ray", "--address", address]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"kvsim: address={address}: no Ray cluster answers: ")
    assert error.count("\n") == 1


@needs_ray
def test_what_listens_but_is_no_cluster_is_not_waited_for(monkeypatch):
    """Ray itself would wait for minutes."""
    monkeypatch.setattr("kvsim.planner.sweep_ray.JOIN_TIMEOUT_S", 3.0)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(kvsim.WorkerError, match="nothing within 3 s"):
            kvsim.sweep(PLANS, backend="ray", address=address)


@pytest.mark.skipif(has_ray, reason="ray is installed")
def test_ray_is_an_extra():
    """Whoever asks for it without it is told how to get it."""
    with pytest.raises(kvsim.MissingExtraError, match=r"kvsim\[ray\]"):
        kvsim.sweep(PLANS, backend="ray")
