"""Texts of page Engines."""

# ruff: noqa: RUF001 - Chinese has commas, colons and brackets of its own

TEXTS: dict[str, tuple[str, str]] = {
    "engines_title": ("The same model in every engine", "同一模型在各引擎中的表现"),
    "engines_asked": (
        "{model} on {num_gpus} × {gpu}, requests of {length} tokens, KV cache {dtype}. Each engine "
        "runs under its own defaults; settings of the sidebar beyond model, GPUs, formats, "
        "context and free memory are vLLM's alone.",
        "{model}，{num_gpus} × {gpu}，每个请求 {length} token，缓存格式 {dtype}。"
        "各引擎采用各自的默认设置；除模型、GPU、格式、上下文与空闲显存外，侧栏设置仅适用于 vLLM。",
    ),
    "engines_most": (
        "**{most}** holds the most such requests at once, {most_requests}; **{fewest}** the "
        "fewest, {fewest_requests}.",
        "同时容纳此类请求最多的是 **{most}**：{most_requests} 个；最少的是 **{fewest}**："
        "{fewest_requests} 个。",
    ),
    "engines_none": (
        "No engine's capacity is known for this model and these GPUs; the reasons are below.",
        "对于该模型与这些 GPU，没有引擎的容量是已知的；原因见下。",
    ),
    "engines_ideal": (
        "`ideal` is no engine: it counts tokens that attention still reads, and nothing an engine "
        "rounds or reserves.",
        "`ideal` 并非引擎：只计注意力仍会读取的 token，不含引擎的取整与预留。",
    ),
    "label_figure": ("Show", "显示"),
    "help_figure": (
        "`max_requests`: requests that fit at once. `capacity_tokens`: tokens that the cache "
        "holds. `request_bytes`: one request of the full context. `bytes_per_token`: one more "
        "token of one request.",
        "`max_requests`：可同时容纳的请求数。`capacity_tokens`：缓存可容纳的 token 数。"
        "`request_bytes`：一个满上下文请求。`bytes_per_token`：一个请求每多一个 token。",
    ),
    "figure_max_requests": (
        "Requests of the full context that fit at once",
        "可同时容纳的满上下文请求数",
    ),
    "figure_capacity_tokens": ("Tokens that the cache holds", "缓存可容纳的 token 数"),
    "figure_request_bytes": (
        "Cache of one request of the full context, on each GPU",
        "一个满上下文请求在每个 GPU 上的缓存",
    ),
    "figure_bytes_per_token": (
        "Cache of one more token of one request, on each GPU",
        "一个请求每多一个 token 在每个 GPU 上的缓存",
    ),
    "engine_unknown": ("not known: see below", "未知，原因见下"),
    "engine_range": (" ({low} to {high})", "（{low} 至 {high}）"),
    "engine_part": ("{engine} {figure}", "{engine} {figure}"),
    "engines_alt": ("Bar chart. {figure}: {parts}.", "条形图。{figure}：{parts}。"),
    "engines_takes": ("What a request takes", "一个请求占用多少"),
    "engines_holds": ("What the memory holds", "显存能容纳多少"),
    "column_engine": ("engine", "引擎"),
    "column_bytes_per_token": ("per token", "每 token"),
    "column_fixed_bytes": ("fixed", "固定部分"),
    "column_request_bytes": ("{length} tokens", "{length} token"),
    "column_cache": ("cache memory", "缓存总量"),
    "column_capacity_tokens": ("tokens", "token 数"),
    "column_max_requests": ("requests (low to high)", "请求数（低至高）"),
    "engines_per_gpu": (
        "Sizes are per GPU.",
        "大小均为单个 GPU。",
    ),
    "engines_over_all": (
        "Those of {engines} are over all GPUs: they divide layers, and have no ranks.",
        "{engines} 为全部 GPU 合计：按层分配，没有 rank。",
    ),
    "engines_refusals": ("Why some figures are missing", "为什么缺少某些数字"),
    "engines_left_out": ("What each engine's numbers leave out", "各引擎的数字没有包含什么"),
}
