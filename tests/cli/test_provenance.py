import json
import os
import subprocess
import sys

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
    A plan has no seed.
    """
    assert result_of(PLAN, capsys)["provenance"]["seed"] is None


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


@pytest.mark.parametrize("mode", [[], ["--simulate", "--grid=num_requests=20"]])
def test_sweep_is_the_same_on_any_number_of_processes(mode, capsys):
    """
    A sweep's JSON says what was found, not who found it.
    """
    grid = [*SWEEP, *mode, "--json"]
    printed = []
    for workers in ("1", "2"):
        main([*grid, "--workers", workers])
        printed.append(capsys.readouterr().out)

    assert printed[0] == printed[1]
