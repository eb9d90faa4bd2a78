"""Texts of page Simulate."""

# ruff: noqa: RUF001 - Chinese has commas, colons and brackets of its own

TEXTS: dict[str, tuple[str, str]] = {
    "simulate_title": ("Requests served step by step", "逐步模拟请求的处理"),
    "simulate_about": (
        "vLLM's scheduler, step for step, on the deployment of the sidebar: one replica of it.",
        "按侧栏的部署逐步模拟 vLLM 的调度器（单个副本）。",
    ),
    "simulate_limits": (
        "Limits of this page: {requests} requests, {tokens} tokens of prompts and answers, {steps} "
        "steps, {seconds} seconds for a run; {runs} runs at once on this server, and at most "
        "{waiting} that wait.",
        "本页限制：{requests} 个请求、提示与回答合计 {tokens} token、{steps} 步、"
        "每次运行 {seconds} 秒；服务器同时最多 {runs} 个运行，另有 {waiting} 个可排队。",
    ),
    # inputs
    "label_workload": ("Requests", "请求来源"),
    "help_workload": (
        "`poisson`: independent requests with the lengths below. `trace`: your own file. The "
        "others are named workloads, with lengths fitted to published traces.",
        "`poisson`：彼此独立、长度如下的请求。`trace`：你自己的文件。"
        "其余为命名负载，长度按公开的记录拟合。",
    ),
    "label_num_requests": ("Number of requests", "请求数量"),
    "help_num_requests": (
        "Requests to generate; of a trace, the first so many.",
        "要生成的请求数量；对于记录文件，取最前面的这么多个。",
    ),
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
    "label_seeds": ("Runs", "运行次数"),
    "help_seeds": (
        "So many runs, each with the next seed, for confidence intervals.",
        "以相继的种子运行这么多次，用于计算置信区间。",
    ),
    "label_pace_per_s": ("Requests per second", "每秒请求数"),
    "help_pace_per_s": (
        "Mean rate of arrival; empty: as the workload or the trace has it. A trace is stretched or "
        "shrunk to it.",
        "平均到达速率；留空：按负载或记录本身。记录的时间间隔会按此伸缩。",
    ),
    "as_described": ("as it comes", "按原样"),
    "label_arrivals": ("Arrivals", "到达方式"),
    "help_arrivals": (
        "How requests are spread over time; `auto`: as the workload has it. `gamma` comes in "
        "bursts, `diurnal` swings over a day, `closed` is users who wait for their answers.",
        "请求随时间的分布；`auto`：按负载本身。`gamma` 为突发，`diurnal` 随一天起伏，"
        "`closed` 为固定数量、等待回答的用户。",
    ),
    "label_variation": ("Variation of the gaps", "间隔的变化"),
    "help_variation": (
        "Standard deviation of the gaps over their mean: above 1, bursts.",
        "间隔的标准差与均值之比：大于 1 即为突发。",
    ),
    "label_num_users": ("Users", "用户数"),
    "help_num_users": ("Each has one request at a time.", "每个用户同时只有一个请求。"),
    "label_think_time_s": ("Pause, seconds", "停顿（秒）"),
    "help_think_time_s": (
        "Mean pause of a user after an answer.",
        "用户收到回答后的平均停顿。",
    ),
    "label_trace": ("A trace of requests", "请求的记录文件"),
    "trace_about": (
        "kvsim's own columns `arrival_s`, `num_prompt_tokens`, `num_output_tokens`, or a trace of "
        "Azure, Mooncake, BurstGPT, Qwen-Bailian or ShareGPT lengths: CSV, JSON lines or Parquet, "
        "also `.gz`; at most {size} MB. The file is not part of the link.",
        "kvsim 自己的列 `arrival_s`、`num_prompt_tokens`、`num_output_tokens`，或 Azure、Mooncake、"
        "BurstGPT、Qwen-Bailian、ShareGPT 长度的记录：CSV、JSON lines 或 Parquet，可为 `.gz`；"
        "不超过 {size} MB。文件不会写入链接。",
    ),
    "trace_first": (
        "Upload a trace of requests, or choose another source.",
        "请上传请求的记录文件，或选择其他来源。",
    ),
    "goals_title": ("Goals, host memory, measured step times", "目标、主机内存与实测的单步用时"),
    "goals_about": (
        "A request that keeps every limit stated here counts as served well.",
        "满足此处全部限制的请求才算服务良好。",
    ),
    "no_goal": ("no limit", "不限"),
    "label_slo_ttft_s": ("TTFT at most, seconds", "TTFT 上限（秒）"),
    "help_slo_ttft_s": ("Most seconds to the first token.", "到首个 token 的最长时间（秒）。"),
    "label_slo_tpot_s": ("TPOT at most, seconds", "TPOT 上限（秒）"),
    "help_slo_tpot_s": (
        "Most seconds per later token, on average.",
        "其后每个 token 的平均最长时间（秒）。",
    ),
    "label_slo_itl_s": ("ITL at most, seconds", "ITL 上限（秒）"),
    "help_slo_itl_s": (
        "Most seconds between two tokens of a request.",
        "同一请求两个 token 之间的最长时间（秒）。",
    ),
    "label_slo_e2e_s": ("E2E at most, seconds", "E2E 上限（秒）"),
    "help_slo_e2e_s": ("Most seconds to the last token.", "到最后一个 token 的最长时间（秒）。"),
    "label_slo_share": ("Share that must keep them", "须达标的比例"),
    "help_slo_share": (
        "Share of the requests that must keep the limits.",
        "必须满足限制的请求比例。",
    ),
    "no_offload": ("none", "无"),
    "free_transfers": ("takes no time", "不计时间"),
    "label_kv_offloading_gib": ("Cache in host memory, GiB", "主机内存中的缓存（GiB）"),
    "help_kv_offloading_gib": (
        "What vLLM's native offload may hold, over all GPUs: `--kv-offloading-size`.",
        "vLLM 原生卸载可用的大小（所有 GPU 合计）：`--kv-offloading-size`。",
    ),
    "label_offload_gib_per_s": ("Link to it, GiB per second", "传输速率（GiB/秒）"),
    "help_offload_gib_per_s": (
        "Between one GPU and host memory.",
        "单个 GPU 与主机内存之间。",
    ),
    "label_step_times": ("Step times of your server", "你的服务器的单步用时"),
    "step_times_about": (
        "The file that `kvsim calibrate` writes from benchmarks of your server; without it steps "
        "take the roofline of the device. It is not part of the link.",
        "`kvsim calibrate` 根据你的服务器的基准测试写出的文件；没有它则按设备的 roofline 估算。"
        "文件不会写入链接。",
    ),
    "run": ("Run", "运行"),
    "cancel": ("Cancel", "取消"),
    "run_starts": ("Starting", "正在启动"),
    "run_waits": (
        "Waiting: {runs} runs are under way on this server",
        "排队中：服务器上已有 {runs} 个运行",
    ),
    "run_serves": ("{served} of {total} requests served", "已完成 {served} / {total} 个请求"),
    "run_cancelled": (
        "The run was cancelled. Press Run to serve these requests.",
        "运行已取消。点击“运行”以重新模拟。",
    ),
    "run_too_long": (
        "The run took more than {seconds} seconds and was stopped: ask for fewer requests or runs.",
        "运行超过 {seconds} 秒，已停止：请减少请求或运行次数。",
    ),
    "run_died": (
        "The run ended without a result: it needed more memory than a run may take.",
        "运行没有得到结果：所需内存超过了单次运行的限额。",
    ),
    "run_busy": (
        "This server is busy: {runs} runs are under way and more wait. Press Run again in a while.",
        "服务器繁忙：已有 {runs} 个运行，且还有排队。请稍后再点击“运行”。",
    ),
    "press_run": (
        "Press Run to serve these requests.",
        "点击“运行”以模拟这些请求。",
    ),
    "press_run_again": (
        "The inputs have changed since the last run: press Run again.",
        "输入已更改，请重新点击“运行”。",
    ),
}
