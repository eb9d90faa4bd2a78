"""Texts of page Compare, and of the button that saves a scenario."""

# ruff: noqa: RUF001 - Chinese has commas, colons and brackets of its own

TEXTS: dict[str, tuple[str, str]] = {
    "save": ("Save to compare ({count} of {most})", "存入方案对比（{count} / {most}）"),
    "save_there": ("Saved to compare", "已存入方案对比"),
    "save_about": (
        "Page Compare sets up to {most} saved scenarios side by side. They are part of the link.",
        "“方案对比”页可并排比较最多 {most} 个已保存的方案，方案会写入链接。",
    ),
    "save_own": (
        "A pasted config.json is not part of the link, so it cannot be saved.",
        "粘贴的 config.json 不写入链接，因此无法保存。",
    ),
    "compare_title": ("Scenarios side by side", "方案并排比较"),
    "compare_empty": (
        "Save the sidebar's scenario, change an input, save again: two to six scenarios are set "
        "side by side, and every difference is traced to the setting that makes it.",
        "先保存侧栏中的方案，改动任意输入后再保存：可并排比较两到六个方案，并说明每个差别由哪项设置造成。",
    ),
    "compare_one": (
        "One more: change an input in the sidebar, then save again.",
        "还差一个：在侧栏改动任意输入，然后再次保存。",
    ),
    "compare_example": ("Show an example", "看一个例子"),
    "compare_clear": ("Remove all", "全部移除"),
    "compare_baseline": (" (baseline)", "（基准）"),
    "make_baseline": ("Baseline", "设为基准"),
    "remove_scenario": ("Remove", "移除"),
    "ask_scenario": ("Open", "打开"),
    "make_baseline_help": (
        "Set the others against scenario {number}",
        "以方案 {number} 作为比较的基准",
    ),
    "remove_scenario_help": ("Remove scenario {number}", "移除方案 {number}"),
    "ask_scenario_help": (
        "Put scenario {number} into the sidebar",
        "把方案 {number} 填入侧栏",
    ),
    "label_compared": ("Show", "显示"),
    "help_compared": (
        "What the bars show. Every figure is in the tables below.",
        "条形图显示的数字。所有数字都在下方表格中。",
    ),
    "compare_alt": (
        "Bar chart of the scenarios. {figure}: {parts}.",
        "各方案的条形图。{figure}：{parts}。",
    ),
    "compare_part": ("scenario {number} {figure}", "方案 {number} {figure}"),
    "compare_range": (" ({low} to {high})", "（{low} 至 {high}）"),
    "compare_unknown": ("not known: see below", "未知，原因见下"),
    "compare_holds": ("What each holds", "能容纳多少"),
    "compare_takes": ("What each takes, on its fullest GPU", "占用多少（以最满的 GPU 计）"),
    "compare_refusals": ("What does not fit, and why", "放不下的方案及原因"),
    "compare_against": ("Scenario {number} against the baseline", "方案 {number} 与基准相比"),
    "compare_same": (
        "No figure here differs.",
        "这里没有任何数字不同。",
    ),
    "compare_how": (
        "Each setting is changed alone in the baseline, in the order shown, and planned anew: that "
        "is its part. What the parts leave of the difference is *together*: settings that only "
        "take effect with each other.",
        "依次在基准上只改一项设置并重新规划，得到该项的部分。各部分之外的剩余为*共同作用*：只有几项设置同时改变才会产生。",
    ),
    "compare_alone_refused": (
        "`{setting}` = {value} alone: {reason}",
        "仅改 `{setting}` = {value}：{reason}",
    ),
    "compare_together": ("together {amount}", "共同作用 {amount}"),
    "compare_cause": ("{setting} {amount}", "{setting} {amount}"),
    "compare_between": ("; ", "；"),
    "compare_prices": (
        "Prices are ranges of public lists, a month is 730 hours.",
        "价格为公开报价的区间，一个月按 730 小时计。",
    ),
    "column_scenario": ("scenario", "方案"),
    "column_verdict": ("verdict", "结论"),
    "column_figure": ("figure", "数字"),
    "column_difference": ("difference", "差别"),
    "column_causes": ("of which", "其中"),
    "column_weights": ("weights", "权重"),
    "column_longest": ("longest", "最长请求"),
    "column_usd_month": ("USD a month", "美元 / 月"),
    "column_num_gpus": ("GPUs", "GPU 数"),
    "compared_max_requests": ("Requests of the full context at once", "可同时容纳的满上下文请求数"),
    "compared_capacity_tokens": ("Tokens that the cache holds", "缓存可容纳的 token 数"),
    "compared_longest_tokens": ("Longest request that fits alone", "单独可容纳的最长请求"),
    "compared_cache_bytes": ("Cache memory, per GPU", "缓存总量（单个 GPU）"),
    "compared_weights_bytes": ("Weights, per GPU", "权重（单个 GPU）"),
    "compared_bytes_per_token": ("Cache per token, per GPU", "每 token 缓存（单个 GPU）"),
    "compared_fixed_bytes": ("Fixed cache of a request, per GPU", "每请求固定缓存（单个 GPU）"),
    "compared_request_bytes": ("Cache per request, per GPU", "每请求缓存（单个 GPU）"),
    "compared_low_usd_per_hour": ("USD an hour, low", "每小时美元（低）"),
    "compared_high_usd_per_hour": ("USD an hour, high", "每小时美元（高）"),
    "compared_num_gpus": ("GPUs", "GPU 数"),
    "compared_num_tokens": ("Context, tokens", "上下文（token）"),
    "short_fits": ("fits", "放得下"),
    "short_tight": ("tight", "勉强"),
    "short_does_not_fit": ("does not fit", "放不下"),
    "short_unknown": ("unknown", "未知"),
}
