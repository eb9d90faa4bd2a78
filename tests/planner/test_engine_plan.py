"""Verdicts under SGLang, TensorRT-LLM, llama.cpp and Ollama: sums, edges, host memory, advice."""

from dataclasses import replace

import pytest

import kvsim
from kvsim import GiB, LlamaCpp, Ollama, Sglang, TensorrtLlm

ENGINES = (Sglang(), TensorrtLlm(), LlamaCpp(), Ollama())
MODELS = ("llama-3.1-8b", "gpt-oss-20b", "qwen3-30b-a3b")


def deployment(model="llama-3.1-8b", gpu="RTX 4090", *, length=16384, num_gpus=1, **more):
    return kvsim.Deployment(
        model=kvsim.load_model(model),
        accelerator=kvsim.accelerator(gpu),
        engine=kvsim.Vllm(max_model_len=length, **more.pop("engine", {})),
        parallel=kvsim.Parallelism().over(num_gpus),
        **more,
    )


@pytest.mark.parametrize("settings", ENGINES, ids=lambda s: type(s).__name__)
@pytest.mark.parametrize("model", MODELS)
def test_parts_and_cache_add_up_to_what_is_free(model, settings):
    """
    Every byte that is free at start is somebody's.
    """
    plan = kvsim.plan_engine(deployment(model, "H100-SXM5-80GB", num_gpus=2), settings)

    for device in plan.judged.devices:
        taken = sum(part.num_bytes.best for part in device.parts)
        assert abs(taken + device.cache_bytes.best - device.free_bytes.best) <= 1  # a share rounds


@pytest.mark.parametrize("settings", ENGINES, ids=lambda s: type(s).__name__)
@pytest.mark.parametrize("requests", [1, 3])
def test_the_longest_request_is_at_the_edge(settings, requests):
    """
    It fits, and one token more does not: in as many requests as are asked for.
    """
    longest = kvsim.plan_engine(
        deployment(), settings, concurrent_requests=requests
    ).longest_model_len

    def fits(length):
        asked = deployment(length=length)
        return kvsim.plan_engine(asked, settings, concurrent_requests=requests).fits

    assert 0 < longest < 131072
    assert fits(longest)
    assert not fits(longest + 1)


@pytest.mark.parametrize("settings", ENGINES, ids=lambda s: type(s).__name__)
def test_the_most_requests_are_at_the_edge(settings):
    """
    As many as it says fit at once, and one more does not.
    """
    asked = deployment(gpu="H100-SXM5-80GB", length=32768)
    most = kvsim.plan_engine(asked, settings).judged.best.requests

    assert kvsim.plan_engine(asked, settings, concurrent_requests=most).fits
    assert not kvsim.plan_engine(asked, settings, concurrent_requests=most + 1).fits


@pytest.mark.parametrize(
    "settings",
    [Sglang(), TensorrtLlm(), LlamaCpp(), Ollama()],
    ids=lambda s: type(s).__name__,
)
def test_a_plan_and_a_comparison_hold_the_same(settings):
    """
    Two faces of one rule.
    """
    asked = deployment("llama-3.1-70b", "H100-SXM5-80GB", num_gpus=4, length=32768)
    plan = kvsim.plan_engine(asked, settings)
    scenario = kvsim.Scenario(
        deployment=asked, engine=plan.judged.engine, settings=plan.judged.settings
    )
    answer = kvsim.answer(scenario)

    assert plan.judged.best == answer.holding.best
    assert plan.judged.devices[0].cache_bytes == answer.holding.cache_bytes
    assert plan.judged.request_bytes == answer.cost.request_bytes
    assert plan.judged.bytes_per_token == answer.cost.bytes_per_token
    assert plan.longest_model_len == answer.holding.longest_tokens


def test_groups_of_ranks_with_a_cache_of_their_own_share_the_requests():
    """
    DP attention over four groups holds four times what one group holds.
    """
    asked = deployment("deepseek-v3", "B200-SXM-180GB", num_gpus=8, length=32768)
    whole = kvsim.plan_engine(asked, Sglang(mem_fraction_static=0.85)).judged.best
    split = kvsim.plan_engine(
        asked, Sglang(mem_fraction_static=0.85, enable_dp_attention=True, dp_size=4)
    ).judged.best

    assert split.requests == pytest.approx(4 * whole.requests, rel=0.05)


def test_each_device_gets_its_layers_weights_and_cache():
    """
    llama.cpp divides layers by free memory: both devices' shares add up to the whole.
    """
    one = kvsim.plan_engine(deployment(gpu="H100-SXM5-80GB"), LlamaCpp()).judged.devices
    two = kvsim.plan_engine(deployment(gpu="H100-SXM5-80GB", num_gpus=2), LlamaCpp()).judged.devices

    assert len(two) == 2
    assert sum(d.needed_bytes for d in two) == one[0].needed_bytes
    assert sum(d.weights_bytes.best for d in two) == one[0].weights_bytes.best


def test_the_fewest_experts_move_to_the_host():
    """
    So many layers' experts in host memory fit, one layer less does not.
    """
    asked = deployment("gpt-oss-120b", length=8192, host_memory_bytes=128 * GiB)
    fixes = {fix.setting: fix.value for fix in kvsim.plan_engine(asked, LlamaCpp()).fixes}
    least = int(fixes["n_cpu_moe"])

    assert kvsim.plan_engine(asked, LlamaCpp(n_cpu_moe=least)).fits
    assert not kvsim.plan_engine(asked, LlamaCpp(n_cpu_moe=least - 1)).fits


def test_the_most_layers_stay_on_the_device():
    """
    So many layers fit on the device, one more does not.
    """
    asked = deployment("llama-3.1-70b", host_memory_bytes=256 * GiB)
    fixes = {fix.setting: fix.value for fix in kvsim.plan_engine(asked, LlamaCpp()).fixes}
    most = int(fixes["gpu_layers"])

    assert kvsim.plan_engine(asked, LlamaCpp(gpu_layers=most)).fits
    assert not kvsim.plan_engine(asked, LlamaCpp(gpu_layers=most + 1)).fits


def test_every_fix_fits_as_it_says():
    """
    Advice that was not tried is a guess.
    """
    plan = kvsim.plan_engine(
        deployment("llama-3.1-8b", length=32768), TensorrtLlm(), concurrent_requests=3
    )

    assert not plan.fits
    assert {fix.setting for fix in plan.fixes} >= {"dtype", "max_model_len", "concurrent_requests"}
    assert all(fix.max_requests >= 1 for fix in plan.fixes)


def test_what_the_host_lacks_does_not_fit():
    """
    Layers that leave the device need the machine's memory.
    """
    asked = deployment("llama-3.1-70b", host_memory_bytes=64 * GiB)
    plan = kvsim.plan_engine(asked, LlamaCpp(gpu_layers=8))

    assert not plan.fits
    assert any("host memory lacks" in reason for reason in plan.judged.reasons)


def test_prompts_that_may_fill_the_host_make_it_tight():
    """
    The server starts, and may run the machine out of memory later.
    """
    asked = deployment(
        "gpt-oss-20b", "H100-SXM5-80GB", host_memory_bytes=9 * GiB, overheads=kvsim.Overheads()
    )
    plan = kvsim.plan_engine(asked, LlamaCpp())

    assert plan.judged.verdict is kvsim.Verdict.TIGHT
    assert any("--cache-ram" in reason for reason in plan.judged.reasons)


def test_slots_without_cells_of_their_own_share_the_context():
    """
    Two requests of 8,192 tokens fill 16,384 cells, though there are four slots.
    """
    asked = deployment(gpu="H100-SXM5-80GB", length=8192)
    settings = LlamaCpp(ctx_size=16384, parallel=4, kv_unified=True)

    assert kvsim.plan_engine(asked, settings).judged.best.requests == 2
    assert not kvsim.plan_engine(asked, settings, concurrent_requests=3).fits


@pytest.mark.parametrize(
    "settings",
    [
        LlamaCpp(ctx_size=16384, parallel=4),
        Ollama(num_ctx=4096),
        Sglang(context_length=4096),
        TensorrtLlm(max_seq_len=4096),
    ],
    ids=lambda s: type(s).__name__,
)
def test_a_request_longer_than_the_flags_allow_is_refused(settings):
    """
    Four slots of 4,096 tokens serve no request of 8,192; without a length it is theirs.
    """
    with pytest.raises(kvsim.SpecError, match="max_model_len=8192 must be <= 4096"):
        kvsim.plan_engine(deployment(length=8192), settings)

    assert kvsim.plan_engine(deployment(length=None), settings).judged.num_tokens == 4096


def test_a_smaller_cache_type_is_asked_for_by_its_own_name():
    """
    The format that the deployment asks of every engine reaches llama.cpp's flags.
    """
    asked = deployment(gpu="H100-SXM5-80GB", engine={"kv_cache_dtype": "q8_0"})
    settings = kvsim.plan_engine(asked, LlamaCpp()).judged.settings

    assert (settings.cache_type_k, settings.cache_type_v) == ("q8_0", "q8_0")


@pytest.mark.parametrize("settings", [Sglang(), TensorrtLlm()], ids=lambda s: type(s).__name__)
def test_stages_of_pools_are_refused(settings):
    """
    A stage caches its own layers; charged with all of them, it would hold too few requests.
    """
    stages = kvsim.Parallelism(pipeline_parallel_size=2)

    with pytest.raises(kvsim.UnsupportedError, match="pipeline_parallel_size=2 must be 1"):
        kvsim.plan_engine(replace(deployment(), parallel=stages), settings)


def test_replicas_that_one_line_cannot_start_are_refused():
    """
    TensorRT-LLM's server is one replica; a line that leaves the others out starts too few.
    """
    replicas = kvsim.Parallelism(data_parallel_size=2)

    with pytest.raises(kvsim.UnsupportedError, match="data_parallel_size=2 must be 1"):
        kvsim.plan_engine(replace(deployment(), parallel=replicas), TensorrtLlm())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"parallel": kvsim.Parallelism(data_parallel_size=2)}, "data_parallel_size=2 must be 1"),
        ({"weights_on_host_bytes": GiB}, "weights_on_host=1073741824 must be 0"),
    ],
)
def test_what_llama_cpp_cannot_do_is_refused(change, message):
    """
    Its own flags say how layers and experts are divided.
    """
    with pytest.raises(kvsim.SpecError, match=message):
        kvsim.plan_engine(replace(deployment(), **change), LlamaCpp())
