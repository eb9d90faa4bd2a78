"""`kvsim compare`: how scenarios are written, and what is refused."""

import json

import pytest

import kvsim
from kvsim.cli import main

H100 = ["--gpu", "H100-SXM5-80GB"]
LENGTH = ["--max-model-len", "8192"]


def printed(capsys, *arguments):
    assert main(["compare", *arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def names(capsys, *arguments):
    return [row["name"] for row in printed(capsys, *arguments)["scenarios"]]


def refused(capsys, *arguments):
    try:
        code = main(["compare", *arguments])
    except SystemExit as stop:
        code = stop.code
    captured = capsys.readouterr()
    assert (code, captured.out) == (2, "")
    return captured.err


def test_the_command_prints_what_the_call_gives(capsys):
    """
    One answer, two doors.
    """
    told = printed(capsys, "llama-3.1-8b", *H100, "--vary", "kv-cache-dtype=auto,fp8", *LENGTH)
    model, gpu = kvsim.load_model("llama-3.1-8b"), kvsim.accelerator("H100-SXM5-80GB")
    auto, fp8 = (
        kvsim.Deployment(
            model=model,
            accelerator=gpu,
            engine=kvsim.Vllm(max_model_len=8192, kv_cache_dtype=name),
        )
        for name in ("auto", "fp8")
    )

    assert kvsim.compare([auto, fp8]).as_dict().items() <= told.items()


def test_one_model_alone_is_set_beside_itself_in_every_engine(capsys):
    """
    `kvsim compare MODEL --gpu GPU` asks the engines.
    """
    every = names(capsys, "llama-3.1-8b", *H100, *LENGTH)

    assert every == [
        *("vllm", "sglang", "tensorrt-llm", "llama.cpp", "ollama", "transformers"),
    ]
    assert every == names(capsys, "llama-3.1-8b", *H100, *LENGTH, "--engines", "all")


def test_repeated_devices_are_compared(capsys):
    """
    The shortest way to ask which card.
    """
    assert names(capsys, "gpt2", "--gpu", "h100", "--gpu", "h200") == [
        "H100-SXM5-80GB",
        "H200-SXM-141GB",
    ]


def test_scenarios_in_quotes_have_flags_of_their_own(capsys):
    """
    What is said outside holds for all, what is said inside wins.
    """
    told = printed(
        capsys, "gpt2 --max-model-len 512", "gpt2 -tp 2", *H100, "--max-model-len", "256"
    )

    lengths = [row["num_tokens"] for row in told["scenarios"]]
    assert lengths == [512, 256]
    assert [row["num_gpus"] for row in told["scenarios"]] == [1, 2]


def test_launch_lines_are_compared_as_they_stand(capsys):
    """
    Two engines' own words, one device.
    """
    told = printed(
        capsys,
        "vllm serve Qwen/Qwen3-8B --max-model-len 8192 --port 80",
        "python -m sglang.launch_server --model-path Qwen/Qwen3-8B --context-length 8192",
        *H100,
    )

    assert [row["engine"] for row in told["scenarios"]] == ["vllm", "sglang"]
    assert [row["num_tokens"] for row in told["scenarios"]] == [8192, 8192]
    (engine,) = told["differences"][0]["settings"]
    assert (engine["setting"], engine["value"]) == ("engine", "sglang")


def test_a_file_holds_named_scenarios(tmp_path, capsys):
    """
    A set-up that is compared every week is kept in a file.
    """
    file = tmp_path / "weekly.toml"
    file.write_text(
        """
        [[scenario]]
        name = "today"
        model = "llama-3.1-8b"
        max_model_len = 8192
        enforce_eager = true

        [[scenario]]
        name = "tomorrow"
        model = "llama-3.1-8b"
        engine = "sglang"
        max-model-len = 8192
        page_size = 64
        concurrent_requests = 4
        """
    )

    assert names(capsys, str(file), *H100) == ["today", "tomorrow"]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["gpt2", *H100, "--engines", "vllm"], "scenarios=1 must be 2 to 6"),
        (["gpt2", *H100, "--vary", "block-size=1,2,4,8,16,32,64"], "scenarios=7 must be 2 to 6"),
        (["gpt2", *H100, *H100], "scenarios 1 and 2 are the same"),
        (["gpt2", "llama-3.1-8b"], "gpu=None must be given for gpt2"),
        (["gpt2", *H100, "--vary", "zork=1,2"], "unrecognized arguments: --zork"),
        (["gpt2", *H100, "--vary", "dtype"], "vary=dtype must be FLAG=VALUE,..."),
        (["gpt2", *H100, "--engines", "vlm,vllm"], "engine=vlm must be of ideal"),
        (
            ["gpt2", *H100, "--engines", "all", "--page-size", "8"],
            "page_size=8 is a flag of sglang, not of vllm",
        ),
        (
            ["vllm serve gpt2", "vllm serve gpt2 -tp 2", *H100, "--kv-cache-dtype", "fp8"],
            "kv_cache_dtype=fp8 must be on the launch line",
        ),
        (["vllm serve", "vllm serve gpt2", *H100], "model=None must be on the line"),
        (["vllm serve gpt2", "vllm serve gpt2 -tp 2"], "gpu=None must be given for vllm's line"),
        (["gpt2 'oops", "gpt2", *H100], "No closing quotation"),
        (H100, "the following arguments are required: model"),
        (["missing.toml", "gpt2", *H100], "missing.toml"),
    ],
)
def test_bad_input_is_one_line(capsys, arguments, reason):
    """
    Field, value, rule.
    """
    told = refused(capsys, *arguments)

    assert reason in told
    assert told.count("\n") == 1


def test_what_a_file_says_is_an_input(tmp_path, capsys):
    """
    A result is told apart by what its scenarios were, not by the name of their file.
    """
    file = tmp_path / "two.toml"
    digests = set()
    for length in (512, 256):
        file.write_text(f"[[scenario]]\nmodel = 'gpt2'\nmax_model_len = {length}")
        told = printed(capsys, str(file), "gpt2 --max-model-len 1024", *H100)
        digests.add(told["provenance"]["inputs_sha256"])

    assert len(digests) == 2


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("model = 'gpt2'", "model must stand in a table [[scenario]]"),
        ("scenario = 3", "scenario must be tables [[scenario]], at least one"),
        ("[[scenario]]\nmodel = {a = 1}", "model must be text, a number"),
        ("[[scenario", "is no TOML"),
    ],
)
def test_a_bad_file_says_what_is_wrong(tmp_path, capsys, text, reason):
    """
    A file is read as strictly as a flag.
    """
    file = tmp_path / "bad.toml"
    file.write_text(text)

    assert reason in refused(capsys, str(file), *H100)


def test_the_table_tells_what_each_setting_does(capsys):
    """
    Two settings: their parts and what only comes together, in the units of the row.
    """
    arguments = ["gpt2", "--gpu", "h100", "--gpu", "h200", "--vary", "kv-cache-dtype=auto,fp8"]
    main(["compare", *arguments])
    shown = capsys.readouterr().out

    assert "4 against 1, and what each setting does alone" in shown
    assert "kv_cache_dtype: auto -> fp8" in shown
    assert "interaction +" in shown


def test_a_switch_is_varied_by_true_and_false(capsys):
    """
    False is the flag's own no.
    """
    vary = ["--vary", "enable-prefix-caching=true,false"]
    told = printed(capsys, "gpt2", "--max-model-len", "1024", *H100, *vary)
    names = [scenario["name"] for scenario in told["scenarios"]]

    assert names == ["enable_prefix_caching=yes", "enable_prefix_caching=no"]
