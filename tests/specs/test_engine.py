"""vLLM's settings: defaults by device and use, and what the engine refuses."""

import pytest

import kvsim
from kvsim.specs.engine import PerformanceMode, batch_limits, resolve_vllm

LLAMA = kvsim.load_model("llama-3.1-8b")
H100, A100 = (kvsim.accelerator(name) for name in ("H100-SXM5-80GB", "A100-SXM4-80GB"))


def resolved(model=LLAMA, accelerator=H100, parallel=None, **settings):
    return resolve_vllm(
        kvsim.Vllm(**settings),
        model=model,
        accelerator=accelerator,
        parallel=parallel or kvsim.Parallelism(),
    )


@pytest.mark.parametrize(
    ("gpu", "context", "tokens", "seqs"),
    [
        ("B200", "OPENAI_API_SERVER", 16384, 1024),
        ("B200", "LLM_CLASS", 16384, 1024),
        ("H100-SXM5-80GB", "OPENAI_API_SERVER", 8192, 1024),
        ("H100-SXM5-80GB", "LLM_CLASS", 16384, 1024),
        ("A100-SXM4-80GB", "OPENAI_API_SERVER", 2048, 256),
        ("A100-SXM4-80GB", "LLM_CLASS", 8192, 256),
        ("L40S", "OPENAI_API_SERVER", 2048, 256),
        ("B200", "ENGINE_CONTEXT", 2048, 128),
    ],
)
def test_batch_limits_follow_memory_and_the_name_a100(gpu, context, tokens, seqs):
    """
    An A100 of 80 GB and an H100 differ by a factor of four, though their memory is the same.
    """
    limits = batch_limits(kvsim.accelerator(gpu), kvsim.UsageContext(context))

    assert (limits.tokens, limits.seqs) == (tokens, seqs)


def test_a_video_that_is_read_whole_must_fit_in_a_step():
    """
    Gemma 4 looks at images in both directions, so that no item is cut: 32 frames of 70 tokens
    and 8 around them. E2B reads them one way; a larger limit stays, and so does one that was asked.
    """
    large, small = (kvsim.load_model(name) for name in ("gemma-4-26b-a4b", "gemma-4-e2b"))

    assert resolved(large, A100).max_num_batched_tokens == 32 * (70 + 8)
    assert resolved(small, A100).max_num_batched_tokens == 2048
    assert resolved(large, H100).max_num_batched_tokens == 8192
    assert resolved(large, A100, max_num_batched_tokens=2048).max_num_batched_tokens == 2048


def test_cpu_limits_grow_with_the_ranks():
    """
    On CPUs the engine multiplies its defaults by the number of ranks.
    """
    cpu = kvsim.Accelerator(name="CPU", vendor="any", architecture="CPU", nominal_bytes=2**34)
    limits = batch_limits(cpu, kvsim.UsageContext.LLM_CLASS, world_size=2)

    assert (limits.tokens, limits.seqs) == (8192, 512)


def test_given_limits_are_not_clamped_and_defaults_are():
    """
    A default never exceeds what all requests together can hold; a user's value stays.
    """
    small = resolved(max_model_len=4, max_num_seqs=2)

    assert small.max_num_batched_tokens == 8
    assert resolved(max_model_len=4, max_num_batched_tokens=5000).max_num_batched_tokens == 5000
    assert resolved(max_num_batched_tokens=100).max_num_seqs == 100


def test_throughput_mode_doubles_both_limits():
    """
    Only the defaults are doubled.
    """
    fast = resolved(performance_mode=PerformanceMode.THROUGHPUT)

    assert (fast.max_num_batched_tokens, fast.max_num_seqs) == (16384, 2048)


def test_in_flight_tokens_count_the_batches_under_way():
    """
    Asynchronous scheduling adds a batch to one per pipeline stage.
    """
    stages = kvsim.Parallelism(pipeline_parallel_size=3)

    assert resolved().max_in_flight_tokens == 2 * 8192
    assert resolved(async_scheduling=False).max_in_flight_tokens == 8192
    assert resolved(parallel=stages).max_in_flight_tokens == 4 * 8192
    assert resolved(parallel=stages, async_scheduling=False).max_in_flight_tokens == 3 * 8192


@pytest.mark.parametrize(
    ("name", "caching", "chunked"),
    [("llama-3.1-8b", True, True), ("whisper-large-v3", False, False)],
)
def test_encoder_decoders_share_no_prefix_and_are_not_chunked(name, caching, chunked):
    """
    Cross attention needs the encoder's whole output in one step.
    """
    settings = resolved(model=kvsim.load_model(name))

    assert (settings.enable_prefix_caching, settings.enable_chunked_prefill) == (caching, chunked)


def test_a_drafter_on_the_host_switches_async_scheduling_off():
    """
    N-grams are looked up on the CPU between two steps.
    """
    ngram = {"speculative_method": "ngram", "num_speculative_tokens": 3}

    assert resolved(**ngram).async_scheduling is False
    assert resolved(speculative_method="mtp", num_speculative_tokens=1).async_scheduling
    with pytest.raises(kvsim.UnsupportedError, match="async_scheduling must be off"):
        resolved(async_scheduling=True, **ngram)


def test_a_rope_factor_lengthens_the_model():
    """
    YaRN multiplies the length that the model was first trained for; llama3's is scaled already.
    """
    config = {
        "model_type": "qwen2",
        "num_hidden_layers": 2,
        "hidden_size": 64,
        "num_attention_heads": 4,
        "vocab_size": 100,
        "max_position_embeddings": 32768,
    }
    yarn = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768}
    plain = resolved(model=kvsim.load_model(config))
    long = resolved(model=kvsim.load_model(config | {"rope_scaling": yarn}))

    assert (plain.max_model_len, long.max_model_len) == (32768, 131072)
    assert resolved().max_model_len == 131072


def test_a_model_without_a_length_gets_the_engines_default():
    """
    Mamba's config states no length; the engine assumes 2,048.
    """
    mamba = kvsim.load_model("falcon-mamba-7b")

    assert resolved(model=mamba).max_model_len == 2048
    assert resolved(model=mamba, max_model_len=9000).max_model_len == 9000


@pytest.mark.parametrize(
    ("settings", "rule"),
    [
        ({"max_model_len": 131073}, "max_model_len=131073 must be <= the model's maximum"),
        ({"max_num_batched_tokens": 8, "max_num_seqs": 9}, "must be >= max_num_seqs=9"),
        ({"kv_cache_dtype": "q8_0"}, "kv_cache_dtype=q8_0 is no cache format of vllm"),
        ({"kv_cache_dtype": "fp9"}, "kv_cache_dtype=fp9 must be one of"),
        ({"kv_cache_dtype": "fp8_ds_mla"}, "no attention backend of vllm stores a dense model so"),
        (
            {"enable_chunked_prefill": False, "max_num_batched_tokens": 2048},
            "must be >= max_model_len=131072 without chunked prefill",
        ),
    ],
)
def test_settings_that_the_engine_refuses_are_refused(settings, rule):
    """
    One line: the setting, its value, the rule.
    """
    with pytest.raises(kvsim.KvsimError, match=rule):
        resolved(**settings)


@pytest.mark.parametrize(
    ("settings", "rule"),
    [
        ({"max_model_len": 8, "auto_max_model_len": True}, "exclude each other"),
        ({"speculative_method": "oracle", "num_speculative_tokens": 1}, "must be one of mtp"),
        ({"speculative_method": "eagle", "num_speculative_tokens": 1}, "another checkpoint"),
        ({"speculative_method": "mtp"}, "num_speculative_tokens must be given"),
        ({"num_speculative_tokens": 2}, "needs speculative_method"),
        ({"gpu_memory_utilization": 1.5}, "must be in"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(settings, rule):
    """
    They are refused when they are made, whatever the model.
    """
    with pytest.raises(kvsim.KvsimError, match=rule):
        kvsim.Vllm(**settings)
