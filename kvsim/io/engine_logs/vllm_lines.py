"""Lines of vLLM's logs that hold figures, over its versions."""

from kvsim.io.engine_logs.rules import rule

_TOKENS = r"(?P<kv_tokens>\d[\d,]{0,20}) tokens"
_FREE = r"Free memory on device \S{0,12} ?\((?P<free_at_start_gib>{n})/(?P<total_gpu_gib>{n}) GiB\)"
RULES = (
    rule("weights took", r"Loading model weights took (?P<weights_gib>{n}) Gi?B"),
    rule("loading took", r"Model loading took (?P<weights_gib>{n}) Gi?B"),
    rule("KV cache memory:", r"Available KV cache memory: ?(?P<kv_cache_gib>{n}) Gi?B"),
    rule("KV cache size:", rf"KV cache size: ?{_TOKENS}"),
    rule(
        "Maximum concurrency",
        r"Maximum concurrency for (?P<max_model_len>\d[\d,]{0,20}) tokens per request: "
        r"?(?P<max_concurrency>{n})x",
    ),
    rule(
        "blocks:",
        r"# \w{1,12} blocks: ?(?P<num_gpu_blocks>\d[\d,]{0,20}), # CPU blocks: "
        r"?(?P<num_cpu_blocks>\d[\d,]{0,20})",
    ),
    rule("num_gpu_blocks is:", r"num_gpu_blocks is: ?(?P<num_gpu_blocks>\d[\d,]{0,20})"),
    rule(
        "Graph capturing",
        r"Graph capturing finished in \S{1,12} \w+, took (?P<cudagraph_gib>{n}) Gi?B",
    ),
    rule("graph memory:", r"Estimated CUDA graph memory: ?(?P<cudagraph_est_gib>{n}) GiB"),
    rule("Free memory on", _FREE, wraps=True),
    rule(
        "Initial free memory", r"Initial free memory:? (?P<free_at_start_gib>{n}) GiB", wraps=True
    ),
    rule("memory for KV", r"reserved (?P<kv_cache_gib>{n}) GiB memory for KV", wraps=True),
    rule(
        "Actual usage",
        r"Actual usage is (?P<actual_usage_first_gib>{n}) GiB for weight,? ?"
        r"(?P<activation_peak_gib>{n}) GiB for peak activation(?:, "
        r"(?P<non_torch_gib>{n}) GiB for non-torch)?",
        wraps=True,
    ),
    rule(
        "Actual usage",
        r"Actual usage is (?P<consumed_gib>{n}) GiB for consumed memory[^,]{0,60}, "
        r"(?P<activation_peak_gib>{n}) GiB for peak activation",
        wraps=True,
    ),
    rule(
        "torch peak memory",
        r"torch peak memory increase: (?P<activation_peak_gib>{n}) ?GiB; non-torch forward "
        r"increase memory: (?P<non_torch_gib>{n}) ?GiB",
    ),
    rule("total_gpu_memory", r"total_gpu_memory[ =]\(?(?P<total_gpu_gib>{n}) ?GiB"),
    rule("non_torch_memory", r"non_torch_memory (?:takes |= ?)(?P<non_torch_gib>{n}) ?GiB"),
    rule(
        "activation peak", r"PyTorch activation peak memory takes (?P<activation_peak_gib>{n}) ?GiB"
    ),
    rule("reserved for KV", r"reserved for KV Cache is (?P<kv_cache_gib>{n}) ?GiB"),
    rule(
        "max seq len",
        r"max seq len\s?\((?P<max_model_len>\d[\d,]{0,20})\),?\s?\(?\s?(?P<needed_kv_gib>{n}) Gi?B "
        r"KV cache is needed[^(]{0,100}\((?P<kv_cache_gib>{n}) Gi?B",
        wraps=True,
    ),
    rule(
        "maximum model length",
        r"estimated maximum model length is (?P<estimated_max_len>\d[\d,]{0,20})(?=\D)",
        wraps=True,
    ),
    rule(
        "stored in KV",
        r"max seq len\s?\((?P<max_model_len>\d[\d,]{0,20})\) is larger than the maximum number of "
        r"tokens that can be stored in KV cache\s?\((?P<kv_tokens>\d[\d,]{0,20})\)",
        wraps=True,
    ),
    rule(
        "resolved query dtypes",
        r"resolved query dtypes:.{0,120}?kv_cache_dtype=(?P<resolved_kv_cache_dtype>[\w.]+)",
        resolved_kv_cache_dtype=str,
    ),
    rule("padding layers", r"Add (?P<padding_layers>\d+) padding layers"),
    rule(
        "attention block size",
        r"Setting attention block size to (?P<attention_block_size>\d+) tokens",
    ),
)
