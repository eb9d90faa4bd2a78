"""Speed of closed forms over arrays: points a CPU second on one core.

Run with `./run bench grid`.
"""

import numpy as np
import pytest

import kvsim

NUM_POINTS = 1_000_000
MODELS = ["llama-3.1-8b", "gemma-3-27b", "deepseek-v3.2", "qwen3-next-80b-a3b"]


def note(benchmark, num_points):
    """What is done in a CPU second."""
    benchmark.extra_info["points_per_cpu_s"] = round(num_points / benchmark.stats["median"])


@pytest.mark.parametrize("engine", ["ideal", "vllm"])
@pytest.mark.parametrize("name", MODELS)
def test_cache_bytes_grid(benchmark, name, engine):
    """A million random lengths, one format, one rank, one sequence."""
    model = kvsim.load_model(name)
    lengths = np.random.default_rng(0).integers(1, 131_072, NUM_POINTS)
    grid = benchmark(kvsim.cache_bytes_grid, model, num_tokens=lengths, engine=engine)
    note(benchmark, NUM_POINTS)
    assert grid.answered.all()


@pytest.mark.parametrize("name", MODELS)
def test_plan_grid(benchmark, name):
    """A million plans: 2 devices, 2 degrees, 2 formats, 500 lengths, 250 numbers of users."""
    gpus = [kvsim.accelerator(gpu) for gpu in ("h200", "b200")]
    base = kvsim.Deployment(model=kvsim.load_model(name), accelerator=gpus[0])
    grid = benchmark(
        kvsim.plan_grid,
        base,
        max_model_len=np.linspace(256, 131_072, 500, dtype=np.int64),
        concurrent_requests=np.arange(1, 251),
        kv_cache_dtypes=["auto", "fp8"],
        parallels=[kvsim.Parallelism(tensor_parallel_size=size) for size in (4, 8)],
        accelerators=gpus,
    )
    note(benchmark, NUM_POINTS)
    assert grid.fits.size == NUM_POINTS
    assert grid.fits.any()


@pytest.mark.parametrize("name", MODELS)
def test_plan_grid_of_lengths(benchmark, name):
    """250,000 random lengths, one user: no axis to multiply by."""
    base = kvsim.Deployment(model=kvsim.load_model(name), accelerator=kvsim.accelerator("b200"))
    lengths = np.random.default_rng(0).integers(1, 131_072, NUM_POINTS // 4)
    grid = benchmark(kvsim.plan_grid, base, max_model_len=lengths)
    note(benchmark, lengths.size)
    assert grid.fits.size == lengths.size
