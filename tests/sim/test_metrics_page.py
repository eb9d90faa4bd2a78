"""The metrics page of a simulated run: what vLLM would count, and the way back from it."""

import json
from bisect import bisect_left
from pathlib import Path

import jsonschema
import pytest

import kvsim
from kvsim.cli import main
from kvsim.io.metrics_page import format_metrics
from kvsim.sim.metrics_page import token_bounds

SCHEMA = json.loads(
    (Path(__file__).parents[2] / "docs/schema/workload.schema.json").read_text(encoding="utf-8")
)
SHARES = (0.1, 0.5, 0.9, 0.99)


LONGEST = 16384


def served(workload, *, num_gpu_blocks=20_000, max_model_len=LONGEST):
    engine = kvsim.Vllm(num_gpu_blocks_override=num_gpu_blocks, max_model_len=max_model_len)
    return kvsim.simulate_blocks(
        kvsim.load_model("llama-3.1-8b"), workload, engine=engine, step_time_s=0.005
    )


def page(done, **kwargs):
    stamp = 0.0 if kwargs else done.duration_s
    text = format_metrics(kvsim.metrics_page(done, **kwargs), read_s=stamp)
    return kvsim.parse_metrics(text, name="page")


def measured(done):
    pages = page(done, at_start=True), page(done)
    return kvsim.measured_traffic(*pages, max_model_len=LONGEST)


def ranked(values, share):
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["chat", "rag"])
def test_simulated_exported_and_rebuilt_a_workload_is_the_same_within_one_bucket(name):
    """
    Lengths by their buckets, the rate and the hit rate, after a second simulation of the rebuilt.
    """
    workload = kvsim.generate_workload(name, num_requests=400, arrivals={"rate_per_s": 4.0})
    done = served(workload)
    first = measured(done)
    rebuilt = kvsim.generate_workload(first.traffic, num_requests=400, seed=1)
    second = measured(served(rebuilt))

    bounds = token_bounds(LONGEST)
    for lengths in ("num_prompt_tokens", "num_output_tokens"):
        for share in SHARES:
            old, new = (
                ranked([getattr(r, lengths) for r in w], share) for w in (workload, rebuilt)
            )
            assert abs(bisect_left(bounds, old) - bisect_left(bounds, new)) <= 1
    asked = len(workload) / workload.requests[-1].arrival_s
    assert first.rate_per_s == pytest.approx(asked, rel=0.15)
    assert second.rate_per_s == pytest.approx(first.rate_per_s, rel=0.15)
    assert first.token_hit_rate == pytest.approx(done.prefix_cache.token_hit_rate)
    assert second.token_hit_rate == pytest.approx(first.token_hit_rate, abs=0.05)


def test_the_page_counts_what_the_records_say():
    """
    A scarce cache, with preemptions: every counter and histogram is a sum over the records.
    """
    workload = kvsim.generate_workload("chat", num_requests=60, arrivals={"process": "at-once"})
    done = served(workload, num_gpu_blocks=600, max_model_len=8192)
    samples = {name: sum(v.values()) for name, v in page(done).samples.items()}

    assert done.num_preemptions > 0
    assert samples["vllm:num_preemptions_total"] == done.num_preemptions
    assert samples["vllm:prompt_tokens_total"] == sum(r.num_prompt_tokens for r in workload)
    assert samples["vllm:generation_tokens_total"] == sum(r.num_output_tokens for r in workload)
    assert samples["vllm:request_success_total"] == 60
    assert samples["vllm:request_prompt_tokens_count"] == 60
    assert samples["vllm:request_generation_tokens_sum"] == samples["vllm:generation_tokens_total"]
    assert samples["vllm:time_to_first_token_seconds_sum"] == pytest.approx(
        sum(r.ttft_s for r in done.requests)
    )
    parts = ("queue", "prefill", "decode")
    assert samples["vllm:e2e_request_latency_seconds_sum"] == pytest.approx(
        sum(samples[f"vllm:request_{part}_time_seconds_sum"] for part in parts)
    )


def test_before_the_first_request_every_count_is_zero():
    """
    The first of two pages: what grows from it is the run.
    """
    done = served(kvsim.generate_workload("chat", num_requests=5))
    started = page(done, at_start=True)

    counted = [v for n, v in started.samples.items() if n != "vllm:cache_config_info"]
    assert {value for series in counted for value in series.values()} == {0.0}
    assert started.samples.keys() == page(done).samples.keys()


def test_the_command_line_writes_both_pages(tmp_path, capsys):
    """
    `--metrics-out START END`, and back with `from-metrics START END`.
    """
    files = [str(tmp_path / name) for name in ("start", "end")]
    argv = ["simulate", "gpt2", "--num-gpu-blocks", "500", "--num-requests", "9", "--rate", "3"]
    argv += ["--prompt-tokens", "200", "--output-tokens", "20", "--metrics-out", *files]
    assert main([*argv, "--json"]) == 0
    capsys.readouterr()

    back = ["workload", "from-metrics", *files, "--num-requests", "9"]
    assert main(back) == 0
    assert "Measured: vllm gpt2" in capsys.readouterr().out
    assert main([*back, "--json"]) == 0
    jsonschema.validate(json.loads(capsys.readouterr().out), SCHEMA)
    assert main([*argv, "third"]) == 2
    assert "metrics_out=3 files must be 1 or 2" in capsys.readouterr().err
