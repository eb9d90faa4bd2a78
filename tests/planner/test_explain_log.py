"""Explained logs: figures that fit are explained, figures that don't are not, and why."""

# long: one claim after another about one question

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import kvsim
from tests.io.log_samples import SAMPLES, broken_logs

GIB = 2**30


def vllm_log(
    *, model="meta-llama/Llama-3.1-8B", tokens="157,584", memory="19.24", extra="", **settings
):
    named = {"model": model, "max_model_len": 4096, **settings}
    return (
        f"INFO [api_server.py:1] vLLM API server version 0.11.0\n"
        f"INFO [utils.py:233] non-default args: {named!r}\n"
        f"INFO [gpu_worker.py:298] Available KV cache memory: {memory} GiB\n"
        f"INFO [kv_cache_utils.py:1087] GPU KV cache size: {tokens} tokens\n{extra}"
    )


def check(explained, name):
    return next(each for each in explained.checks if each.name == name)


def test_tokens_come_from_the_printed_memory():
    """
    19.24 GiB hold 9,849 or so blocks of 16 tokens of 131,072 bytes.
    """
    explained = kvsim.explain_log(vllm_log())

    assert explained.model == "llama-3.1-8b"
    assert check(explained, "tokens from memory").is_explained
    assert not explained.unexplained


@pytest.mark.parametrize("tokens", ["157,504", "157,664", "315,168", "78,784"])
def test_tokens_that_the_memory_does_not_hold_are_not_explained(tokens):
    """
    A few blocks off are more than the rounding of the print.
    """
    explained = kvsim.explain_log(vllm_log(tokens=tokens))

    assert [each.name for each in explained.unexplained] == ["tokens from memory"]


def test_replicated_heads_and_the_smallest_rank_are_named():
    """
    Four KV heads on eight ranks are kept twice; the rank with least memory decides.
    """
    extra = "INFO [gpu_worker.py:298] Available KV cache memory: 20.11 GiB\n"
    log = vllm_log(
        model="Qwen/Qwen3-30B-A3B", tokens="840,608", extra=extra, tensor_parallel_size=8
    )
    found = check(kvsim.explain_log(log), "tokens from memory")

    assert found.is_explained
    assert "each head is kept 2 times" in found.note
    assert "the rank with the least memory decides" in found.note


def test_a_quantised_checkpoint_may_choose_its_cache():
    """
    `auto` is the checkpoint's choice, which no line prints; without one it is the model's format.
    """
    doubled = {"tokens": "315,184"}
    plain = kvsim.explain_log(vllm_log(**doubled))
    quantised = kvsim.explain_log(vllm_log(**doubled, quantization="modelopt"))

    assert plain.unexplained
    assert not quantised.unexplained


BUDGET = (
    "Free memory on device (23.21/23.65 GiB) on startup. Desired GPU memory utilization is "
    "(0.9, 21.28 GiB). Actual usage is {weights} GiB for weight, 0.17 GiB for peak activation, "
    "0.02 GiB for non-torch memory, and 0.14 GiB for CUDAGraph memory.\n"
    "Model loading took {weights} GiB and 2.3 seconds\n"
)


def test_every_gib_of_a_rank_is_somewhere():
    """
    Weights, activation, non-torch and cache make up the engine's share of the device.
    """
    whole = kvsim.explain_log(
        vllm_log(memory="15.31", tokens="125,440", extra=BUDGET.format(weights="5.79"))
    )
    gap = kvsim.explain_log(
        vllm_log(memory="15.31", tokens="125,440", extra=BUDGET.format(weights="5.70"))
    )

    found = check(whole, "memory of a rank")
    assert found.is_explained
    assert [part.name for part in found.parts] == [
        "weights",
        "activation peak",
        "non-torch",
        "cache",
    ]
    assert not check(gap, "memory of a rank").is_explained
    assert check(gap, "memory of a rank").remainder.best == pytest.approx(0.08 * GIB, rel=0.01)


def test_what_the_log_leaves_out_is_an_interval_with_a_device():
    """
    With the device named, activation and non-torch are kvsim's estimates.
    """
    log = vllm_log(extra="Model loading took 14.99 GiB and 2 seconds\n", gpu_memory_utilization=0.9)
    without = kvsim.explain_log(log)
    with_gpu = kvsim.explain_log(log, accelerator=kvsim.accelerator("A100-SXM4-40GB"))

    assert "--gpu: the log prints no total memory" in without.asks
    found = check(with_gpu, "memory of a rank")
    assert found.is_explained
    assert "activation_peak_gib" in with_gpu.predicted


def test_a_rounded_fraction_is_no_gap():
    """
    0.78 is printed of 0.7827: the product beside it is what counts.
    """
    log = (
        "INFO worker.py:295] the current vLLM instance can use total_gpu_memory (47.50GiB) x "
        "gpu_memory_utilization (0.78) = 37.18GiB\n"
        "INFO worker.py:295] model weights take 0.52GiB; non_torch_memory takes 0.08GiB; PyTorch "
        "activation peak memory takes 1.78GiB; the rest of the memory reserved for KV Cache is "
        "34.81GiB.\nINFO executor_base.py:113] # cuda blocks: 190100, # CPU blocks: 0\n"
    )
    assert check(kvsim.explain_log(log), "memory of a rank").is_explained


def test_swap_space_is_a_second_reading_of_a_block():
    """
    4 GiB in blocks of 1 MiB: 16 tokens, 64 layers, 2 of 8 heads on each of four ranks.
    """

    def log(blocks):
        return (
            "INFO api_server.py:528] vLLM API server version 0.6.3\n"
            "INFO api_server.py:529] args: Namespace(model='Qwen/Qwen2.5-32B', swap_space=4, "
            "tensor_parallel_size=4, dtype='auto', max_model_len=None)\n"
            f"INFO executor.py:57] # GPU blocks: 2987, # CPU blocks: {blocks}\n"
        )

    assert not kvsim.explain_log(log(4096)).unexplained
    assert kvsim.explain_log(log(4097)).unexplained


def test_an_unknown_model_is_asked_for():
    """
    Nothing is guessed from a name that is near another.
    """
    for name in ("acme/Llama-3.1-9B", "Qwen2.5-8B", "llama"):
        explained = kvsim.explain_log(vllm_log(model=name))
        assert explained.model is None
        asked = f"--model: the log names {name}, which the catalogue does not have"
        assert asked in explained.asks
    told = kvsim.explain_log(vllm_log(model="acme/x"), model=kvsim.load_model("llama-3.1-8b"))
    assert not any(each.startswith("--model") for each in told.asks)
    assert check(told, "tokens from memory").is_explained


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("/data/models/Meta-Llama-3.1-8B-Instruct", "llama-3.1-8b"),
        ("C:\\models\\Qwen2.5-3B-Instruct-GGUF", "qwen2.5-3b"),
        ("/models/hub/models--Qwen--Qwen3-32B-FP8/snapshots/0123abcd", "qwen3-32b"),
        ("Qwen2___5-3B", "qwen2.5-3b"),
        ("nvidia/Llama-3.1-8B-Instruct-FP8", "llama-3.1-8b"),
        ("Qwen/Qwen3-Coder-30B-A3B-Instruct", "qwen3-30b-a3b"),
        ("deepseek-ai/DeepSeek-R1-Distill-Qwen-32B", "qwen2.5-32b"),
    ],
)
def test_tunes_and_quantised_copies_have_their_base_s_cache(name, model):
    """
    A folder's name, a snapshot's, a copy's in another weight format.
    """
    assert kvsim.explain_log(vllm_log(model=name)).model == model


def test_latent_caches_without_values_are_explained():
    """
    llama.cpp keeps values of a latent within the keys: 0.00 MiB is no mistake.
    """
    log = (
        "print_info: n_layer          = 27\nprint_info: n_embd_k_gqa     = 576\n"
        "print_info: n_embd_v_gqa     = 512\nllama_context: n_ctx         = 4096\n"
        "llama_kv_cache: size =  121.50 MiB (  4096 cells,  27 layers,  1/1 seqs), "
        "K (f16):  121.50 MiB, V (f16):    0.00 MiB\n"
    )
    assert not kvsim.explain_log(log).unexplained


def test_streams_multiply_the_cells():
    """
    Four slots with cells of their own hold four times as many.
    """
    log = (
        "print_info: n_layer          = 28\nprint_info: n_embd_k_gqa     = 256\n"
        "print_info: n_embd_v_gqa     = 256\nllama_context: n_ctx         = 16384\n"
        "llama_kv_cache: size =  448.00 MiB (  4096 cells,  28 layers,  4/4 seqs), "
        "K (f16):  224.00 MiB, V (f16):  224.00 MiB\n"
    )
    explained = kvsim.explain_log(log)
    assert not explained.unexplained
    assert len(explained.checks) == 3


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_parts_and_remainder_are_the_whole(name):
    """
    Whatever is left is stated: nothing is lost between the parts and the whole.
    """
    for each in kvsim.explain_log(SAMPLES[name][3]).checks:
        held = sum(part.value.best for part in each.parts) + each.remainder.best
        assert held == each.whole.value.best
        assert each.is_explained


REFUSED = SAMPLES["vllm-refusal"][3]
TORCH = "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.\n"


@pytest.mark.parametrize(
    ("log", "knob", "change"),
    [
        (REFUSED, "--max-model-len", "at most 59376"),
        (REFUSED, "--kv-cache-dtype", "fp8"),
        (
            "vllm INFO Initial free memory 31.16 GiB, reserved 7.25 GiB memory for KV Cache as "
            "specified by kv_cache_memory_bytes config\n" + REFUSED,
            "--kv-cache-memory-bytes",
            "at least 8595303302",
        ),
        (
            "vllm ValueError: Free memory on device (13.58/15.99 GiB) on startup is less than "
            "desired GPU memory utilization (0.9, 14.39 GiB).\n",
            "--gpu-memory-utilization",
            "at most 0.84",
        ),
        (vllm_log(max_num_seqs=512) + "load_model\n" + TORCH, "--max-num-seqs", "256"),
        (
            SAMPLES["vllm-v1"][3] + TORCH,
            "--max-num-batched-tokens",
            "1024",
        ),
        (
            SAMPLES["sglang"][3].split("[2026-02-01 12:00:30")[0] + TORCH,
            "--cuda-graph-max-bs",
            "lower it",
        ),
        (SAMPLES["sglang"][3] + TORCH, "--mem-fraction-static", "0.80"),
        (
            SAMPLES["llama.cpp"][3].split("sched_reserve")[0]
            + "ggml_backend_cuda_buffer_type_alloc_buffer: allocating 9000.00 MiB on device 0: "
            "cudaMalloc failed: out of memory\n",
            "--ubatch-size",
            "256",
        ),
        (
            SAMPLES["tensorrt-llm"][3].replace("INFO:     Application startup complete", "")
            + TORCH,
            "free_gpu_memory_fraction",
            "0.80",
        ),
    ],
)
def test_advice_names_the_knob(log, knob, change):
    """
    Which flag to turn, and to what, for a start that was refused or ran out of memory.
    """
    advice = {each.knob: each.change for each in kvsim.explain_log(log).advice}

    assert advice[knob] == change


def test_a_start_that_went_well_needs_no_advice():
    """
    Nothing is said where nothing is wrong.
    """
    for name in ("sglang", "llama.cpp", "tensorrt-llm", "vllm-v1"):
        assert kvsim.explain_log(SAMPLES[name][3]).advice == ()


PAGE = """\
# TYPE vllm:kv_cache_usage_perc gauge
vllm:kv_cache_usage_perc{engine="0"} 0.95
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0"} 12
# TYPE vllm:num_requests_waiting gauge
vllm:num_requests_waiting{engine="0"} 3
# TYPE vllm:num_preemptions counter
vllm:num_preemptions_total{engine="0"} 20
# TYPE vllm:prefix_cache_hits counter
vllm:prefix_cache_hits_total{engine="0"} 2000
# TYPE vllm:prefix_cache_queries counter
vllm:prefix_cache_queries_total{engine="0"} 8000
"""


def test_a_running_server_is_set_beside_its_start():
    """
    Usage in the log's tokens, preemptions, and hits against what the workload allows.
    """
    page = kvsim.parse_metrics(PAGE, name="page")
    server = kvsim.explain_log(SAMPLES["vllm-v1"][3], metrics=page, allowed_hit_rate=0.624).server

    assert (server.usage, server.used_tokens) == (0.95, round(0.95 * 279_408))
    assert (server.running, server.waiting, server.preemptions) == (12, 3, 20)
    assert server.hit_rate == 0.25
    assert any("blocks are evicted" in each for each in server.findings)
    assert any("memory binds" in each for each in server.findings)


def test_a_page_without_these_metrics_says_nothing():
    """
    What is not exposed is None, not 0.
    """
    server = kvsim.explain_log(
        SAMPLES["sglang"][3], metrics=kvsim.parse_metrics("up 1\n", name="page")
    ).server

    assert server.as_dict() == {
        "usage": None,
        "used_tokens": None,
        "running": None,
        "waiting": None,
        "preemptions": None,
        "hit_rate": None,
        "allowed_hit_rate": None,
        "findings": [],
    }


def test_a_log_calibrates_a_plan(tmp_path):
    """
    What one start measured is what the next plan uses.
    """
    log = vllm_log(memory="15.31", tokens="125,440", extra=BUDGET.format(weights="5.79"))
    calibration = kvsim.explain_log(log).calibration
    path = tmp_path / "c.json"
    kvsim.write_calibration(path, calibration)
    read = kvsim.read_calibration(path)

    assert set(read.measured) == {
        "total_bytes",
        "weights_bytes",
        "activation_peak_bytes",
        "non_torch_bytes",
    }
    assert read.overheads.total_bytes.best == round(23.65 * GIB)
    assert json.loads(path.read_text())["provenance"]["source"] == "start-up log of vllm 0.11.0"


def is_sound(explained):
    """Plain finite values, and in every check the parts and what is left over make up the whole."""
    told = json.loads(json.dumps(explained.as_dict(), allow_nan=False))
    return all(
        each["whole"]["best"] - sum(part["best"] for part in each["parts"])
        == each["remainder"]["best"]
        for each in told["reconciliation"]
    )


@settings(max_examples=150, deadline=None)
@given(broken_logs())
def test_a_broken_log_is_explained_or_refused(text):
    """
    Whatever is left of a log, and whatever its numbers became.
    """
    try:
        explained = kvsim.explain_log(text + "\n")
    except kvsim.KvsimError:
        return
    assert is_sound(explained)


@settings(max_examples=100, deadline=None)
@given(broken_logs(numbers=True), st.sampled_from(["llama-3.1-8b", "gemma-3-27b", "deepseek-v3"]))
def test_any_numbers_are_explained_or_refused(text, model):
    """
    Zero, huge and negative figures are no reason to fail.
    """
    h100, served = kvsim.accelerator("h100"), kvsim.load_model(model)
    try:
        explained = kvsim.explain_log(text + "\n", accelerator=h100, model=served)
    except kvsim.KvsimError:
        return
    assert is_sound(explained)
