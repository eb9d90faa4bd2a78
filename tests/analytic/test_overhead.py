"""What engines take beside weights and cache: intervals with sources, and a user's own figures."""

import pytest

import kvsim
from kvsim.io.overheads import engine_reserves, overhead_model, overhead_models
from kvsim.units import GiB

MODEL = kvsim.load_model("llama-3.1-8b")
H100 = kvsim.accelerator("H100-SXM5-80GB")


def budget(accelerator=H100, parallel=None, overheads=None, model=MODEL, **engine):
    deployment = kvsim.Deployment(
        model=model,
        accelerator=accelerator,
        engine=kvsim.Vllm(**{"max_model_len": 8192, "engine_version": "0.11.0"} | engine),
        parallel=parallel or kvsim.Parallelism(),
        overheads=overheads or kvsim.Overheads(),
    )
    return kvsim.plan(deployment).evaluation.budget


LOGS = [  # model, sequences, tokens in a step, GiB that the log prints
    ("llama-3.1-8b", 160, 1024, 0.74),
    ("llama-3.2-3b", 320, 2048, 1.49),
    ("llama-3.2-3b", 192, 2048, 0.90),
    ("qwen3-4b", 160, 2048, 0.88),
    ("qwen3-0.6b", 1024, 8192, 5.56),
    ("llama-3.3-70b", 1024, 8192, 4.84),
]


@pytest.mark.parametrize(("name", "seqs", "tokens", "printed"), LOGS)
def test_the_activation_peak_is_what_logs_print(name, seqs, tokens, printed):
    """
    Nine and a half copies of the logits, and a little per token: to 0.05 GiB, inside the interval.
    """
    peak = budget(
        model=kvsim.load_model(name),
        max_num_seqs=seqs,
        max_num_batched_tokens=tokens,
        kv_cache_memory_bytes=GiB,
    ).activation_peak_bytes

    assert peak.best / GiB == pytest.approx(printed, abs=0.05)
    assert peak.low <= printed * GiB <= peak.high


def test_more_sequences_never_take_less():
    """
    The sampler is profiled with as many rows as there may be sequences.
    """
    peaks = [budget(max_num_seqs=n).activation_peak_bytes.best for n in (1, 16, 256, 1024)]

    assert peaks == sorted(peaks)


def test_ranks_add_buffers_outside_torch():
    """
    NCCL's: more on two ranks than on one, more on four than on two.
    """
    taken = [
        budget(parallel=kvsim.Parallelism(tensor_parallel_size=n)).non_torch_bytes.best
        for n in (1, 2, 4)
    ]

    assert taken == sorted(set(taken))


def test_a_users_measurement_overrides_every_estimate():
    """
    Who has a log needs no estimate.
    """
    told = kvsim.exact(3 * GiB, "my log")
    memory = budget(
        overheads=kvsim.Overheads(
            weights_bytes=told,
            activation_peak_bytes=told,
            non_torch_bytes=told,
            cuda_graph_bytes=told,
        )
    )

    for name in ("weights", "activation_peak", "non_torch", "cuda_graph"):
        assert getattr(memory, f"{name}_bytes") == told


def test_versions_without_data_and_multimodal_models_are_wide():
    """
    What few logs say comes as a wide interval, not as a number.
    """
    known, unknown = budget(), budget(engine_version="0.32.0")
    image = budget(model=kvsim.load_model("qwen2.5-vl-7b"))

    def width(memory):
        return memory.activation_peak_bytes.high - memory.activation_peak_bytes.low

    assert width(known) < 0.3 * GiB < width(unknown)
    assert width(image) > 10 * GiB
    fitted = overhead_model("vllm", "0.11.0")
    assert known.activation_peak_bytes.source == fitted.sampler_copies.source
    assert image.activation_peak_bytes.source == fitted.multimodal_activation_bytes.source


@pytest.mark.parametrize("model", overhead_models("vllm"), ids=lambda m: str(m.since))
def test_every_coefficient_is_ordered_and_says_where_it_is_from(model):
    """
    No naked constants: each has a spread and a source.
    """
    coefficients = [
        model.sampler_copies,
        model.token_hidden_bytes,
        model.activation_floor_bytes,
        model.multimodal_activation_bytes,
        model.non_torch_small_bytes,
        model.non_torch_bytes,
        *model.non_torch_tp_bytes,
        model.weights_extra_bytes,
    ]

    for c in coefficients:
        assert c.low <= c.best <= c.high
        assert c.source


def test_graphs_count_from_the_version_that_subtracts_them():
    """
    0.21 and later subtract an estimate; older versions capture outside the budget.
    """
    assert overhead_model("vllm", "0.20.0").graph_bytes is None
    assert overhead_model("vllm", "0.21.0").graph_bytes is not None


def test_other_engines_have_reserves_with_sources():
    """
    SGLang, TensorRT-LLM and llama.cpp size their cache by what is free.
    """
    reserves = engine_reserves()

    assert set(reserves) == {"sglang", "tensorrt-llm", "llama.cpp"}
    for reserve in reserves.values():
        for c in (reserve.before_load_bytes, reserve.beside_weights_bytes):
            assert 0 <= c.low <= c.best <= c.high
            assert c.source
