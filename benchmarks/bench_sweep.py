"""Speed of sweeps: from one process to two. Wall seconds, for what runs on two cores.

Run with `./run bench sweep` on a machine that does nothing else.
"""

import time

import pytest

import kvsim

RUNS = {
    "model": "llama-3.1-8b",
    "gpu": "h100",
    "max_model_len": 4096,
    "num_requests": 1000,
    "rate_per_s": 20.0,
    "max_num_seqs": [16, 64],
    "seed": [0, 1, 2, 3, 4, 5, 6, 7],
}


def seconds(num_workers):
    """Wall seconds of the whole sweep."""
    started_s = time.perf_counter()
    table = kvsim.sweep(kvsim.sweep_grid(RUNS, simulate=True), num_workers=num_workers)
    assert len(table.rows) == 16
    return time.perf_counter() - started_s


@pytest.mark.benchmark(timer=time.perf_counter)
def test_two_workers(benchmark):
    """16 simulations of 1,000 requests by two processes, their start included; beside one's."""
    alone_s = seconds(1)
    benchmark.pedantic(seconds, (2,), rounds=1)
    benchmark.extra_info |= {
        "one_worker_s": round(alone_s, 3),
        "speed_up": round(alone_s / benchmark.stats["median"], 2),
    }
