"""Sentences of the library in Simplified Chinese, by their English template."""

# ruff: noqa: RUF001 - Chinese has commas, colons and brackets of its own

from app.texts.library_files import FILE_SENTENCES
from app.texts.library_inputs import INPUT_SENTENCES
from app.texts.library_log import LOG_SENTENCES
from app.texts.library_sources import SOURCES

CHINESE: dict[str, str] = {
    "{first}; {rest}": "{first}；{rest}",
    # errors
    "{field} is missing, and it decides": "缺少起决定作用的字段 {field}",
    "{field} is missing: this describes no language model": "缺少 {field}：这不是语言模型的 config",
    "{name} is no valid JSON: {error}": "{name} 不是有效的 JSON（解析器：{error}）",
    "{name} holds a {kind}, a config is an object": "{name} 的内容是 {kind}，而 config 应为对象",
    "{what}={name} is not in the catalogue": "目录中没有 {what}={name}",
    "{what}={name} is not in the catalogue, did you mean {nearest}?": (
        "目录中没有 {what}={name}；相近的名称：{nearest}"
    ),
    "max_model_len={max_model_len} needs {needed} bytes of KV cache for one request, but "
    "{available} are available": (
        "max_model_len={max_model_len} 的一个请求需要 {needed} 字节 KV 缓存，"
        "而可用的只有 {available} 字节"
    ),
    "the estimated maximum length is {longest}": "估计的最大长度为 {longest}",
    "max_model_len={asked} must be <= the model's maximum of {longest}": (
        "max_model_len={asked} 不得超过模型的上限 {longest}"
    ),
    "tensor_parallel_size={ranks} must divide num_kv_heads={heads} or be a multiple of it": (
        "tensor_parallel_size={ranks} 必须能整除 num_kv_heads={heads}，或是它的倍数"
    ),
    "tensor_parallel_size={ranks} must divide num_attention_heads={heads}": (
        "tensor_parallel_size={ranks} 必须能整除 num_attention_heads={heads}"
    ),
    "tensor_parallel_size={ranks} must divide the {value} {mechanism} heads or channels": (
        "tensor_parallel_size={ranks} 必须能整除 {mechanism} 的 {value} 个头或通道"
    ),
    "{kind}: its layout in {engine} is not known": "{kind}：它在 {engine} 中的布局未知",
    "what {engine} takes beside weights and cache is not known": (
        "{engine} 在权重与缓存之外占用多少显存，尚无依据"
    ),
    "mem_fraction_static must be given: its default depends on the vision tower": (
        "必须给出 mem_fraction_static：其默认值取决于视觉塔"
    ),
    "windows beside recurrent layers: the engine's rule is not known": (
        "窗口层与循环层并存：该引擎的规则未知"
    ),
    "a model without attention layers: the engine's rule is not known": (
        "没有注意力层的模型：该引擎的规则未知"
    ),
    # verdicts and refusals
    "weights and overheads leave nothing to cache": "权重与开销占满了显存，没有空间留给缓存",
    "weights and overheads take {taken} of a budget of {usable}: nothing is left to cache": (
        "权重与开销占用 {taken}，而预算为 {usable}：没有空间留给缓存"
    ),
    "the engine asks for {usable} at start and finds {free} free: it refuses to start": (
        "引擎启动时要求 {usable}，而空闲的只有 {free}：它拒绝启动"
    ),
    "{asked} requests of max_model_len are asked for, {held} fit": (
        "要求容纳 {asked} 个长度为 max_model_len 的请求，实际可容纳 {held} 个"
    ),
    "{asked} requests of this length are asked for, {requests} fit": (
        "要求容纳 {asked} 个这一长度的请求，实际可容纳 {requests} 个"
    ),
    "{asked} requests of this length are asked for, {slots} have a slot": (
        "要求容纳 {asked} 个这一长度的请求，实际只有 {slots} 个槽位"
    ),
    "one request of max_model_len={length} does not fit": (
        "放不下一个 max_model_len={length} 的请求"
    ),
    "at most {longest} tokens fit": "最多可容纳 {longest} 个 token",
    "host memory lacks {missing}": "主机内存缺 {missing}",
    "host memory lacks {missing}: {offloaded} are offloaded to it": (
        "主机内存缺 {missing}：卸载到其中的有 {offloaded}"
    ),
    "device {index} lacks {missing}: its weights take {weights}, its layers' cache {cache}": (
        "设备 {index} 缺 {missing}：其权重占用 {weights}，其各层的缓存占用 {cache}"
    ),
    "it fits at the likely estimates, not at the cautious ones": (
        "按可能的估计放得下，按保守的估计放不下"
    ),
    "more than {share} of the cache would be taken": "缓存的占用将超过 {share}",
    "the states of max_batch_size={slots} leave no block": (
        "max_batch_size={slots} 的状态占满了缓存，一个块也不剩"
    ),
    "no block fits: free_gpu_memory_fraction must be higher": (
        "一个块也放不下：须提高 free_gpu_memory_fraction"
    ),
    "not enough memory: mem_fraction_static must be higher": (
        "显存不足：须提高 mem_fraction_static"
    ),
    "saved prompts and checkpoints may come to pass host memory: lower --cache-ram": (
        "保存的提示与检查点可能超出主机内存：请降低 --cache-ram"
    ),
    # inverse questions
    "{value} does not fit: {reason}": "取 {value} 时放不下：{reason}",
    "{value} is the {goal} there is": "{value} 已是可取范围的尽头（{goal}）",
    "no value fits, and with {value} still not: {reason}": (
        "没有可行的值；取 {value} 仍放不下：{reason}"
    ),
    "{missing} of cache missing": "缓存还缺 {missing}",
    "largest": "最大",
    "smallest": "最小",
    "fewest": "最少",
    "most": "最多",
    "least": "最小",
    "cheapest": "最便宜",
    "widest": "最宽",
    # parts of memory
    "weights": "权重",
    "runtime before loading": "加载前的运行时",
    "buffers beside weights": "权重之外的缓冲区",
    "kept free": "保留不用",
    "kept free (mem_fraction_static {share})": "保留不用（mem_fraction_static {share}）",
    "kept free (free_gpu_memory_fraction {share})": "保留不用（free_gpu_memory_fraction {share}）",
    "activation peak": "激活峰值",
    "output buffers": "输出缓冲区",
    "saved prompts, at most": "已保存的提示（至多）",
    "checkpoints, at most": "检查点（至多）",
    "outside torch": "torch 之外",
    "CUDA graphs": "CUDA graph",
    # what is left out
    "weights of the {tower}": "{tower} 的权重",
    "compute buffers: llama.cpp measures them on its worst-case graph": (
        "计算缓冲区：llama.cpp 用最坏情形的计算图实测得出"
    ),
    "--fit, which lowers GPU layers, or a context that was not given, until memory suffices": (
        "--fit：它会降低 GPU 层数或未指定的上下文长度，直到显存足够"
    ),
    "saved prompts in host memory beyond --cache-ram, which is checked after saving": (
        "主机内存中超出 --cache-ram 的已保存提示：保存之后才检查"
    ),
    "block rounding, padding and reserved blocks of an engine": "引擎的块取整、填充与保留块",
    "whether Ollama lowers num_batch, which it decides by free memory and the file's size": (
        "Ollama 是否降低 num_batch：由空闲显存与文件大小决定"
    ),
    "copies that growing the cache makes for the length of a step": (
        "缓存增长时产生、持续一步的副本"
    ),
    "tokens that the temporary pool of the estimation takes": "估算阶段临时池占用的 token",
    "how the second manager rounds its pools": "第二代管理器如何对各池取整",
    "tokens behind a window that are freed an interval late": (
        "窗口之外、延迟一个间隔才释放的 token"
    ),
    "state slots that a request keeps for prefixes": "请求为前缀保留的状态槽",
    "scratch states of speculative decoding": "推测解码的临时状态",
    "steps that wait until a block is stored before it is taken again": (
        "块在存储完成之前不能再次使用而产生的等待"
    ),
    "the time of transfers to host memory: no rate of the link was given": (
        "与主机内存之间的传输时间：未给出链路速率"
    ),
    "which drafts are right: each is, by chance, at the stated rate": (
        "哪些草稿 token 正确：每个都按给定比率随机决定"
    ),
    "the drafter's last cached block, which the engine drops from every hit": (
        "草稿模型的最后一个缓存块：引擎在每次命中时都会舍弃它"
    ),
    "pipeline stages that work on different steps at once": "流水线各级同时处理不同的步骤",
    "steps of replicas that wait for each other: experts are shared between them": (
        "副本之间相互等待的步骤：它们共享专家"
    ),
    # what became of a search's candidates
    "candidate {index} is better than this one can be": "候选 {index} 优于它所能达到的最好结果",
    "candidate {index} is as good in all and better in something": (
        "候选 {index} 各项都不差，且至少一项更好"
    ),
    "none is as good in all and better in something": "没有候选各项都不差且至少一项更好",
    "at most {most} of the requests can keep the limits, {asked} must, even if each is alone": (
        "即使逐个单独处理，也至多有 {most} 的请求能满足限制，而要求为 {asked}"
    ),
    "the search was stopped before": "搜索在处理它之前已停止",
    # notes of a search and of retention
    "another rate stretches all gaps alike, those between a conversation's turns too": (
        "改变速率会同等拉伸所有间隔，对话各轮之间的间隔也不例外"
    ),
    "each replica is taken to get requests like all of them, at its share of the rate": (
        "假定每个副本收到的请求与整体相同，速率按份额分摊"
    ),
    "a price that is a range is ranked by its middle, throughput in steps of a tenth": (
        "价格为区间时按中值排序，吞吐量按十分之一的步长排序"
    ),
    "step times are not calibrated: latencies and costs are lower bounds, capacities upper ones; "
    "the latency that is ranked is a median": (
        "单步时间未校准：延迟与成本为下界，容量为上界；参与排序的延迟是中位数"
    ),
    "no prompt begins with what an earlier one left: nothing returns": (
        "没有提示以先前留下的内容开头：没有历史会再次用到"
    ),
    "requests wait for answers: idle times are from arrival to arrival": (
        "请求会等待前一个回答：空闲时间按到达到到达计算"
    ),
    "step times are not calibrated: computing a history again is a lower bound": (
        "单步时间未校准：重新计算历史所需的时间为下界"
    ),
    "no price is known for this device: state one for costs": "不知道该设备的价格，因此不给出成本",
    "the workload lasts {seconds} s: its own mean over longer windows is that of a tier that still "
    "fills, and what it does not show returning is taken to stay away": (
        "该负载持续 {seconds} 秒：对更长的保留时间，它自身的均值取自仍在填充的层级；"
        "未见再次用到的历史按不再返回计"
    ),
    # claims
    "a rank holds a part of the layers or tokens": "每个 rank 只持有一部分层或 token",
    "not one request of max_model_len fits": "连一个 max_model_len 的请求也放不下",
    **INPUT_SENTENCES,
    **FILE_SENTENCES,
    **LOG_SENTENCES,
    **SOURCES,
}
