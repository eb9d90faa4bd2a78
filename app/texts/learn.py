"""Texts of page Learn."""

# ruff: noqa: RUF001 - Chinese has commas, colons and brackets of its own

TEXTS: dict[str, tuple[str, str]] = {
    "learn_title": (
        "Why a model takes notes, and what they cost",
        "模型为什么要记笔记，代价是多少",
    ),
    "learn_about": (
        "Every number below is that of {model} on the GPUs of the sidebar; measured ones say so.",
        "以下数字均按侧栏中的 GPU 与 {model} 计算；实测值会注明。",
    ),
    "weights_unknown": (
        "The config does not determine this model's weights, so its operations are not known.",
        "该 config 无法确定模型的权重，因此运算量未知。",
    ),
    "bars_alt": ("Bar chart. {title}: {parts}.", "条形图。{title}：{parts}。"),
    # steps
    "steps_title": ("1. Without notes, everything again", "1. 没有笔记，一切重来"),
    "label_step": ("Tokens so far", "已有的 token"),
    "help_step": (
        "The step in which this token is the newest one.",
        "以此 token 为最新 token 的那一步。",
    ),
    "steps_words": (
        "The| model| reads| every| token| once| and| remembers",
        "模型|把|每个|词|只|读|一遍|并记住",
    ),
    "walk_label": ("A sentence, token by token", "逐个 token 读一句话"),
    "walk_play": ("Play", "播放"),
    "walk_pause": ("Pause", "暂停"),
    "walk_first": ("Start", "回到开头"),
    "walk_back": ("Step back", "后退一步"),
    "walk_on": ("Next token", "下一个 token"),
    "walk_clock": ("token {step} of {steps}", "第 {step} 个 token，共 {steps} 个"),
    "walk_choose": (
        "Go through the sentence, or choose the token that is the newest one:",
        "逐步前进，或直接选择哪个 token 是最新的：",
    ),
    "walk_sentence": (
        "To go on from {step} tokens, the Q of “{word}” asks the K of all {step} and mixes their "
        "V. With a cache one token is computed and {num_looked_up} are looked up; without, all "
        "{step} are computed.",
        "已有 {step} 个 token 时，“{word}”的 Q 与全部 {step} 个 K 比较，再混合它们的 V。"
        "有缓存时只计算一个 token，查阅 {num_looked_up} 个；没有缓存则要计算全部 {step} 个。",
    ),
    "walk_with": ("With a cache", "有缓存"),
    "walk_without": ("Without", "没有缓存"),
    "walk_with_sum": (
        "Computed so far: {total_cached} tokens. The notes take {kept}.",
        "至今共计算 {total_cached} 个 token；笔记占 {kept}。",
    ),
    "walk_without_sum": (
        "Computed so far: {total_uncached} tokens. Nothing is kept.",
        "至今共计算 {total_uncached} 个 token；什么也不保留。",
    ),
    "walk_rows": (
        "Each row of squares is a step, each column a token; the framed row is this step.",
        "方格中每行为一步，每列为一个 token；加框的一行是当前这一步。",
    ),
    "walk_key_new": ("computed now", "此步计算"),
    "walk_key_kept": ("kept, looked up", "已保存，直接查阅"),
    "walk_key_again": ("computed again", "重新计算"),
    "walk_key_dropped": ("Q: used once, dropped", "Q：用一次即丢弃"),
    "steps_query": (
        "Each token leaves {kept} of keys and values in {layers} layers: every later token asks "
        "for them. Its own queries, {query}, ask once, in the step that computes them, and are "
        "dropped: that is why there is a KV cache and no QKV cache.",
        "每个 token 在 {layers} 层中留下 {kept} 的 K 与 V：之后的每个 token 都要用到。"
        "而它自己的 Q（{query}）只在计算它的那一步使用一次，随即丢弃：所以是 KV 缓存，"
        "而不是 QKV 缓存。",
    ),
    "steps_latent": (
        "Each token leaves {kept}: not keys and values by heads, but what they are made from. Its "
        "queries ask once, in the step that computes them, and are dropped.",
        "每个 token 留下 {kept}：不是按头保存的 K 与 V，而是生成它们的潜在表示或状态。"
        "它的 Q 只在计算它的那一步使用一次，随即丢弃。",
    ),
    # tokens
    "tokens_title": ("2. Characters, tokens, notes", "2. 字符、token 与笔记"),
    "tokens_text": ("its text", "文本"),
    "tokens_kept": ("its notes", "笔记"),
    "tokens_said": (
        "A token is one of {vocab} numbers, {bits} bits; of English it is about {characters} "
        "characters. Its notes take {kept}: **{ratio} times** its text.",
        "一个 token 是 {vocab} 个编号之一（{bits} 位），约合英文 {characters} 个字符。"
        "它的笔记占 {kept}：是文本的 **{ratio} 倍**。",
    ),
    # phases
    "phases_title": ("3. Prefill and decode: operations per byte", "3. 预填充与解码：每字节的运算"),
    "phase_prefill": ("prefill", "预填充"),
    "phase_decode": ("decode", "解码"),
    "phase_uncached": ("decode, no cache", "解码，无缓存"),
    "phase_ridge": ("this GPU: {ridge}", "该 GPU：{ridge}"),
    "column_phase": ("step", "步骤"),
    "column_flops": ("computes", "运算"),
    "column_read": ("reads", "读取"),
    "column_intensity": ("per byte", "每字节"),
    "phases_said": (
        "A step left of the dotted line waits for memory, one to its right for arithmetic. "
        "Lengths are {length} tokens, of one request.",
        "虚线左侧的步骤等待显存，右侧的等待算力。长度为单个请求的 {length} token。",
    ),
    # answer
    "answer_title": ("4. What an answer costs", "4. 一次回答的代价"),
    "answer_token": ("Operations of each token, predicted", "每个 token 的运算量（预测）"),
    "answer_total": ("Operations of the whole answer, predicted", "整个回答的运算量（预测）"),
    "answer_measured": ("Seconds of the whole answer, measured", "整个回答的用时（实测）"),
    "axis_answer": ("tokens of the answer", "回答的 token 数"),
    "axis_flops": ("operations", "运算量"),
    "axis_seconds": ("seconds", "秒"),
    "curve_cached": ("with a cache", "有缓存"),
    "curve_uncached": ("without", "没有缓存"),
    "answer_point": (
        "{length} tokens: {cached} with a cache, {uncached} without",
        "{length} token：有缓存 {cached}，没有缓存 {uncached}",
    ),
    "measured_point": ("{how}, {length} tokens: {seconds}", "{how}，{length} token：{seconds}"),
    "answer_alt": ("Line chart. {title}: {points}.", "折线图。{title}：{points}。"),
    "answer_table": ("Table: operations of an answer", "表格：回答的运算量"),
    "measured_table": ("Table: seconds measured", "表格：实测用时"),
    "column_how": ("answered", "方式"),
    "column_tokens": ("tokens", "token 数"),
    "column_seconds": ("seconds", "用时"),
    "column_token_cached": ("token, cached", "单个，有缓存"),
    "column_token_uncached": ("token, uncached", "单个，无缓存"),
    "column_total_cached": ("total, cached", "合计，有缓存"),
    "column_total_uncached": ("total, uncached", "合计，无缓存"),
    "answer_said": (
        "After {length} tokens: **{cached}** with a cache, **{uncached}** without.",
        "{length} 个 token 之后：有缓存 **{cached}**，没有缓存 **{uncached}**。",
    ),
    "measured_said": (
        "Measured, the seconds grow with the length to the power **{cached}** with a cache and "
        "**{uncached}** without.",
        "实测用时随长度的增长：有缓存为 **{cached}** 次方，没有缓存为 **{uncached}** 次方。",
    ),
    "measured_source": (
        "Measured: {model}. Repeat it: `{source}`",
        "实测：{model}。复现：`{source}`",
    ),
    # costs
    "costs_title": ("5. What the cache costs", "5. 缓存的代价"),
    "costs_token": ("one token", "一个 token"),
    "costs_request": ("one request", "一个请求"),
    "costs_users": ("{requests} requests", "{requests} 个请求"),
    "costs_weights": ("the weights", "权重"),
    "costs_room": ("room for cache", "可用于缓存"),
    "costs_said": (
        "On each GPU a conversation of {length} tokens holds **{request}** even while its user "
        "reads: **{idle}** idle ones fill all {room}.",
        "在每个 GPU 上，{length} token 的对话占用 **{request}**，即使用户只是在阅读；"
        "有 **{idle}** 个空闲对话就会占满 {room}。",
    ),
    # heads
    "heads_title": (
        "6. Fewer heads, a latent, a window, a state",
        "6. 更少的头、潜变量、窗口、状态",
    ),
    "variant_mha": ("MHA, {heads} heads", "MHA，{heads} 头"),
    "variant_gqa": ("GQA, {heads} heads", "GQA，{heads} 头"),
    "variant_mqa": ("MQA, {heads} head", "MQA，{heads} 头"),
    "variant_mla": ("MLA, latent", "MLA，潜变量"),
    "variant_window": ("window, {heads} heads", "窗口，{heads} 头"),
    "variant_hybrid": ("3 of 4 layers states", "3/4 的层为状态"),
    "variant_own": ("this model", "本模型"),
    "log_bars": (
        "A bar grows with the logarithm of its figure.",
        "条形的长度按数值的对数增长。",
    ),
    "column_kind": ("attention", "注意力"),
    "column_request": ("one request", "一个请求"),
    "heads_said": (
        "One request takes **{own}** as the model is; with a head each (MHA) it would take {mha}, "
        "with one for all (MQA) {mqa}. Latents are DeepSeek-V2's, windows 4,096 tokens.",
        "一个请求实际占用 **{own}**；若每个头各有 KV（MHA）则为 {mha}，若全部共用一个（MQA）"
        "则为 {mqa}。潜变量取 DeepSeek-V2 的尺寸，窗口为 4,096 token。",
    ),
    "heads_alone": (
        "One request takes **{own}**. Its layers keep no keys and values by heads, so there is "
        "nothing to divide.",
        "一个请求占用 **{own}**。它的层不按头保存 K 与 V，因此没有可以合并的头。",
    ),
    "heads_table": ("Table: other attention", "表格：其他注意力"),
    # paging
    "paging_title": ("7. Reserved or paged", "7. 预留与分页"),
    "paging_reserved": ("one piece", "整块预留"),
    "paging_paged": ("in blocks", "按块分页"),
    "paging_said": (
        "A request of {request} tokens in a space reserved for {context} uses **{reserved}** of "
        "it; in blocks of {block} tokens it uses **{paged}** of what it holds.",
        "{request} token 的请求若预留 {context} token 的空间，只用到其中 **{reserved}**；"
        "按 {block} token 的块分页，则用到所占空间的 **{paged}**。",
    ),
    # bits
    "bits_title": ("8. Sixteen bits, eight, four", "8. 十六位、八位、四位"),
    "column_format": ("measured format", "实测格式"),
    "column_agreement": ("same token", "相同 token"),
    "column_divergence": ("divergence, nats", "散度（nat）"),
    "column_saved": ("saved", "节省"),
    "bits_said": (
        "Scales are counted in every bar. In 8 bits the likeliest token stayed the same in "
        "**{int8}** of all places, in 4 bits in **{int4}**, in 2 bits in **{int2}**: of a small "
        "model, not of this one.",
        "每个条形都已计入缩放因子。8 位时最可能的 token 有 **{int8}** 保持不变，4 位为 **{int4}**，"
        "2 位为 **{int2}**：这是一个小模型的结果，而非该模型。",
    ),
    # idle conversations
    "idle_title": (
        "What conversations cost between their turns",
        "对话在两轮之间的代价",
    ),
    "idle_about": (
        "A history that is kept saves computing it again, and takes memory while nobody writes. "
        "{requests} requests of a generated chat are served on the sidebar's GPUs to measure how "
        "long histories stay idle; host memory is what the sidebar states.",
        "保留历史可省去重新计算，但无人输入时也占用内存。"
        "此处在侧栏的 GPU 上模拟 {requests} 个生成的聊天请求，测量历史的空闲时间；"
        "主机内存以侧栏的设定为准。",
    ),
    "label_idle": ("Work it out for the chosen model", "按所选模型计算"),
    "help_idle": ("Serves the chat in a simulation, under a second.", "模拟该聊天负载，不到一秒。"),
    "label_idle_window_s": ("Keep a history for, seconds", "历史保留时间（秒）"),
    "help_idle_window_s": (
        "After its last use; then it is given up.",
        "自最后一次使用起计，此后即放弃。",
    ),
    "label_idle_rate_per_s": ("Requests per second", "每秒请求数"),
    "help_idle_rate_per_s": ("Of all users together.", "所有用户合计。"),
    "idle_gpu": ("on the GPUs", "GPU 上"),
    "idle_host": ("in host memory", "主机内存中"),
    "idle_disk": ("on disk", "磁盘上"),
    "idle_beyond": ("without a place", "无处可放"),
    "idle_window": ("kept for", "保留时间"),
    "idle_unit": (" s", " 秒"),
    "idle_kept": ("idle histories", "空闲历史"),
    "idle_found": ("tokens found again", "再次命中的 token"),
    "idle_month": ("USD a month on the GPUs", "GPU 上每月美元"),
    "idle_table": ("Other windows as a table", "以表格查看其他保留时间"),
    "idle_said": (
        "Kept for {window} s, idle histories take **{kept}** in the long run; beside the running "
        "requests the GPUs have {room} free. Of all prompt tokens **{share}** are then found "
        "again. A mean history of {tokens} tokens is {size}, and takes **{again}** to compute "
        "again.",
        "保留 {window} 秒时，空闲历史长期占用 **{kept}**；除运行中的请求外，GPU 还空闲 {room}。"
        "此时全部提示 token 中有 **{share}** 可再次命中。平均一段历史为 {tokens} 个 token，"
        "占 {size}，重新计算需要 **{again}**。",
    ),
    "idle_source": ("Step times: {source}", "单步时间：{source}"),
}
