"""Where the library's figures come from, in Simplified Chinese, by the English template."""

# ruff: noqa: RUF001 - Chinese has commas, colons and brackets of its own

SOURCES: dict[str, str] = {
    # sums
    "exact": "精确值",
    "difference of its parts": "各部分之差",
    "sum of its parts": "各部分之和",
    # weights and overheads
    "tensors on this device": "该设备上的张量",
    "total that torch was seen to report": "实测 torch 报告的总量",
    "total x gpu_memory_utilization={share}": "总量 × gpu_memory_utilization={share}",
    "parameters in {format}; {source}": "{format} 格式的参数；{source}",
    "no rotary tables": "没有旋转位置编码表",
    "{size} of rotary tables": "{size} 旋转位置编码表",
    "no data": "无数据",
    "stated by the user": "由用户给出",
    "driver's figure less what the driver reserves": "驱动报告的数值减去驱动保留的部分",
    "marketed size; no reading was found": "标称容量；未找到实测读数",
    "Linux: half of RAM by default (GTT), 96 of 128 GB as BIOS carve-out": (
        "Linux：默认为内存的一半（GTT），BIOS 预留时 128 GB 中的 96 GB"
    ),
    "macOS: 2/3 of RAM by default, 3/4 from 64 GB on; the limit is a setting": (
        "macOS：默认为内存的 2/3，64 GB 起为 3/4；上限可以设置"
    ),
    "enforce_eager: no graphs are captured": "enforce_eager：不捕获图",
    "this version does not subtract graphs": "该版本不扣除图",
    "4 rows": "4 行数据",
    "5 rows": "5 行数据",
    "a runtime's context; recalled": "运行时的上下文；凭记忆，未核对",
    "development builds of 0.6": "0.6 的开发版",
    "development builds of 0.6: 1.8 on one device, 3.6 on two": (
        "0.6 的开发版：单设备 1.8，双设备 3.6"
    ),
    "start-up logs of vLLM 0.6": "vLLM 0.6 的启动日志",
    "start-up logs of vLLM 0.6 to 0.11": "vLLM 0.6 至 0.11 的启动日志",
    "start-up logs of vLLM 0.7 to 0.11": "vLLM 0.7 至 0.11 的启动日志",
    "start-up logs of vLLM 0.12 to 0.20": "vLLM 0.12 至 0.20 的启动日志",
    "start-up logs of vLLM 0.21 and later": "vLLM 0.21 及更新版本的启动日志",
    "10 start-up logs of vLLM 0.6 to 0.11": "vLLM 0.6 至 0.11 的 10 份启动日志",
    "10 start-up logs of vLLM 0.6 to 0.11, leave-one-out residuals": (
        "vLLM 0.6 至 0.11 的 10 份启动日志，留一法残差"
    ),
    "9 logs of unquantised text-only models": "9 份未量化纯文本模型的日志",
    "start-up logs of SGLang: free at start and after loading, beside the weights": (
        "SGLang 的启动日志：启动时与加载后的空闲显存，扣除权重"
    ),
    "compute buffers of 21 start-up logs, largest per device: 16 MiB to 7.1 GiB, median 1.0": (
        "21 份启动日志的计算缓冲区，每设备最大者：16 MiB 至 7.1 GiB，中位数 1.0"
    ),
    "one start-up log: 68.69 GiB at 0.9 leave 1.6 GiB beside weights on an H100; no peak is "
    "printed": "一份启动日志：H100 上 0.9 对应 68.69 GiB，权重之外余 1.6 GiB；未打印峰值",
    "logits in bf16 and float32; two logs of 2026 show 1.1 and 1.2 copies": (
        "bf16 与 float32 的 logits；2026 年的两份日志显示为 1.1 与 1.2 份"
    ),
    "encoder dummy inputs in multimodal rows: 2.1, 2.7, 36.6 GiB": (
        "多模态行中编码器的虚拟输入：2.1、2.7、36.6 GiB"
    ),
    "multimodal rows; 36 GiB where the encoder is profiled at full size": (
        "多模态行；编码器按最大尺寸试运行时为 36 GiB"
    ),
    # step times
    "roofline of {device}, not calibrated: a lower bound": "{device} 的 roofline，未校准：为下界",
    "roofline of {device} at {shares}, as measured by the user": (
        "{device} 的 roofline，按用户实测的 {shares}"
    ),
    "rooflines of the devices, not calibrated: lower bounds": "各设备的 roofline，未校准：为下界",
    "rooflines of the devices at {shares}, as measured by the user": (
        "各设备的 roofline，按用户实测的 {shares}"
    ),
    # requests
    "{requests} generated requests, {rate}": "生成的 {requests} 个请求，{rate}",
    "{rate} per s": "每秒 {rate} 个",
    "at once": "同时到达",
    "{name}: {requests} generated requests, {process} arrivals": (
        "{name}：生成的 {requests} 个请求，到达过程 {process}"
    ),
    "{name}, {format} format": "{name}，{format} 格式",
    "{source}, {bad} bad lines left out": "{source}，略去 {bad} 行错误数据",
    # of the page itself
    "{source}, first {requests} requests": "{source}，前 {requests} 个请求",
    # lessons
    "Llama of 4 layers and 256 channels, float32, one CPU thread": (
        "4 层、256 通道的 Llama，float32，单个 CPU 线程"
    ),
    "Llama of 2 layers and 128 channels, trained to repeat what it read": (
        "2 层、128 通道的 Llama，训练为复述读到的内容"
    ),
    "Ainslie et al., GQA, arXiv 2305.13245, table 1; recalled": (
        "Ainslie 等，GQA，arXiv 2305.13245，表 1；凭记忆，未核对"
    ),
}
