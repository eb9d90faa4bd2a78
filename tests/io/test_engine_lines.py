"""Launch lines of settings that change nothing but the line."""

from dataclasses import replace

import pytest

import kvsim

MODEL = kvsim.load_model("llama-3.1-8b")
PLAN = kvsim.Deployment(model=MODEL, accelerator=kvsim.accelerator("H100-SXM5-80GB"))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (kvsim.Ollama(num_ctx=8192), "OLLAMA_CONTEXT_LENGTH=8192"),
        (kvsim.Ollama(kv_cache_type="q8_0"), "OLLAMA_KV_CACHE_TYPE=q8_0"),
        (kvsim.Ollama(flash_attention=False), "OLLAMA_FLASH_ATTENTION=0"),
        (kvsim.Ollama(gpu_overhead=1 << 30), "OLLAMA_GPU_OVERHEAD=1073741824"),
    ],
)
def test_ollama_takes_its_settings_from_the_environment(settings, words):
    """
    A variable for each that is not the default, and no other.
    """
    line = kvsim.engine_line(PLAN, settings)

    assert words in line.split()
    assert words.split("=")[0] not in kvsim.engine_line(PLAN, kvsim.Ollama())


@pytest.mark.parametrize(
    ("settings", "word"),
    [(kvsim.Sglang(), "--ep-size 4"), (kvsim.TensorrtLlm(), "--ep_size 4")],
)
def test_experts_are_spread_over_the_ranks(settings, word):
    """
    Both engines take the number of ranks where vLLM takes a switch.
    """
    spread = kvsim.Parallelism(tensor_parallel_size=4, enable_expert_parallel=True)
    plan = replace(PLAN, model=kvsim.load_model("mixtral-8x7b"), parallel=spread)
    apart = replace(plan, parallel=replace(spread, enable_expert_parallel=False))

    assert word in kvsim.engine_line(plan, settings)
    assert word.split()[0] not in kvsim.engine_line(apart, settings)


def test_replicas_are_sglangs_too():
    """
    Two replicas of the plan are two of the server.
    """
    plan = replace(PLAN, parallel=kvsim.Parallelism(data_parallel_size=2))

    assert "--dp-size 2" in kvsim.engine_line(plan, kvsim.Sglang())


def test_a_format_that_sglang_lacks_is_refused():
    """
    No line is better than one that the server does not take.
    """
    plan = replace(PLAN, engine=kvsim.Vllm(kv_cache_dtype="fp8_ds_mla"))

    with pytest.raises(kvsim.KvsimError, match="kv_cache_dtype=fp8_ds_mla is no format of sglang"):
        kvsim.engine_line(plan, kvsim.Sglang())
