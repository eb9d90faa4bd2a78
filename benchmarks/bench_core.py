"""Speed of the plan's path: import, cold command, warm calls. CPU seconds, not wall time.

Run with `python -m pytest benchmarks/bench_core.py --benchmark-only`.
"""

import resource
import subprocess
import sys
import time

import pytest

import kvsim

H100 = kvsim.accelerator("H100-SXM5-80GB")
MODELS = ["llama-3.1-8b", "gemma-3-27b", "deepseek-v3.2", "qwen3-next-80b-a3b", "gemma-3n-e4b"]
PLAN = ["plan", "llama-3.1-8b", "--gpu", "H100-SXM5-80GB", "--max-model-len", "8192", "--json"]


def children_cpu_s():
    """CPU seconds of all children so far: the cost of a command, whatever else runs."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def run(*argv):
    subprocess.run([sys.executable, *argv], check=True, stdout=subprocess.DEVNULL)


in_process = pytest.mark.benchmark(timer=time.process_time, min_rounds=50)
as_command = pytest.mark.benchmark(timer=children_cpu_s)


@as_command
@pytest.mark.parametrize("modules", ["numpy", "numpy, kvsim"])
def test_import(benchmark, modules):
    """The difference of the two is what `import kvsim` costs."""
    benchmark.pedantic(run, ("-c", f"import {modules}"), rounds=20, warmup_rounds=2)


@as_command
def test_plan_command_from_a_cold_start(benchmark):
    """A new process, the catalogue read, one plan, JSON out."""
    benchmark.pedantic(run, ("-m", "kvsim", *PLAN), rounds=20, warmup_rounds=2)


@in_process
@pytest.mark.parametrize("engine", ["ideal", "vllm"])
@pytest.mark.parametrize("name", MODELS)
def test_cache_bytes(benchmark, name, engine):
    """One warm call."""
    model = kvsim.load_model(name)
    benchmark(kvsim.cache_bytes, model, num_tokens=8192, engine=engine)


@in_process
@pytest.mark.parametrize("name", MODELS)
def test_plan(benchmark, name):
    """One warm call for a plan that fits."""
    deployment = kvsim.Deployment(
        model=kvsim.load_model(name),
        accelerator=H100,
        engine=kvsim.Vllm(max_model_len=8192),
        overheads=kvsim.Overheads(weights_bytes=kvsim.exact(2**34)),
    )
    benchmark(kvsim.plan, deployment)


@in_process
def test_plan_with_advice(benchmark):
    """A plan that does not fit: every single change is tried."""
    deployment = kvsim.Deployment(model=kvsim.load_model("llama-3.1-70b"), accelerator=H100)
    benchmark(kvsim.plan, deployment)


@in_process
def test_load_model(benchmark):
    """From the parsed catalogue to a model."""
    benchmark(kvsim.load_model, "llama-3.1-8b")
