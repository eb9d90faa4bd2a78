"""A day of traffic: 8.64 million requests streamed, killed half-way, resumed, and measured.

Run with `python -m benchmarks.day`; `--record` appends the figure to the history.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from pytest_benchmark.plugin import pytest_benchmark_generate_machine_info

from benchmarks.history import HISTORY, Figure, machine_name
from benchmarks.traces import write_trace

SECONDS_PER_DAY, RATE_PER_S = 86_400, 100
ENGINE = ["llama-3.1-8b", "--num-gpu-blocks", "60000", "--max-model-len", "4096"]
ENGINE += ["--max-num-seqs", "1024", "--max-num-batched-tokens", "8192", "--step-time", "0.02"]
WORKLOAD = (
    "8.64 million requests at 100 a second, prompts ~N(1000, 200), answers ~N(250, 50) tokens, "
    "steps of 20 ms: read, served, killed half-way, resumed; both processes from their start."
)


def serve(trace, folder, *, kill_after_bytes=None):
    """CPU seconds and most bytes of memory of one process, and what it printed."""
    argv = [sys.executable, "-m", "kvsim", "simulate", *ENGINE, "--json"]
    argv += ["--trace", str(trace), "--stream", str(folder)]
    argv += [] if kill_after_bytes is not None else ["--resume"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as process:
        served = folder / "ttft_s.bin"
        while kill_after_bytes is not None and process.poll() is None:
            if served.exists() and served.stat().st_size >= kill_after_bytes:
                os.kill(process.pid, signal.SIGKILL)
                break
            time.sleep(0.1)
        text = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    cpu_s = usage.ru_utime + usage.ru_stime
    return cpu_s, usage.ru_maxrss * 1024, text


def measure(num_requests):
    """The figure of a run that is killed half-way and resumed."""
    with tempfile.TemporaryDirectory() as name:
        folder, trace = Path(name) / "run", Path(name) / "day.csv"
        write_trace(trace, num_requests=num_requests, rate_per_s=RATE_PER_S)
        trace_bytes = trace.stat().st_size
        load = os.getloadavg()[0]
        started_s = time.perf_counter()
        first = serve(trace, folder, kill_after_bytes=num_requests // 2 * 8)
        second = serve(trace, folder)
        wall_s = time.perf_counter() - started_s
        kept_bytes = sum(path.stat().st_size for path in folder.iterdir())
    result = json.loads(second[2])
    assert result["requests"] == num_requests
    cpu_s = first[0] + second[0]
    return Figure(
        name="day::killed_and_resumed",
        workload=WORKLOAD,
        seconds=cpu_s,
        clock="process_time",
        rounds=1,
        machine=machine_name(pytest_benchmark_generate_machine_info()),
        date=f"{datetime.now(UTC):%Y-%m-%d}",
        extra={
            "requests_per_cpu_s": round(num_requests / cpu_s),
            "requests": num_requests,
            "steps": result["steps"],
            "until_killed_cpu_s": round(first[0], 1),
            "resumed_cpu_s": round(second[0], 1),
            "wall_s": round(wall_s, 1),
            "until_killed_peak_mib": first[1] // 2**20,
            "resumed_peak_mib": second[1] // 2**20,
            "trace_mib": trace_bytes // 2**20,
            "kept_mib": kept_bytes // 2**20,
            "load_average": round(load, 1),
        },
    )


def main(argv=None):
    """Print the figure, and keep it where asked."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.day", description=__doc__)
    most = SECONDS_PER_DAY * RATE_PER_S
    parser.add_argument("--num-requests", type=int, default=most, metavar="N")
    parser.add_argument("--record", action="store_true", help="append the figure to the history")
    args = parser.parse_args(argv)
    figure = measure(args.num_requests)
    print(json.dumps(figure.as_dict(), indent=1))
    if args.record:
        with HISTORY.open("a", encoding="utf-8") as file:
            file.write(json.dumps(figure.as_dict()) + "\n")


if __name__ == "__main__":
    main()
