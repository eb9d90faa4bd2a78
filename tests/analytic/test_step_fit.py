"""Calibration: the steps behind a benchmark, and the line that gives them back."""

import json
from bisect import bisect_left, bisect_right
from itertools import pairwise
from pathlib import Path

import jsonschema
import pytest

import kvsim
from kvsim.cli import main
from kvsim.io.bench import parse_bench
from kvsim.specs.step_table import Residuals, StepLine, StepPoint, StepTable

SCHEMA = json.loads(
    (Path(__file__).parents[2] / "docs/schema/calibrate.schema.json").read_text(encoding="utf-8")
)
LINE = StepLine(base_s=0.01, per_request_s=1e-4, per_token_s=2e-5, per_cached_token_s=1e-7)


def table(line=LINE):
    point = StepPoint(num_requests=1, num_tokens=1, num_cached_tokens=1, seconds=0.01)
    off = Residuals(mean_absolute=0, p90_absolute=0, largest_absolute=0)
    return StepTable(source="made up", line=line, residuals=off, points=(point,), num_steps=1)


def simulated(workload, **kwargs):
    engine = kvsim.Vllm(num_gpu_blocks_override=20_000, max_model_len=8192)
    return kvsim.simulate_blocks(
        kvsim.load_model("llama-3.1-8b"), workload, engine=engine, **kwargs
    )


def bench(done, *, detailed=True, **fields):
    """What a client of a simulated server would have recorded."""
    ends = [step.end_s for step in done.steps if step.num_tokens]
    itls = []
    for r in done.requests:
        assert not r.stalls
        times = ends[bisect_left(ends, r.first_token_s) : bisect_right(ends, r.finish_s)]
        itls.append([b - a for a, b in pairwise(times)])
    gaps = [gap for request in itls for gap in request]
    row = {
        "model_id": "made-up/gpt2",
        "backend": "vllm",
        "duration": done.duration_s,
        "completed": len(done.requests),
        "total_input_tokens": sum(r.num_prompt_tokens for r in done.requests),
        "total_output_tokens": sum(r.num_output_tokens for r in done.requests),
        "request_rate": "inf",
        "mean_itl_ms": 1000 * sum(gaps) / len(gaps),
    }
    if detailed:
        row |= {
            "input_lens": [r.num_prompt_tokens for r in done.requests],
            "output_lens": [r.num_output_tokens for r in done.requests],
            "start_times": [1e5 + r.arrival_s for r in done.requests],
            "ttfts": [r.ttft_s for r in done.requests],
            "itls": itls,
        }
    return row | fields


@pytest.fixture(scope="module")
def served():
    traffic = kvsim.PoissonTraffic(
        num_requests=150, rate_per_s=8.0, prompt_tokens=500, prompt_tokens_std=200, output_tokens=80
    )
    return simulated(kvsim.poisson_workload(traffic), step_table=table())


def test_the_line_behind_a_benchmark_is_found(served):
    """
    A server whose steps follow a line, seen through its clients alone: each term within 10 %.
    """
    found = kvsim.calibrate([parse_bench(bench(served))])

    for term in ("base_s", "per_request_s", "per_token_s", "per_cached_token_s"):
        assert getattr(found.line, term) == pytest.approx(getattr(LINE, term), rel=0.1), term
    assert found.residuals.mean_absolute < 0.01
    assert found.num_steps == pytest.approx(len(served.steps), rel=0.2)
    assert "made-up/gpt2" in found.source


def test_a_run_by_the_fitted_table_takes_the_measured_times(served):
    """
    Latencies of another seed at another rate, by the fit and by the truth.
    """
    found = kvsim.calibrate([parse_bench(bench(served))])
    traffic = kvsim.PoissonTraffic(num_requests=60, rate_per_s=4.0, output_tokens=60)
    workload = kvsim.poisson_workload(traffic, seed=5)
    told, true = (simulated(workload, step_table=t) for t in (found, table()))

    assert told.is_calibrated
    for name in ("ttft_s", "tpot_s", "e2e_s", "itl_s"):
        assert getattr(told, name).p90 == pytest.approx(getattr(true, name).p90, rel=0.05)


def test_a_mean_step_by_hand():
    """
    100 s, 10 requests of 300 and 100 tokens, 20 ms between tokens: 0.2 requests decode at once,
    0.8 tokens are computed in a step, and half of its answer is cached beside a whole prompt.
    """
    result = parse_bench(
        {
            "model_id": "m",
            "backend": "vllm",
            "duration": 100.0,
            "completed": 10,
            "total_input_tokens": 3000,
            "total_output_tokens": 1000,
            "request_rate": 1.0,
            "mean_itl_ms": 20.0,
        }
    )
    (point,) = kvsim.calibrate([result]).points

    assert point.num_requests == pytest.approx(1000 * 0.02 / 100)
    assert point.num_tokens == pytest.approx(0.2 + 3000 * 0.02 / 100)
    assert point.num_cached_tokens == pytest.approx(0.2 * (300 + 100 / 2))
    assert point.seconds == 0.02


def test_means_of_several_files_are_a_step_each(served):
    """
    Without --save-detailed: Little's law gives the batch; the table says what it lacks.
    """
    other = simulated(
        kvsim.poisson_workload(kvsim.PoissonTraffic(num_requests=60, rate_per_s=1.0)),
        step_table=table(),
    )
    found = kvsim.calibrate([parse_bench(bench(d, detailed=False)) for d in (served, other)])

    assert found.num_steps == 2
    assert found.residuals.largest_absolute < 0.05
    assert any("--save-detailed" in note for note in found.not_modeled)
    running = sum(r.finish_s - r.first_token_s for r in served.requests) / served.duration_s
    assert max(p.num_requests for p in found.points) == pytest.approx(running, rel=0.1)


def test_the_command_line_writes_what_simulate_reads(served, tmp_path, capsys):
    """
    `kvsim calibrate BENCH.json --output FILE`, then `kvsim simulate --step-time FILE`.
    """
    recorded, written = tmp_path / "bench.json", tmp_path / "steps.json"
    recorded.write_text(json.dumps(bench(served)))
    argv = ["calibrate", str(recorded), "--output", str(written)]
    assert main([*argv, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    jsonschema.validate(result, SCHEMA)
    assert main(argv) == 0
    assert "on average" in capsys.readouterr().out

    assert kvsim.read_step_table(written).as_dict() == {
        k: v for k, v in result.items() if k not in ("output", "schema_version", "provenance")
    }
    simulate = ["simulate", "gpt2", "--num-gpu-blocks", "500", "--num-requests", "5"]
    simulate += ["--prompt-tokens", "200", "--output-tokens", "20"]
    assert main([*simulate, "--step-time", str(written), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["step_time"]
    assert told["calibrated"]
    assert "made-up/gpt2" in told["source"]


def test_a_benchmark_is_a_workload(served, tmp_path, capsys):
    """
    Lengths and times as recorded; without details, means at the stated rate or as many at once.
    """
    recorded = kvsim.bench_workload(parse_bench(bench(served)))
    assert [r.num_prompt_tokens for r in recorded] == [
        r.num_prompt_tokens for r in sorted(served.requests, key=lambda r: r.arrival_s)
    ]
    gap = recorded.requests[-1].arrival_s - (
        served.requests[-1].arrival_s - served.requests[0].arrival_s
    )
    assert gap == pytest.approx(0, abs=1e-6)

    rated = kvsim.bench_workload(parse_bench(bench(served, detailed=False, request_rate=5)))
    assert len(rated) / rated.requests[-1].arrival_s == pytest.approx(5, rel=0.3)
    assert len({r.num_prompt_tokens for r in rated}) == 1

    closed = kvsim.bench_workload(parse_bench(bench(served, detailed=False, max_concurrency=4)))
    assert [r.after for r in closed][:6] == [None, None, None, None, 0, 1]
    assert max(step.num_running for step in simulated(closed).steps) == 4

    path = tmp_path / "bench.json"
    path.write_text(json.dumps(bench(served)))
    assert main(["workload", "from-bench", str(path)]) == 0
    assert "150 requests of recorded lengths, as recorded" in capsys.readouterr().out
    assert main(["workload", "from-bench"]) == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"completed": 0}, "completed=0 and duration"),
        ({"duration": "long"}, "duration=long must be a number"),
        ({"itls": [[0.1]]}, "itls=1 values must be 150, as many as input_lens"),
        ({"start_times": "x"}, "start_times must be a list"),
        ({"request_rate": 0}, "request_rate=0 must be > 0"),
        ({"max_concurrency": 0.5}, "max_concurrency=0.5 must be a whole number from 1"),
        ({"ttfts": [float("nan")] * 150}, "ttfts=nan must be a number"),
    ],
)
def test_bad_results_are_refused(change, message, served):
    """
    Field, value and rule.
    """
    with pytest.raises(kvsim.SpecError, match=message):
        parse_bench(bench(served) | change)


def test_results_of_two_models_are_not_one_line(served):
    """
    The line holds for one model on one server.
    """
    rows = bench(served), bench(served, model_id="made-up/other")

    with pytest.raises(kvsim.SpecError, match="model_id=made-up/gpt2, made-up/other must be one"):
        kvsim.calibrate([parse_bench(row) for row in rows])
    with pytest.raises(kvsim.SpecError, match="itls must hold at least one gap"):
        kvsim.calibrate([parse_bench(bench(served, detailed=False, mean_itl_ms=None))])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "bench.json: "),
        ("[]", "must be a JSON object"),
        ('{"schema_version": 2}', "schema_version=2 must be 1: a newer kvsim"),
        ('{"schema_version": 1, "points": []}', "line must hold objects"),
    ],
)
def test_other_files_are_refused(text, message, tmp_path):
    """
    Neither a benchmark nor a step-time file.
    """
    path = tmp_path / "bench.json"
    path.write_text(text)
    read = kvsim.read_step_table if "schema" in text else kvsim.read_bench

    with pytest.raises(kvsim.KvsimError, match=message):
        read(path)
