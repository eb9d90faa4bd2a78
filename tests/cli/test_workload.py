"""`kvsim workload`: what it lists, generates, reads and writes, and what it refuses."""

import json

import pytest

from kvsim.cli import main


def run_json(capsys, *argv):
    code = main(["workload", *argv, "--json"])
    captured = capsys.readouterr()
    assert captured.err == ""
    return code, json.loads(captured.out)


@pytest.mark.parametrize("ending", ["csv", "jsonl.gz", "parquet"])
def test_what_is_exported_reads_back_alike(ending, tmp_path, capsys):
    """
    The file gives the same figures as what was generated.
    """
    path = str(tmp_path / f"agent.{ending}")
    _, made = run_json(capsys, "agent", "--num-requests", "60", "--output", path)

    _, read = run_json(capsys, path)

    kept = set(made["workload"]) - {"name", "source"}
    assert made["output"] == path
    assert {k: read["workload"][k] for k in kept} == {k: made["workload"][k] for k in kept}


def test_arrivals_can_be_changed(capsys):
    """
    Flags replace the named workload's own process and rate.
    """
    argv = ["chat", "--num-requests", "200", "--arrivals", "constant", "--rate", "10"]
    _, result = run_json(capsys, *argv)

    assert result["workload"]["rate_per_s"] == pytest.approx(10, rel=0.2)
    assert run_json(capsys, *argv, "--seed", "1")[1] != result


def test_tables_print(capsys):
    """
    A person reads the list, and a workload at a glance.
    """
    assert main(["workload"]) == 0
    assert "code-completion" in capsys.readouterr().out
    assert main(["workload", "rag", "--num-requests", "50", "--capacity-tokens", "10000"]) == 0
    assert "a cache of 10,000 tokens" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["chatt"], "workload=chatt is not in the catalogue"),
        (["no.csv"], "no.csv: No such file"),
        (["chat", "--num-requests", "0"], "num_requests=0 must be"),
        (["chat", "--rate", "-1"], "rate_per_s=-1 must be > 0"),
        (["chat", "--output", "x.txt"], "trace=x.txt must end with"),
        (["chat", "--capacity-tokens", "0"], "capacity_tokens=0 must be"),
        (["t.csv", "--rate", "1"], "rate_per_s=1.0 must not be given with a trace"),
    ],
)
def test_bad_input_is_one_line_and_exit_2(argv, message, capsys):
    """
    Field, value and rule.
    """
    assert main(["workload", *argv]) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.count("\n") == 1


def test_simulate_serves_a_named_workload(capsys):
    """
    Shared system prompts and histories are found in the prefix cache.
    """
    argv = ["simulate", "llama-3.1-8b", "--num-gpu-blocks", "4000", "--workload", "chat"]
    argv += ["--num-requests", "40", "--max-model-len", "16384", "--json"]

    assert main(argv) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["requests"] == 40
    assert result["prefix_cache"]["hit_tokens"] > 0
