"""Texts of page Simulate."""

# ruff: noqa: RUF001 - Chinese has commas, colons and brackets of its own

TEXTS: dict[str, tuple[str, str]] = {
    "simulate_title": ("Requests served step by step", "逐步模拟请求的处理"),
    "simulate_about": (
        "vLLM's scheduler, step for step, on the deployment of the sidebar: one replica. At most "
        "{requests} requests and {tokens} tokens, prompts and answers together.",
        "按侧栏的部署逐步模拟 vLLM 的调度器（单个副本）。"
        "最多 {requests} 个请求、{tokens} token（提示与回答合计）。",
    ),
    # inputs
    "label_workload": ("Requests", "请求来源"),
    "help_workload": (
        "`poisson`: generated, independent of each other. `trace`: your own CSV.",
        "`poisson`：随机生成、彼此独立。`trace`：你自己的 CSV。",
    ),
    "label_num_requests": ("Number of requests", "请求数量"),
    "help_num_requests": ("Requests to generate.", "要生成的请求数量。"),
    "label_rate_per_s": ("Requests per second", "每秒请求数"),
    "help_rate_per_s": (
        "Mean rate of arrival; empty: all are there at the start.",
        "平均到达速率；留空：开始时全部到达。",
    ),
    "all_at_once": ("all at once", "同时到达"),
    "label_prompt_tokens": ("Prompt, tokens", "提示长度（token）"),
    "help_prompt_tokens": ("Mean prompt length.", "提示的平均长度。"),
    "label_prompt_tokens_std": ("Prompt, spread", "提示长度的离散"),
    "help_prompt_tokens_std": (
        "Standard deviation of the prompt length, tokens.",
        "提示长度的标准差（token）。",
    ),
    "label_output_tokens": ("Answer, tokens", "回答长度（token）"),
    "help_output_tokens": ("Mean answer length.", "回答的平均长度。"),
    "label_output_tokens_std": ("Answer, spread", "回答长度的离散"),
    "help_output_tokens_std": (
        "Standard deviation of the answer length, tokens.",
        "回答长度的标准差（token）。",
    ),
    "label_seed": ("Seed", "随机种子"),
    "help_seed": ("One seed, one workload.", "同一种子得到同一组请求。"),
    "label_trace": ("A CSV of requests", "请求的 CSV 文件"),
    "trace_about": (
        "Columns `arrival_s`, `num_prompt_tokens`, `num_output_tokens`, or an Azure LLM inference "
        "trace; at most 1 MB, and the first {requests} requests are served. The file is not part "
        "of the link.",
        "列为 `arrival_s`、`num_prompt_tokens`、`num_output_tokens`，或 Azure LLM 推理记录；"
        "不超过 1 MB，只模拟前 {requests} 个请求。文件不会写入链接。",
    ),
    "trace_first": (
        "Upload a CSV of requests, or choose `poisson`.",
        "请上传请求的 CSV，或选择 `poisson`。",
    ),
    "run": ("Run", "运行"),
    "running": ("Serving the requests, some seconds at most", "正在模拟，最多数秒"),
    "press_run": (
        "Press Run to serve these requests.",
        "点击“运行”以模拟这些请求。",
    ),
    "press_run_again": (
        "The inputs have changed since the last run: press Run again.",
        "输入已更改，请重新点击“运行”。",
    ),
    # results
    "run_done": (
        "**{requests}** requests served in {steps} steps, {duration} of simulated time; nobody "
        "was preempted.",
        "**{requests}** 个请求在 {steps} 步内完成，模拟时间 {duration}；没有请求被抢占。",
    ),
    "run_preempted": (
        "**{requests}** requests served in {steps} steps, {duration} of simulated time. "
        "**{preemptions}** times a request lost its blocks and had to be computed again: blocks "
        "ran short.",
        "**{requests}** 个请求在 {steps} 步内完成，模拟时间 {duration}。"
        "请求被抢占并重新计算 **{preemptions}** 次：缓存块不足。",
    ),
    "run_source": ("Requests: {source}", "请求来源：{source}"),
    "metric_peak_running": ("Running at most", "最多同时运行"),
    "metric_peak_running_help": ("Requests in one step.", "单步处理的请求数。"),
    "metric_peak_waiting": ("Waiting at most", "最多同时等待"),
    "metric_peak_waiting_help": ("Requests in the queue.", "队列中的请求数。"),
    "metric_peak_blocks": ("Blocks held at most", "最多占用的块"),
    "metric_peak_blocks_help": (
        "Blocks that requests held at once, of all that the pool has.",
        "请求同时占用的块数，相对于池中总块数。",
    ),
    "metric_preemptions": ("Preemptions", "抢占次数"),
    "metric_preemptions_help": (
        "Times a running request lost its blocks.",
        "运行中的请求失去缓存块的次数。",
    ),
    "in_steps": ("in {steps} steps", "{steps} 步内"),
    "of_all": ("of {total}", "共 {total}"),
    "timeline_title": ("The run over time", "随时间的变化"),
    "line_running": ("running", "运行中"),
    "line_waiting": ("waiting", "等待中"),
    "line_blocks": ("blocks held", "占用的块"),
    "line_preemptions": ("preemptions", "抢占"),
    "axis_time": ("simulated seconds", "模拟时间（秒）"),
    "axis_requests": ("requests", "请求数"),
    "axis_blocks": ("blocks", "块数"),
    "timeline_about": (
        "Each point is the largest of some steps in a row; the dashed line is the pool.",
        "每个点为连续若干步中的最大值；虚线为缓存池的总块数。",
    ),
    "timeline_alt": (
        "Line chart over {duration} of simulated time: at most {running} requests running, "
        "{waiting} waiting, {blocks} of {pool} blocks held, {preemptions} preemptions.",
        "{duration} 模拟时间内的折线图：最多 {running} 个请求运行、{waiting} 个等待，"
        "占用 {blocks} / {pool} 块，抢占 {preemptions} 次。",
    ),
    "timeline_table": ("Table: the run over time", "表格：随时间的变化"),
    "column_from": ("from", "起始"),
    "latency_title": ("Latency, uncalibrated", "延迟（未校准）"),
    "latency_about": (
        "Seconds of a step: {source}. Compare runs with them; promise nobody these.",
        "单步用时：{source}。可用于比较不同的运行，不宜作为承诺。",
    ),
    "column_latency": ("from arrival", "自到达起"),
    "column_mean": ("mean", "平均"),
    "column_p50": ("p50", "p50"),
    "column_p90": ("p90", "p90"),
    "column_p99": ("p99", "p99"),
    "row_ttft_s": ("to the first token (TTFT)", "首个 token（TTFT）"),
    "row_tpot_s": ("per later token (TPOT)", "其后每个 token（TPOT）"),
    "row_e2e_s": ("to the last token (E2E)", "最后一个 token（E2E）"),
    "pool_title": ("Where the blocks were", "缓存块的去向"),
    "column_pool": ("share of blocks and time", "块与时间的占比"),
    "column_share": ("share", "占比"),
    "waste_used": ("hold tokens", "存有 token"),
    "waste_reserved": ("taken for tokens to come", "预留给后续 token"),
    "waste_internal": ("taken for tokens that never come", "预留但永不使用"),
    "waste_external": ("held by nobody", "无人占用"),
    "prefix_hits": (
        "The prefix cache found **{share}** of all prompt tokens ({hit} of {query}).",
        "前缀缓存命中了全部提示 token 的 **{share}**（{hit} / {query}）。",
    ),
}
