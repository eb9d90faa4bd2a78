"""Launch lines: what goes out comes back, each flag is the engine's, and bad ones are refused."""

import shlex
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

import kvsim

MODEL, GPU = kvsim.load_model("llama-3.1-8b"), kvsim.accelerator("h100")
COUNTS = st.none() | st.integers(1, 2**20)
SWITCHES = st.none() | st.booleans()
SHARES = st.floats(0.01, 1, exclude_min=True)


@st.composite
def vllm_settings(draw):
    draft = draw(st.sampled_from([None, "mtp", "ngram"]))
    is_auto = draw(st.booleans())
    return kvsim.Vllm(
        max_model_len=None if is_auto else draw(COUNTS),
        auto_max_model_len=is_auto,
        max_num_seqs=draw(COUNTS),
        max_num_batched_tokens=draw(COUNTS),
        gpu_memory_utilization=draw(SHARES),
        kv_cache_dtype=draw(st.sampled_from(["auto", "fp8", "fp8_e5m2", "bfloat16"])),
        kv_cache_dtype_skip_layers=tuple(
            draw(st.lists(st.sampled_from(["0", "5", "sliding_window"])))
        ),
        block_size=draw(COUNTS),
        dtype=draw(st.sampled_from(["auto", "half", "bfloat16"])),
        quantization=draw(st.sampled_from([None, "awq", "fp8"])),
        enforce_eager=draw(st.booleans()),
        enable_prefix_caching=draw(SWITCHES),
        enable_chunked_prefill=draw(SWITCHES),
        async_scheduling=draw(SWITCHES),
        disable_hybrid_kv_cache_manager=draw(st.booleans()),
        mamba_ssm_cache_dtype=draw(st.sampled_from(["auto", "float32"])),
        kv_cache_memory_bytes=draw(COUNTS),
        num_gpu_blocks_override=draw(COUNTS),
        kv_offloading_size=draw(st.none() | st.floats(0.5, 1e6)),
        speculative_method=draft,
        num_speculative_tokens=None if draft is None else draw(st.integers(1, 16)),
        performance_mode=draw(st.sampled_from(["balanced", "throughput", "interactivity"])),
    )


@st.composite
def degrees(draw):
    dcp = draw(st.sampled_from([1, 2]))
    return kvsim.Parallelism(
        tensor_parallel_size=draw(st.sampled_from([1, 2, 4])) * dcp,
        pipeline_parallel_size=draw(st.integers(1, 4)),
        data_parallel_size=draw(st.integers(1, 4)),
        decode_context_parallel_size=dcp,
        enable_expert_parallel=draw(st.booleans()),
    )


@given(vllm_settings(), degrees())
def test_a_vllm_line_gives_the_same_deployment(engine, parallel):
    """
    Nothing that a plan asks for is lost, rounded or renamed on the line.
    """
    deployment = kvsim.Deployment(model=MODEL, accelerator=GPU, engine=engine, parallel=parallel)
    command = kvsim.parse_command(kvsim.vllm_serve(deployment))

    assert command.deployment(model=MODEL, accelerator=GPU) == deployment
    assert command.model == MODEL.hub_id
    assert command.ignored == ()


@given(
    st.builds(
        kvsim.Sglang,
        mem_fraction_static=st.none() | st.floats(0.05, 0.95),
        context_length=COUNTS,
        max_running_requests=COUNTS,
        max_total_tokens=COUNTS,
        page_size=COUNTS,
        kv_cache_dtype=st.sampled_from(["fp8_e4m3", "fp8_e5m2", "auto"]),
        swa_full_tokens_ratio=st.floats(0.01, 1),
        disable_radix_cache=st.booleans(),
        enable_dp_attention=st.booleans(),
        disable_chunked_prefill=st.booleans(),
    ),
    st.sampled_from([1, 2, 8]),
)
def test_sglang_s_line_gives_the_same_settings(settings, ranks):
    """
    Its own flags, one per field.
    """
    parallel = kvsim.Parallelism(tensor_parallel_size=ranks)
    deployment = kvsim.Deployment(model=MODEL, accelerator=GPU, parallel=parallel)
    command = kvsim.parse_command(kvsim.engine_line(deployment, settings))

    assert command.settings == settings
    assert command.parallel == parallel
    assert command.ignored == ()


@given(
    st.builds(
        kvsim.LlamaCpp,
        ctx_size=COUNTS,
        parallel=COUNTS,
        kv_unified=SWITCHES,
        ubatch_size=st.integers(1, 4096),
        cache_type_k=st.sampled_from(["f16", "q8_0", "q4_0"]),
        cache_type_v=st.sampled_from(["f16", "q8_0"]),
        flash_attn=st.sampled_from(kvsim.FlashAttention),
        swa_full=st.booleans(),
        gpu_layers=COUNTS,
        tensor_split=st.sampled_from([(), (1.0, 3.0), (0.25, 0.75)]),
        kv_offload=st.booleans(),
        n_cpu_moe=st.integers(0, 60),
        cpu_moe=st.booleans(),
        cache_ram=st.none() | st.integers(0, 9000),
    )
)
def test_llama_server_s_line_gives_the_same_settings(settings):
    """
    Its own flags, negated where it negates.
    """
    deployment = kvsim.Deployment(model=MODEL, accelerator=GPU)
    command = kvsim.parse_command(kvsim.engine_line(deployment, settings))

    assert command.settings == settings
    assert command.ignored == ()


def test_every_engine_has_a_line_for_the_same_plan():
    """
    Length, requests at once, cache format and degrees carry over under each engine's names.
    """
    deployment = kvsim.Deployment(
        model=MODEL,
        accelerator=GPU,
        engine=kvsim.Vllm(max_model_len=8192, max_num_seqs=16, kv_cache_dtype="fp8"),
        parallel=kvsim.Parallelism(tensor_parallel_size=2),
    )
    lines = kvsim.engine_commands(deployment)
    plain = kvsim.engine_commands(
        replace(deployment, engine=kvsim.Vllm(max_model_len=8192, max_num_seqs=16))
    )

    assert lines["sglang"] == (
        "python -m sglang.launch_server --model-path meta-llama/Llama-3.1-8B --tp-size 2 "
        "--context-length 8192 --max-running-requests 16 --kv-cache-dtype fp8_e4m3"
    )
    assert lines["tensorrt-llm"] == (
        "trtllm-serve meta-llama/Llama-3.1-8B --tp_size 2 --max_seq_len 8192 --max_batch_size 16 "
        '--extra_llm_api_options <(echo \'{"kv_cache_config": {"dtype": "fp8"}}\')'
    )
    assert "llama.cpp" not in lines  # it has no fp8 cache
    assert plain["llama.cpp"] == (
        "llama-server -m llama-3.1-8b.gguf --ctx-size 131072 --parallel 16"
    )


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("vllm serve acme/m -tp 4 -dp 2", {"tensor_parallel_size": 4, "data_parallel_size": 2}),
        (
            "python3 -m vllm.entrypoints.openai.api_server --model m --max_model_len=4k",
            {"max_model_len": 4000},
        ),
        (
            "docker run --gpus all -p 8000:8000 vllm/vllm-openai:v0.11.0 --model m --enforce-eager",
            {"enforce_eager": True},
        ),
        (
            "HF_HOME=/x vllm serve m \\\n  --no-enable-prefix-caching",
            {"enable_prefix_caching": False},
        ),
        ("vllm serve m --max-model-len auto", {"auto_max_model_len": True}),
        (
            "sglang serve --model-path m --tp 2 --chunked-prefill-size -1",
            {"disable_chunked_prefill": True},
        ),
        ("./llama-server -m m.gguf -c 8192 -ngl 99 -fa on", {"ctx_size": 8192, "gpu_layers": 99}),
        ("trtllm-serve serve m --max_batch_size 8", {"max_batch_size": 8}),
    ],
)
def test_lines_as_people_write_them(line, expected):
    """
    Short names, underscores, equals signs, suffixes, line breaks, containers.
    """
    command = kvsim.parse_command(line)

    assert command.model is not None
    for name, value in expected.items():
        holder = command.parallel if name.endswith("parallel_size") else command.settings
        assert getattr(holder, name) == value


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("", "launch line"),
        ("rm -rf /", "launch line"),
        ("vllm serve m --max-model-len", "max_model_len"),
        ("vllm serve m --max-model-len long", "max_model_len"),
        ("vllm serve m --max-model-len 0", "max_model_len"),
        ("vllm serve m --gpu-memory-utilization 1.5", "gpu_memory_utilization"),
        ("vllm serve m --enforce-eager perhaps", "enforce_eager"),
        ("vllm serve m -tp 0", "tensor_parallel_size"),
        ("vllm serve m --speculative-config {", "speculative_config"),
        ("vllm serve m --speculative-config '{}'", "speculative_config"),
        ("vllm serve 'm", "command"),
        ("vllm serve m --performance-mode fast", "performance_mode"),
        ("llama-server -m m.gguf -ctk f17", "cache_type_k"),
        ("x " * 20_000, "command"),
    ],
)
def test_a_bad_line_is_refused_by_its_flag(line, names):
    """
    The error names the flag and the value.
    """
    with pytest.raises(kvsim.KvsimError, match=names):
        kvsim.parse_command(line)


def test_flags_that_decide_no_memory_are_listed():
    """
    A port is neither an error nor silently gone.
    """
    command = kvsim.parse_command("vllm serve m --port 80 --served-model-name a b --api-key X")

    assert command.ignored == ("--port", "--served-model-name", "--api-key")


WORDS = st.sampled_from(
    [
        *("vllm", "serve", "m", "--max-model-len", "-tp", "4", "--", "-", "--x=", "llama-server"),
        *("-c", "-1", "sglang.launch_server", "--tp", "trtllm-serve", "'", '"', "\\", "--no-"),
        *(
            "--gpu-memory-utilization",
            "0.9",
            "1e999",
            "nan",
            "--tensor-split",
            "1,2",
            "--cache-ram",
        ),
    ]
)


@given(st.lists(WORDS | st.text(max_size=5), max_size=12))
def test_any_line_is_read_or_refused(words):
    """
    Whatever is typed.
    """
    for line in (" ".join(words), shlex.join(words), "vllm serve " + " ".join(words)):
        try:
            command = kvsim.parse_command(line)
        except kvsim.KvsimError:
            continue
        assert len(command.ignored) <= len(line.split())
        assert all(flag.startswith("-") for flag in command.ignored)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ("--max-model-len 1.0005k", "max_model_len='1.0005k' must be a whole number"),
        ("--max-model-len many", "max_model_len='many' must be a whole number"),
        ("--gpu-memory-utilization most", "gpu_memory_utilization='most' must be a number"),
        ("--gpu-memory-utilization .", "gpu_memory_utilization='.' must be a number"),
    ],
)
def test_numbers_of_a_line_are_numbers(flags, words):
    """1.0005k would be a thousand tokens and a half; a dot is no share."""
    with pytest.raises(kvsim.SpecError, match=words):
        kvsim.parse_command(f"vllm serve gpt2 {flags}")


def test_names_of_fitted_lengths_are_known_ones():
    """A name that is not there is refused with those that are."""
    with pytest.raises(kvsim.UnknownNameError, match="lengths=sharegtp is not"):
        kvsim.fitted_trace("sharegtp")
