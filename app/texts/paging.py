"""Texts of page Paging; those of the player are filled in the browser, frame by frame."""

# ruff: noqa: RUF001 - Chinese has commas, colons and brackets of its own

TEXTS: dict[str, tuple[str, str]] = {
    "page_paging": ("Paging", "分页"),
    "paging_page_title": ("A pool of blocks at work", "看缓存块如何被使用"),
    "paging_about": (
        "Users talk with an assistant that begins every prompt with the same system prompt. "
        "vLLM's scheduler serves them from a small pool of blocks; beside it the same requests "
        "are served from the same memory, reserved in one piece per request.",
        "多位用户与助手对话，每个提示都以同一段系统提示开头。"
        "vLLM 的调度器用一个小的块池处理这些请求；作为对照，"
        "同一批请求还用同样大小、为每个请求预留一整段的显存处理一遍。",
    ),
    "paging_more": ("Lengths, arrivals and seed", "长度、到达与随机种子"),
    "label_reservation": ("Reserved beside it", "对照的预留方式"),
    "help_reservation": (
        "What a request reserves without paging. `static` and `orca-max`: the longest length, in "
        "partitions or from buddies; `orca-pow2`: the answer's length as the next power of two; "
        "`orca-oracle`: exactly what it will need.",
        "不分页时每个请求预留多少。`static`、`orca-max`：按最长长度（固定分区或伙伴分配）；"
        "`orca-pow2`：回答长度取到下一个 2 的幂；`orca-oracle`：恰好所需。",
    ),
    "label_paging_requests": ("Requests", "请求数"),
    "help_paging_requests": (
        "Every user asks twice; the second prompt repeats the first and its answer.",
        "每位用户提问两次，第二次的提示包含前一轮的问与答。",
    ),
    "label_system_tokens": ("System prompt, tokens", "系统提示（token）"),
    "help_system_tokens": (
        "The beginning that all prompts share; 0 for none.",
        "所有提示共有的开头；0 表示没有。",
    ),
    "label_pool_sequences": ("Pool, longest requests", "池容量（最长请求数）"),
    "help_pool_sequences": (
        "How many requests of the longest length the memory holds, in both pools.",
        "两边的显存各能容纳多少个最长的请求。",
    ),
    "label_question_tokens": ("Question, tokens", "问题（token）"),
    "help_question_tokens": (
        "Median; the shortest has a quarter of it, the longest four times as much.",
        "中位数；最短为其四分之一，最长为其四倍。",
    ),
    "label_reply_tokens": ("Answer, tokens", "回答（token）"),
    "help_reply_tokens": (
        "Median; the shortest has a quarter of it, the longest four times as much.",
        "中位数；最短为其四分之一，最长为其四倍。",
    ),
    "label_rate_per_step": ("New requests per step", "每步新请求"),
    "help_rate_per_step": (
        "Mean; a step computes one token of every running request.",
        "平均值；一步为每个运行中的请求计算一个 token。",
    ),
    "label_longest_tokens": ("Longest request, tokens", "最长请求（token）"),
    "help_longest_tokens": (
        "Prompt and answer together: what `static` and `orca-max` reserve.",
        "提示与回答合计；`static` 与 `orca-max` 按此预留。",
    ),
    "label_paging_seed": ("Seed", "随机种子"),
    "help_paging_seed": ("One seed, one run.", "同一种子得到同一次运行。"),
    # what came out
    "paging_ahead": (
        "Paging answered all **{requests}** requests in **{steps}** steps. `{reservation}`, in the "
        "same memory, had answered **{done}** by then; **{left}** were left.",
        "分页用 **{steps}** 步完成了全部 **{requests}** 个请求；同样的显存下，`{reservation}` "
        "此时只完成 **{done}** 个，还剩 **{left}** 个。",
    ),
    "paging_even": (
        "Paging answered all **{requests}** requests in **{steps}** steps; `{reservation}` had "
        "answered them by then as well: nobody had to wait for memory.",
        "分页用 **{steps}** 步完成了全部 **{requests}** 个请求；`{reservation}` "
        "此时也已全部完成：没有请求需要等待显存。",
    ),
    "metric_saved": ("Blocks spared at once", "同时省下的块"),
    "metric_saved_help": (
        "Most blocks that sharing equal prefixes spared in one frame.",
        "共享相同前缀在单帧中最多省下的块数。",
    ),
    "metric_hits": ("Tokens found cached", "命中的 token"),
    "metric_hits_help": (
        "Prompt tokens that were read from the cache in place of being computed.",
        "无需计算、直接从缓存读取的提示 token。",
    ),
    "metric_evictions": ("Cached blocks lost", "被淘汰的缓存块"),
    "metric_evictions_help": (
        "Free blocks whose content could still have been found, taken for new tokens.",
        "内容仍可被命中、却被拿去存放新 token 的空闲块。",
    ),
    "metric_paging_preemptions": ("Preemptions", "抢占次数"),
    "metric_paging_preemptions_help": (
        "Times a running request lost its blocks because the pool was full.",
        "因池已满，运行中的请求失去缓存块的次数。",
    ),
    "of_blocks": ("of {blocks} blocks", "共 {blocks} 块"),
    "of_tokens": ("of {tokens} prompt tokens", "共 {tokens} 个提示 token"),
    "of_taken": ("of {taken} blocks taken", "共取用 {taken} 块"),
    "of_requests": ("of {requests} requests", "共 {requests} 个请求"),
    "frames_about": (
        "Steps per frame: {stride}; what happens between two frames is summed. The arrow keys move "
        "the slider; nothing plays by itself.",
        "每帧步数：{stride}；两帧之间的事件合并计算。方向键可移动滑块，不会自动播放。",
    ),
    "paging_sizes": (
        "With {model} a block of {block} tokens takes **{block_size}** and the pool of {blocks} "
        "blocks **{pool}**. The picture is of layers that keep every token; what windows and "
        "recurrent layers hold is on page Plan.",
        "对 {model}，一个 {block} token 的块占 **{block_size}**，{blocks} 块的池共 **{pool}**。"
        "图中为保留全部 token 的层；滑动窗口与循环层的占用见“规划”页。",
    ),
    "methods_title": ("Where the memory goes", "显存去了哪里"),
    "methods_about": (
        "Shares of the pool over time, from the first request to the last one's start.",
        "从第一个请求到最后一个请求开始为止，池中各部分按时间平均的占比。",
    ),
    "methods_said": (
        "Paging kept **{paged}** of the pool filled with tokens, `{reservation}` **{reserved}**. "
        "On average {paged_running} requests ran at once with paging, {cached_running} with a "
        "prefix cache, and {reserved_running} with `{reservation}`.",
        "分页时池中 **{paged}** 存有 token，`{reservation}` 只有 **{reserved}**。"
        "平均同时运行的请求：分页 {paged_running} 个，加前缀缓存 {cached_running} 个，"
        "`{reservation}` {reserved_running} 个。",
    ),
    "methods_alt": ("Stacked bars, shares of the pool. {parts}", "堆叠条形图，池的占比。{parts}"),
    "methods_table": ("Table: where the memory goes", "表格：显存去了哪里"),
    "method_row": ("{name}: {parts}", "{name}：{parts}"),
    "method_static": ("static", "static"),
    "method_orca-max": ("orca-max", "orca-max"),
    "method_orca-pow2": ("orca-pow2", "orca-pow2"),
    "method_orca-oracle": ("orca-oracle", "orca-oracle"),
    "method_paged": ("paged", "分页"),
    "method_paged-cache": ("paged, prefix cache", "分页＋前缀缓存"),
    "part_used": ("holds tokens", "存有 token"),
    "part_reserved": ("for tokens to come", "留给后续 token"),
    "part_internal": ("never used", "永不使用"),
    # a zero-width space: where a header may be broken
    "part_external": ("unusable though others wait", "有人等待\u200b却用不上"),
    "part_free": ("free, nobody waits", "空闲且\u200b无人等待"),
    "column_method": ("method", "方式"),
    "column_running": ("running", "平均运行"),
    "download_frames": ("Frames as JSON", "下载各帧（JSON）"),
    # the player, filled in the browser
    "player_label": ("The pools over time", "两个池随时间的变化"),
    "player_play": ("Play", "播放"),
    "player_pause": ("Pause", "暂停"),
    "player_first": ("Start", "回到开头"),
    "player_back": ("Step back", "后退一步"),
    "player_on": ("Step", "前进一步"),
    "player_speed": ("Speed", "速度"),
    "player_scrub": ("Frame", "帧"),
    "player_clock": ("step {step} of {steps}", "第 {step} 步，共 {steps} 步"),
    "player_sentence": (
        "Step {step}: {running} running, {waiting} waiting, {preempted} preempted, {done} "
        "answered. Paged: {used} of {blocks} blocks held, {shared} of them shared, which spares "
        "{saved}; {cached} more are free but can still be read. Reserved: {held} in memory, "
        "{queue} waiting, {finished} answered; {tokens} of {slots} slots hold tokens.",
        "第 {step} 步：{running} 个运行、{waiting} 个等待、{preempted} 个被抢占、{done} 个完成。"
        "分页：{blocks} 块中占用 {used} 块，其中 {shared} 块共享；共享省下 {saved} 块，"
        "{cached} 个空闲块仍可命中。预留：{held} 个在显存中、{queue} 个等待、{finished} 个完成；"
        "{slots} 个槽位中 {tokens} 个存有 token。",
    ),
    "player_quiet": ("no event", "无事件"),
    "player_allocated": ("blocks taken: {count}", "取用 {count} 块"),
    "player_hit": ("tokens found cached: {count}", "命中 {count} 个 token"),
    "player_evicted": ("cached blocks lost: {count}", "淘汰 {count} 个缓存块"),
    "player_admitted": ("starts: {list}", "开始：{list}"),
    "player_preempted": ("preempted: {list}", "被抢占：{list}"),
    "player_finished": ("answered: {list}", "完成：{list}"),
    "player_paged": ("Paged: one square is a block", "分页：每格一个块"),
    "player_reserved": (
        "Reserved: the same memory, in one piece each",
        "预留：同样的显存，各占一段",
    ),
    "player_key_held": ("one request's, by number", "单个请求（编号）"),
    "player_key_shared": ("shared by so many", "由多个请求共享"),
    "player_key_cached": ("free, can still be read", "空闲，仍可命中"),
    "player_key_free": ("free", "空闲"),
    "player_key_lost": ("just lost to a preemption", "刚因抢占失去"),
    "player_key_used": ("holds tokens", "存有 token"),
    "player_key_later": ("for tokens to come", "留给后续 token"),
    "player_key_never": ("never used", "永不使用"),
    "player_key_rounding": ("lost to rounding", "取整浪费"),
    "player_requests": (
        "Requests: choose some to see their block tables",
        "请求：选择后查看其块表",
    ),
    "player_request": ("Request {request}: {state}", "请求 {request}：{state}"),
    "player_state_running": ("running", "运行中"),
    "player_state_waiting": ("waiting", "等待中"),
    "player_state_preempted": ("preempted", "被抢占"),
    "player_state_done": ("answered", "已完成"),
    "player_state_later": ("yet to come", "尚未到达"),
    "player_chosen": (
        "Request {request}, {state}: {tokens} tokens in {blocks} blocks",
        "请求 {request}，{state}：{blocks} 块中 {tokens} 个 token",
    ),
    "player_stay": (
        "reserved: slots {first} to {last}, {tokens} hold tokens",
        "预留：槽位 {first}–{last}，{tokens} 个存有 token",
    ),
    "player_nothing": ("reserved: none now", "预留：当前没有"),
    "player_table": ("Table: every request in this step", "表格：此步的所有请求"),
    "player_column_request": ("request", "请求"),
    "player_column_state": ("state", "状态"),
    "player_column_tokens": ("tokens", "token"),
    "player_column_blocks": ("block table", "块表"),
    "player_column_slots": ("reserved slots", "预留槽位"),
}
