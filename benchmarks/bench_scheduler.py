"""Speed of the simulator, reference and compiled twin: requests a CPU second, not wall time.

Run with `python -m pytest benchmarks/bench_scheduler.py --benchmark-only`.
"""

import time

import pytest

import kvsim

LIMITS = {"max_model_len": 4096, "max_num_batched_tokens": 8192}
NUM_GPU_BLOCKS = 10_000
TRAFFIC = kvsim.PoissonTraffic(
    num_requests=10_000,
    prompt_tokens=1000,
    prompt_tokens_std=200,
    output_tokens=250,
    output_tokens_std=50,
)


def serve(workload, *, caching, is_async, scheduler):
    """All requests there at the start, blocks of 16 tokens, 256 requests at once."""
    layer = kvsim.vllm_layer_spec(
        "FullAttentionSpec", block_size=16, num_kv_heads=1, head_size=8, dtype="bfloat16"
    )
    both = LIMITS | {"enable_prefix_caching": caching, "async_scheduling": is_async}
    return kvsim.simulate_schedule(
        [layer],
        kvsim.VllmCacheConfig(**both),
        kvsim.SchedulerConfig(**both, max_num_seqs=256),
        workload,
        num_gpu_blocks=NUM_GPU_BLOCKS,
        scheduler=scheduler,
    )


@pytest.mark.benchmark(timer=time.process_time)
@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("caching", [False, True], ids=["no caching", "caching"])
@pytest.mark.parametrize("scheduler", ["reference", "compiled"])
def test_simulator(benchmark, caching, is_async, scheduler):
    """10,000 requests through a pool that preempts about one in seven of them."""
    workload = kvsim.poisson_workload(TRAFFIC)
    asked = {"caching": caching, "is_async": is_async, "scheduler": scheduler}
    done = benchmark.pedantic(serve, (workload,), asked, rounds=3, warmup_rounds=1)
    benchmark.extra_info |= {
        "requests_per_cpu_s": round(len(done.requests) / benchmark.stats["median"]),
        "steps": len(done.steps),
        "preemptions": done.num_preemptions,
    }
    assert len(done.requests) == TRAFFIC.num_requests
