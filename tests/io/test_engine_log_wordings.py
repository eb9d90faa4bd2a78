"""Wordings of other versions, platforms and locales, a line or two each."""

import pytest

import kvsim

VLLM = "INFO [api_server.py:1] vLLM API server version 0.9.0\n"

WORDINGS = {
    "v0, blocks of another platform": (
        VLLM + "INFO executor_base.py:110] # rocm blocks: 27,456, # CPU blocks: 9362\n",
        {"num_gpu_blocks": 27456, "num_cpu_blocks": 9362},
    ),
    "v0, one line of the profile": (
        VLLM + "INFO worker.py:267] model weights take 6.59GiB; non_torch_memory takes 0.29GiB; "
        "PyTorch activation peak memory takes 4.93GiB; the rest of the memory reserved for KV "
        "Cache is -1.83GiB.\n",
        {
            "weights_gib": 6.59,
            "non_torch_gib": 0.29,
            "activation_peak_gib": 4.93,
            "kv_cache_gib": -1.83,
        },
    ),
    "v0, results of the profile": (
        VLLM + "INFO worker.py:220] Memory profiling results: total_gpu_memory=79.22GiB "
        "initial_memory_usage=0.50GiB non_torch_memory=1.79GiB kv_cache_size=53.29GiB "
        "gpu_memory_utilization=0.90.\n",
        {"total_gpu_gib": 79.22, "non_torch_gib": 1.79, "kv_cache_gib": 53.29},
    ),
    "v1, only the summary": (
        VLLM + "INFO [gpu_worker.py:804] Free memory on device (15.28/15.51 GiB) on startup. "
        "Desired GPU memory utilization is (0.92, 14.27 GiB). Actual usage is 10.47 GiB for "
        "consumed memory (weights + non-torch), 0.79 GiB for peak activation, and 0.04 GiB for "
        "CUDAGraph memory. Current kv cache memory in use is 3.01 GiB.\n",
        {
            "free_at_start_gib": 15.28,
            "total_gpu_gib": 15.51,
            "usable_gib": 14.27,
            "consumed_gib": 10.47,
            "activation_and_graphs_gib": 0.79,
            "cudagraph_gib": 0.04,
            "kv_cache_gib": 3.01,
        },
    ),
    "v1 on an NPU": (
        VLLM + "INFO [worker.py:1] Free memory on device (60.86/61.27 GiB) on startup. Actual "
        "usage is 1.14 GiB for weights, 0.22 GiB for peak activation, 0.13 GiB for non-torch "
        "memory, 0.04 GiB for NPU graph memory.\n",
        {
            "free_at_start_gib": 60.86,
            "total_gpu_gib": 61.27,
            "actual_usage_first_gib": 1.14,
            "weights_gib": 1.14,
            "activation_peak_gib": 0.22,
            "non_torch_gib": 0.13,
            "cudagraph_gib": 0.04,
        },
    ),
    "v1 on a CPU": (
        VLLM + "INFO [kv_cache_utils.py:1] CPU KV cache size: 1,048,576 tokens\n",
        {"kv_tokens": 1048576},
    ),
    "a need without brackets": (
        "ERROR [core.py:1] ValueError: To serve at least one request with the model's max seq len "
        "(131072), 9.5 GiB KV cache is needed, which is larger than the available KV cache memory "
        "(6.91 GiB). Based on the available memory, the estimated maximum model length is 91520.\n",
        {
            "max_model_len": 131072,
            "needed_kv_gib": 9.5,
            "kv_cache_gib": 6.91,
            "estimated_max_len": 91520,
        },
    ),
    "torch of 2023": (
        VLLM + "torch.cuda.OutOfMemoryError: CUDA out of memory. Tried to allocate 86.00 MiB "
        "(GPU 0; 23.69 GiB total capacity; 22.03 GiB already allocated; 17.44 MiB free; 22.19 GiB "
        "reserved in total by PyTorch)\n",
        {
            "oom_tried": "86.00 MiB",
            "total_gpu_gib": 23.69,
            "allocated_by_pytorch_gib": 22.03,
            "oom_free": "17.44 MiB",
        },
    ),
    "SGLang, states and a draft": (
        "[2026-01-01 00:00:00 TP0] Mamba Cache is allocated. max_mamba_cache_size: 97, conv_state "
        "size: 0.10GB, ssm_state size: 5.17GB\n"
        "[2026-01-01 00:00:00 TP0] KV Cache is allocated. dtype: torch.bfloat16, #tokens: 484032, "
        "K size: 2.77 GB, V size: 2.77 GB\n"
        "[2026-01-01 00:00:00 TP0] Capture target decode CUDA graph end. elapsed=16.40 s, mem "
        "usage=1.93 GB, avail mem=8.16 GB\n",
        {
            "mamba_slots": 97,
            "mamba_conv_gib": 0.1,
            "mamba_ssm_gib": 5.17,
            "kv_tokens": 484032,
            "k_size_gib": 2.77,
            "v_size_gib": 2.77,
            "cudagraph_gib": 1.93,
        },
    ),
    "SGLang of 2024": (
        "[gpu=0] Load weight begin. avail mem=23.10 GB\n"
        "[gpu=1] Load weight begin. avail mem=22.00 GB\n"
        "[gpu=0] max_total_num_tokens=441512, max_prefill_tokens=16384, context_len=8192\n",
        {
            "avail_before_gib": 23.1,
            "ranks_avail_before_gib": 22.0,
            "max_total_num_tokens": 441512,
            "context_len": 8192,
        },
    ),
    "llama.cpp, states": (
        "llama_memory_recurrent:      CUDA0 RS buffer size =   576.00 MiB\n"
        "llama_memory_recurrent: size =  576.00 MiB (     4 cells,  64 layers,  4 seqs), "
        "R (f32):   27.00 MiB, S (f32):  549.00 MiB\n",
        {
            "rs_buffers_mib": [["CUDA0", 576.0]],
            "rs_mib": 576.0,
            "rs_r_mib": 27.0,
            "rs_s_mib": 549.0,
        },
    ),
    "llama.cpp, commas for points": (
        "llama_kv_cache_init:      CUDA0 KV buffer size =  3072,00 MiB\n"
        "llama_new_context_with_model: KV self size  = 3072,00 MiB, K (f16): 1536,00 MiB, V (f16): "
        "1536,00 MiB\n",
        {
            "kv_buffers_mib": [["CUDA0", 3072.0]],
            "kv_mib": 3072.0,
            "k_mib": 1536.0,
            "v_mib": 1536.0,
        },
    ),
    "llama.cpp, a dry run first": (
        "llama_context: n_ctx         = 4096\n"
        "llama_kv_cache:      CUDA0 KV buffer size =     0.00 MiB\n"
        "llama_params_fit: fitting params to free memory took 0.34 seconds\n"
        "llama_context: n_ctx         = 2048\n"
        "llama_kv_cache:      CUDA0 KV buffer size =    72.00 MiB\n",
        {"kv_buffers_mib": [["CUDA0", 72.0]]},
    ),
    "TensorRT-LLM, a built engine": (
        "[TensorRT-LLM][INFO] Engine version 0.16.0 found in the config file, assuming engine(s)\n"
        "[TensorRT-LLM][INFO] Loaded engine size: 7686 MiB\n"
        "[TensorRT-LLM][INFO] Memory usage when calculating max tokens in paged kv cache: total: "
        "79.10 GiB, available: 70.48 GiB\n"
        "[TensorRT-LLM][INFO] Number of blocks in KV cache primary pool: 4060\n"
        "[TensorRT-LLM][INFO] [MemUsageChange] Allocated 63.44 GiB for max tokens in paged KV "
        "cache (259840).\n",
        {
            "engine_mib": 7686,
            "total_gpu_gib": 79.1,
            "available_gib": 70.48,
            "num_gpu_blocks": 4060,
            "kv_cache_gib": 63.44,
            "kv_tokens": 259840,
        },
    ),
}


@pytest.mark.parametrize("name", sorted(WORDINGS))
def test_a_wording_is_read(name):
    """
    The same figure under the same name, however a version puts it.
    """
    text, expected = WORDINGS[name]

    assert kvsim.read_engine_log(text).measured == expected


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("docker run vllm/vllm-openai:v0.10.1 --model m\nINFO vllm\n", "0.10.1"),
        ("pip install vllm==0.6.3.post1\nvllm serve m\n", "0.6.3.post1"),
        ("vLLM Version: 0.8.5\nvllm serve m\n", "0.8.5"),
        ("INFO Initializing an LLM engine (v0.5.4) with config: model='m', seed=0\n\n", "0.5.4"),
        ("[TensorRT-LLM] TensorRT LLM version: 1.2.0rc1\n\n", "1.2.0rc1"),
        ("build: 7001 (abc) with GNU\nllama_context: n_ctx = 1\n", "b7001"),
    ],
)
def test_a_version_is_read_where_it_stands(text, version):
    """
    A banner, an image, a package, an engine's own line.
    """
    assert kvsim.read_engine_log(text).version == version


@pytest.mark.parametrize(
    ("text", "settings"),
    [
        (
            "vllm serve m --max-model-len 8192 --enforce-eager \\\n  --kv-cache-dtype fp8 -tp 2\n",
            {
                "max_model_len": 8192,
                "enforce_eager": True,
                "kv_cache_dtype": "fp8",
                "tensor_parallel_size": 2,
            },
        ),
        (
            "python -m sglang.launch_server --model-path m --tp 2 --mem-fraction-static 0.8\n\n",
            {"tp_size": 2, "mem_fraction_static": 0.8},
        ),
        (
            "./llama-server -m m.gguf -c 8192 -ctk q8_0 -ngl 99\n\n",
            {"ctx_size": 8192, "cache_type_k": "q8_0", "gpu_layers": 99},
        ),
        (
            "trtllm-serve m --max_batch_size 8 --kv_cache_free_gpu_memory_fraction 0.8\n\n",
            {"max_batch_size": 8, "free_gpu_memory_fraction": 0.8},
        ),
        (
            "server_args={'model_path': 'm', 'tp_size': 4, 'quantization': None}\n[TP0] sglang\n",
            {"tp_size": 4},
        ),
    ],
)
def test_settings_come_from_the_launch_line_where_nothing_else_has_them(text, settings):
    """
    What was typed is what was asked for.
    """
    assert kvsim.read_engine_log(text).settings == settings
