"""SGLang's start-up logs; it prints GB and means GiB."""

import re

from kvsim.io.engine_logs.launch_lines import find_launch, typed
from kvsim.io.engine_logs.literals import Raw, has_end, pairs
from kvsim.io.engine_logs.rules import OUT_OF_MEMORY, Findings, not_understood, rule, single
from kvsim.io.engine_logs.text import Line, continued
from kvsim.io.engine_logs.torch_memory import OOM_RULES
from kvsim.specs.engine_log import EngineLog, LogEngine, Outcome, Setting

RULES = (
    rule("weight begin", r"Load weight begin\.? avail mem=(?P<avail_before_gib>{n}) ?GB"),
    rule(
        "weight end",
        r"Load weight end\..{0,300}?avail mem=(?P<avail_after_weights_gib>{n}) ?GB"
        r"(?:, mem usage=(?P<weights_gib>{n}) ?GB)?",
    ),
    rule(
        "Cache is allocated",
        r"KV Cache is allocated\.(?: dtype: [\w.]+,)?(?: #tokens: (?P<kv_tokens>\d+),)? "
        r"(?:K size: (?P<k_size_gib>{n}) ?GB, V size: (?P<v_size_gib>{n}) ?GB"
        r"|KV size: (?P<kv_size_gib>{n}) ?GB)",
    ),
    rule("pool end", r"Memory pool end\. avail mem=(?P<avail_after_pool_gib>{n}) ?GB"),
    rule(
        "conv_state size",
        r"max_mamba_cache_size: (?P<mamba_slots>\d+), conv_state size: (?P<mamba_conv_gib>{n}) ?GB,"
        r" ssm_state size: (?P<mamba_ssm_gib>{n}) ?GB",
    ),
    rule(
        "KV cache dtype",
        r"Using KV cache dtype: (?P<resolved_kv_cache_dtype>torch\.\w+)",
        resolved_kv_cache_dtype=str,
    ),
    rule("KVPool mem usage", r"SWAKVPool mem usage: (?P<swa_pool_gib>{n}) ?GB"),
    rule("max_total_num_tokens=", r"max_total_num_tokens=(?P<max_total_num_tokens>\d+)(?=\D)"),
    rule(
        "max_total_num_tokens=",
        r"max_total_num_tokens=.{0,200}?max_running_requests=(?P<max_running_requests>\d+)(?=\D)",
    ),
    rule(
        "max_total_num_tokens=", r"max_total_num_tokens=.{0,200}?context_len=(?P<context_len>\d+)"
    ),
    rule("available_gpu_mem=", r"available_gpu_mem=(?P<available_gpu_mem_gib>{n}) ?GB"),
    rule("memory for KV", r"available memory for KV cache is (?P<available_kv_gib>{n}) ?GB"),
    rule(
        "raph end",
        r"Capture .{0,40}graph end.{0,120}?mem usage=(?P<cudagraph_gib>{n}) ?GB",
    ),
    rule(
        "window memory pool",
        r"full_layer_tokens=(?P<full_layer_tokens>\d+), swa_layer_tokens=(?P<swa_layer_tokens>\d+)",
    ),
)

MARKS = ("server_args=ServerArgs(", "server_args={")

OTHER_RANKS = (
    rule("weight begin", r"Load weight begin\.? avail mem=(?P<ranks_avail_before_gib>{n}) ?GB"),
    rule(
        "weight end",
        r"Load weight end\..{0,300}?avail mem=(?P<ranks_avail_after_weights_gib>{n}) ?GB",
    ),
)
"""What further ranks have free: the least decides for all."""

FLAGS = (
    *("tp_size", "dp_size", "ep_size", "pp_size", "mem_fraction_static", "kv_cache_dtype"),
    *("dtype", "quantization", "context_length", "max_running_requests", "max_total_tokens"),
    *("chunked_prefill_size", "max_prefill_tokens", "page_size", "attention_backend"),
    *("speculative_algorithm", "disable_cuda_graph", "swa_full_tokens_ratio"),
    *("enable_dp_attention", "disaggregation_mode", "cuda_graph_max_bs", "disable_radix_cache"),
    *("max_mamba_cache_size", "mamba_full_memory_ratio", "mamba_ssm_dtype"),
    *("disable_overlap_schedule", "speculative_num_draft_tokens", "speculative_num_steps"),
    *("speculative_draft_model_path", "speculative_eagle_topk", "enable_lora", "cpu_offload_gb"),
)
SHORT = {
    "tp": "tp_size",
    "tensor_parallel_size": "tp_size",
    "dp": "dp_size",
    "data_parallel_size": "dp_size",
    "ep": "ep_size",
    "expert_parallel_size": "ep_size",
    "pp": "pp_size",
    "pipeline_parallel_size": "pp_size",
    "model": "model_path",
}
PROGRAM = re.compile(r"(?:sglang\.launch_server\s|\bsglang serve\s)")
NO_PROGRAM = re.compile(r"is still supported|\.py:\d+:|Usage:|usage:")
IGNORED = re.compile(
    r"Capturing |Prefill batch|Decode batch|Init torch distributed|is in progress|"
    r"graph begin|throughput|Loading safetensors|server_args="
)
_VERSION = re.compile(r"\bsglang(?:\[all\])?(?:==|[ -]version[: ]+v?|/sglang:v)(\d[\w.+-]*)")
_RANK = re.compile(
    r"^\s*(?:\S{1,60}\s+){0,6}?\[[^\]]{0,60}?(?:(?<= )|(?<=\[))(?:TP|gpu=)(\d+)\b[^\]]{0,40}\]"
)
_OTHER_REPLICA = re.compile(r"\[[^\]]{0,60}\b(?:DP|PP)(?!0\b)\d+\b[^\]]{0,40}\]")


def read_sglang(lines: list[Line]) -> EngineLog:
    """Everything that an SGLang log says of one start, on its first rank."""
    findings = Findings()
    for line in lines:
        rank = _RANK.match(line.text[:300])
        if rank is not None and (rank[1] != "0" or _OTHER_REPLICA.search(line.text[:200])):
            findings.understood.add(line.number)
            findings.read(OTHER_RANKS, line)
            continue
        findings.read(RULES, line)
        findings.read(OOM_RULES, line)
    asked = _server_args(lines, findings)
    settings = {name: v for name in FLAGS if (v := _plain(asked.get(name))) is not None}
    model = asked.get("model_path")
    return EngineLog(
        engine=LogEngine.SGLANG,
        version=_version(lines),
        model=model if isinstance(model, str) else None,
        gpu=None,
        settings=settings,
        engine_config_differs={},
        measured={
            name: value
            for name in findings.values
            if (value := single(findings.distinct(name))) is not None
        },
        outcome=_outcome(lines, findings),
        lines=findings.lines,
        not_understood=tuple(not_understood(lines, findings, IGNORED)),
    )


def _server_args(lines: list[Line], findings: Findings) -> dict[str, object]:
    """The engine's own list of arguments, else the launch line's flags."""
    found: dict[str, object] = {}
    for i, line in enumerate(lines):
        mark = next((each for each in MARKS if each in line.text), None)
        if mark is None:
            continue
        text = line.text.split(mark, 1)[1]
        if not has_end(text):
            for more in continued(lines, i, 100):
                text += more
                if has_end(text):
                    break
        found = dict(pairs(text, is_closed=True))
        findings.understood.add(line.number)
        findings.lines.update(dict.fromkeys(found, line.number))
    if found:
        return found
    launch = find_launch(lines, PROGRAM, NO_PROGRAM)
    if launch is None:
        return {}
    flags = {SHORT.get(name, name): typed(value) for name, value in launch.flags.items()}
    findings.lines.update(dict.fromkeys(flags, launch.line))
    return flags


def _plain(value: object) -> Setting | None:
    if isinstance(value, Raw):
        return value.text or None
    return value if isinstance(value, int | float | str | bool | list | dict) else None


def _version(lines: list[Line]) -> str | None:
    for line in lines:
        if "sglang" in line.text and (match := _VERSION.search(line.text[:2000])):
            return match[1].rstrip(".-")
    return None


def _outcome(lines: list[Line], findings: Findings) -> Outcome:
    def seen(*marks: str) -> bool:
        return any(mark in line.text for line in lines for mark in marks)

    is_ready = "max_total_num_tokens" in findings.values or seen("The server is fired up")
    if any(OUT_OF_MEMORY.search(line.text) for line in lines):
        return Outcome.OOM_RUN if is_ready else Outcome.OOM_START
    if is_ready:
        return Outcome.STARTED
    if seen("Not enough memory. Please try"):
        return Outcome.REFUSED
    return Outcome.CRASH_OTHER if seen("Traceback (most recent") else Outcome.INCOMPLETE
