"""From a device's memory to the cache's share."""

import dataclasses
import math

import pytest

import kvsim
from kvsim.io.overheads import overhead_model
from kvsim.units import GiB

MODEL = kvsim.load_model("llama-3.1-8b")
H100 = kvsim.accelerator("H100-SXM5-80GB")


def budget(**changes):
    settings = {"model": MODEL, "accelerator": H100, "engine": kvsim.Vllm(max_model_len=8192)}
    return kvsim.plan(kvsim.Deployment(**settings | changes)).evaluation.budget


def test_utilisation_is_of_what_the_runtime_sees_rounded_up():
    """
    vLLM takes the ceiling of total x utilisation, and the total is torch's, not the vendor's.
    """
    memory = budget(engine=kvsim.Vllm(max_model_len=8192, gpu_memory_utilization=0.9))

    assert memory.total_bytes.best == round(79.11 * GiB)
    assert memory.usable_bytes.best == math.ceil(round(79.11 * GiB) * 0.9)


def test_the_cache_gets_what_the_others_leave_at_every_estimate():
    """
    Least cache when every other part is largest, most when all are least.
    """
    memory = budget()
    parts = [
        memory.weights_bytes,
        memory.activation_peak_bytes,
        memory.non_torch_bytes,
        memory.cuda_graph_bytes,
    ]

    assert memory.kv_cache_bytes.best == memory.usable_bytes.best - sum(p.best for p in parts)
    assert memory.kv_cache_bytes.low == memory.usable_bytes.low - sum(p.high for p in parts)
    assert memory.kv_cache_bytes.high == memory.usable_bytes.high - sum(p.low for p in parts)


def test_graphs_are_subtracted_by_newer_versions_alone():
    """
    From 0.21 on the engine subtracts an estimate; eager mode captures none.
    """
    old = kvsim.Vllm(max_model_len=8192, engine_version="0.11.0")
    eager = kvsim.Vllm(max_model_len=8192, enforce_eager=True)

    assert budget().cuda_graph_bytes.best > 0
    assert budget(engine=old).cuda_graph_bytes.high == 0
    assert budget(engine=eager).cuda_graph_bytes.high == 0


@pytest.mark.parametrize(
    ("num_seqs", "vocab_size", "hidden_size", "measured_gib"),
    [(160, 128_256, 4096, 0.74), (320, 128_256, 3072, 1.49), (160, 151_936, 2560, 0.88)],
)
def test_activation_peak_is_the_samplers(num_seqs, vocab_size, hidden_size, measured_gib):
    """
    Peaks that vLLM 0.6 to 0.11 printed lie inside the interval.
    """
    model = dataclasses.replace(MODEL, vocab_size=vocab_size, hidden_size=hidden_size)
    engine = kvsim.Vllm(
        max_model_len=2048,
        max_num_seqs=num_seqs,
        max_num_batched_tokens=2048,
        engine_version="0.8.5",
    )
    peak = budget(model=model, engine=engine).activation_peak_bytes

    assert peak.low <= measured_gib * GiB <= peak.high
    assert abs(peak.best / GiB - measured_gib) < 0.1


def test_a_version_uses_the_newest_coefficients_not_younger_than_it():
    """
    The rules change with versions, and the file says from which on.
    """
    assert overhead_model("vllm", "0.6.4").since == (0, 0)
    assert overhead_model("vllm", "0.11.2").since == (0, 7)
    assert overhead_model("vllm", "0.12.0").since == (0, 12)
    assert overhead_model("vllm", "1.0.0").since == (0, 21)


def test_unified_memory_is_bounded_by_the_machines():
    """
    A device that shares the RAM has no more than what the machine has.
    """
    spark = kvsim.accelerator("DGX Spark")
    small = budget(accelerator=spark, host_memory_bytes=64 * GiB)

    assert spark.unified_memory
    assert small.total_bytes.best == 64 * GiB
    assert budget(host_memory_bytes=GiB).total_bytes == budget().total_bytes


def test_devices_known_by_their_marketed_size_alone_get_wide_intervals():
    """
    Without any reading the total is an interval, not a number.
    """
    device = kvsim.Accelerator(name="new", vendor="x", architecture="x", nominal_bytes=100 * GiB)

    assert device.total_bytes.low < device.total_bytes.best < device.total_bytes.high
    assert device.total_bytes.source == "marketed size; no reading was found"
