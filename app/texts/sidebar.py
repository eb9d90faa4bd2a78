"""Texts of the sidebar, the navigation, links and errors."""

# long: a table of texts

# ruff: noqa: RUF001 - Chinese has commas, colons and brackets of its own

TEXTS: dict[str, tuple[str, str]] = {
    # sidebar
    "tagline": (
        "How much memory a model's KV cache takes, before you rent a GPU",
        "租用 GPU 之前，先算清 KV 缓存要占多少显存",
    ),
    "start_from": ("Start from", "从这里开始"),
    "preset_chat": ("Chatbot 8K", "聊天 8K"),
    "preset_rag": ("RAG 32K", "检索增强 32K"),
    "preset_agent": ("Agent 128K", "智能体 128K"),
    "preset_document": ("Long document 1M", "长文档 1M"),
    "reset": ("Reset", "重置"),
    "engine_decides": ("the engine decides", "由引擎决定"),
    "estimated": ("estimated", "估算"),
    "not_stated": ("not stated", "未填"),
    "label_model": ("Model", "模型"),
    "help_model": (
        "Type to search. `custom` takes your own config.json or GGUF file, `hub` an id of the "
        "Hugging Face hub.",
        "可输入文字搜索。选 `custom` 可使用你自己的 config.json 或 GGUF 文件，"
        "选 `hub` 可使用 Hugging Face 上的模型 id。",
    ),
    "label_config": ("Paste a config.json", "粘贴 config.json"),
    "help_config": (
        "The config.json of a Hugging Face model, at most 1 MB. It stays on this server's memory "
        "for this visit only.",
        "Hugging Face 模型的 config.json，不超过 1 MB。内容只在本次访问期间保存在服务器内存中。",
    ),
    "label_upload": ("or upload it", "或上传文件"),
    "label_gguf": ("or the start of a GGUF file", "或上传 GGUF 文件的开头"),
    "help_gguf": (
        "Its header says what is cached and what the weights take; the rest isn't read. At most "
        "{limit} MB.",
        "文件头已说明缓存内容与权重大小，其余部分不会读取。不超过 {limit} MB。",
    ),
    "gguf_cut": (
        "A GGUF file above {limit} MB: cut its header out first, and upload that.",
        "超过 {limit} MB 的 GGUF 文件：请先截取文件头，再上传。",
    ),
    "config_not_in_link": (
        "What you paste or upload is not part of the link.",
        "粘贴或上传的内容不会写入链接。",
    ),
    "label_hub_id": ("Id on the hub", "模型 id"),
    "help_hub_id": (
        "owner/name, as in the address of the model's page.",
        "owner/name，与模型页面地址中的写法一致。",
    ),
    "hub_fetch": ("Fetch its config", "获取 config"),
    "hub_asking": ("asking the hub", "正在查询"),
    "hub_about": (
        "Only this button asks the hub: for config.json and the headers of the weights, without a "
        "token. Gated and private models: paste their config.json.",
        "只有点击此按钮才会查询：仅获取 config.json 与权重文件头，不使用令牌。"
        "需授权或私有的模型请粘贴其 config.json。",
    ),
    "hub_has": ("Fetched: {name}", "已获取：{name}"),
    "hub_offline": (
        "This server was set to ask no hub. Paste the model's config.json with `custom`.",
        "此服务器已设为离线。请选 `custom` 并粘贴模型的 config.json。",
    ),
    "ask_hub_first": (
        "Enter an id in the sidebar and press the button to see what the model needs.",
        "请在侧栏输入模型 id 并点击按钮，即可查看所需显存。",
    ),
    "about_published": (
        "{name}: {parameters} B parameters, released {released}; values read from a published "
        "config",
        "{name}：{parameters} B 参数，发布于 {released}；数值取自公开的 config",
    ),
    "about_recalled": (
        "{name}: {parameters} B parameters, released {released}; values recalled, to be confirmed",
        "{name}：{parameters} B 参数，发布于 {released}；数值凭记忆写入，有待核实",
    ),
    "label_engine": ("Engine", "引擎"),
    "help_engine": (
        "Whose rules and settings page Plan and page Compare use.",
        "“规划”与“对比”页采用哪个引擎的规则与设置。",
    ),
    "unused_inputs": (
        "Set for another engine, and not used by {engine}: {values}",
        "为其他引擎设置、{engine} 不使用的值：{values}",
    ),
    "page_is_vllms": (
        "This page is about vLLM. Your choice of {engine} counts on pages Plan and Compare.",
        "本页针对 vLLM。你选择的 {engine} 只用于“规划”与“对比”页。",
    ),
    "label_enable_expert_parallel": ("Expert parallel", "专家并行"),
    "help_enable_expert_parallel": (
        "`--enable-expert-parallel`: whole experts on each GPU in place of parts of all.",
        "`--enable-expert-parallel`：每个 GPU 保存完整的部分专家，而不是所有专家的一部分。",
    ),
    "label_mem_fraction_static": ("mem_fraction_static", "mem_fraction_static"),
    "help_mem_fraction_static": (
        "`--mem-fraction-static`: fraction of the memory free at start for weights and cache.",
        "`--mem-fraction-static`：启动时空闲显存中用于权重与缓存的比例。",
    ),
    "label_chunked_prefill_size": ("chunked_prefill_size", "chunked_prefill_size"),
    "help_chunked_prefill_size": (
        "`--chunked-prefill-size`: most tokens of a prefill chunk.",
        "`--chunked-prefill-size`：单个预填充分块的最大 token 数。",
    ),
    "label_max_running_requests": ("max_running_requests", "max_running_requests"),
    "help_max_running_requests": (
        "`--max-running-requests`: most requests that run at once.",
        "`--max-running-requests`：同时运行的最大请求数。",
    ),
    "label_page_size": ("page_size", "page_size"),
    "help_page_size": (
        "`--page-size`: tokens per page of the pool.",
        "`--page-size`：缓存池每页的 token 数。",
    ),
    "label_free_gpu_memory_fraction": ("free_gpu_memory_fraction", "free_gpu_memory_fraction"),
    "help_free_gpu_memory_fraction": (
        "`--kv_cache_free_gpu_memory_fraction`: of what weights and activations leave.",
        "`--kv_cache_free_gpu_memory_fraction`：权重与激活之外的显存中用于缓存的比例。",
    ),
    "label_max_batch_size": ("max_batch_size", "max_batch_size"),
    "help_max_batch_size": (
        "`--max_batch_size`: most requests in one step.",
        "`--max_batch_size`：单步最多处理的请求数。",
    ),
    "label_max_num_tokens": ("max_num_tokens", "max_num_tokens"),
    "help_max_num_tokens": (
        "`--max_num_tokens`: most tokens in one step.",
        "`--max_num_tokens`：单步最多处理的 token 数。",
    ),
    "label_tokens_per_block": ("tokens_per_block", "tokens_per_block"),
    "help_tokens_per_block": ("Tokens per KV block.", "每个 KV 块的 token 数。"),
    "label_cache_type_k": ("cache_type_k", "cache_type_k"),
    "help_cache_type_k": (
        "`--cache-type-k`: storage format of keys.",
        "`--cache-type-k`：K 的存储格式。",
    ),
    "label_cache_type_v": ("cache_type_v", "cache_type_v"),
    "help_cache_type_v": (
        "`--cache-type-v`: storage format of values.",
        "`--cache-type-v`：V 的存储格式。",
    ),
    "label_gpu_layers": ("gpu_layers", "gpu_layers"),
    "help_gpu_layers": (
        "`--gpu-layers`: layers on GPUs, counted from the last; empty: all.",
        "`--gpu-layers`：放在 GPU 上的层数，从最后一层数起；留空：全部。",
    ),
    "label_n_cpu_moe": ("n_cpu_moe", "n_cpu_moe"),
    "help_n_cpu_moe": (
        "`--n-cpu-moe`: first layers whose experts stay in host memory.",
        "`--n-cpu-moe`：专家留在主机内存中的前若干层。",
    ),
    "label_ubatch_size": ("ubatch_size", "ubatch_size"),
    "help_ubatch_size": (
        "`--ubatch-size`: most tokens computed at once; it widens window caches.",
        "`--ubatch-size`：一次计算的最大 token 数；会使窗口缓存变大。",
    ),
    "label_swa_full": ("swa_full", "swa_full"),
    "help_swa_full": (
        "`--swa-full`: window layers keep the whole context.",
        "`--swa-full`：窗口层保存整个上下文。",
    ),
    "label_kv_cache_type": ("OLLAMA_KV_CACHE_TYPE", "OLLAMA_KV_CACHE_TYPE"),
    "help_kv_cache_type": ("Storage format of the cache.", "缓存的存储格式。"),
    "label_num_gpu": ("num_gpu", "num_gpu"),
    "help_num_gpu": (
        "Layers on GPUs; empty: as many as fit.",
        "放在 GPU 上的层数；留空：尽可能多。",
    ),
    "label_gpu": ("GPU", "GPU"),
    "help_gpu": ("Type to search.", "可输入文字搜索。"),
    "label_tensor_parallel_size": ("GPUs (tensor parallel)", "GPU 数量（张量并行）"),
    "help_tensor_parallel_size": (
        "`--tensor-parallel-size`: GPUs that split every layer. The figures are per GPU.",
        "`--tensor-parallel-size`：共同切分每一层的 GPU 数量。所有数字均为单个 GPU。",
    ),
    "label_max_model_len": ("Context, tokens", "上下文长度（token）"),
    "help_max_model_len": (
        "`--max-model-len`: longest prompt plus answer.",
        "`--max-model-len`：提示与回答合计的最大长度。",
    ),
    "label_concurrent_requests": ("Requests at once", "并发请求数"),
    "help_concurrent_requests": (
        "Requests of the full context that must fit at the same time.",
        "必须同时容纳的满上下文请求数量。",
    ),
    "label_quantization": ("Weights", "权重量化"),
    "help_quantization": (
        "`--quantization`; auto: as the checkpoint stores them.",
        "`--quantization`；auto：与检查点一致。",
    ),
    "label_kv_cache_dtype": ("KV cache", "KV 缓存格式"),
    "help_kv_cache_dtype": (
        "`--kv-cache-dtype`: storage format of the cache; auto: the model's.",
        "`--kv-cache-dtype`：缓存的存储格式；auto：与模型一致。",
    ),
    "label_gpu_memory_utilization": ("Share of GPU memory", "显存使用比例"),
    "help_gpu_memory_utilization": (
        "`--gpu-memory-utilization`: fraction of a GPU's memory that the engine may use.",
        "`--gpu-memory-utilization`：引擎可使用的显存比例。",
    ),
    "advanced": ("Engine settings", "引擎设置"),
    "advanced_about": (
        "Empty: what {engine} itself would choose on this GPU.",
        "留空：采用 {engine} 在该 GPU 上的默认值。",
    ),
    "label_block_size": ("Block size, tokens", "块大小（token）"),
    "help_block_size": (
        "`--block-size`: tokens per KV block.",
        "`--block-size`：每个 KV 块的 token 数。",
    ),
    "label_max_num_seqs": ("max_num_seqs", "max_num_seqs"),
    "help_max_num_seqs": (
        "`--max-num-seqs`: most requests in one step.",
        "`--max-num-seqs`：单步最多处理的请求数。",
    ),
    "label_max_num_batched_tokens": ("max_num_batched_tokens", "max_num_batched_tokens"),
    "help_max_num_batched_tokens": (
        "`--max-num-batched-tokens`: most tokens in one step.",
        "`--max-num-batched-tokens`：单步最多处理的 token 数。",
    ),
    "label_enforce_eager": ("enforce_eager", "enforce_eager"),
    "help_enforce_eager": (
        "`--enforce-eager`: run without CUDA graphs.",
        "`--enforce-eager`：不使用 CUDA graph。",
    ),
    "label_engine_version": ("vLLM version", "vLLM 版本"),
    "help_engine_version": ("The version whose rules apply.", "采用哪个版本的规则。"),
    "label_pipeline_parallel_size": ("Pipeline stages", "流水线级数"),
    "help_pipeline_parallel_size": (
        "`--pipeline-parallel-size`: groups of GPUs that hold some of the layers each.",
        "`--pipeline-parallel-size`：每组 GPU 只保存一部分层。",
    ),
    "label_data_parallel_size": ("Replicas (data parallel)", "副本数（数据并行）"),
    "help_data_parallel_size": (
        "`--data-parallel-size`: copies that share the requests. The figures, requests at once "
        "among them, are those of one copy.",
        "`--data-parallel-size`：分担请求的副本数。所有数字（包括并发请求数）均为单个副本。",
    ),
    "label_decode_context_parallel_size": ("Decode context ranks", "解码上下文并行"),
    "help_decode_context_parallel_size": (
        "`--decode-context-parallel-size`: tensor-parallel GPUs that split the tokens of the "
        "cache, where they would hold copies of it otherwise.",
        "`--decode-context-parallel-size`：张量并行的 GPU 按 token 分摊缓存，"
        "而不是各自保存一份副本。",
    ),
    "label_usage_context": ("Used as", "使用方式"),
    "help_usage_context": (
        "vLLM's default limits differ: `OPENAI_API_SERVER` is `vllm serve`, `LLM_CLASS` is the "
        "Python class.",
        "vLLM 的默认上限因此而不同：`OPENAI_API_SERVER` 即 `vllm serve`，"
        "`LLM_CLASS` 即 Python 类。",
    ),
    "machine": ("This machine", "这台机器"),
    "machine_about": (
        "For a GPU that is not empty, or shares the machine's RAM. GiB per GPU; give free memory "
        "or other processes, not both.",
        "适用于显存已被占用、或与主机共享内存的 GPU，单位为每个 GPU 的 GiB。"
        "空闲显存与其他进程只填一项。",
    ),
    "label_free_memory_gib": ("Free memory, GiB", "空闲显存（GiB）"),
    "help_free_memory_gib": (
        "Free on each GPU before the engine starts, as nvidia-smi shows.",
        "引擎启动前每个 GPU 的空闲显存，见 nvidia-smi。",
    ),
    "label_other_processes_gib": ("Other processes, GiB", "其他进程（GiB）"),
    "help_other_processes_gib": (
        "What others hold on each GPU.",
        "其他进程在每个 GPU 上占用的显存。",
    ),
    "label_host_memory_gib": ("Host memory, GiB", "主机内存（GiB）"),
    "help_host_memory_gib": (
        "The machine's RAM; it bounds GPUs that share it.",
        "主机内存；对与之共享内存的 GPU 构成上限。",
    ),
    "measured": ("My own measurements", "我的实测值"),
    "measured_about": (
        "From your engine's start-up log, in GiB per GPU; they replace the estimates.",
        "取自引擎启动日志，单位为每个 GPU 的 GiB；填写后取代估算值。",
    ),
    "label_weights_gib": ("Weights, GiB", "权重（GiB）"),
    "help_weights_gib": (
        'The log\'s "Model loading took ... GiB".',
        '日志中的 "Model loading took ... GiB"。',
    ),
    "label_activation_peak_gib": ("Activation peak, GiB", "激活峰值（GiB）"),
    "help_activation_peak_gib": (
        "The log's peak activation memory.",
        "日志中的激活内存峰值。",
    ),
    "label_non_torch_gib": ("Outside torch, GiB", "torch 之外（GiB）"),
    "help_non_torch_gib": (
        "The log's non-torch forward memory: driver context and NCCL.",
        "日志中的 non-torch 内存：驱动上下文与 NCCL。",
    ),
    "label_cuda_graph_gib": ("CUDA graphs, GiB", "CUDA graph（GiB）"),
    "help_cuda_graph_gib": (
        "The log's graph capturing memory.",
        "日志中捕获 CUDA graph 所用的内存。",
    ),
    # link and errors
    "page_plan": ("Plan", "规划"),
    "page_engines": ("Engines", "引擎对比"),
    "page_compare": ("Compare", "方案对比"),
    "page_simulate": ("Simulate", "模拟"),
    "page_frontier": ("Frontier", "取舍"),
    "page_learn": ("Learn", "学习"),
    "page_log": ("Check my log", "查日志"),
    "link_ignored": (
        "Link values ignored: {values}. Defaults are used in their place.",
        "链接中的以下值无法采用：{values}。已改用默认值。",
    ),
    "library_original": ("{words}", "英文原文：{words}"),
    "cannot_compute": ("**Cannot compute.** {reason}", "**无法计算。** {reason}"),
    "paste_first": (
        "Paste or upload a config.json, or a GGUF file's start, in the sidebar to see what it "
        "needs.",
        "请在侧栏粘贴或上传 config.json 或 GGUF 文件的开头，即可查看所需显存。",
    ),
}
