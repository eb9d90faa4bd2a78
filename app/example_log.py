"""A short start-up log for page Log: an 8B model asked for more context than its GPU holds."""

EXAMPLE = """\
INFO 05-06 09:30:01 api_server.py:585] vLLM API server version 0.6.4
INFO 05-06 09:30:01 llm_engine.py:237] Initializing an LLM engine (v0.6.4) with config: \
model='meta-llama/Llama-3.1-8B-Instruct', dtype=torch.bfloat16, max_seq_len=131072, \
tensor_parallel_size=1, pipeline_parallel_size=1, quantization=None, enforce_eager=True, \
kv_cache_dtype=auto
INFO 05-06 09:30:14 model_runner.py:1077] Loading model weights took 14.9888 GB
INFO 05-06 09:30:19 worker.py:241] the current vLLM instance can use total_gpu_memory (22.17GiB) \
x gpu_memory_utilization (0.90) = 19.95GiB
INFO 05-06 09:30:19 worker.py:241] model weights take 14.99GiB; non_torch_memory takes 0.07GiB; \
PyTorch activation peak memory takes 1.26GiB; the rest of the memory reserved for KV Cache is \
3.63GiB.
INFO 05-06 09:30:19 gpu_executor.py:76] # GPU blocks: 1858, # CPU blocks: 2048
INFO 05-06 09:30:19 gpu_executor.py:80] Maximum concurrency for 131072 tokens per request: 0.23x
ValueError: The model's max seq len (131072) is larger than the maximum number of tokens that can \
be stored in KV cache (29728). Try increasing `gpu_memory_utilization` or decreasing \
`max_model_len` when initializing the engine.
"""
