"""Texts of page Plan that say why: settings, causes, formula."""

# ruff: noqa: RUF001 - Chinese has commas, colons and brackets of its own

TEXTS: dict[str, tuple[str, str]] = {
    # settings
    "settings_title": ("The settings it runs with", "引擎实际采用的设置"),
    "settings_about": (
        "As {engine} {version} resolves them for this model, GPU and use.",
        "{engine} {version} 针对该模型、GPU 与使用方式得出的设置。",
    ),
    "column_setting": ("setting", "设置"),
    "column_value": ("value", "值"),
    "column_decided": ("decided by", "由谁决定"),
    "decided_engine": ("the engine", "引擎"),
    "decided_you": ("you", "你"),
    "setting_on": ("on", "开"),
    "setting_off": ("off", "关"),
    "setting_max_model_len": (
        "longest prompt plus answer, tokens",
        "提示与回答合计的最大 token 数",
    ),
    "setting_max_num_seqs": ("most requests in one step", "单步最多处理的请求数"),
    "setting_max_num_batched_tokens": ("most tokens in one step", "单步最多处理的 token 数"),
    "setting_block_size": ("tokens per KV block", "每个 KV 块的 token 数"),
    "setting_kv_cache_dtype": (
        "storage format of the cache; auto: the model's",
        "缓存的存储格式；auto：与模型一致",
    ),
    "setting_dtype": ("format of weights and activations", "权重与激活的格式"),
    "setting_enable_prefix_caching": ("share blocks of equal prefixes", "相同前缀共享缓存块"),
    "setting_enable_chunked_prefill": ("split long prompts over steps", "长提示分多步计算"),
    "setting_async_scheduling": (
        "schedule a step before the last is settled",
        "上一步尚未结束即调度下一步",
    ),
    "setting_max_in_flight_tokens": (
        "tokens that steps under way may hold beyond a window",
        "执行中的步骤可在窗口之外保留的 token 数",
    ),
    "setting_mamba_cache_mode": (
        "what is kept of recurrent states: the last one, or one per block",
        "循环状态保留什么：仅最后一个，或每块一个",
    ),
    # causes
    "why_title": ("Where the cache goes", "缓存用在了哪里"),
    "why_stage": (
        "Stage {stage} has the fewest blocks and decides for all.",
        "第 {stage} 级的块数最少，由它决定其余各级。",
    ),
    "why_pool": (
        "Of **{total}** of cache on each GPU requests can take **{usable}**; the largest of the "
        "rest is {size}: {part}.",
        "每个 GPU 的 **{total}** 缓存中，请求可用 **{usable}**；"
        "其余部分中最大的一项为 {size}：{part}。",
    ),
    "why_request": (
        "One request of the full context takes **{total}**: **{live}** are tokens and states that "
        "attention reads, and the largest of the rest is {size}: {part}.",
        "一个满上下文请求占用 **{total}**：其中 **{live}** 是注意力会读取的 token 与状态；"
        "其余部分中最大的一项为 {size}：{part}。",
    ),
    "why_request_all_live": (
        "One request of the full context takes **{total}**, all of it tokens and states that "
        "attention reads.",
        "一个满上下文请求占用 **{total}**，全部是注意力会读取的 token 与状态。",
    ),
    "why_table_pool": ("cache of one GPU", "单个 GPU 的缓存"),
    "why_table_request": ("one request of the full context", "一个满上下文请求"),
    "why_column": ("size", "大小"),
    "why_column_stages": ("stage {stages}", "第 {stages} 级"),
    "why_num_layers": ("layers with a cache", "有缓存的层数"),
    "why_block_bytes": ("one block over all layers", "一个块（所有层合计）"),
    "why_num_gpu_blocks": ("blocks it has room for", "可容纳的块数"),
    "why_pool_usable_bytes": ("blocks that requests can take", "请求可用的块"),
    "why_pool_null_block_bytes": ("null block", "空块（null block）"),
    "why_pool_remainder_bytes": ("too little for another block", "不足一块的余量"),
    "why_pool_other_ranks_bytes": (
        "given up for the stage with the fewest blocks",
        "为块数最少的一级而放弃",
    ),
    "why_pool_override_bytes": (
        "left by num_gpu_blocks_override",
        "num_gpu_blocks_override 未使用的部分",
    ),
    "why_pool_total_bytes": ("cache memory", "缓存总量"),
    "why_request_live_bytes": (
        "tokens and states that attention reads",
        "注意力会读取的 token 与状态",
    ),
    "why_request_in_flight_bytes": (
        "tokens kept until the steps under way are settled",
        "执行中的步骤结束之前保留的 token",
    ),
    "why_request_state_copies_bytes": ("further copies of states", "状态的其他副本"),
    "why_request_block_rounding_bytes": (
        "slots of whole blocks without a token",
        "整块取整后未放 token 的位置",
    ),
    "why_request_page_padding_bytes": ("pages padded to equal others", "为与其他页等长而填充"),
    "why_request_group_padding_bytes": (
        "groups narrower than the widest",
        "层数少于最宽一组的填充",
    ),
    "why_request_total_bytes": ("one request of the full context", "一个满上下文请求"),
    "why_request_replicated_bytes": ("of it also on other GPUs", "其中其他 GPU 上也有的副本"),
    # formula
    "formula_title": ("The formula, with your numbers", "代入你的数字的公式"),
    "formula_ideal": (
        "What one request's live tokens take on each GPU at n = {length}, before an engine rounds "
        "anything: a line per kind of layer, with the config's fields that decided it.",
        "在 n = {length} 时，一个请求的有效 token 在每个 GPU 上占用的字节数（未经引擎取整）。"
        "每种层一行，并列出起决定作用的 config 字段。",
    ),
    "formula_engine": (
        "In vLLM's blocks of {block_size} tokens a request costs **{fixed} + {per_token} × n** "
        "bytes, exact at whole blocks from n = {start} on. At n = {length} that is **{size}**.",
        "按 vLLM 每块 {block_size} token 计，一个请求占用 **{fixed} + {per_token} × n** 字节，"
        "自 n = {start} 起在整块处精确。"
        "n = {length} 时，每个请求为 **{size}**。",
    ),
    "formula_admission": (
        "To let one such request in, the engine counts **{size}**: a null block, and what a step "
        "in flight adds where layers keep a window or a state.",
        "引擎接纳一个这样的请求时按 **{size}** 计：另含一个空块，"
        "以及窗口层或状态层在执行中的一步所增加的部分。",
    ),
    "formula_whole": (
        "Here with all layers and all tokens of one tensor-parallel rank: pipeline stages and "
        "decode context ranks divide them.",
        "此处按一个张量并行 rank 的全部层与全部 token 计；流水线与解码上下文并行会将其分摊。",
    ),
    "formula_group": (
        "**{count} × {mechanism}** · layers {layers}",
        "**{count} × {mechanism}** · 第 {layers} 层",
    ),
    "formula_bytes": (
        "{formula}\n= {num_bytes} bytes = {size}",
        "{formula}\n= {num_bytes} 字节 = {size}",
    ),
}
