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
    rule("num_gpu_blocks is:", r"num_gpu_blocks is: ?(?P<initialized_gpu_blocks>\d[\d,]{0,20})"),
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
    rule("memory for KV", r"reserved (?P<reserved_kv_gib>{n}) GiB memory for KV", wraps=True),
    rule(
        "Actual usage",
        r"Actual usage is (?P<actual_usage_first_gib>{n}) GiB for weights?,? ?"
        r"(?P<activation_peak_gib>{n}) GiB for peak activation(?:, "
        r"(?P<non_torch_gib>{n}) GiB for non-torch)?",
        wraps=True,
    ),
    rule(
        "Actual usage",
        r"Actual usage is (?P<consumed_gib>{n}) GiB for consumed memory[^,]{0,60}, "
        r"(?P<activation_and_graphs_gib>{n}) GiB for peak activation",
        wraps=True,
    ),
    rule(
        "torch peak memory",
        r"torch peak memory increase: (?P<activation_peak_gib>{n}) ?GiB; non-torch forward "
        r"increase memory: (?P<non_torch_gib>{n}) ?GiB",
    ),
    rule("total_gpu_memory", r"total_gpu_memory[ =]\(?(?P<total_gpu_gib>{n}) ?GiB"),
    rule("non_torch_memory", r"non_torch_memory(?: takes |=)(?P<non_torch_gib>{n}) ?GiB"),
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
    rule(
        "gpu_memory_utilization (",
        r"gpu_memory_utilization \({n}\) = (?P<usable_gib>{n}) ?GiB",
    ),
    rule("Desired GPU memory", r"utilization is \({n}, (?P<usable_gib>{n}) GiB\)", wraps=True),
    rule("kv_cache_size=", r"kv_cache_size=(?P<kv_cache_gib>{n}) ?GiB"),
    rule("model weights take", r"model weights take (?P<weights_taken_gib>{n}) ?GiB"),
    rule("weights memory:", r"weights memory: (?P<weights_taken_gib>{n}) ?GiB"),
    rule(
        "graph memory",
        r"(?:, |and )(?P<graphs_used_gib>{n}) GiB for \w+ ?[gG]raph memory",
        wraps=True,
    ),
    rule("raph memory.", r"and (?P<graphs_used_gib>{n}) GiB for CUDAGraph memory", wraps=True),
    rule("graph pool memory", r"graph pool memory: (?P<graphs_used_gib>{n}) GiB \(actual\)"),
    rule("memory in use is", r"kv cache memory in use is (?P<kv_in_use_gib>{n}) GiB", wraps=True),
    rule("padding layers", r"Add (?P<padding_layers>\d+) padding layers"),
    rule(
        "attention block size",
        r"Setting attention block size to (?P<attention_block_size>\d+) tokens",
    ),
)

INSTEAD = {
    "weights_gib": ("weights_taken_gib", "actual_usage_first_gib"),
    "cudagraph_gib": ("graphs_used_gib",),
    "kv_cache_gib": ("kv_in_use_gib",),
}
"""Figures, and where else the same is printed: read where the usual line is missing."""
