import json
import os
import subprocess
import sys

import numpy as np
import pytest

from kvsim import __version__
from kvsim.cli import main

PLAN = ["plan", "gpt2", "--gpu", "h100"]
SIMULATE = ["simulate", "llama-3.1-8b", "--max-model-len", "4096", "--num-gpu-blocks", "500"]
TRACE = "arrival_s,num_prompt_tokens,num_output_tokens\n0,10,{}\n"
SWEEP = ["sweep", "--grid=model=gpt2", "--grid=gpu=h100", "--grid=max_model_len=512,1024"]


def result_of(argv, capsys):
    main([*argv, "--json"])
    return json.loads(capsys.readouterr().out)


def inputs_of(argv, capsys):
    return result_of(argv, capsys)["provenance"]["inputs_sha256"]


def test_result_says_version_and_seed(capsys):
    """
    A result can be had again: which kvsim gave it, and from which seed.
    """
    whence = result_of([*SIMULATE, "--num-requests", "5", "--seed", "7"], capsys)["provenance"]

    assert (whence["kvsim_version"], whence["seed"]) == (__version__, 7)


def test_no_seed_where_nothing_is_by_chance(capsys):
    """
    A plan has no seed, and needs no generator.
    """
    whence = result_of(PLAN, capsys)["provenance"]

    assert (whence["seed"], whence["numpy_version"]) == (None, None)


@pytest.mark.parametrize(
    "argv", [[*SIMULATE, "--num-requests", "5"], [*SWEEP, "--simulate", "--grid=num_requests=5"]]
)
def test_what_is_by_chance_names_the_generators_version(argv, capsys):
    """
    A seed gives the same numbers on one version of numpy; on another it may not.
    """
    assert result_of(argv, capsys)["provenance"]["numpy_version"] == np.__version__


def test_seed_that_was_left_out_is_stated(capsys):
    """
    Generated requests come from a seed, whether it was given or not; a trace's from none.
    """
    fleet = ["retention", "llama-3.1-8b", "--gpu", "l4", "--max-model-len", "8192"]
    fleet += ["--workload", "chat", "--num-requests", "20", "--window-s", "60"]

    left_out = result_of(fleet, capsys)["provenance"]
    given = result_of([*fleet, "--seed", "0"], capsys)["provenance"]

    assert left_out["seed"] == 0
    assert left_out == given


def test_same_inputs_same_digest(capsys):
    """
    A default that is given in full is the same input.
    """
    assert inputs_of(PLAN, capsys) == inputs_of([*PLAN, "--tensor-parallel-size", "1"], capsys)


@pytest.mark.parametrize("more", [["--max-model-len", "512"], ["-tp", "2"], ["--gpu", "l4"]])
def test_other_settings_other_digest(more, capsys):
    """
    Each flag that decides the result is in the digest.
    """
    assert inputs_of(PLAN, capsys) != inputs_of([*PLAN, *more], capsys)


def test_a_file_counts_by_what_is_in_it(tmp_path, capsys):
    """
    The same trace under another name is the same input; another trace under the same name is not.
    """
    first, second = tmp_path / "a.csv", tmp_path / "b.csv"
    first.write_text(TRACE.format(20))
    second.write_text(TRACE.format(20))
    argv = [*SIMULATE, "--trace"]
    same = {inputs_of([*argv, str(path)], capsys) for path in (first, second)}
    second.write_text(TRACE.format(21))

    assert len(same) == 1
    assert inputs_of([*argv, str(second)], capsys) not in same


def test_a_config_counts_by_what_was_understood(tmp_path, capsys):
    """
    Where a config lies does not count, its fields do.
    """
    config = {
        "model_type": "llama",
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "hidden_size": 64,
        "vocab_size": 128,
        "torch_dtype": "bfloat16",
        "max_position_embeddings": 1024,
    }
    seen = []
    for folder, layers in (("one", 2), ("two", 2), ("two", 3)):
        path = tmp_path / folder / "tiny" / "config.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(config | {"num_hidden_layers": layers}))
        seen.append(inputs_of(["kv", str(path), "--num-tokens", "16"], capsys))

    assert seen[0] == seen[1] != seen[2]


def test_how_it_runs_does_not_count(tmp_path, capsys):
    """
    Where a sweep runs and where its table goes leave its digest alone.
    """
    output = ["--workers", "2", "--output", str(tmp_path / "table.csv")]

    assert inputs_of(SWEEP, capsys) == inputs_of([*SWEEP, *output], capsys)


def test_a_trace_that_a_sweep_names_counts(tmp_path, capsys):
    """
    A grid names its traces; their bytes are inputs too.
    """
    trace = tmp_path / "a.csv"
    argv = ["sweep", "--simulate", "--grid=model=gpt2", "--grid=gpu=h100", f"--grid=trace={trace}"]
    trace.write_text(TRACE.format(20))
    first = inputs_of([*argv, "--workers", "1"], capsys)
    trace.write_text(TRACE.format(21))

    assert first != inputs_of([*argv, "--workers", "1"], capsys)


def test_equal_inputs_give_equal_bytes():
    """
    Nothing in the JSON depends on the clock, the process or its hash seed.
    """
    argv = [sys.executable, "-m", "kvsim", *SIMULATE, "--num-requests", "20", "--seeds", "3"]
    seen = {
        subprocess.run(
            [*argv, "--reproducible", "--json"],
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }

    assert len(seen) == 1


def printed(argv, capsys):
    main([*argv, "--json"])
    return capsys.readouterr().out


WORKERS = {
    "plans": SWEEP,
    "simulations": [*SWEEP, "--simulate", "--grid=num_requests=20"],
    "seeds": [*SIMULATE, "--num-requests", "20", "--seeds", "3", "--reproducible"],
    "search": [
        *("search", "llama-3.1-8b", "--gpus", "l4,h100", "--workload", "chat", "--rate", "4"),
        *("--num-requests", "20", "--slo-e2e-s", "60"),
    ],
}


@pytest.mark.parametrize("name", WORKERS)
def test_the_bytes_are_the_same_on_any_number_of_processes(name, capsys):
    """
    The JSON says what was found, not who found it.
    """
    one, two = (printed([*WORKERS[name], "--workers", count], capsys) for count in ("1", "2"))

    assert one == two != ""


def test_the_bytes_are_the_same_by_either_scheduler(capsys):
    """
    The compiled twin and the reference it is tested against give one result.
    """
    argv = [*SIMULATE, "--num-requests", "20", "--reproducible"]
    seen = {
        printed([*argv, "--scheduler", name], capsys) for name in ("auto", "compiled", "reference")
    }

    assert len(seen) == 1


def test_the_bytes_of_a_stream_are_the_same_each_time(tmp_path, capsys):
    """
    A stream's speed is left out too, where equal bytes are wanted.
    """
    trace = tmp_path / "a.csv"
    trace.write_text(TRACE.format(20))
    argv = [*SIMULATE, "--no-enable-prefix-caching", "--step-time", "0.1", "--trace", str(trace)]
    argv += ["--reproducible", "--stream"]
    first, second = (printed([*argv, str(tmp_path / name)], capsys) for name in ("s", "t"))

    assert first == second
    assert json.loads(first)["simulated_requests_per_s"] is None
