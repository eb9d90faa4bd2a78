"""Texts of a run's results on page Simulate."""

# ruff: noqa: RUF001 - Chinese has commas, colons and brackets of its own

TEXTS: dict[str, tuple[str, str]] = {
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
    "tokens_again": ("{tokens} tokens again", "重算 {tokens} token"),
    "latency_title_uncalibrated": ("Latency, uncalibrated", "延迟（未校准）"),
    "latency_title_calibrated": ("Latency, calibrated", "延迟（已校准）"),
    "latency_about_uncalibrated": (
        "Seconds of a step: {source}. Compare runs with them; promise nobody these.",
        "单步用时：{source}。可用于比较不同的运行，不宜作为承诺。",
    ),
    "latency_about_calibrated": (
        "Seconds of a step: {source}.",
        "单步用时：{source}。",
    ),
    "over_seeds": (
        "Means over {seeds} runs with seeds that follow each other; below each the {confidence} "
        "interval of that mean, by the bootstrap. Figures outside this table are of the first run.",
        "{seeds} 次运行（相继的种子）的均值；其下为该均值的 {confidence} 置信区间（bootstrap）。"
        "表外的数字属于第一次运行。",
    ),
    "one_run": (
        "One run: no interval. A trace holds nothing by chance; for other requests ask for more "
        "runs.",
        "只有一次运行，没有区间。记录文件没有随机性；其他请求可增加运行次数。",
    ),
    "row_interval": ("{confidence} between", "{confidence} 区间"),
    "row_queue_s": ("of it, before it ran", "其中排队"),
    "row_itl_s": ("between two tokens (ITL)", "两个 token 之间（ITL）"),
    "goodput_met": (
        "Goals met: **{share}** of the requests kept them, at least {asked} must; goodput "
        "{rate} requests per second.",
        "已达到目标：有 **{share}** 的请求满足限制（要求至少 {asked}）；"
        "goodput 为每秒 {rate} 个请求。",
    ),
    "goodput_missed": (
        "Goals missed: **{share}** of the requests kept them, at least {asked} must; goodput "
        "{rate} requests per second.",
        "未达目标：有 **{share}** 的请求满足限制（要求至少 {asked}）；"
        "goodput 为每秒 {rate} 个请求。",
    ),
    "events_title": ("Who was preempted, and by whom", "谁被抢占，被谁抢占"),
    "events_all": (
        "All {all} preemptions. A request that lost its blocks to itself was the last one.",
        "全部 {all} 次抢占。把块让给自己的请求，是排在最后的那个。",
    ),
    "events_first": (
        "The first {shown} of {all} preemptions. A request that lost its blocks to itself was the "
        "last one.",
        "全部 {all} 次抢占中的前 {shown} 次。把块让给自己的请求，是排在最后的那个。",
    ),
    "events_alt": (
        "Table of the first {shown} of {all} preemptions.",
        "全部 {all} 次抢占中前 {shown} 次的表格。",
    ),
    "event_time": ("seconds", "秒"),
    "event_step": ("step", "步"),
    "event_request": ("request", "请求"),
    "event_by": ("lost its blocks to", "块让给"),
    "event_lost": ("tokens lost", "失去的 token"),
    "event_times": ("times", "次数"),
    "event_again": ("computed again", "重新计算"),
    "event_cached": ("found cached", "缓存命中"),
    "event_e2e": ("to the last token", "到最后一个 token"),
    "preempted_title": ("Table: requests that were preempted", "表格：被抢占的请求"),
    "preempted_about": (
        "Tokens that were computed again and tokens that the prefix cache found; at most {most} "
        "requests.",
        "重新计算的 token 与前缀缓存命中的 token；最多列出 {most} 个请求。",
    ),
    "run_not_modeled": (
        "What is not in these numbers ({number})",
        "这些数字未包含的内容（{number}）",
    ),
    "files_title": ("Take it with you", "下载"),
    "files_about": (
        "The trace opens in Perfetto and in Chrome; the metrics page is what the engine would have "
        "shown at the end.",
        "记录可用 Perfetto 或 Chrome 打开；指标页即引擎在结束时会显示的内容。",
    ),
    "download_perfetto": ("Trace for Perfetto", "Perfetto 记录"),
    "download_metrics": ("Metrics page", "指标页"),
    "download_table": ("{table}, {kind}", "{table}（{kind}）"),
    "table_requests": ("Requests", "请求"),
    "table_steps": ("Steps", "步"),
    "table_preemptions": ("Preemptions", "抢占"),
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
        "The prefix cache found **{share}** of all prompt tokens ({hit} of {query}); counted by "
        "request, each with the same weight, **{by_request}**.",
        "前缀缓存命中了全部提示 token 的 **{share}**（{hit} / {query}）；"
        "按请求计（每个请求权重相同）为 **{by_request}**。",
    ),
    # two runs side by side
    "label_baseline": ("Baseline", "基准"),
    "help_baseline": ("The run that others are compared with.", "用于对比的运行。"),
    "baseline_keep": ("Keep as baseline", "保留为基准"),
    "baseline_drop": ("Drop the baseline", "移除基准"),
    "baseline_files": ("a file of its own", "它自己的文件"),
    "baseline_ignored": (
        "The link's baseline cannot be honoured and is left out: {values}.",
        "链接中的基准无法采用，已忽略：{values}。",
    ),
    "baseline_not_in_link": (
        "The baseline holds an uploaded file: it is not part of the link.",
        "基准包含上传的文件：不会写入链接。",
    ),
    "baseline_press_run": (
        "The link brings a baseline that has not run here yet: press Run.",
        "链接带有尚未在此运行的基准：请点击“运行”。",
    ),
    "baseline_title": ("Against the baseline", "与基准对比"),
    "baseline_input": ("input", "输入"),
    "baseline_was": ("baseline", "基准"),
    "baseline_is": ("now", "现在"),
    "baseline_figure": ("mean over the runs", "各次运行的均值"),
    "baseline_change": ("change", "变化"),
    "baseline_paired": (
        "In brackets the {confidence} interval of the change, run by run with the same seeds; bold "
        "where it leaves 0 out. A single run has none.",
        "括号内为变化的 {confidence} 置信区间（相同种子逐次配对）；不含 0 者以粗体显示。"
        "单次运行没有区间。",
    ),
    "baseline_apart": (
        "In brackets the {confidence} interval of the change, the runs of both sides drawn apart; "
        "bold where it leaves 0 out. A single run has none.",
        "括号内为变化的 {confidence} 置信区间（两侧独立抽样）；不含 0 者以粗体显示。"
        "单次运行没有区间。",
    ),
    "baseline_no_file": ("no file", "无文件"),
    "baseline_a_file": ("a file", "有文件"),
    "line_of_baseline": ("{line}, baseline", "{line}（基准）"),
    "timeline_baseline": ("Baseline: {words}", "基准：{words}"),
    "figure_duration_s": ("simulated time", "模拟时间"),
    "figure_ttft_s.p50": ("TTFT p50", "TTFT p50"),
    "figure_ttft_s.p99": ("TTFT p99", "TTFT p99"),
    "figure_tpot_s.p50": ("TPOT p50", "TPOT p50"),
    "figure_tpot_s.p99": ("TPOT p99", "TPOT p99"),
    "figure_e2e_s.p50": ("E2E p50", "E2E p50"),
    "figure_e2e_s.p99": ("E2E p99", "E2E p99"),
    "figure_preemptions": ("preemptions", "抢占次数"),
    "figure_recomputed_tokens": ("tokens computed again", "重新计算的 token"),
    "figure_mean_running": ("running on average", "平均运行数"),
    "figure_mean_waiting": ("waiting on average", "平均等待数"),
    "figure_peak_blocks": ("blocks held at most", "最多占用的块"),
    "figure_mean_block_utilization": ("pool in use on average", "缓存池平均占用"),
    "figure_prefix_cache.token_hit_rate": ("prefix hits, by token", "前缀命中（按 token）"),
    "figure_prefix_cache.request_hit_rate": ("prefix hits, by request", "前缀命中（按请求）"),
    "figure_goodput.share": ("kept the goals", "达标比例"),
    "figure_goodput.requests_per_s": ("goodput, requests per s", "goodput（请求/秒）"),
    # tiers below the device
    "tiers_title": ("Below the GPU", "GPU 之下的层级"),
    "tiers_column": ("tier", "层级"),
    "tiers_chunks": ("chunks held at most", "最多存有的分块"),
    "tiers_hits": ("tokens found", "命中的 token"),
    "tiers_loaded": ("loaded", "载入"),
    "tiers_stored": ("stored", "存入"),
    "tier_chunks": ("{peak} of {all}", "{peak} / {all}"),
    "tier_host": ("host memory", "主机内存"),
    "tier_disk": ("disk", "磁盘"),
}
