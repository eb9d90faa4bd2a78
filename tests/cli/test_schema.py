"""Every command's JSON against its published schema."""

import json
from pathlib import Path

import jsonschema
import pytest

from kvsim.cli import main
from kvsim.cli.parser import build_parser

SCHEMAS = Path(__file__).parents[2] / "docs/schema"
FLEET = ["solve", "llama-3.1-8b", "--gpu", "l4", "--for", "replicas", "--max-model-len", "8192"]
FLEET += ["--workload", "chat", "--rate", "2", "--num-requests", "20", "--step-time", "0.1"]
RETENTION = ["retention", "llama-3.1-8b", "--gpu", "l4", "--max-model-len", "8192", "--rate", "2"]
RETENTION += ["--workload", "chat", "--num-requests", "20", "--step-time", "0.05"]
SEARCH = ["search", "llama-3.1-8b", "--gpus", "l4,h100", "--workload", "chat", "--workers", "1"]
SEARCH += ["--num-requests", "50", "--slo-ttft-s", "1"]
CASES = {
    "kv": [
        ["kv", "llama-3.1-8b", "--num-tokens", "8192"],
        ["kv", "qwen3-next-80b-a3b", "--num-tokens", "8192", "--engine", "vllm", "-tp", "2"],
        ["kv", "gpt2", "--num-tokens", "4096"],
    ],
    "plan": [
        ["plan", "llama-3.1-8b", "--gpu", "H100-SXM5-80GB", "--max-model-len", "8192"],
        ["plan", "llama-3.1-70b", "--gpu", "h100", "--max-model-len", "32768"],
        ["plan", "gemma-3-27b", "--gpu", "b200", "--num-gpus", "2"],
        ["plan", "llama-3.1-405b", "--gpu", "l4"],
        ["plan", "gpt2", "--gpu", "GB10 (DGX Spark)", "--weights-bytes", "1GiB"],
        ["plan", "gemma-3-27b", "--gpu", "h200", "--kv-offloading-size", "64"],
    ],
    "plan.engines": [
        ["plan", "llama-3.1-70b", "--gpu", "h100", "--engine", "sglang", "-tp", "4"],
        ["plan", "gpt-oss-120b", "--gpu", "RTX 4090", "--engine", "llama.cpp"],
        ["plan", "llama-3.1-8b", "--gpu", "h100", "--engine", "tensorrt-llm"],
        ["plan", "llama-3.1-8b", "--gpu", "h100", "--engine", "ollama", "--num-ctx", "8192"],
    ],
    "frontier": [
        ["frontier", "llama-3.1-8b", "--gpu", "h100", "--concurrent-requests", "32"],
        ["frontier", "llama-3.1-70b", "--gpu", "h100", "--max-model-len", "4096"],
    ],
    "solve": [
        ["solve", "qwen3-32b", "--gpu", "h100", "--for", "max_model_len"],
        ["solve", "llama-3.1-8b", "--gpu", "h100", "--for", "max_model_len"],
        ["solve", "llama-3.1-70b", "--gpu", "h100", "--for", "gpu_memory_utilization"],
        ["solve", "llama-3.1-70b", "--gpu", "h100", "--for", "num_gpus"],
        ["solve", "llama-3.1-8b", "--gpu", "h100", "--for", "accelerator"],
    ],
    "solve.replicas": [
        [*FLEET, "--slo-tpot-s", "0.2", "--spare", "1", "--retention-s", "60"],
        [*FLEET, "--slo-ttft-s", "0.001", "--most-replicas", "2"],
    ],
    "retention": [
        [*RETENTION, "--window-s", "60,600", "--host-memory", "2GiB", "--offload-bytes-per-s=2e10"],
        [*RETENTION, "--window-s", "0", "--disk-usd-per-gib-month", "0.1"],
    ],
    "search": [
        [*SEARCH, "--rate", "4", "--quantization", "none,fp8"],
        [*SEARCH, "--slo-tpot-s", "0.0001", "-tp", "1,3"],
    ],
    "compare": [
        ["compare", "llama-3.1-8b", "--gpu", "h100", "--num-tokens", "8192"],
        ["compare", "gemma-3-27b", "--gpu", "b200", "--num-gpus", "2", "--engines", "all"],
        ["compare", "qwen3-8b", "--gpu", "h100", "--gpu", "h200", "--vary", "dtype=auto,float32"],
        ["compare", "vllm serve Qwen/Qwen3-8B", "llama-server -m qwen3-8b.gguf", "--gpu", "h100"],
    ],
    "sweep": [
        ["sweep", "--grid=model=gpt2,llama-3.1-8b", "--grid=gpu=h100", "--grid=max_model_len=2048"]
    ],
    "waste": [
        ["waste", "--paper", "--num-requests", "50"],
        ["waste", "--chat", "--kv-cache-tokens", "1536", "--frames"],
        ["waste", "--chat", "--frames", "10", "--reservation", "static", "--seed", "1"],
    ],
    "workload": [["workload"], ["workload", "chat", "--capacity-tokens", "100000"]],
    "claims": [
        ["claims", "llama-3.1-8b", "--gpu", "h100", "--max-model-len", "8192"],
        ["claims", "deepseek-v3", "--gpu", "h200", "--num-gpus", "8", "--max-model-len", "8192"],
    ],
    "models": [["models"]],
    "gpus": [["gpus"]],
    "doctor": [["doctor"]],
}


@pytest.mark.parametrize(
    ("name", "argv"), [(name, argv) for name, cases in CASES.items() for argv in cases]
)
def test_json_keeps_its_schema(name, argv, capsys):
    """
    A reader of the schema can rely on every key and type.
    """
    main([*argv, "--json"])
    result = json.loads(capsys.readouterr().out)
    schema = json.loads((SCHEMAS / f"{name}.schema.json").read_text())

    jsonschema.Draft202012Validator(schema).validate(result)
    assert list(result)[:2] == ["schema_version", "provenance"]


@pytest.mark.parametrize("path", sorted(SCHEMAS.glob("*.schema.json")), ids=lambda p: p.name)
def test_every_result_says_where_it_comes_from(path):
    """
    Version, seed and a digest of the inputs are promised, not only printed.
    """
    schema = json.loads(path.read_text())
    for form in schema.get("oneOf", [schema]):
        promised = form["properties"]["provenance"]

        assert {"schema_version", "provenance"} <= set(form["required"])
        assert set(promised["required"]) == set(promised["properties"])


def test_every_json_command_has_a_schema():
    """
    A command that prints JSON publishes what it prints.
    """
    commands = build_parser()._subparsers._group_actions[0].choices
    printing = {name for name, sub in commands.items() if "--json" in sub.format_help()}

    assert printing == {path.name.split(".")[0] for path in SCHEMAS.glob("*.schema.json")}
