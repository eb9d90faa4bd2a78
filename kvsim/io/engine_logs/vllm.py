"""vLLM's start-up logs, v0 and v1, on any platform."""

import re
from collections.abc import Mapping

from kvsim.io.engine_logs.launch_lines import Launch, find_launch, typed
from kvsim.io.engine_logs.literals import Raw, has_end, pairs
from kvsim.io.engine_logs.rules import OUT_OF_MEMORY, Findings, Value, not_understood, single
from kvsim.io.engine_logs.text import Line, continued
from kvsim.io.engine_logs.torch_memory import OOM_RULES
from kvsim.io.engine_logs.vllm_lines import INSTEAD, RULES
from kvsim.specs.engine_log import EngineLog, LogEngine, Outcome, Setting

CONFIG_NAMES = {
    "max_seq_len": "max_model_len",
    "chunked_prefill_enabled": "enable_chunked_prefill",
    "dtype": "dtype",
    "tensor_parallel_size": "tensor_parallel_size",
    "pipeline_parallel_size": "pipeline_parallel_size",
    "data_parallel_size": "data_parallel_size",
    "quantization": "quantization",
    "enforce_eager": "enforce_eager",
    "kv_cache_dtype": "kv_cache_dtype",
    "enable_prefix_caching": "enable_prefix_caching",
    "enable_chunked_prefill": "enable_chunked_prefill",
}
"""Names in the engine's own line -> flags."""

FLAGS = {
    *CONFIG_NAMES.values(),
    *("gpu_memory_utilization", "max_num_seqs", "block_size", "max_num_batched_tokens"),
    *("swap_space", "cpu_offload_gb", "kv_cache_memory_bytes", "num_gpu_blocks_override"),
    *("decode_context_parallel_size", "enable_expert_parallel", "speculative_config"),
    *("async_scheduling", "disable_hybrid_kv_cache_manager", "performance_mode"),
    *("mamba_cache_dtype", "mamba_ssm_cache_dtype", "mamba_cache_mode", "language_model_only"),
    *("kv_offloading_size", "enable_lora", "max_loras", "max_lora_rank", "limit_mm_per_prompt"),
    *("num_speculative_tokens", "speculative_model"),
}
"""Flags that decide memory, and are read."""

SHORT = {
    "tp": "tensor_parallel_size",
    "pp": "pipeline_parallel_size",
    "dp": "data_parallel_size",
    "dcp": "decode_context_parallel_size",
    "q": "quantization",
    "tensor_parallel": "tensor_parallel_size",
    "kv_cache_memory": "kv_cache_memory_bytes",
}
PROGRAM = re.compile(
    r"(?:\bvllm serve\s|vllm\.entrypoints\.(?:openai\.)?api_server\s|vllm-openai:\S+\s)"
)
NO_PROGRAM = re.compile(r"entrypoints/|relaunch vLLM|start vLLM with|Usage:|usage:|\.py:\d+:")
IGNORED = re.compile(
    r"Checkpoint size|checkpoint|CUDA graphs can take|Prefetch|Downloading|throughput|"
    r"gpu-memory-utilization to|torch_compile_cache|Route:|memory leak|\.safetensors"
)
_VERSIONS = (
    re.compile(r"LLM engine \(v(\d[\w.+-]*)\)"),
    re.compile(r"vLLM API server version v?(\d[\w.+-]*)"),
    re.compile(r"[█▀▄]\s+version\s+v?(\d[\w.+-]*)"),
    re.compile(r"(?i)\bvllm\b[^.\n]{0,30}\bversion[^\d\n]{0,12}(\d+\.\d[\w.+-]*)"),
    re.compile(r"\bvllm-openai:v(\d+\.\d[\w.+-]*)|\bvllm==(\d+\.\d[\w.+-]*)"),
)
_MODEL = re.compile(r"Starting to load model (\S{1,300}?)\.\.\.")
_FAILED = (
    "EngineCore failed to start",
    "Engine core initialization failed",
    "Engine process failed",
)
_STARTED = ("Application startup complete", "Uvicorn running on", "init engine (profile")


def read_vllm(lines: list[Line]) -> EngineLog:
    """Everything that a vLLM log says of one start."""
    findings = Findings()
    for line in lines:
        findings.read(RULES, line)
        findings.read(OOM_RULES, line)
    _complete(findings)
    requested, config = _arguments(lines, findings)
    settings, differs = _merge(requested, config)
    _resolved(lines, settings, findings)
    measured = {name: _over_ranks(findings.distinct(name)) for name in findings.values}
    return EngineLog(
        engine=LogEngine.VLLM,
        version=_version(lines),
        model=_model(lines, requested, config),
        gpu=_gpu(lines),
        settings=settings,
        engine_config_differs=differs,
        measured={k: v for k, v in measured.items() if v is not None},
        outcome=_outcome(lines, findings),
        lines=findings.lines,
        not_understood=tuple(not_understood(lines, findings, IGNORED)),
    )


def _complete(findings: Findings) -> None:
    """Take figures from other lines where the usual one is missing, else leave those aside."""
    for name, others in INSTEAD.items():
        for other in others:
            if name not in findings.values and other in findings.values:
                findings.values[name] = list(findings.values[other])
                findings.lines[name] = findings.lines[other]
        findings.drop(other for other in others if other != "actual_usage_first_gib")


def _over_ranks(values: list[Value]) -> Value | None:
    """The distinct values over ranks, smallest first."""
    if all(isinstance(v, int | float) for v in values):
        values = sorted(values)
    return single(values)


def _arguments(
    lines: list[Line], findings: Findings
) -> tuple[dict[str, object], dict[str, object]]:
    """What was asked for, and what the engine's own line says; each as printed."""
    requested: dict[str, object] = {}
    config: dict[str, object] = {}
    for i, line in enumerate(lines):
        text = line.text
        if "non-default args: {" in text:
            requested = _printed(lines, i, "non-default args: {", is_closed=True)
        elif "args: Namespace(" in text:
            requested = _printed(lines, i, "args: Namespace(", is_closed=True)
        elif "LLM engine (v" in text and "with config: " in text:
            config = _printed(lines, i, "with config: ", is_closed=False)
        else:
            continue
        findings.understood.add(line.number)
        for name in (*requested, *config):
            findings.lines.setdefault(CONFIG_NAMES.get(name, name), line.number)
    if not requested:
        launch = find_launch(lines, PROGRAM, NO_PROGRAM)
        if launch is not None:
            requested = from_launch(launch)
            for name in requested:
                findings.lines[name] = launch.line
    return requested, config


def _printed(lines: list[Line], i: int, mark: str, *, is_closed: bool) -> dict[str, object]:
    """The pairs that follow a mark, over the line breaks of whoever pasted them."""
    text = lines[i].text.split(mark, 1)[1]
    if is_closed and not has_end(text):
        for more in continued(lines, i, 100):
            text += more
            if has_end(text):
                break
    return dict(pairs(text, is_closed=is_closed))


def from_launch(launch: Launch) -> dict[str, object]:
    """A launch line's flags under their long names, as values."""
    flags = {SHORT.get(name, name): typed(value) for name, value in launch.flags.items()}
    words = [word for word in launch.arguments if word != "serve"]
    if "model" not in flags and words:
        flags["model"] = words[0]
    return flags


def _merge(
    requested: Mapping[str, object], config: Mapping[str, object]
) -> tuple[dict[str, Setting], dict[str, Setting]]:
    """Settings as requested, else as the engine resolved them; and where the two differ."""
    settings: dict[str, Setting] = {}
    differs: dict[str, Setting] = {}
    for name, value in requested.items():
        plain = _plain(value)
        if name in FLAGS and plain is not None:
            settings[name] = plain
    for printed, name in CONFIG_NAMES.items():
        resolved = _plain(config.get(printed))
        if resolved is None:
            continue
        if name not in settings:
            settings[name] = resolved
        elif settings[name] != resolved:
            differs[name] = resolved
    return settings, differs


def _plain(value: object) -> Setting | None:
    """A value without Python's wrapping; None for one that was not given."""
    if isinstance(value, Raw):
        return value.text or None
    if isinstance(value, tuple):
        return list(value)
    return value if isinstance(value, int | float | str | bool | list | dict) else None


_BATCHED = re.compile(r"Chunked prefill is enabled with max_num_batched_tokens=(\d+)")
_WANTED = re.compile(
    r"(?:Desired|desired) GPU memory utilization (?:is )?\((0?\.\d+|1(?:\.0)?)[,)]"
    r"|gpu_memory_utilization[ =]\(?(0\.\d+|1\.0+)\)? ?="
)


def _resolved(lines: list[Line], settings: dict[str, Setting], findings: Findings) -> None:
    """Settings that other lines show, where nobody asked for them."""
    for line in lines:
        for name, pattern, convert in (
            ("max_num_batched_tokens", _BATCHED, int),
            ("gpu_memory_utilization", _WANTED, float),
        ):
            if name in settings or name.split("_")[-1] not in line.text:
                continue
            if match := pattern.search(line.text):
                settings[name] = convert(next(g for g in match.groups() if g))
                findings.lines.setdefault(name, line.number)
                findings.understood.add(line.number)


def _version(lines: list[Line]) -> str | None:
    for pattern in _VERSIONS:
        for line in lines:
            if "ersion" in line.text or "LLM engine (" in line.text or "vllm" in line.text:
                match = pattern.search(line.text[:2000])
                if match:
                    return next(g for g in match.groups() if g).rstrip(".-+")
    return None


def _model(
    lines: list[Line], requested: Mapping[str, object], config: Mapping[str, object]
) -> str | None:
    for source in (requested, config):
        for name in ("model", "model_tag"):
            if isinstance(value := source.get(name), str):
                return value
    for line in lines:
        if match := _MODEL.search(line.text[:2000]):
            return match[1]
    return None


_GPU = re.compile(
    r"device_name=([\w-]{3,60})|\b(NVIDIA (?:GeForce )?[A-Z]{1,3}X? ?\w[\w -]{1,30}?)(?=[,.;)]|$)"
)


def _gpu(lines: list[Line]) -> str | None:
    for line in lines:
        if "NVIDIA" in line.text or "device_name=" in line.text:
            match = _GPU.search(line.text[:2000])
            if match:
                return match[1] or match[2]
    return None


def _outcome(lines: list[Line], findings: Findings) -> Outcome:
    text_of = [line.text for line in lines]

    def seen(*marks: str) -> bool:
        return any(mark in text for text in text_of for mark in marks)

    measured = findings.values
    is_oom = "oom_tried" in measured or any(map(OUT_OF_MEMORY.search, text_of))
    if seen("Application startup complete", "Uvicorn running on"):
        return Outcome.OOM_RUN if is_oom else Outcome.STARTED
    if "needed_kv_gib" in measured or seen(
        "is less than desired GPU memory utilization",
        "No available memory for the cache blocks",
        "is larger than the maximum number of tokens that can be stored in KV cache",
    ):
        return Outcome.REFUSED
    if is_oom:
        began = "weights_gib" in measured or seen(
            "EngineCore failed to start", "Starting to load model", "LLM engine (v", "load_model"
        )
        return Outcome.OOM_START if began else Outcome.OOM_RUN
    if seen(*_FAILED):
        return Outcome.CRASH_OTHER
    sized = {"kv_tokens", "num_gpu_blocks", "initialized_gpu_blocks"} & set(measured)
    if sized or seen(*_STARTED):
        return Outcome.STARTED
    return Outcome.CRASH_OTHER if seen("Traceback (most recent") else Outcome.INCOMPLETE
