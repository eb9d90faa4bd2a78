"""What the library says of a start-up log in Simplified Chinese, by the English template."""

# ruff: noqa: RUF001 - Chinese has commas, colons and brackets of its own

LOG_SENTENCES: dict[str, str] = {
    # advice after a log
    "at most {limit}": "至多 {limit}",
    "at least {least}": "至少 {least}",
    "raise it": "调高",
    "lower it": "调低",
    "lower them": "调低",
    "set it": "启用",
    "do not switch it off": "不要关闭",
    "raise it until {lacking} GiB more are left": "调高，直到多留出 {lacking} GiB",
    "lower it (the default is 256, or 1024 on large devices)": (
        "调低（默认为 256，大显存设备上为 1024）"
    ),
    "as long as requests really are": "设为请求的实际长度",
    "other processes": "其他进程",
    "stop what holds memory on the device": "停止占用该设备显存的进程",
    "{free} of {total} GiB are free before the engine starts": (
        "引擎启动前，{total} GiB 中空闲的有 {free} GiB"
    ),
    "they hold {held} GiB of it": "它们占用其中的 {held} GiB",
    "so long a request fits what is left for the cache": "留给缓存的空间放得下这么长的请求",
    "it was given, so gpu_memory_utilization decides nothing": (
        "已经给出了它，gpu_memory_utilization 便不起作用"
    ),
    "the weights and overheads stay; the cache gets the difference": (
        "权重与开销不变，多出的部分归缓存"
    ),
    "half the bytes of a 16-bit cache": "字节数是 16 位缓存的一半",
    "each device holds half of the weights and of the KV heads": (
        "每个设备只持有一半的权重和 KV 头"
    ),
    "the first large batch is profiled and captured with that many": (
        "启动时按这么多请求的大批次做探测与图捕获"
    ),
    "the cache took what the graphs and the sampler need": "缓存占用了图与采样器所需的显存",
    "no graphs are captured; decoding is slower": "不再捕获图；解码会变慢",
    "what a step needs above the profiled peak has no room": ("一步所需超出探测峰值的部分没有空间"),
    "activations grow with the tokens of a step": "激活随每步的 token 数增长",
    "whole prompts are computed in one step": "整个提示在一步内算完",
    "{held} GiB are held beside what torch has allocated": (
        "在 torch 已分配的之外，还占着 {held} GiB"
    ),
    "the cache holds {requests} requests of the longest length": (
        "缓存可容纳 {requests} 个最大长度的请求"
    ),
    "weights and cache together have to fit that share of the free memory": (
        "权重与缓存合计须放进空闲显存的这一比例"
    ),
    "graphs are captured in what the pools leave": "图在各池剩下的显存中捕获",
    "a prefill's activations grow with its chunk": "预填充的激活随其分块增长",
    "activations and graphs live in what the pools leave": "激活与图使用各池剩下的显存",
    "what was asked for": "所请求的显存",
    "{size} for attention scores grow with context x ubatch without it": (
        "不启用时，注意力分数的占用（{size}）随上下文 x ubatch 增长"
    ),
    "the computation's buffer grows with it": "计算缓冲区随之增长",
    "the cache is n_ctx cells": "缓存就是 n_ctx 个单元",
    "about half the bytes of an f16 cache": "字节数约为 f16 缓存的一半",
    "layers and their cache stay on the CPU": "这些层及其缓存留在 CPU 上",
    "graphs and activations need what the pool took": "图与激活需要被池占用的显存",
    "graphs and activations grow with them": "图与激活随之增长",
    # parts of a log's figures
    "cache": "缓存",
    "keys": "键",
    "values": "值",
    "keys of all cells": "全部单元的键",
    "values of all cells": "全部单元的值",
    "loading": "加载",
    "kv buffers": "KV 缓冲区",
    "rs buffers": "循环状态缓冲区",
    "compute buffers": "计算缓冲区",
    "{device}": "{device}",
    "{device}, {part}": "{device}，{part}",
    "{name}, {which}": "{name}，{which}",
    "{figure}: {reason}": "{figure}：{reason}",
    "tokens": "token",
    "cells": "单元",
    "pools": "池",
    "{cells} cells x {layers} layers x width": "{cells} 个单元 x {layers} 层 x 宽度",
    "free - {share} of free at start, in tokens": "空闲减去启动时空闲的 {share}，按 token 计",
    "{share} of total - peak + temporary pool": "（总量 - 峰值 + 临时池）的 {share}",
    "{tokens} tokens x {width} bytes": "{tokens} 个 token x {width} 字节",
    "whole blocks of {tokens} tokens": "每 {tokens} 个 token 的整块",
    "keys and values of all layers, {format}": "所有层的键与值，{format}",
    "fp8, as the checkpoint says": "fp8，按检查点所示",
    "the model's format": "模型自身的格式",
    "memory of a rank: {missing} is not known": "一个 rank 的显存：{missing} 未知",
    "the device's memory": "设备显存",
    "memory of a rank: the profiling line is not printed": (
        "一个 rank 的显存：日志未打印探测结果的那一行"
    ),
    "tokens: memory or width is not printed": "token：日志未打印显存或宽度",
    "tokens: the budget's figures or its rule are not known": "token：预算的数字或其规则未知",
    "tokens: what a draft or images reserve is not printed": (
        "token：日志未打印草稿模型或图像预留了多少"
    ),
    "tokens: they are limited, or the fraction is not the printed one": (
        "token：其数量受限，或所用比例并非日志打印的比例"
    ),
    "bytes per token: the model is not known": "每个 token 的字节数：模型未知",
    "bytes per token: which stage's they are is not printed": (
        "每个 token 的字节数：日志未打印它们属于哪个流水线阶段"
    ),
    "--model: the log names none": "“所服务的模型”：日志没有给出模型名",
    "--model: the log names {model}, which the catalogue does not have": (
        "“所服务的模型”：日志给出的是 {model}，目录中没有它"
    ),
    "--gpu: the log prints no total memory": "“日志所用的 GPU”：日志没有打印显存总量",
    "speculative_config: the layers of a {method} draft are unknown": (
        "speculative_config：{method} 草稿模型的层未知"
    ),
    "speculative_config names no method: the draft's share of the cache is not known": (
        "speculative_config 没有给出方法：草稿模型占用多少缓存未知"
    ),
    "vllm {version} expands latents, which is not modeled": (
        "vllm {version} 会展开潜变量，尚未建模"
    ),
    "non-torch": "torch 之外",
    "device memory x gpu_memory_utilization={share}": "设备显存 x gpu_memory_utilization={share}",
    "blocks of {tokens} tokens take {size} bytes on a rank": (
        "每 {tokens} 个 token 的块在一个 rank 上占 {size} 字节"
    ),
    "{groups} groups of layers share the blocks": "{groups} 组层共用这些块",
    "ranks outnumber the KV heads: each head is kept {copies} times": (
        "rank 多于 KV 头：每个头保存 {copies} 份"
    ),
    "full cache": "全量缓存",
    "window cache": "窗口缓存",
    "cache over devices": "各设备的缓存合计",
    "cells x layers x width": "单元数 x 层数 x 宽度",
    "memory on devices": "各设备的显存",
    "each size is rounded down before they are added": "各数值先向下取整再相加",
    "a buffer can be larger than what it holds": "缓冲区可能大于其内容",
    "cells: their number or the layers' is not printed": "单元：日志未打印其数量或层数",
    "cells: more than one model is loaded, or none is described": (
        "单元：加载了多个模型，或没有任何模型的描述"
    ),
    "cells: layers of different widths are in different caches": "单元：宽度不同的层位于不同的缓存",
    "keys and values": "键与值",
    "printed caches": "日志打印的各缓存",
    "projected by --fit": "由 --fit 预估",
    "printed cache": "日志打印的缓存",
    "rows padded for kernels": "为内核补齐的行",
    "printed size": "日志打印的大小",
    "tokens and one page, at the layers' width": "token 与一个页，按各层宽度",
    "predicted from what is free": "由空闲显存预测",
    "tokens from memory": "由显存得出的 token 数",
    "the rank with the least memory decides for all": "显存最少的 rank 决定全体",
    "memory after the pools": "各池之后的显存",
    "convolution states": "卷积状态",
    "recurrent states": "循环状态",
    "pools: the model is not known": "池：模型未知",
    "pools: which stage's they are is not printed": "池：日志未打印它们属于哪个流水线阶段",
    "cache pool": "缓存池",
    "pool of keys": "键池",
    "pool of values": "值池",
    "window pool of keys": "窗口层的键池",
    "full pool of keys": "全量层的键池",
    "both token pools": "两个 token 池",
    "set up before the load": "加载前的初始化",
    "loading the draft": "加载草稿模型",
    "printed tokens": "日志打印的 token 数",
    "free after the weights": "权重之后空闲",
    "free before": "之前空闲",
    "free after": "之后空闲",
    "free after the pools": "各池之后空闲",
    "table of requests": "请求表",
    "buffers' rounding": "缓冲区的取整",
    "tokens x layers x width": "token 数 x 层数 x 宽度",
    "requests x context length": "请求数 x 上下文长度",
    "allocator's rule": "分配器的规则",
    "memory of a rank": "一个 rank 的显存",
    "cache from tokens": "由 token 数得出的缓存",
    "tokens x width": "token 数 x 宽度",
    "memory / width": "显存 / 宽度",
    "bytes per token": "每个 token 的字节数",
    "weights, inside torch": "权重，torch 之内",
    "inference, inside torch": "推理，torch 之内",
    "peak of the profiling run": "探测运行的峰值",
    "printed width": "日志打印的宽度",
    "printed peak": "日志打印的峰值",
    "printed blocks": "日志打印的块数",
    "printed need": "日志打印的需求",
    "tokens and concurrency": "token 数与并发",
    "concurrency x longest length": "并发 x 最大长度",
    "CPU blocks from swap space": "由交换空间得出的 CPU 块数",
    "swap_space in whole blocks": "swap_space 折合的整块数",
    "whole blocks of swap_space": "swap_space 的整块数",
    "need of one request": "一个请求的需求",
    "blocks of the longest request": "最长请求的块",
    "blocks from memory": "由显存得出的块数",
    "whole blocks of the printed memory": "日志打印的显存折合的整块数",
    "blocks of the printed memory, in tokens": "日志打印的显存折合的块，按 token 计",
    "predicted from the printed memory": "由日志打印的显存预测",
    "tokens: the model is not known": "token：模型未知",
    "narrower groups are padded to the widest": "较窄的组补齐到最宽的组",
    "one block is the null block, which the printed figure counts": (
        "其中一块是空块，日志打印的数字包含它"
    ),
    "blocks are as large as a recurrent state's page": "块与循环状态的页一样大",
    "the estimate of the graphs is taken off before the cache; what they took is not": (
        "缓存之前扣除的是图的估计值，而不是它们的实际占用"
    ),
    "graphs are captured beside this share": "图在这一份额之外捕获",
    "memory of a rank: weights or cache are not printed": "一个 rank 的显存：日志未打印权重或缓存",
    "memory of a rank: activation peak is not printed": "一个 rank 的显存：日志未打印激活峰值",
    "activation peak and graphs": "激活峰值与图",
    "graphs, estimated": "图（估计）",
    "what the engine may use": "引擎可用的显存",
    "weights and non-torch": "权重与 torch 之外",
    "as printed": "如日志所示",
}
