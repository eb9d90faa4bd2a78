"""What the library refuses in a visitor's inputs and files, in Simplified Chinese, by template."""

# ruff: noqa: RUF001 - Chinese has commas, colons and brackets of its own

INPUT_SENTENCES: dict[str, str] = {
    # ranges
    "{name}={value} must be a whole number >= 1": "{name}={value} 必须是不小于 1 的整数",
    "{name}={value} must be a whole number >= 0": "{name}={value} 必须是不小于 0 的整数",
    "{name}={value} must be >= 0": "{name}={value} 不得为负",
    "{name}={value} must be > 0": "{name}={value} 必须大于 0",
    "{name}={value} must be in (0, 1]": "{name}={value} 必须大于 0 且不超过 1",
    "{name}={mean} must be >= 1": "{name}={mean} 不得小于 1",
    "{name}_std={std} must be >= 0": "{name}_std={std} 不得为负",
    "{field}={name} must be one of {known}": "{field}={name} 必须是以下之一：{known}",
    "concurrent_requests={concurrent_requests} must be >= 1": (
        "concurrent_requests={concurrent_requests} 不得小于 1"
    ),
    "gpu_memory_utilization={gpu_memory_utilization} must be in (0, 1]": (
        "gpu_memory_utilization={gpu_memory_utilization} 必须大于 0 且不超过 1"
    ),
    "mem_fraction_static={fraction} must be in (0, 1)": (
        "mem_fraction_static={fraction} 必须大于 0 且小于 1"
    ),
    "free_gpu_memory_fraction={free_gpu_memory_fraction} must be in (0, 1)": (
        "free_gpu_memory_fraction={free_gpu_memory_fraction} 必须大于 0 且小于 1"
    ),
    "swa_full_tokens_ratio={swa_full_tokens_ratio} must be in (0, 1]": (
        "swa_full_tokens_ratio={swa_full_tokens_ratio} 必须大于 0 且不超过 1"
    ),
    "mamba_full_memory_ratio and hicache_ratio must be above 0": (
        "mamba_full_memory_ratio 与 hicache_ratio 必须大于 0"
    ),
    "num_draft_layers={num_draft_layers} must be >= 0": (
        "num_draft_layers={num_draft_layers} 不得为负"
    ),
    "slo_share={slo_share} must be in (0, 1]": "slo_share={slo_share} 必须大于 0 且不超过 1",
    "kv_offloading_size={kv_offloading_size} must be > 0": (
        "kv_offloading_size={kv_offloading_size} 必须大于 0"
    ),
    "think_time_s={think_time_s} must be >= 0": "think_time_s={think_time_s} 不得为负",
    "rate_per_s={rate_per_s} must be > 0": "rate_per_s={rate_per_s} 必须大于 0",
    "rate_per_s={rate_per_s} must be > 0, and the requests come over time": (
        "rate_per_s={rate_per_s} 必须大于 0，且请求须随时间到达"
    ),
    "tensor_split={tensor_split} must hold shares >= 0": (
        "tensor_split={tensor_split} 中的份额不得为负"
    ),
    # settings that do not go together
    "max_num_batched_tokens={tokens} must be >= max_num_seqs={seqs}": (
        "max_num_batched_tokens={tokens} 不得小于 max_num_seqs={seqs}"
    ),
    "max_num_batched_tokens={tokens} must be >= max_model_len={max_model_len} without chunked "
    "prefill": (
        "不启用分块预填充时，max_num_batched_tokens={tokens} 不得小于 max_model_len={max_model_len}"
    ),
    "max_model_len={max_model_len} and auto_max_model_len exclude each other": (
        "max_model_len={max_model_len} 与 auto_max_model_len 不能同时使用"
    ),
    "max_model_len={asked} must be <= {longest}, which the engine's own flags allow": (
        "max_model_len={asked} 不得超过 {longest}，即引擎自身参数所允许的长度"
    ),
    "num_speculative_tokens={num_speculative_tokens} needs speculative_method": (
        "num_speculative_tokens={num_speculative_tokens} 需要同时给出 speculative_method"
    ),
    "free_memory={free_bytes} and other_processes={other_processes_bytes} say the same thing: "
    "give one of them": (
        "free_memory={free_bytes} 与 other_processes={other_processes_bytes} 表示同一件事："
        "请只给出其一"
    ),
    "free_memory={free_bytes} must be <= total memory, {high}": (
        "free_memory={free_bytes} 字节不得超过显存总量 {high} 字节"
    ),
    "other_processes={held} must be <= total memory, {high}": (
        "other_processes={held} 字节不得超过显存总量 {high} 字节"
    ),
    "other_accelerators={other_accelerators} must be fewer than the {num_ranks} ranks": (
        "other_accelerators={other_accelerators} 必须少于 {num_ranks} 个 rank"
    ),
    "decode_context_parallel_size={dcp} must divide tensor_parallel_size={tp}": (
        "decode_context_parallel_size={dcp} 必须能整除 tensor_parallel_size={tp}"
    ),
    "decode_context_parallel_size={decode_context_parallel_size} must be 1 with "
    "sliding_window={sliding_window}: vLLM refuses it": (
        "sliding_window={sliding_window} 时 decode_context_parallel_size="
        "{decode_context_parallel_size} 必须为 1：vLLM 拒绝其他取值"
    ),
    "pipeline_parallel_size={stages} must be <= {max_stages}": (
        "pipeline_parallel_size={stages} 不得超过 {max_stages}"
    ),
    "tensor_parallel_size={ranks} must be <= num_attention_heads={heads}: a rank would have no "
    "head": (
        "tensor_parallel_size={ranks} 不得超过 num_attention_heads={heads}：否则有 rank 分不到头"
    ),
    "tensor_parallel_size={tp} must divide the {num_groups} groups of {mechanism}, or there must "
    "be one": (
        "tensor_parallel_size={tp} 必须能整除 {mechanism} 的 {num_groups} 个组，或者只有一个组"
    ),
    "pipeline_parallel_size={stages} must be 1: the stages of {engine} are not known here": (
        "pipeline_parallel_size={stages} 必须为 1：{engine} 的流水线各级如何划分未知"
    ),
    "dp_size={dp_size} must divide tensor_parallel_size={tensor_parallel_size}": (
        "dp_size={dp_size} 必须能整除 tensor_parallel_size={tensor_parallel_size}"
    ),
    "block_size={asked} must {rule} {kernel_block} for {name}": (
        "使用 {name} 时 block_size={asked} 必须{rule} {kernel_block}"
    ),
    "be": "等于",
    "be a multiple of": "为以下数的倍数：",
    "parallel={slots} must be <= {max_slots}": "parallel={slots} 不得超过 {max_slots}",
    "num_kv_heads={kv_heads} must divide num_attention_heads={heads}": (
        "num_kv_heads={kv_heads} 必须能整除 num_attention_heads={heads}"
    ),
    # versions
    "engine_version={text} must look like {newest_vllm}": (
        "engine_version={text} 的写法应如 {newest_vllm}"
    ),
    "engine_version={engine_version} must be {newest_llama_cpp} or the date of the build as "
    "2025-05 or 2025-05-09": (
        "engine_version={engine_version} 必须是 {newest_llama_cpp}，"
        "或构建日期，如 2025-05 或 2025-05-09"
    ),
    "mla={mla} must be 0 to 3, and is a flag of {ik} alone": (
        "mla={mla} 必须为 0 到 3，且只有 {ik} 有这一参数"
    ),
    "engine_version={engine_version}: before 0.30 two engines laid windows and states out in two "
    "ways, and which one ran this model is not known": (
        "engine_version={engine_version}：0.30 之前有两个引擎，窗口与状态的布局各不相同，"
        "不知道该模型由哪一个运行"
    ),
    "engine_version={engine_version}: its rule for two pools was not read": (
        "engine_version={engine_version}：该版本的双池规则未知"
    ),
    "engine_version={engine_version}: its native offload is not known here; the rules were read "
    "in 0.29 and 0.32": (
        "engine_version={engine_version}：其内置卸载规则未知；已知的是 0.29 与 0.32 的规则"
    ),
    "engine_version={engine_version} stops at groups without prefix caching": (
        "engine_version={engine_version} 遇到没有前缀缓存的组即停止"
    ),
    # formats
    "kv_cache_dtype={name} is for heads, not for {kind}": (
        "kv_cache_dtype={name} 适用于注意力头，不适用于 {kind}"
    ),
    "kv_cache_dtype={name} is no format of {engine}": (
        "{engine} 没有 kv_cache_dtype={name} 这一格式"
    ),
    "kv_cache_dtype={name} is no cache format of sglang: {known}": (
        "sglang 没有 kv_cache_dtype={name} 这一缓存格式，可用的有：{known}"
    ),
    "kv_cache_dtype={name} is no cache format of tensorrt-llm: {known}": (
        "tensorrt-llm 没有 kv_cache_dtype={name} 这一缓存格式，可用的有：{known}"
    ),
    "kv_cache_dtype=fp4_e2m1 in sglang is known for latent attention only": (
        "sglang 中 kv_cache_dtype=fp4_e2m1 的规则仅对潜变量注意力已知"
    ),
    "kv_cache_dtype=nvfp4 has no backend in vllm on {device}: it needs Blackwell": (
        "vllm 在 {device} 上没有支持 kv_cache_dtype=nvfp4 的后端：它需要 Blackwell"
    ),
    "sparse latent attention has no backend in vllm on {device}: it needs sm90 or sm100": (
        "vllm 在 {device} 上没有支持稀疏潜变量注意力的后端：它需要 sm90 或 sm100"
    ),
    "sparse latent attention of {width} elements: its fp8 layout is not known": (
        "{width} 个元素的稀疏潜变量注意力：其 fp8 布局未知"
    ),
    "cache_type_v={cache_type_v} needs flash attention": (
        "cache_type_v={cache_type_v} 需要 flash attention"
    ),
    "cache_type_k={cache_type_k} and cache_type_v={cache_type_v} must be the same where a latent "
    "is cached": "缓存潜变量时 cache_type_k={cache_type_k} 与 cache_type_v={cache_type_v} 必须相同",
    "{field}={name}: {group_elems} must divide a head of {dim}": (
        "{field}={name}：{group_elems} 必须能整除宽度为 {dim} 的头"
    ),
    "{field}={name}: groups of {group_elems} do not divide {elems} values": (
        "{field}={name}：每组 {group_elems} 个，无法整除 {elems} 个值"
    ),
    # what is not known, or not built
    "{name}: {why}": "{name}：{why}",
    "llama.cpp: {why}": "llama.cpp：{why}",
    "this family is not known there": "该模型系列在其中未知",
    "its n-gram history is described by a GGUF file alone: give the .gguf": (
        "其 n-gram 历史只写在 GGUF 文件中：请提供 .gguf"
    ),
    "its converter does not know {name}": "其转换程序不认识 {name}",
    "whether it gives {family} layers a window is not known": (
        "不知道它是否为 {family} 的层设置窗口"
    ),
    "max_window_layers leaves a window to {windows} of {layers} layers: vllm stops": (
        "max_window_layers 只让 {layers} 层中的 {windows} 层有窗口：vllm 停止"
    ),
    "{kind}: its bytes in llama.cpp are not known": "{kind}：它在 llama.cpp 中的字节数未知",
    "{unknown}: its bytes in llama.cpp are not known": "{unknown}：它在 llama.cpp 中的字节数未知",
    "cross attention: its bytes in llama.cpp are not known": (
        "交叉注意力：它在 llama.cpp 中的字节数未知"
    ),
    "llama.cpp has one window for all layers, {name} has {windows}": (
        "llama.cpp 各层只能用同一个窗口，而 {name} 有 {windows}"
    ),
    "{mechanism}: vllm has no class for such states": "{mechanism}：vllm 没有处理这种状态的类",
    "speculative_method={method}: {name} states no num_nextn_predict_layers": (
        "speculative_method={method}：{name} 没有给出 num_nextn_predict_layers"
    ),
    "gpu={name}: its operations or bytes per second are not known": (
        "gpu={name}：其算力或带宽未知"
    ),
    "step_time_s must be given: the speeds of gpu={name} are not known": (
        "必须给出 step_time_s：gpu={name} 的速度未知"
    ),
    "step_time_s must be given: the weights are unknown ({why})": (
        "必须给出 step_time_s：权重未知（{why}）"
    ),
    "weights_bytes must be given: {why}": "必须给出 weights_bytes：{why}",
    "the weights are unknown: {why}": "权重未知：{why}",
    "weights are unknown, so operations are too: {why}": "权重未知，运算量也就未知：{why}",
    "no weights are described": "没有权重的描述",
    "a GGUF file's metadata hold no parameters by role": "GGUF 文件的元数据没有按用途列出参数",
    "ctx_size must be given: {name} states no context length": (
        "必须给出 ctx_size：{name} 没有说明上下文长度"
    ),
    "chunked_prefill_size must be given: the window pool is sized by it": (
        "必须给出 chunked_prefill_size：窗口池的大小由它决定"
    ),
    "host_memory must be given: what the machine has is not known": (
        "必须给出 host_memory：这台机器有多少主机内存未知"
    ),
    "mem_fraction_static must be given: what the driver states for {name} is not known": (
        "必须给出 mem_fraction_static：驱动对 {name} 报告的显存未知"
    ),
    "mem_fraction_static must be given: how many prefill graphs are captured for "
    "chunked_prefill_size={chunk} is not known": (
        "必须给出 mem_fraction_static：chunked_prefill_size={chunk} 时捕获多少预填充图未知"
    ),
    "num_batch must be given: without flash attention it depends on the GPU's maker": (
        "必须给出 num_batch：不用 flash attention 时它取决于 GPU 厂商"
    ),
    "kv_offloading_size of {size_bytes} bytes must hold a chunk of {chunk_bytes}": (
        "kv_offloading_size 为 {size_bytes} 字节，必须能放下一个 {chunk_bytes} 字节的分块"
    ),
    "kv_offloading_size: vLLM takes no encoder-decoder model with a connector": (
        "kv_offloading_size：vLLM 的连接器不支持编码器-解码器模型"
    ),
    "kv_offloading_size: blocks of {size} tokens must be multiples of the hash's {hashing}: vLLM "
    "stops (enable_prefix_caching must be on)": (
        "kv_offloading_size：{size} 个 token 的块必须是哈希单位 {hashing} 的倍数：vLLM 停止"
        "（须启用 enable_prefix_caching）"
    ),
}
