"""Short logs in the engines' forms, written for the tests, and what each of them says."""

# long: a table of logs, each whole

import re

from hypothesis import strategies as st

VLLM_V1 = """\
INFO 03-01 10:00:00 [__init__.py:216] Automatically detected platform cuda.
(APIServer pid=11) INFO 03-01 10:00:01 [api_server.py:1896] vLLM API server version 0.11.0
(APIServer pid=11) INFO 03-01 10:00:01 [utils.py:233] non-default args: {'model_tag': 'acme/tiny', \
'model': 'acme/tiny', 'max_model_len': 4096, 'gpu_memory_utilization': 0.8, 'dtype': 'half'}
(APIServer pid=11) INFO 03-01 10:00:02 [scheduler.py:205] Chunked prefill is enabled with \
max_num_batched_tokens=2048.
(EngineCore_DP0 pid=12) INFO 03-01 10:00:03 [core.py:77] Initializing a V1 LLM engine (v0.11.0) \
with config: model='acme/tiny', speculative_config=None, dtype=torch.float16, max_seq_len=4096, \
tensor_parallel_size=2, pipeline_parallel_size=1, data_parallel_size=1, quantization=None, \
enforce_eager=False, kv_cache_dtype=auto, seed=0, enable_prefix_caching=True, \
chunked_prefill_enabled=True, pooler_config=None, compilation_config={"level":3}
(Worker_TP0 pid=13) INFO 03-01 10:00:09 [gpu_model_runner.py:2653] Model loading took 6.9461 GiB \
and 3.5 seconds
(Worker_TP1 pid=14) INFO 03-01 10:00:09 [gpu_model_runner.py:2653] Model loading took 6.9461 GiB \
and 3.6 seconds
(Worker_TP0 pid=13) INFO 03-01 10:00:20 [gpu_worker.py:298] Available KV cache memory: 12.79 GiB
(Worker_TP1 pid=14) INFO 03-01 10:00:20 [gpu_worker.py:298] Available KV cache memory: 12.71 GiB
(EngineCore_DP0 pid=12) INFO 03-01 10:00:20 [kv_cache_utils.py:1087] GPU KV cache size: 279,408 \
tokens
(EngineCore_DP0 pid=12) INFO 03-01 10:00:20 [kv_cache_utils.py:1091] Maximum concurrency for 4,096 \
tokens per request: 68.21x
(Worker_TP0 pid=13) INFO 03-01 10:00:30 [gpu_model_runner.py:3480] Graph capturing finished in 5 \
secs, took 0.48 GiB
(APIServer pid=11) INFO:     Application startup complete.
"""
VLLM_V1_SAYS = {
    "settings": {
        "max_model_len": 4096,
        "gpu_memory_utilization": 0.8,
        "dtype": "half",
        "tensor_parallel_size": 2,
        "pipeline_parallel_size": 1,
        "data_parallel_size": 1,
        "enforce_eager": False,
        "kv_cache_dtype": "auto",
        "enable_prefix_caching": True,
        "enable_chunked_prefill": True,
        "max_num_batched_tokens": 2048,
    },
    "engine_config_differs": {"dtype": "torch.float16"},
    "measured": {
        "weights_gib": 6.9461,
        "kv_cache_gib": [12.71, 12.79],
        "kv_tokens": 279408,
        "max_model_len": 4096,
        "max_concurrency": 68.21,
        "cudagraph_gib": 0.48,
    },
}

VLLM_V0 = """\
python -m vllm.entrypoints.openai.api_server --model acme/tiny --max-model-len 8192 \\
    --gpu-memory-utilization=0.7 -tp 1 --no-enable-prefix-caching --enforce-eager
INFO 12-22 10:55:31 llm_engine.py:237] Initializing an LLM engine (v0.6.4) with config: \
model='acme/tiny', dtype=torch.bfloat16, max_seq_len=8192, load_format=LoadFormat.AUTO, \
tensor_parallel_size=1, pipeline_parallel_size=1, quantization=None, enforce_eager=True, \
kv_cache_dtype=auto, chunked_prefill_enabled=False multi_step_stream_outputs=True, \
enable_prefix_caching=False, use_async_output_proc=True)
INFO 12-22 10:55:34 model_runner.py:1097] Loading model weights took 8.5107 GB
INFO 12-22 10:55:34 worker.py:241] Memory profiling takes 0.69 seconds
INFO 12-22 10:55:34 worker.py:241] the current vLLM instance can use total_gpu_memory (23.64GiB) x \
gpu_memory_utilization (0.70) = 16.55GiB
INFO 12-22 10:55:34 worker.py:241] model weights take 8.51GiB; non_torch_memory takes 0.26GiB; \
PyTorch activation peak memory takes 0.94GiB; the rest of the memory reserved for KV Cache is \
6.84GiB.
INFO 12-22 10:55:35 gpu_executor.py:76] # cuda blocks: 3502, # CPU blocks: 2048
INFO 12-22 10:55:35 gpu_executor.py:80] Maximum concurrency for 8192 tokens per request: 6.84x
INFO:     Uvicorn running on http://0.0.0.0:8000 (Press CTRL+C to quit)
"""
VLLM_V0_SAYS = {
    "settings": {
        "max_model_len": 8192,
        "gpu_memory_utilization": 0.7,
        "tensor_parallel_size": 1,
        "enable_prefix_caching": False,
        "enforce_eager": True,
        "dtype": "torch.bfloat16",
        "pipeline_parallel_size": 1,
        "kv_cache_dtype": "auto",
        "enable_chunked_prefill": False,
    },
    "engine_config_differs": {},
    "measured": {
        "weights_gib": 8.5107,
        "total_gpu_gib": 23.64,
        "usable_gib": 16.55,
        "non_torch_gib": 0.26,
        "activation_peak_gib": 0.94,
        "kv_cache_gib": 6.84,
        "num_gpu_blocks": 3502,
        "num_cpu_blocks": 2048,
        "max_model_len": 8192,
        "max_concurrency": 6.84,
    },
}

VLLM_REFUSAL = """\
(EngineCore_DP0 pid=9) ERROR 10-02 08:00:00 [core.py:708] ValueError: To serve at least one \
request with the models's max seq len (65536), (8.00 GiB KV cache is needed, which is larger than \
the available KV cache memory (7.25 GiB). Based on the available memory, the estimated maximum \
model length is 59376. Try increasing `gpu_memory_utilization` or decreasing `max_model_len`.
"""
VLLM_REFUSAL_SAYS = {
    "settings": {},
    "engine_config_differs": {},
    "measured": {
        "max_model_len": 65536,
        "needed_kv_gib": 8.0,
        "kv_cache_gib": 7.25,
        "estimated_max_len": 59376,
    },
}

SGLANG = """\
[2026-02-01 12:00:00] server_args=ServerArgs(model_path='acme/tiny', tokenizer_mode='auto', \
context_length=None, dtype='auto', quantization=None, kv_cache_dtype='auto', \
mem_fraction_static=0.85, max_running_requests=None, chunked_prefill_size=8192, \
max_prefill_tokens=16384, page_size=1, swa_full_tokens_ratio=0.8, device='cuda', tp_size=2, \
pp_size=1, dp_size=1, ep_size=1, disaggregation_mode='null', attention_backend='flashinfer', \
disable_radix_cache=False, disable_cuda_graph=False, cuda_graph_max_bs=32, \
enable_dp_attention=False, speculative_algorithm=None)
[2026-02-01 12:00:09 TP0] Load weight begin. avail mem=23.10 GB
[2026-02-01 12:00:09 TP1] Load weight begin. avail mem=22.90 GB
[2026-02-01 12:00:19 TP1] Load weight end. elapsed=9.9 s, type=LlamaForCausalLM, \
dtype=torch.bfloat16, avail mem=15.30 GB, mem usage=7.60 GB.
[2026-02-01 12:00:19 TP0] Load weight end. elapsed=9.8 s, type=LlamaForCausalLM, \
dtype=torch.bfloat16, avail mem=15.50 GB, mem usage=7.60 GB.
[2026-02-01 12:00:20 TP0] KV Cache is allocated. #tokens: 150000, K size: 5.90 GB, V size: 5.90 GB
[2026-02-01 12:00:20 TP1] KV Cache is allocated. #tokens: 150000, K size: 5.91 GB, V size: 5.91 GB
[2026-02-01 12:00:20 TP0] Memory pool end. avail mem=3.60 GB
[2026-02-01 12:00:30 TP0] max_total_num_tokens=150000, chunked_prefill_size=8192, \
max_prefill_tokens=16384, max_running_requests=2048, context_len=8192, available_gpu_mem=3.20 GB
[2026-02-01 12:00:31] The server is fired up and ready to roll!
"""
SGLANG_SAYS = {
    "settings": {
        "tp_size": 2,
        "dp_size": 1,
        "ep_size": 1,
        "pp_size": 1,
        "mem_fraction_static": 0.85,
        "kv_cache_dtype": "auto",
        "dtype": "auto",
        "chunked_prefill_size": 8192,
        "max_prefill_tokens": 16384,
        "page_size": 1,
        "attention_backend": "flashinfer",
        "disable_cuda_graph": False,
        "swa_full_tokens_ratio": 0.8,
        "enable_dp_attention": False,
        "disaggregation_mode": "null",
        "cuda_graph_max_bs": 32,
        "disable_radix_cache": False,
    },
    "engine_config_differs": {},
    "measured": {
        "avail_before_gib": 23.1,
        "avail_after_weights_gib": 15.5,
        "weights_gib": 7.6,
        "kv_tokens": 150000,
        "k_size_gib": 5.9,
        "v_size_gib": 5.9,
        "avail_after_pool_gib": 3.6,
        "max_total_num_tokens": 150000,
        "max_running_requests": 2048,
        "context_len": 8192,
        "available_gpu_mem_gib": 3.2,
        "ranks_avail_before_gib": 22.9,
        "ranks_avail_after_weights_gib": 15.3,
    },
}

LLAMA_CPP = """\
ggml_cuda_init: found 1 CUDA devices:
  Device 0: NVIDIA GeForce RTX 4090, compute capability 8.9, VMM: yes
build: 7001 (abcdef012) with GNU 13.3.0 for Linux x86_64
llama_params_fit_impl: projected to use 9339 MiB of device memory vs. 23559 MiB of free device \
memory
llama_model_load_from_file_impl: using device CUDA0 (NVIDIA GeForce RTX 4090) (0000:01:00.0) - \
23559 MiB free
print_info: file size   = 2.48 GiB (4.99 BPW)
print_info: n_ctx_train      = 32768
print_info: n_layer          = 34
print_info: n_head_kv        = 4
print_info: n_swa            = 1024
print_info: n_embd_k_gqa     = 1024
print_info: n_embd_v_gqa     = 1024
print_info: general.name     = Tiny 4B It
load_tensors: offloaded 35/35 layers to GPU
load_tensors:        CUDA0 model buffer size =  2540.00 MiB
load_tensors:   CPU_Mapped model buffer size =   525.00 MiB
llama_context: n_seq_max     = 1
llama_context: n_ctx         = 8192
llama_context: n_ctx_seq     = 8192
llama_context: n_batch       = 2048
llama_context: n_ubatch      = 512
llama_context: flash_attn    = auto
llama_context: kv_unified    = false
llama_context:  CUDA_Host  output buffer size =     1.00 MiB
llama_kv_cache_iswa: creating non-SWA KV cache, size = 8192 cells
llama_kv_cache:      CUDA0 KV buffer size =   160.00 MiB
llama_kv_cache: size =  160.00 MiB (  8192 cells,   5 layers,  1/1 seqs), K (f16):   80.00 MiB, \
V (f16):   80.00 MiB
llama_kv_cache_iswa: creating     SWA KV cache, size = 1536 cells
llama_kv_cache:      CUDA0 KV buffer size =   174.00 MiB
llama_kv_cache: size =  174.00 MiB (  1536 cells,  29 layers,  1/1 seqs), K (f16):   87.00 MiB, \
V (f16):   87.00 MiB
sched_reserve:      CUDA0 compute buffer size =   517.12 MiB
main: server is listening on http://127.0.0.1:8080
"""
LLAMA_CPP_SAYS = {
    "settings": {
        "n_seq_max": 1,
        "n_ctx": 8192,
        "n_ctx_seq": 8192,
        "n_batch": 2048,
        "n_ubatch": 512,
        "flash_attn": "auto",
        "kv_unified": "false",
        "cache_type_k": "f16",
        "cache_type_v": "f16",
    },
    "engine_config_differs": {},
    "measured": {
        "fit_projected_mib": 9339.0,
        "fit_free_mib": 23559.0,
        "model_file_size": "2.48 GiB",
        "n_ctx_train": 32768,
        "n_layer": 34,
        "n_head_kv": 4,
        "n_swa": 1024,
        "n_embd_k_gqa": 1024,
        "n_embd_v_gqa": 1024,
        "offloaded": "35/35",
        "weights_mib": [["CUDA0", 2540.0], ["CPU_Mapped", 525.0]],
        "full_cells": 8192,
        "swa_cells": 1536,
        "kv_buffers_mib": [["CUDA0", 160.0], ["CUDA0", 174.0]],
        "kv_cells": [8192, 1536],
        "kv_layers": [5, 29],
        "kv_streams": [1, 1],
        "kv_mib": [160.0, 174.0],
        "k_mib": [80.0, 87.0],
        "v_mib": [80.0, 87.0],
        "compute_buffers_mib": [["CUDA0", 517.12]],
    },
}

OLLAMA = """\
time=2026-03-01T10:00:00.000Z level=INFO source=routes.go:1800 msg="Listening on 127.0.0.1:11434 \
(version 0.18.2)"
time=2026-03-01T10:00:01.000Z level=INFO source=server.go:432 msg="starting runner" \
cmd="/usr/local/bin/ollama runner --model /m/sha256-00 --port 39433"
print_info: n_layer          = 28
print_info: general.name     = Tiny 2B
llama_context: n_ctx         = 4096
llama_context: flash_attn    = enabled
llama_kv_cache:      CUDA0 KV buffer size =   112.00 MiB
llama_kv_cache: size =  112.00 MiB (  4096 cells,  28 layers,  1/1 seqs), K (q8_0):   56.00 MiB, \
V (q8_0):   56.00 MiB
"""
OLLAMA_SAYS = {
    "settings": {
        "n_ctx": 4096,
        "flash_attn": "enabled",
        "cache_type_k": "q8_0",
        "cache_type_v": "q8_0",
    },
    "engine_config_differs": {},
    "measured": {
        "n_layer": 28,
        "kv_buffers_mib": [["CUDA0", 112.0]],
        "kv_cells": 4096,
        "kv_layers": 28,
        "kv_streams": 1,
        "kv_mib": 112.0,
        "k_mib": 56.0,
        "v_mib": 56.0,
    },
}

IK_LLAMA = """\
llm_load_print_meta: n_layer          = 61
llm_load_print_meta: model size       = 376.650 GiB (4.816 BPW)
llm_load_tensors:        CPU buffer size = 385689.63 MiB
llama_new_context_with_model: n_ctx      = 8192
llama_new_context_with_model: n_batch    = 2048
llama_new_context_with_model: n_ubatch   = 512
llama_new_context_with_model: flash_attn = 1
llama_new_context_with_model: mla_attn   = 2
llama_new_context_with_model: fused_moe  = 1
llama_kv_cache_init:        CPU KV buffer size =   291.66 MiB
llama_new_context_with_model: KV self size  =  291.66 MiB, c^KV (q8_0):  291.66 MiB, kv^T: not used
"""
IK_LLAMA_SAYS = {
    "settings": {
        "n_ctx": 8192,
        "n_batch": 2048,
        "n_ubatch": 512,
        "flash_attn": 1,
        "mla_attn": 2,
        "fused_moe": 1,
        "cache_type_k": "q8_0",
    },
    "engine_config_differs": {},
    "measured": {
        "n_layer": 61,
        "model_file_size": "376.650 GiB",
        "weights_mib": [["CPU", 385689.63]],
        "kv_buffers_mib": [["CPU", 291.66]],
        "kv_mib": 291.66,
        "ckv_mib": 291.66,
    },
}

TENSORRT_LLM = """\
[TensorRT-LLM] TensorRT-LLM version: 1.1.0
[01/02/2026-03:04:05] [TRT-LLM] [I] Use 2.05 GB for model weights.
[TensorRT-LLM][INFO] Number of tokens per block: 32.
[TensorRT-LLM][INFO] [MemUsageChange] Allocated 0.56 GiB for max tokens in paged KV cache (8224).
[01/02/2026-03:04:15] [TRT-LLM] [I] Memory used after loading model weights (inside torch) in \
memory usage profiling: 2.23 GiB
[01/02/2026-03:04:16] [TRT-LLM] [I] Peak memory during memory usage profiling (torch + non-torch): \
5.13 GiB, available KV cache memory when calculating max tokens: 39.26 GiB, fraction is set 0.9, \
kv size is 22528. device total memory 47.37 GiB, , tmp kv_mem 1.38 GiB
[TensorRT-LLM][INFO] Max KV cache blocks per sequence: 65 [window size=2049], tokens per block=32, \
primary blocks=58473, secondary blocks=0
[TensorRT-LLM][INFO] [MemUsageChange] Allocated 39.26 GiB for max tokens in paged KV cache \
(1871136).
[01/02/2026-03:04:17] [TRT-LLM] [I] max_seq_len=2049, max_num_requests=2048, max_num_tokens=8192, \
max_batch_size=2048
INFO:     Application startup complete.
"""
TENSORRT_LLM_SAYS = {
    "settings": {
        "free_gpu_memory_fraction": 0.9,
        "tokens_per_block": 32,
        "max_seq_len": 2049,
        "max_num_requests": 2048,
        "max_num_tokens": 8192,
        "max_batch_size": 2048,
    },
    "engine_config_differs": {},
    "measured": {
        "weights_gib": 2.05,
        "kv_cache_gib": 39.26,
        "kv_tokens": 1871136,
        "weights_inside_torch_gib": 2.23,
        "peak_gib": 5.13,
        "available_kv_gib": 39.26,
        "kv_bytes_per_token": 22528,
        "total_gpu_gib": 47.37,
        "temporary_kv_gib": 1.38,
        "num_gpu_blocks": 58473,
    },
}

SAMPLES = {
    "vllm-v1": ("vllm", "0.11.0", "started", VLLM_V1, VLLM_V1_SAYS),
    "vllm-v0": ("vllm", "0.6.4", "started", VLLM_V0, VLLM_V0_SAYS),
    "vllm-refusal": ("vllm", None, "refused", VLLM_REFUSAL, VLLM_REFUSAL_SAYS),
    "sglang": ("sglang", None, "started", SGLANG, SGLANG_SAYS),
    "llama.cpp": ("llama.cpp", "b7001", "started", LLAMA_CPP, LLAMA_CPP_SAYS),
    "ollama": ("ollama", "0.18.2", "started", OLLAMA, OLLAMA_SAYS),
    "ik_llama.cpp": ("ik_llama.cpp", None, "started", IK_LLAMA, IK_LLAMA_SAYS),
    "tensorrt-llm": ("tensorrt-llm", "1.1.0", "started", TENSORRT_LLM, TENSORRT_LLM_SAYS),
}
"""Name -> engine, version, outcome, text, what it says."""

NOISE = ("{" * 200, "(" * 50, "'", "\x1b[", "9" * 400)
NUMBERS = ("0", "-1", "1", "16", "0.00", "4096", "10000000000000", "0.5", "2147483648", "7")


@st.composite
def broken_logs(draw, *, numbers=False):
    """Parts of logs: cut, shuffled, mixed between engines, with letters or numbers replaced."""
    names = sorted(SAMPLES)
    text = SAMPLES[draw(st.sampled_from(names))][3]
    if numbers:
        others = draw(st.lists(st.sampled_from(NUMBERS), min_size=8, max_size=8))
        chosen = draw(st.sets(st.integers(0, 120), max_size=30))
        places = list(re.finditer(r"-?\d[\d,]*(?:\.\d+)?", text))
        for i in sorted(chosen & set(range(len(places))), reverse=True):
            start, end = places[i].span()
            text = text[:start] + others[i % len(others)] + text[end:]
        return text
    lines = text.split("\n")
    if draw(st.booleans()):
        lines = draw(st.permutations(lines))
    if draw(st.booleans()):
        lines = lines + SAMPLES[draw(st.sampled_from(names))][3].split("\n")
    text = "\n".join(lines)
    start = draw(st.integers(0, len(text) - 1))
    text = text[start : draw(st.integers(start, len(text)))]
    for _ in range(draw(st.integers(0, 8))):
        at = draw(st.integers(0, len(text)))
        noise = draw(st.text(max_size=6) | st.sampled_from(NOISE))
        text = text[:at] + noise + text[at + draw(st.integers(0, 5)) :]
    return text
