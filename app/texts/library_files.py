"""What the library refuses in files: configs, GGUF headers, traces, logs; by English template."""

# ruff: noqa: RUF001 - Chinese has commas, colons and brackets of its own

FILE_SENTENCES: dict[str, str] = {
    # limits of the pages themselves
    "config.json must be <= {most} bytes here": "此处的 config.json 不得超过 {most} 字节",
    "log must be <= {most} bytes here": "此处的日志不得超过 {most} 字节",
    "prompts and answers together must be <= {most} tokens here": (
        "此处的提示与回答合计不得超过 {most} token"
    ),
    "candidates={total} must be >= 1 and <= {most} here": (
        "此处的候选数 {total} 必须为 1 到 {most}"
    ),
    "steps={steps} must be <= {most} here: fewer answer tokens": (
        "此处的步数 {steps} 不得超过 {most}：请减少回答的 token"
    ),
    # configs
    "{field}={value} must be a finite number": "{field}={value} 必须是有限的数",
    "{field}={value} must be true or false": "{field}={value} 必须是 true 或 false",
    "{field}={value} must be a string": "{field}={value} 必须是字符串",
    "{field}={value} must be a whole number in [{low}, {high}]": (
        "{field}={value} 必须是 {low} 到 {high} 之间的整数"
    ),
    "{name} must be a list of at most {max_config_layers} entries": (
        "{name} 必须是至多 {max_config_layers} 项的列表"
    ),
    "{field} must be whole numbers, separated by commas": "{field} 必须是用逗号分隔的整数",
    "{field} must be a list of strings": "{field} 必须是字符串的列表",
    "{field} has {entries} entries for {num_layers} layers": (
        "{field} 有 {entries} 项，而模型有 {num_layers} 层"
    ),
    "{pairs}: they are one quantity and must agree": "{pairs}：它们是同一个量，必须一致",
    "num_attention_heads={heads} must divide hidden_size={width}, or state head_dim": (
        "num_attention_heads={heads} 必须能整除 hidden_size={width}，否则请给出 head_dim"
    ),
    "model_type={model_type} is not supported: {why}": "不支持 model_type={model_type}：{why}",
    "model_type={model_type} is not supported: it encodes images and caches nothing": (
        "不支持 model_type={model_type}：它只编码图像，没有缓存"
    ),
    "it caches hidden states and hash buckets": "它缓存的是隐藏状态与哈希桶",
    "its state is not recorded as a cache": "其状态不作为缓存保存",
    "its three towers cache bytes and patches, at lengths of their own": (
        "其三个塔分别缓存字节与 patch，长度各不相同"
    ),
    "{text} is no number": "{text} 不是数",
    "{twice} is stated twice": "{twice} 出现了两次",
    "{name} has {num_bytes}, a config.json must be <= {limit}": (
        "{name} 有 {num_bytes}，而 config.json 不得超过 {limit}"
    ),
    "{name}: nested deeper than {max_config_depth} levels": (
        "{name}：嵌套超过 {max_config_depth} 层"
    ),
    "{name} is no valid JSON: it is not text in UTF-8": (
        "{name} 不是有效的 JSON：它不是 UTF-8 文本"
    ),
    "model={name} is no id of a hub: owner/name": (
        "model={name} 不是模型库的 id，写法应为 owner/name"
    ),
    "{name} is no readable GGUF file: {why}": "{name} 不是可读的 GGUF 文件：{why}",
    "it does not begin with GGUF": "它不以 GGUF 开头",
    "general.architecture={kind}: its cache in llama.cpp is not known": (
        "general.architecture={kind}：它在 llama.cpp 中的缓存未知"
    ),
    "general.architecture is missing: this is no language model's GGUF": (
        "缺少 general.architecture：这不是语言模型的 GGUF"
    ),
    # traces
    "{name}: the trace holds no request": "{name}：记录中没有请求",
    "{name}: columns {columns} are of no known trace ({known})": (
        "{name}：列 {columns} 不属于任何已知的记录格式（{known}）"
    ),
    "{name}, line {number}: longer than {max_trace_line} characters, so no trace": (
        "{name} 第 {number} 行：超过 {max_trace_line} 个字符，不是请求记录"
    ),
    "{name}, line {line}: {reason}": "{name} 第 {line} 行：{reason}",
    "{name}: {reason}": "{name}：{reason}",
    "{column} is missing": "缺少 {column}",
    "arrival_s={arrival_s} must be >= {last_s}, the line before": (
        "arrival_s={arrival_s} 不得早于上一行的 {last_s}"
    ),
    "arrival_s={after} of request {i} must be >= {before}, the one before": (
        "请求 {i} 的 arrival_s={after} 不得早于前一个请求的 {before}"
    ),
    "after={after} of request {i} must be a request before it": (
        "请求 {i} 的 after={after} 必须指向它之前的请求"
    ),
    "workload={name} must hold at least one request": "workload={name} 至少要有一个请求",
    # logs
    "log: no line of {known} is in it, and none of them is named": (
        "日志中没有 {known} 的任何一行，也没有指明引擎"
    ),
    "{name}: larger than {max_log_bytes} MiB, so no start-up log": (
        "{name}：超过 {max_log_bytes} MiB，不是启动日志"
    ),
    "{name}: is empty": "{name}：是空的",
}
