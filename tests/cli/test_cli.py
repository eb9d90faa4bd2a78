"""The command line: contracts, exit codes, one-line errors."""

# long: one claim after another about what every command does

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from kvsim.cli import main

CONFIG = {
    "model_type": "llama",
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "vocab_size": 128256,
    "max_position_embeddings": 8192,
}
PLAN = ["plan", "llama-3.1-8b", "--gpu", "H100-SXM5-80GB", "--max-model-len", "8192"]


def run_json(capsys, *argv):
    code = main([*argv, "--json"])
    captured = capsys.readouterr()
    assert captured.err == ""
    return code, json.loads(captured.out)


def test_kv_prints_the_promised_object(capsys):
    """
    DESIGN's contract: these keys, schema_version first, bytes of 61 x 576 x 2 x n for MLA.
    """
    code, result = run_json(capsys, "kv", "deepseek-v3", "--num-tokens", "131072")

    assert code == 0
    assert next(iter(result)) == "schema_version"
    assert result["kv_bytes"] == 61 * 576 * 2 * 131072
    assert result["state_bytes"] == 0
    assert result["total_bytes"] == result["all_ranks"]["total_bytes"] == result["kv_bytes"]
    assert result["bytes_per_token"] == 61 * 576 * 2


def test_kv_notes_a_context_beyond_the_models(capsys):
    """
    A cache can be computed for any length, so `kv` says so and answers; `plan` refuses.
    """
    code, result = run_json(capsys, "kv", "gpt2", "--num-tokens", "8192")

    assert code == 0
    assert result["notes"] == ["num_tokens=8192 is longer than the model's maximum of 1024"]
    assert main(["plan", "gpt2", "--gpu", "h100", "--max-model-len", "8192"]) == 2
    error = capsys.readouterr().err
    assert error == "kvsim: max_model_len=8192 must be <= the model's maximum of 1024\n"


def test_plan_that_fits_exits_0(capsys):
    """
    The budget's likely figures add up to the cache, and the log's tokens are whole blocks.
    """
    code, result = run_json(capsys, *PLAN)

    assert code == 0
    assert result["fits"] is True
    best = {name: part["best"] for name, part in result["budget"].items()}
    parts = ("weights", "activation_peak", "non_torch", "cuda_graph", "kv_cache")
    assert best["usable_bytes"] == sum(best[f"{part}_bytes"] for part in parts)
    held = result["capacity"]
    assert held["kv_cache_tokens"] == held["num_gpu_blocks"] * held["block_size"]


def test_plan_that_does_not_fit_exits_3_with_fixes_that_fit(capsys):
    """
    Every fix is a number that the same command confirms.
    """
    argv = ["plan", "llama-3.1-70b", "--gpu", "h100", "--max-model-len", "32768"]
    code, result = run_json(capsys, *argv)

    assert code == 3
    assert result["missing_bytes"] > 0
    fixes = {fix["setting"]: fix for fix in result["fixes"]}
    size = fixes["tensor_parallel_size"]["value"]
    code, fixed = run_json(capsys, *argv, "-tp", size)
    assert code == 0
    assert fixed["capacity"]["max_concurrency"] == fixes["tensor_parallel_size"]["max_concurrency"]


def test_num_gpus_alone_sets_tensor_parallelism(capsys):
    """
    Two devices without a degree means that both hold one model.
    """
    (_, over_gpus), (_, over_ranks) = (
        run_json(capsys, *PLAN, *flags) for flags in (["--num-gpus", "2"], ["-tp", "2"])
    )

    assert over_gpus | {"provenance": None} == over_ranks | {"provenance": None}
    assert main([*PLAN, "--num-gpus", "3", "-tp", "2"]) == 2
    assert "num_gpus=3 must be the product" in capsys.readouterr().err


def test_measured_figures_replace_estimates(capsys):
    """
    With every part stated, what is left is exact.
    """
    stated = ["--weights-bytes", "15GiB", "--activation-peak-bytes", "1GiB"]
    stated += ["--non-torch-bytes", "0", "--cuda-graph-bytes", "0"]
    _, result = run_json(capsys, *PLAN, *stated, "--gpu-memory-utilization", "0.5")

    assert result["weights"] == []
    cache, usable = result["budget"]["kv_cache_bytes"], result["budget"]["usable_bytes"]
    assert cache["best"] == usable["best"] - 16 * 2**30
    _, result = run_json(capsys, *PLAN, "--kv-cache-memory-bytes", str(2**30))
    assert result["capacity"]["num_gpu_blocks"] == 512  # 2 MiB a block


def test_a_machine_that_is_not_empty_is_refused_or_helped(capsys):
    """
    The engine refuses to start when less is free than it may use; a smaller share helps.
    """
    code, result = run_json(capsys, *PLAN, "--other-processes", "20GiB")

    assert code == 3
    assert "refuses to start" in result["reasons"][0]
    fix = next(f for f in result["fixes"] if f["setting"] == "gpu_memory_utilization")
    share = ["--gpu-memory-utilization", fix["value"]]
    assert run_json(capsys, *PLAN, "--other-processes", "20GiB", *share)[0] == 0


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["plan", "llama-3.1-8"], "the following arguments are required: --gpu"),
        (["plan", "llama-3.1-8", "--gpu", "h100"], "did you mean llama-3.1-8b"),
        (["plan", "llama-3.1-8b", "--gpu", "H1000"], "gpu=H1000 is not in the catalogue"),
        ([*PLAN, "-tp", "3"], "tensor_parallel_size=3 must divide num_attention_heads=32"),
        ([*PLAN, "-tp", "0"], "tensor_parallel_size=0 must be a whole number >= 1"),
        ([*PLAN, "--gpu-memory-utilization", "1.2"], "gpu_memory_utilization=1.2 must be in"),
        ([*PLAN, "--kv-cache-dtype", "q4"], "kv_cache_dtype=q4 must be one of"),
        ([*PLAN, "--kv-cache-dtype", "q8_0"], "kv_cache_dtype=q8_0 is no cache format of vllm"),
        ([*PLAN, "--quantization", "q9"], "quantization=q9 must be one of"),
        ([*PLAN, "--engine", "ideal"], "engine=ideal must be one of vllm"),
        ([*PLAN, "--engine", "sglang", "--ctx-size", "8"], "ctx_size=8 is a flag of llama.cpp"),
        ([*PLAN, "--engine", "ollama", "--block-size", "32"], "block_size=32 is a flag of vllm"),
        ([*PLAN, "--free-memory", "90GiB"], "free_memory=96636764160 must be <= total memory"),
        ([*PLAN, "--free-memory", "1GiB", "--other-processes", "1GiB"], "give one of them"),
        ([*PLAN, "--free-memory", "much"], "must be a size such as 24GiB"),
        ([*PLAN, "--max-model-len", "long"], "'long' is no length, -1 or auto"),
        ([*PLAN, "-dcp", "2"], "decode_context_parallel_size=2 must divide"),
        ([*PLAN, "--engine-version", "new"], "engine_version=new must look like"),
        ([*PLAN, "--concurrent-requests", "0"], "concurrent_requests=0 must be"),
        (["kv", "llama-3.1-8b", "--num-tokens", "0"], "num_tokens=0 must be a whole number >= 1"),
        (["kv", "no/such.json", "--num-tokens", "8"], "model=no/such.json: no such file"),
        (["kv", "gpt2", "--num-tokens", "8", "--engine", "x"], "engine=x must be one of"),
    ],
)
def test_bad_input_is_one_line_and_exit_2(argv, message, capsys):
    """
    Field, value and rule, on stderr, without a traceback; nothing on stdout.
    """
    try:
        code = main(argv)
    except SystemExit as stop:  # argparse
        code = stop.code
    captured = capsys.readouterr()

    assert code == 2
    assert message in captured.err
    assert captured.err.count("\n") == 1
    assert captured.out == ""


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_hidden_layers": 0}, "num_hidden_layers=0 must be a whole number in [1, 10000]"),
        ({"num_hidden_layers": None}, "num_hidden_layers is missing"),
        ({"num_key_value_heads": 5}, "num_kv_heads=5 must divide num_attention_heads=32"),
        ({"hidden_size": -1}, "hidden_size=-1 must be a whole number"),
        ({"layer_types": ["full_attention"]}, "layer_types has 1 entries"),
    ],
)
def test_impossible_configs_name_the_field(change, message, tmp_path, capsys):
    """
    The config's own field is named, whatever it was read for.
    """
    path = tmp_path / "config.json"
    path.write_text(json.dumps(CONFIG | change))

    assert main(["kv", str(path), "--num-tokens", "8"]) == 2
    assert message in capsys.readouterr().err


def test_exit_code_of_a_missing_extra(capsys, monkeypatch):
    """
    Without Streamlit `kvsim app` says which extra brings it and exits with 4.
    """
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)

    assert main(["app"]) == 4
    error = "kvsim: streamlit is not installed: pip install 'kvsim[app]'\n"
    assert capsys.readouterr().err == error


@pytest.mark.parametrize("command", ["models", "gpus"])
def test_catalogue_commands_search(command, capsys):
    """
    A search narrows the list, and an empty one shows all.
    """
    _, everything = run_json(capsys, command)
    _, some = run_json(capsys, command, "h100" if command == "gpus" else "qwen3")

    assert 0 < len(some[command]) < len(everything[command])


@pytest.mark.parametrize(
    "argv",
    [
        ["kv", "qwen3-next-80b-a3b", "--num-tokens", "8192", "-tp", "2"],
        ["kv", "llama-3.1-8b", "--num-tokens", "100", "--engine", "vllm"],
        ["plan", "llama-3.1-70b", "--gpu", "h100", "--max-model-len", "8192"],
        PLAN,
        ["models", "gemma"],
        ["gpus", "apple"],
        ["doctor"],
    ],
)
def test_tables_say_what_the_json_says(argv, capsys):
    """
    Every command prints a table without `--json`, and leaves stderr empty.
    """
    main(argv)
    captured = capsys.readouterr()

    assert captured.out.strip()
    assert captured.err == ""


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_completion_knows_every_command(shell, capsys):
    """
    The script is generated from the parser, so it cannot lag behind it.
    """
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    for word in ("plan", "--max-model-len", "--gpu-memory-utilization", "doctor"):
        assert word in script


def test_python_m_kvsim_is_the_command():
    """
    `python -m kvsim` works without the console script, from any folder.
    """
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-m", "kvsim", "kv", "gpt2", "--num-tokens", "10", "--json"],
        capture_output=True,
        text=True,
        check=True,
        cwd=root,
    )

    assert json.loads(done.stdout)["kv_bytes"] == 2 * 12 * 12 * 64 * 2 * 10


def test_interrupt_exits_130(monkeypatch, capsys):
    """
    Ctrl-C ends without a traceback.
    """

    def interrupted(_):
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr("kvsim.cli.commands.search_models", interrupted)

    assert main(["models"]) == 130
    assert capsys.readouterr().err == ""


def test_a_plan_shows_where_the_cache_goes(capsys):
    """
    Null block, windows' tokens in flight and padding are named beside what can be used.
    """
    assert main(["plan", "gemma-3-27b", "--gpu", "h200", "--pipeline-parallel-size", "2"]) == 0
    shown = " ".join(capsys.readouterr().out.split())

    for row in ("Where the cache goes", "null block", "tokens kept until the steps"):
        assert row in shown


def test_a_trace_is_stretched_to_the_rate_that_is_asked_for(tmp_path, capsys):
    """
    Five requests of a trace at one a second last four seconds, whatever the file's times are.
    """
    path = tmp_path / "t.csv"
    rows = "".join(f"{place / 10},8,2\n" for place in range(5))
    path.write_text("arrival_s,num_prompt_tokens,num_output_tokens\n" + rows)
    argv = ["simulate", "gpt2", "--num-gpu-blocks", "100", "--step-time", "0.001", "--json"]

    def duration_s(*more):
        main([*argv, "--trace", str(path), *more])
        return json.loads(capsys.readouterr().out)["duration_s"]

    assert duration_s() == pytest.approx(0.4, abs=0.05)
    assert duration_s("--rate", "1") == pytest.approx(4, abs=0.05)


def test_a_word_that_is_no_choice_is_answered_with_the_choices(capsys):
    """
    What can be said stands in the error, not the name of a class.
    """
    with pytest.raises(SystemExit) as stopped:
        main(["simulate", "gpt2", "--num-gpu-blocks", "100", "--routing", "nope"])

    assert stopped.value.code == 2
    assert "'nope' must be one of round-robin, " in capsys.readouterr().err
