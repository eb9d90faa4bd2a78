"""Texts of page Plan."""

# ruff: noqa: RUF001 - Chinese has commas, colons and brackets of its own

TEXTS: dict[str, tuple[str, str]] = {
    # verdict
    "between_sentences": (" ", ""),
    "verdict_fits": ("Fits", "放得下"),
    "verdict_tight": ("Tight", "勉强放下"),
    "verdict_does_not_fit": ("Does not fit", "放不下"),
    "asked": (
        "{requests} × {length} tokens at once, {model} on {num_gpus} × {gpu}",
        "{model}，{num_gpus} × {gpu}，同时处理 {requests} × {length} token",
    ),
    "needs_has": (
        "Needs **{needed}** of cache on each GPU, has **{available}**.",
        "每个 GPU 需要 **{needed}** 缓存，现有 **{available}**。",
    ),
    "needs_none": (
        "Needs **{needed}** of cache on each GPU, has none.",
        "每个 GPU 需要 **{needed}** 缓存，现在一点也没有。",
    ),
    "missing": ("**{missing} missing.**", "**缺 {missing}**。"),
    "cause_not_free": (
        "The engine asks for {usable} at start and finds {free} free: it refuses to start.",
        "引擎启动时要求 {usable}，只有 {free} 空闲：拒绝启动。",
    ),
    "cause_no_cache": (
        "Weights and overheads alone pass the budget of {usable}: nothing is left to cache.",
        "仅权重和开销就超出了 {usable} 的预算：没有内存留给缓存。",
    ),
    "cause_too_many_requests": (
        "{requests} requests of the full context are asked for, {max_requests} fit.",
        "需要同时容纳 {requests} 个满上下文请求，只放得下 {max_requests} 个。",
    ),
    "cause_only_likely": (
        "It fits at the likely estimates, not at the cautious ones.",
        "按最可能的估算放得下，按保守的估算放不下。",
    ),
    "cause_nearly_full": (
        "More than 95 % of the cache would be taken.",
        "缓存将被占用 95% 以上。",
    ),
    "cause_host_memory": (
        "What is offloaded passes the machine's memory.",
        "卸载到主机的内容超过了机器的内存。",
    ),
    "engine_says": ("What the engine says: {words}", "引擎的提示：{words}"),
    # fixes
    "library_says": ("In detail: {words}", "详情：{words}"),
    "more_users": ("Changes that fit more requests", "能容纳更多请求的改动"),
    "fix_pair": (
        "No single change makes it fit; these two do together",
        "没有哪一项改动能单独解决；同时改以下两项即可",
    ),
    "fix_gpus": ("{num_gpus} GPUs", "{num_gpus} 个 GPU"),
    "between_costs": ("; ", "；"),
    "cost_cache_type_k": (
        "rounds the cache to fewer bits: measure your task",
        "缓存值舍入为更少的位：请在你的任务上实测",
    ),
    "cost_kv_cache_type": (
        "rounds the cache to fewer bits: measure your task",
        "缓存值舍入为更少的位：请在你的任务上实测",
    ),
    "cost_gpu_layers": (
        "the other layers run on the CPU, much slower",
        "其余层在 CPU 上运行，慢得多",
    ),
    "cost_num_gpu": (
        "the other layers run on the CPU, much slower",
        "其余层在 CPU 上运行，慢得多",
    ),
    "cost_n_cpu_moe": (
        "these layers' experts run on the CPU, slower",
        "这些层的专家在 CPU 上运行，较慢",
    ),
    "fixes": ("Nearest single changes that make it fit", "只改一项就能放下的办法"),
    "no_fix": (
        "No single change makes it fit; try two, such as more GPUs and a quantised model.",
        "没有哪一项改动能单独解决；请同时改两项，例如增加 GPU 并量化模型。",
    ),
    "fix_gives": (
        "then **{requests}** fit at once, {tokens} tokens in cache",
        "可同时容纳 **{requests}** 个请求，缓存 {tokens} token",
    ),
    "cost_gpu_memory_utilization": (
        "leaves another share to other processes",
        "留给其他进程的显存随之改变",
    ),
    "cost_max_num_seqs": (
        "no more requests than that in one step",
        "单步不再处理更多请求",
    ),
    "cost_kv_cache_dtype": (
        "rounds to 8 bits: measure your task",
        "缓存值舍入为 8 位：请在你的任务上实测",
    ),
    "cost_max_model_len": ("longer requests are refused", "更长的请求会被拒绝"),
    "cost_concurrent_requests": ("the others wait in the queue", "其余请求排队等待"),
    "cost_quantization": (
        "needs such a checkpoint of the model: measure your task",
        "需要相应的量化检查点：请在你的任务上实测",
    ),
    "cost_tensor_parallel_size": ("more GPUs", "需要更多 GPU"),
    "cost_pipeline_parallel_size": ("more GPUs", "需要更多 GPU"),
    "cost_max_num_batched_tokens": (
        "long prompts take more steps",
        "长提示需要更多步",
    ),
    "cost_enforce_eager": ("decode is slower", "解码变慢"),
    "cost_gpu": ("another machine", "需要换机器"),
    # memory of one GPU
    "memory_title": ("Memory of one GPU, in GiB", "单个 GPU 的显存（GiB）"),
    "segment_weights": ("weights", "权重"),
    "segment_activation_peak": ("activation peak", "激活峰值"),
    "segment_non_torch": ("outside torch", "torch 之外"),
    "segment_cuda_graphs": ("CUDA graphs", "CUDA graph"),
    "segment_runtime": ("runtime before loading", "加载前的运行时"),
    "segment_buffers": ("buffers beside weights", "权重之外的缓冲"),
    "segment_kv_used": ("KV cache, asked for", "KV 缓存（所需）"),
    "segment_kv_free": ("KV cache, free", "KV 缓存（空余）"),
    "segment_outside": ("outside the budget", "预算之外"),
    "segment_other_processes": ("other processes", "其他进程"),
    "beyond": ("does not fit", "放不下的部分"),
    "budget_line": ("budget {size}", "预算 {size}"),
    "total_line": ("GPU {size}", "显存 {size}"),
    "memory_each_title": (
        "Memory of each GPU that differs, in GiB",
        "各不相同的 GPU 的显存（GiB）",
    ),
    "stage_row": (
        "stage {stages} ({num_gpus} × GPU)",
        "第 {stages} 级（{num_gpus} × GPU）",
    ),
    "device_row": ("GPU {devices}", "GPU {devices}"),
    "column_stage": ("stage", "级"),
    "column_stage_gpus": ("GPUs", "GPU 数"),
    "column_stage_weights": ("weights on each", "每个的权重"),
    "column_cache_left": ("left for cache (low to high)", "可用于缓存（低至高）"),
    "column_cache_needed": ("cache asked for", "所需缓存"),
    "stages_about": (
        "Activation peak, graphs and what lies outside torch are taken alike on every stage. The "
        "engine gives every stage as many blocks as the fullest has: what is free on the others "
        "stays unused.",
        "各级的激活峰值、CUDA graph 与 torch 之外的部分按相同估算。引擎给每一级的块数相同，"
        "以最满的一级为准：其他级空余的部分不会被使用。",
    ),
    "bar_alt": (
        "Stacked bar of one GPU's memory. Budget {budget} of {total}. {parts}.",
        "单个 GPU 显存的堆叠条形图。预算 {budget}，共 {total}。{parts}。",
    ),
    "bar_part": ("{name} {size}", "{name} {size}"),
    "bar_part_beyond": (
        "{name} {size}, of which {beyond} do not fit",
        "{name} {size}，其中 {beyond} 放不下",
    ),
    "bar_table": (
        "Table: low, likely and high, and where they come from",
        "表格：低、最可能、高及其来源",
    ),
    "column_part": ("per GPU", "每个 GPU"),
    "column_low": ("low", "低"),
    "column_likely": ("likely", "最可能"),
    "column_high": ("high", "高"),
    "column_source": ("source", "来源"),
    "row_total_bytes": ("memory that the runtime sees", "运行时可见的显存"),
    "row_free_bytes": ("free before the engine starts", "引擎启动前空闲"),
    "row_usable_bytes": ("budget of the engine", "引擎的预算"),
    "row_weights_bytes": ("− weights", "− 权重"),
    "row_activation_peak_bytes": ("− activation peak", "− 激活峰值"),
    "row_non_torch_bytes": ("− outside torch", "− torch 之外"),
    "row_cuda_graph_bytes": ("− CUDA graphs", "− CUDA graph"),
    "row_kv_cache_bytes": ("= KV cache", "= KV 缓存"),
    # capacity
    "capacity_title": ("What the cache holds", "缓存能容纳多少"),
    "metric_bytes_per_token": ("Cache per token", "每 token 缓存"),
    "metric_tokens": ("Tokens in cache", "缓存 token 数"),
    "metric_blocks": ("Blocks", "块数"),
    "metric_concurrency": ("Maximum concurrency", "最大并发"),
    "metric_requests": ("Requests at once", "并发请求数"),
    "metric_longest": ("Longest request", "最长请求"),
    "metric_longest_of": ("tokens", "token"),
    "over_all_gpus": ("over all GPUs", "所有 GPU 合计"),
    "metric_bytes_per_token_help_engine": (
        "What one more token of one request adds.",
        "一个请求每多一个 token 增加的字节数。",
    ),
    "metric_tokens_help_engine": (
        "Tokens that the cache holds. Below: from the cautious to the hopeful estimate.",
        "缓存可容纳的 token 数。下方为保守估算至乐观估算。",
    ),
    "metric_requests_help_engine": (
        "Requests of your context that fit at once.",
        "可同时容纳的满上下文请求数。",
    ),
    "metric_longest_help_engine": (
        "The longest request of which as many as you ask for still fit.",
        "在所需并发数下仍放得下的最长请求。",
    ),
    "host_parts": ("In host memory: {parts}.", "主机内存中：{parts}。"),
    "on_each_gpu": ("on each GPU", "每个 GPU"),
    "certain": ("at every estimate", "任何估算下都一样"),
    "range": ("{low} to {high}", "{low} 至 {high}"),
    "metric_bytes_per_token_help": (
        "What one more token of one request adds, on each GPU.",
        "一个请求每多一个 token，每个 GPU 增加的字节数。",
    ),
    "metric_tokens_help": (
        'The log\'s "GPU KV cache size". Below: from the cautious to the hopeful estimate.',
        '对应日志中的 "GPU KV cache size"。下方为保守估算至乐观估算。',
    ),
    "metric_blocks_help": (
        "`num_gpu_blocks`, of {block_size} tokens each.",
        "`num_gpu_blocks`，每块 {block_size} 个 token。",
    ),
    "metric_concurrency_help": (
        "Requests of the full context that fit at once, as vLLM's log prints it.",
        "可同时容纳的满上下文请求数，与 vLLM 日志一致。",
    ),
    "log_lines": ("In vLLM's words, at start:", "vLLM 启动日志中的写法："),
    "bound": (
        "Prefill is bound by **{prefill}**, decode at full concurrency by **{decode}**.",
        "预填充受限于**{prefill}**，满并发解码受限于**{decode}**。",
    ),
    "bound_compute": ("compute", "算力"),
    "bound_bandwidth": ("memory bandwidth", "显存带宽"),
    "bound_capacity": ("memory capacity", "显存容量"),
    # curve
    "curve_title": ("The cache against the weights", "缓存与权重的比较"),
    "curve_one": ("cache, 1 request", "缓存，1 个请求"),
    "curve_many": ("cache, {requests} requests", "缓存，{requests} 个请求"),
    "curve_weights": ("weights", "权重"),
    "curve_available": ("room for cache", "可用于缓存"),
    "curve_you": ("your context", "你的上下文"),
    "axis_context": ("context, tokens", "上下文（token）"),
    "axis_gib_per_gpu": ("GiB per GPU", "每个 GPU 的 GiB"),
    "crossing_at": ("from {length} tokens on", "自 {length} token 起"),
    "crossing_one": (
        "One request's cache outgrows the weights at **{length}** tokens.",
        "单个请求的缓存在 **{length}** token 处超过权重。",
    ),
    "crossing_one_never": (
        "One request's cache stays below the weights up to {longest} tokens.",
        "直到 {longest} token，单个请求的缓存都小于权重。",
    ),
    "crossing_many": (
        "That of {requests} requests at **{length}** tokens each.",
        "{requests} 个请求则在每个 **{length}** token 处超过。",
    ),
    "crossing_many_never": (
        "That of {requests} requests stays below them too.",
        "{requests} 个请求的缓存也始终小于权重。",
    ),
    "curve_alt": (
        "Line chart of cache size over context length, both axes logarithmic. Weights {weights}. "
        "{crossings} {points}.",
        "缓存随上下文长度变化的折线图，双对数坐标。权重 {weights}。{crossings}{points}。",
    ),
    "curve_point": ("{length} tokens: {size}", "{length} token：{size}"),
    "curve_table": ("Table: cache at each context", "表格：各上下文长度的缓存"),
    "column_context": ("context, tokens", "上下文（token）"),
    "curve_not_drawn": (
        "Not drawn with pipeline stages or decode context ranks: each GPU holds a part of the "
        "layers or tokens. What a request takes at your context stands in the table above.",
        "使用流水线或解码上下文并行时不画此图：每个 GPU 只保存部分层或部分 token。"
        "你的上下文长度下的占用见上方表格。",
    ),
    # launch
    "engines_brief_title": ("The same in every engine", "同样的需求，各引擎对比"),
    "engines_brief_about": (
        "Other engines under their defaults. Page Engines has the detail.",
        "其他引擎采用各自的默认设置。详情见“引擎对比”页。",
    ),
    "column_request_bytes_brief": ("one request", "单个请求"),
    "launch_none": (
        "{engine} has no launch line for these settings.",
        "{engine} 没有对应这些设置的启动命令。",
    ),
    "launch_title": ("Start it", "启动命令"),
    "download": ("Download {form}", "下载 {form}"),
    "download_json": ("Download JSON", "下载 JSON"),
    "link_hint": (
        "The address of this page is the link to this scenario.",
        "本页地址即为当前方案的链接。",
    ),
    "not_modeled_title": ("What is not in these numbers", "这些数字没有包含什么"),
    "not_modeled_none": (
        "Nothing that kvsim knows of. Overheads are estimates: the table above gives their low "
        "and high.",
        "没有已知的遗漏。开销的估算为区间：见上方表格的低值与高值。",
    ),
}
