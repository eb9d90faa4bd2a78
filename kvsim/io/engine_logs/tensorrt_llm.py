"""TensorRT-LLM's start-up logs: the PyTorch backend's, and those of built engines."""

import re

from kvsim.io.engine_logs.launch_lines import find_launch, typed
from kvsim.io.engine_logs.rules import OUT_OF_MEMORY, Findings, not_understood, rule
from kvsim.io.engine_logs.text import Line
from kvsim.io.engine_logs.torch_memory import OOM_RULES
from kvsim.specs.engine_log import EngineLog, Figure, LogEngine, Outcome, Setting

RULES = (
    rule("for model weights", r"\b(?:Use|uses) (?P<weights_gib>{n}) GB for model weights"),
    rule(
        "paged KV cache",
        r"Allocated (?P<kv_cache_gib>{n}) GiB for max tokens in paged KV cache "
        r"\((?P<kv_tokens>\d+)\)",
    ),
    rule("paged KV cache", r"Using (?P<kv_tokens>\d+) tokens in paged KV cache"),
    rule(
        "Peak memory during",
        r"Peak memory during memory usage profiling \(torch \+ non-torch\): (?P<peak_gib>{n}) GiB, "
        r"available KV cache memory when calculating max tokens: (?P<available_kv_gib>{n}) GiB, "
        r"fraction is set (?P<free_gpu_memory_fraction>{n}), kv size is "
        r"(?P<kv_bytes_per_token>\d+)[.,] device total memory (?P<total_gpu_gib>{n}) GiB"
        r"(?:, , tmp kv_mem (?P<temporary_kv_gib>{n}) GiB)?",
    ),
    rule(
        "(inside torch) in",
        r"after loading model weights \(inside torch\) in memory usage profiling: "
        r"(?P<weights_inside_torch_gib>{n}) GiB",
    ),
    rule(
        "(outside torch) in",
        r"after loading model weights \(outside torch\) in memory usage profiling: "
        r"(?P<after_weights_outside_torch_gib>{n}) GiB",
    ),
    rule(
        "(inside torch) in",
        r"dynamically allocated during inference \(inside torch\) in memory usage profiling: "
        r"(?P<inference_inside_torch_gib>{n}) GiB",
    ),
    rule(
        "used outside torch",
        r"Memory used outside torch \([^)]{0,80}\) in memory usage profiling: "
        r"(?P<outside_torch_gib>{n}) GiB",
    ),
    rule(
        "execution context memory",
        r"Allocated (?P<execution_context_mib>{n}) MiB for execution context memory",
    ),
    rule("engine size:", r"Loaded engine size: (?P<engine_mib>\d+) MiB"),
    rule(
        "paged kv cache: total",
        r"in paged kv cache: total: (?P<total_gpu_gib>{n}) GiB, "
        r"available: (?P<available_gib>{n}) GiB",
    ),
    rule("primary pool:", r"KV cache primary pool: (?P<num_gpu_blocks>\d+)"),
    rule("primary blocks=", r"tokens per block=\d+, primary blocks=(?P<num_gpu_blocks>\d+)"),
    rule(
        "AttentionWindowSize:",
        r"mMaxAttentionWindowSize: \((?P<max_attention_window>\d+)\) \* (?P<n_layer>\d+)",
    ),
    rule("AttentionWindowSize:", r"mMaxAttentionWindowSize: (?P<max_attention_window>\d+)"),
    rule("maxNumTokens:", r"TRTGptModel maxNumTokens: (?P<max_num_tokens>\d+)"),
    rule("maxNumSequences:", r"TRTGptModel maxNumSequences: (?P<max_num_requests>\d+)"),
    rule("maxBatchSize:", r"TRTGptModel maxBatchSize: (?P<max_batch_size>\d+)"),
    rule("tokens per block:", r"Number of tokens per block: (?P<tokens_per_block>\d+)"),
    rule("tokens per block=", r"tokens per block=(?P<tokens_per_block>\d+)"),
    rule(
        "free_gpu_memory_fraction and",
        r"max_tokens are set \(to (?P<free_gpu_memory_fraction>{n}) and",
    ),
    rule(
        "max_seq_len=",
        r"\[I\] max_seq_len=(?P<max_seq_len>\d+), max_num_requests=(?P<max_num_requests>\d+), "
        r"max_num_tokens=(?P<max_num_tokens>\d+)(?:, max_batch_size=(?P<max_batch_size>\d+))?",
    ),
)
SETTINGS = (
    *("free_gpu_memory_fraction", "tokens_per_block", "max_num_tokens", "max_num_requests"),
    *("max_batch_size", "max_seq_len", "max_attention_window"),
)
MEASURED_ONCE = ("weights_gib",)
"""Figures whose first value counts; of the others the last one does: the real pool's."""

LAUNCH_FLAGS = {
    "kv_cache_free_gpu_memory_fraction": "free_gpu_memory_fraction",
    "free_gpu_memory_fraction": "free_gpu_memory_fraction",
    "kv_cache_free_gpu_mem_fraction": "free_gpu_memory_fraction",
    "tp_size": "tp_size",
    "tp": "tp_size",
    "pp_size": "pp_size",
    "ep_size": "ep_size",
    "max_batch_size": "max_batch_size",
    "max_num_tokens": "max_num_tokens",
    "max_seq_len": "max_seq_len",
}
PROGRAM = re.compile(r"(?:^|[\s/])trtllm-(?:serve|bench|llmapi-launch)\s")
NO_PROGRAM = re.compile(r"[Uu]sage:|\.py:\d+:")
IGNORED = re.compile(
    r"Autotuner|Prefetch|prefetch|Estimated engine size|Estimated |Attention workspace|"
    r"storeContextBlocks|memory fraction to|for runtime buf|GPU memory for|CPU \+|Adjusted|"
    r"kv_cache_events|max_tokens are set|Validating KV|KV cache quantization|KV cache pages|"
    r"KV cache blocks per|secondary pool|kv_cache_quant"
)
_VERSION = re.compile(
    r"(?:TensorRT[- ]LLM version: |Engine version )(\d[\w.+-]*)(?: found in the config)?"
)
_MODEL = (
    re.compile(r"^\s*model='([^']{1,300})' tokenizer="),
    re.compile(r"\bLLM\(model='([^']{1,300})'"),
    re.compile(r"Serving model: (\S{1,300})"),
    re.compile(r"Rank 0 prefetching (\S{1,300})/[^/\s]+ to memory"),
)


def read_tensorrt_llm(lines: list[Line]) -> EngineLog:
    """Everything that a TensorRT-LLM log says of one start."""
    findings = Findings()
    for line in lines:
        findings.read(RULES, line)
        findings.read(OOM_RULES, line)
    values: dict[str, Figure] = {}
    for name in findings.values:
        value = findings.values[name][0] if name in MEASURED_ONCE else findings.last(name)
        if value is not None:
            values[name] = value
    settings: dict[str, Setting] = _launched(lines, findings)
    settings.update({name: values.pop(name) for name in SETTINGS if name in values})
    return EngineLog(
        engine=LogEngine.TENSORRT_LLM,
        version=_version(lines),
        model=_model(lines),
        gpu=None,
        settings=settings,
        engine_config_differs={},
        measured=values,
        outcome=_outcome(lines, findings),
        lines=findings.lines,
        not_understood=tuple(not_understood(lines, findings, IGNORED)),
    )


def _launched(lines: list[Line], findings: Findings) -> dict[str, Setting]:
    launch = find_launch(lines, PROGRAM, NO_PROGRAM)
    found: dict[str, Setting] = {}
    for name, value in launch.flags.items() if launch else ():
        plain = typed(value)
        if name in LAUNCH_FLAGS and isinstance(plain, int | float | str | bool):
            found[LAUNCH_FLAGS[name]] = plain
            findings.lines.setdefault(LAUNCH_FLAGS[name], launch.line if launch else 0)
    return found


def _version(lines: list[Line]) -> str | None:
    for line in lines:
        if "version" in line.text and (match := _VERSION.search(line.text[:2000])):
            return match[1].rstrip(".")
    return None


def _model(lines: list[Line]) -> str | None:
    for pattern in _MODEL:
        for line in lines:
            if match := pattern.search(line.text[:2000]):
                return match[1]
    return None


def _outcome(lines: list[Line], findings: Findings) -> Outcome:
    def seen(*marks: str) -> bool:
        return any(mark in line.text for line in lines for mark in marks)

    is_ready = seen("Application startup complete", "Uvicorn running on", "Setting PyTorch memory")
    if any(OUT_OF_MEMORY.search(line.text) for line in lines):
        return Outcome.OOM_RUN if is_ready else Outcome.OOM_START
    if is_ready or "kv_tokens" in findings.values:
        return Outcome.STARTED
    return Outcome.CRASH_OTHER if seen("Traceback (most recent") else Outcome.INCOMPLETE
