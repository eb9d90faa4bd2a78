"""Texts of page Search."""

# ruff: noqa: RUF001 - Chinese has commas, colons and brackets of its own

TEXTS: dict[str, tuple[str, str]] = {
    "page_search": ("Search", "选型"),
    "search_title": ("Hardware under a latency goal", "在延迟目标下选择硬件"),
    "search_about": (
        "Which devices, how many of them, split and stored how, keep the goal at the demanded "
        "rate, and what they cost. The model is the sidebar's; its other inputs do not count here.",
        "哪些设备、多少台、如何切分与存储，才能在所需速率下达到目标，以及花费多少。"
        "模型取自侧栏；侧栏的其他输入在此不起作用。",
    ),
    "search_limits": (
        "Limits of this page: {candidates} candidates, {requests} requests for each run, {seconds} "
        "seconds for a search; {runs} at once on this server, and at most {waiting} that wait. "
        "`kvsim search` has none.",
        "本页限制：{candidates} 个候选、每次运行 {requests} 个请求、每次搜索 {seconds} 秒；"
        "服务器同时最多 {runs} 个，另有 {waiting} 个可排队。`kvsim search` 没有这些限制。",
    ),
    "label_search_workload": ("Requests", "请求来源"),
    "help_search_workload": (
        "Named workloads, with lengths fitted to published traces.",
        "命名负载，长度按公开的记录拟合。",
    ),
    "label_demanded_per_s": ("Requests per second, all replicas", "每秒请求数（全部副本）"),
    "help_demanded_per_s": (
        "What the fleet must bear; empty: what one replica bears is asked, and the price of a "
        "million tokens.",
        "整个集群须承受的速率；留空：只求单个副本的容量与每百万 token 的价格。",
    ),
    "no_demand": ("one replica", "单个副本"),
    "label_goal_ttft_s": ("Time to first token, s", "首 token 时间（秒）"),
    "help_goal_ttft_s": (
        "Most seconds to the first token, queueing included. This or the time to the last token is "
        "needed: nothing else keeps a queue from growing.",
        "到首个 token 的最长秒数，含排队。此项与末 token 时间至少填一项："
        "否则没有什么能阻止队列无限增长。",
    ),
    "label_goal_tpot_s": ("Time per later token, s", "后续每 token 时间（秒）"),
    "help_goal_tpot_s": (
        "Most seconds per later token, on average.",
        "后续每个 token 的平均最长秒数。",
    ),
    "label_goal_e2e_s": ("Time to last token, s", "末 token 时间（秒）"),
    "help_goal_e2e_s": ("Most seconds to the last token.", "到最后一个 token 的最长秒数。"),
    "label_goal_share": ("Share that must keep it", "须达标的比例"),
    "help_goal_share": (
        "Share of the requests that must keep every limit.",
        "须满足全部限制的请求比例。",
    ),
    "label_search_gpus": ("Devices", "设备"),
    "help_search_gpus": (
        "Devices of the catalogue whose price is known.",
        "目录中价格已知的设备。",
    ),
    "label_search_degrees": ("Tensor-parallel degrees", "张量并行度"),
    "help_search_degrees": (
        "Devices that share every layer of one replica.",
        "一个副本中共同分担每一层的设备数。",
    ),
    "label_search_cache": ("Cache formats", "缓存格式"),
    "help_search_cache": (
        "`auto` is the model's own; what a narrower one costs in quality, measure.",
        "`auto` 为模型自身的格式；更窄的格式对质量的影响需自行测量。",
    ),
    "label_search_weights": ("Weight formats", "权重格式"),
    "help_search_weights": (
        "`none` is unquantised; a quantised checkpoint must exist.",
        "`none` 为不量化；量化的检查点须已存在。",
    ),
    "search_more": ("Spares, requests, measured speeds", "备用、请求与实测速度"),
    "label_search_spare": ("Spare replicas", "备用副本"),
    "help_search_spare": ("Replicas on top, for when some fail.", "额外的副本，以防故障。"),
    "label_search_requests": ("Requests of each run", "每次运行的请求数"),
    "help_search_requests": (
        "More requests tell a goal of 99 % more surely.",
        "请求越多，对 99 % 目标的判断越可靠。",
    ),
    "label_search_seed": ("Seed", "随机种子"),
    "help_search_seed": ("One seed, one answer.", "同一种子得到同一答案。"),
    "label_compute_efficiency": ("Measured share of operations", "实测算力比例"),
    "help_compute_efficiency": (
        "Share of the devices' stated operations per second that you measured. With both shares "
        "the answer counts as calibrated.",
        "您实测的算力占标称值的比例。两项比例齐备时，答案视为已校准。",
    ),
    "label_bandwidth_efficiency": ("Measured share of bandwidth", "实测带宽比例"),
    "help_bandwidth_efficiency": (
        "Share of the devices' stated memory bandwidth that you measured.",
        "您实测的显存带宽占标称值的比例。",
    ),
    "not_measured": ("not measured", "未测量"),
    "search_run": ("Search {count} candidates", "搜索 {count} 个候选"),
    "search_press": ("Press the button to search.", "按下按钮开始搜索。"),
    "search_cancelled": (
        "The search was cancelled. Press the button to search again.",
        "搜索已取消。按下按钮可重新搜索。",
    ),
    "search_press_again": (
        "The inputs have changed: search again.",
        "输入已更改：请重新搜索。",
    ),
    "search_settled": (
        "{settled} of {total} candidates settled",
        "{total} 个候选中已确定 {settled} 个",
    ),
    # results
    "search_none": ("No candidate keeps the goal", "没有候选能达到目标"),
    "search_cheapest": (
        "The cheapest that keeps the goal: candidate {setup}",
        "达到目标的最便宜方案：候选 {setup}",
    ),
    "axis_usd_per_month": ("USD per month", "每月美元"),
    "axis_usd_per_million_tokens": ("USD per million tokens", "每百万 token 美元"),
    "axis_e2e": ("seconds to the last token, {percentile}", "到末 token 的秒数（{percentile}）"),
    "metric_search_cost": ("Cost", "费用"),
    "metric_search_replicas": ("Replicas", "副本"),
    "metric_search_capacity": ("Requests per second", "每秒请求数"),
    "metric_search_latency": ("Time to last token", "末 token 时间"),
    "search_one_replica": ("1", "1"),
    "search_replicas_below": (
        "{gpus} devices each, {spare} spare",
        "每个 {gpus} 台设备，备用 {spare}",
    ),
    "per_replica": ("at most, each replica", "每个副本至多"),
    "search_e2e_below": ("{percentile} at this rate", "此速率下的 {percentile}"),
    "search_chart": ("Cost against latency", "费用与延迟"),
    "search_chart_uncalibrated": (
        "Cost against latency, uncalibrated",
        "费用与延迟（未校准）",
    ),
    "search_chart_about": (
        "Numbers are those of the candidates below; larger marks have more throughput. Whoever is "
        "on the front is beaten by nobody in cost, throughput and latency at once. Step times: "
        "{source}.",
        "数字为下表中候选的编号；标记越大吞吐越高。前沿上的方案在费用、吞吐与延迟上"
        "不会同时被他者超越。步时：{source}。",
    ),
    "search_front": ("front", "前沿"),
    "search_others": ("beaten by another", "被他者超越"),
    "tokens_per_s": ("output tokens per second", "每秒输出 token"),
    "search_front_words": (
        "{count} candidates are on the front.",
        "前沿上有 {count} 个候选。",
    ),
    "search_member": (
        "{setup}: {cost}, {latency} to the last token, {tokens} output tokens per second.",
        "{setup}：{cost}，到末 token {latency}，每秒输出 {tokens} token。",
    ),
    "search_front_table": ("The front as a table", "前沿（表格）"),
    "search_everyone": ("All {count} candidates", "全部 {count} 个候选"),
    "column_setup": ("candidate: devices, weights, cache", "候选：设备、权重、缓存"),
    "column_replicas": ("replicas", "副本"),
    "column_capacity": ("requests per second", "每秒请求数"),
    "column_e2e": ("to last token", "末 token"),
    "column_outcome": ("outcome", "结果"),
    "column_reason": ("why", "原因"),
    "search_outcome_front": ("on the front", "在前沿上"),
    "search_outcome_dominated": ("beaten", "被超越"),
    "search_outcome_overtaken": ("cannot win", "不可能胜出"),
    "search_outcome_misses": ("misses the goal", "未达目标"),
    "search_outcome_too_slow": ("too slow", "太慢"),
    "search_outcome_does_not_fit": ("does not fit", "放不下"),
    "search_outcome_refused": ("refused", "被拒绝"),
    "search_outcome_no_price": ("no price", "无价格"),
    "search_outcome_not_reached": ("not reached", "未处理"),
}
