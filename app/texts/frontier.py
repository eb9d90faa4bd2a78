"""Texts of page Frontier."""

# ruff: noqa: RUF001 - Chinese has commas, colons and brackets of its own

TEXTS: dict[str, tuple[str, str]] = {
    "frontier_title": ("How much context for how many", "上下文与并发的取舍"),
    "frontier_at_context": ("At {length} tokens each", "每个 {length} token 时"),
    "frontier_requests": ("{requests} requests", "{requests} 个请求"),
    "frontier_at_requests": ("At {requests} requests", "{requests} 个请求时"),
    "frontier_tokens": ("{length} tokens each", "每个 {length} token"),
    "frontier_nothing": ("nothing fits", "无法容纳"),
    "frontier_share": ("of cache memory", "占缓存显存"),
    "frontier_no_cache": ("no room for a cache", "没有缓存空间"),
    "frontier_you": ("you", "你"),
    "axis_requests_at_once": ("requests at once", "并发请求数"),
    "frontier_cell": ("{requests} × {length} tokens", "{requests} × {length} token"),
    "frontier_about": (
        "Blue fits, orange does not; the black line is where the cache is full, the star is what "
        "you ask. Click a cell to ask for it.",
        "蓝色放得下，橙色放不下；黑线表示缓存用满，星形为你的输入。点击单元格即可改为该组合。",
    ),
    "frontier_alt": (
        "Heat map of cache memory over context and requests. The most that fit: {points}.",
        "上下文与并发的缓存显存热图。最多可容纳：{points}。",
    ),
    "frontier_edge_point": ("{requests} of {length} tokens", "{length} token 时 {requests} 个"),
    "frontier_table": ("Table: the most requests of each context", "表格：各上下文的最多请求数"),
    "column_max_requests_fit": ("requests that fit", "可容纳请求数"),
    # inverse questions
    "question_title": ("Ask the other way round", "反过来问"),
    "label_target": ("Find", "求解"),
    "help_target": (
        "All other inputs stay as they are in the sidebar.",
        "其他输入均保持侧栏中的值。",
    ),
    "question_max_model_len": (
        "The longest context with which so many requests fit.",
        "能容纳所需请求数的最大上下文。",
    ),
    "question_max_num_seqs": (
        "The most requests of the full context that may run at once.",
        "可同时运行的满上下文请求的最大数量。",
    ),
    "question_num_gpus": ("The fewest GPUs.", "最少的 GPU 数量。"),
    "question_accelerator": (
        "The smallest GPU of the same vendor.",
        "同一厂商中最小的 GPU。",
    ),
    "question_tensor_parallel_size": (
        "The smallest tensor-parallel degree.",
        "最小的张量并行度。",
    ),
    "question_kv_cache_dtype": ("The widest cache format.", "最宽的缓存格式。"),
    "question_quantization": ("The widest weight format.", "最宽的权重格式。"),
    "question_gpu_memory_utilization": (
        "The smallest share of GPU memory.",
        "最小的显存使用比例。",
    ),
    "question_num_gpu_blocks": ("The fewest blocks.", "最少的缓存块数。"),
    "question_answer": ("**{target} = {value}**", "**{target} = {value}**"),
    "question_binding": ("What binds: **{binding}**.", "限制因素是**{binding}**。"),
    "binding_cache": ("cache memory", "缓存显存"),
    "binding_weights": ("weights and overheads", "权重与开销"),
    "binding_free_memory": ("memory that is free at start", "启动时的空闲显存"),
    "binding_host_memory": ("host memory", "主机内存"),
    "binding_host_tier": ("the tier in host memory", "主机内存层"),
    "binding_rule": ("a rule of the engine", "引擎规则"),
    "binding_end": ("the end of the range", "取值范围的尽头"),
}
