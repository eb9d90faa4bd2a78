"""Speed of the compiled twin from arrays to tables, compiled before: requests a CPU second.

Run with `./run bench twin`.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest

import kvsim
from benchmarks.bench_core import children_cpu_s
from benchmarks.traces import write_trace

NUM_REQUESTS = 10_000
NUM_GPU_BLOCKS = 10_000
LIMITS = {"max_model_len": 8192, "max_num_batched_tokens": 8192}
LAYER = kvsim.vllm_layer_spec(
    "FullAttentionSpec", block_size=16, num_kv_heads=1, head_size=8, dtype="bfloat16"
)
TIMES = 20
"""Runs that are timed as one: the clock of a process is slow to read on some machines."""

SYSTEM_PROMPTS, SYSTEM_TOKENS = 12, 500
TURNS, NEW_TOKENS = 5, 100
FIRST_ANSWER = 10**6
MILLION = 1_000_000


def lengths(numbers, mean, std, count=NUM_REQUESTS):
    """Lengths of at least one token."""
    return np.maximum(1, np.rint(numbers.normal(mean, std, count))).astype(np.int64)


def private():
    """Prompts that share nothing."""
    numbers = np.random.default_rng(0)
    return kvsim.RequestArrays.of(
        arrival_s=np.zeros(NUM_REQUESTS),
        num_prompt_tokens=lengths(numbers, 1000, 200),
        num_output_tokens=lengths(numbers, 250, 50),
    )


def system_prompts():
    """One of twelve prompts, then what a request alone says."""
    numbers = np.random.default_rng(0)
    own = lengths(numbers, 500, 200)
    segments = np.column_stack(
        [
            numbers.integers(0, SYSTEM_PROMPTS, NUM_REQUESTS),
            SYSTEM_PROMPTS + np.arange(NUM_REQUESTS),
        ]
    )
    tokens = np.column_stack([np.full(NUM_REQUESTS, SYSTEM_TOKENS), own])
    return kvsim.RequestArrays.of(
        arrival_s=np.zeros(NUM_REQUESTS),
        num_prompt_tokens=SYSTEM_TOKENS + own,
        num_output_tokens=lengths(numbers, 250, 50),
        first_segment=2 * np.arange(NUM_REQUESTS + 1),
        segment_id=segments.ravel(),
        segment_tokens=tokens.ravel(),
    )


def chats():
    """Five turns each, a minute apart: a prompt repeats all that was said."""
    numbers, count = np.random.default_rng(0), NUM_REQUESTS // TURNS
    answers = lengths(numbers, 250, 50).reshape(count, TURNS)
    rows = []
    for chat in range(count):
        said = []
        for turn in range(TURNS):
            name = 2 * (chat * TURNS + turn)
            said.append((name, NEW_TOKENS))
            rows.append((2.0 * chat + 60.0 * turn, list(said), answers[chat, turn], name + 1))
            said.append((FIRST_ANSWER + name + 1, answers[chat, turn]))
    rows.sort(key=lambda row: row[0])
    prompts = [prompt for _, prompt, _, _ in rows]
    return kvsim.RequestArrays.of(
        arrival_s=[row[0] for row in rows],
        num_prompt_tokens=[sum(tokens for _, tokens in prompt) for prompt in prompts],
        num_output_tokens=[row[2] for row in rows],
        first_segment=np.cumsum([0, *map(len, prompts)]),
        segment_id=[name for prompt in prompts for name, _ in prompt],
        segment_tokens=[tokens for prompt in prompts for _, tokens in prompt],
        output_segment=[FIRST_ANSWER + row[3] for row in rows],
    )


def serve(requests, *, caching, is_async, times=TIMES, **given):
    """The last of so many runs."""
    both = LIMITS | {"enable_prefix_caching": caching, "async_scheduling": is_async}
    settings = (kvsim.VllmCacheConfig(**both), kvsim.SchedulerConfig(**both, max_num_seqs=256))
    for _ in range(times):
        done = kvsim.simulate_schedule(
            [LAYER],
            *settings,
            requests,
            num_gpu_blocks=NUM_GPU_BLOCKS,
            scheduler="compiled",
            **given,
        )
    return done


def measure(benchmark, requests, **asked):
    """Median of five rounds, each of several runs."""
    done = benchmark.pedantic(serve, (requests,), asked, rounds=5, warmup_rounds=1)
    benchmark.extra_info |= {
        "requests_per_cpu_s": round(TIMES * len(requests) / benchmark.stats["median"]),
        "runs_timed_as_one": TIMES,
        "steps": len(done.steps),
        "preemptions": done.num_preemptions,
        "hit_rate": round(done.prefix_cache.token_hit_rate, 3),
    }
    assert len(done.requests) == len(requests)
    return done


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("caching", [False, True], ids=["no caching", "caching"])
def test_twin(benchmark, caching, is_async):
    """10,000 requests, prompts ~N(1000, 200), answers ~N(250, 50), all at once; nothing shared."""
    measure(benchmark, private(), caching=caching, is_async=is_async)


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_twin_with_system_prompts(benchmark, is_async):
    """10,000 requests: one of 12 system prompts of 500 tokens, and ~N(500, 200) of its own."""
    done = measure(benchmark, system_prompts(), caching=True, is_async=is_async)
    assert done.prefix_cache.token_hit_rate > 0.3


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_twin_with_chats(benchmark, is_async):
    """2,000 chats of five turns, each prompt all that was said before; answers ~N(250, 50)."""
    asked = {"caching": True, "is_async": is_async, "step_time_s": 0.02}
    done = measure(benchmark, chats(), **asked)
    assert done.prefix_cache.token_hit_rate > 0.3


@pytest.mark.benchmark(timer=children_cpu_s)
def test_compiling(benchmark):
    """Both kernels compiled in a new process with an empty cache, numba's own loading included."""
    code = (
        "import kvsim; from benchmarks import bench_twin as b; "
        "b.serve(b.system_prompts(), caching=True, is_async=False, times=1)"
    )

    def compile_all():
        with tempfile.TemporaryDirectory() as folder:
            given = os.environ | {"NUMBA_CACHE_DIR": folder}
            subprocess.run([sys.executable, "-c", code], check=True, env=given)

    benchmark.pedantic(compile_all, rounds=1)


@pytest.mark.benchmark(timer=children_cpu_s)
@pytest.mark.parametrize("form", ["at once", "streamed"])
def test_a_million_requests(benchmark, form, tmp_path):
    """1,000,000 requests at 100 a second from a CSV file, steps of 20 ms: the whole command."""
    trace, told = tmp_path / "million.csv", tmp_path / "told"
    write_trace(trace, num_requests=MILLION, rate_per_s=100.0)
    argv = [sys.executable, "-m", "kvsim", "simulate", "llama-3.1-8b", "--trace", str(trace)]
    argv += ["--num-gpu-blocks", "60000", "--max-model-len", "4096", "--max-num-seqs", "1024"]
    argv += ["--max-num-batched-tokens", "8192", "--step-time", "0.02", "--json"]
    wall_s, peaks_mib = [], []

    def command():
        streamed = ["--stream", str(tmp_path / f"run{len(wall_s)}")] if form == "streamed" else []
        started_s = time.perf_counter()
        with told.open("wb") as out, subprocess.Popen([*argv, *streamed], stdout=out) as process:
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        wall_s.append(time.perf_counter() - started_s)
        peaks_mib.append(usage.ru_maxrss // 1024)
        assert process.returncode == 0

    benchmark.pedantic(command, rounds=3, warmup_rounds=1)
    benchmark.extra_info |= {
        "requests_per_cpu_s": round(MILLION / benchmark.stats["median"]),
        "least_wall_s": round(min(wall_s), 2),
        "peak_mib": max(peaks_mib),
    }
    assert b'"requests": 1000000' in Path(told).read_bytes()
