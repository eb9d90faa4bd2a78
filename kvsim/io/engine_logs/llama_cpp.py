"""Start-up logs of llama.cpp, of its fork ik_llama.cpp, and of Ollama, which runs it."""

import re

from kvsim.io.engine_logs.launch_lines import find_launch, typed
from kvsim.io.engine_logs.rules import NUMBER, Findings, Value, not_understood, number, rule, single
from kvsim.io.engine_logs.text import Line
from kvsim.specs.engine_log import EngineLog, Figure, LogEngine, Outcome, Setting

_CONTEXT = re.compile(
    r"\b(?:llama_context|llama_new_context_with_model|llama_init_from_model)\s*: "
    r"(n_seq_max|n_ctx_per_seq|n_ctx_seq|n_ctx|n_batch|n_ubatch|flash_attn|kv_unified|mla_attn"
    r"|attn_max_b|fused_moe|swa_full)\s*= *([\w.-]+)"
)
_MODEL_INFO = re.compile(
    r"\b(?:print_info|llm_load_print_meta)\s*: "
    r"(n_layer|n_head_kv|n_embd_k_gqa|n_embd_v_gqa|n_swa|n_ctx_train)\s*= *(\[[\d, ]*\]|\d+)"
)
_NAME = re.compile(r"\b(?:print_info|llm_load_print_meta)\s*: general\.name\s*= *(\S.{0,200})")
_SIZE = re.compile(
    r"\b(?:print_info: file size|llm_load_print_meta: model size)\s*= *(\d[\d.]* [KMG]iB)"
)
_WEIGHTS = re.compile(
    rf"\b(?:load_tensors|llm_load_tensors)\s*: +(\S+) (?:model )?buffer size *= *({NUMBER}) MiB"
)
_KV_BUFFER = re.compile(rf": +(\S+) KV buffer size *= *({NUMBER}) MiB")
_RS_BUFFER = re.compile(rf": +(\S+) RS buffer size *= *({NUMBER}) MiB")
_COMPUTE = re.compile(rf": +(\S+) compute buffer size *= *({NUMBER}) MiB")
BUFFERS = (
    ("weights_mib", _WEIGHTS),
    ("kv_buffers_mib", _KV_BUFFER),
    ("rs_buffers_mib", _RS_BUFFER),
    ("compute_buffers_mib", _COMPUTE),
)
_K_AND_V = (
    r"(?P<kv_mib>{n}) MiB(?: \([^)]{0,80}\))?, K \((?P<cache_type_k>\w+)\): *(?P<k_mib>{n}) MiB, "
    r"V \((?P<cache_type_v>\w+)\): *(?P<v_mib>{n}) MiB"
)
RULES = (
    rule("KV self size", r"KV self size *= *" + _K_AND_V, cache_type_k=str, cache_type_v=str),
    rule(
        "c^KV",
        r"KV self size *= *(?P<kv_mib>{n}) MiB,(?: K\^R \(\w+\): *(?P<kr_mib>{n}) MiB,)? "
        r"c\^KV \((?P<cache_type_k>\w+)\): *(?P<ckv_mib>{n}) MiB",
        cache_type_k=str,
    ),
    rule(
        "llama_kv_cache",
        r"llama_kv_cache\w{0,20} *: size *= *{n} MiB \( *(?P<kv_cells>\d+) cells, *"
        r"(?P<kv_layers>\d+) layers, *(?:\d+/)?(?P<kv_streams>\d+) seqs",
    ),
    rule(
        "llama_kv_cache",
        r"llama_kv_cache\w{0,20} *: size *= *" + _K_AND_V,
        cache_type_k=str,
        cache_type_v=str,
    ),
    rule(
        "recurrent",
        r"llama_memory_recurrent *: size *= *(?P<rs_mib>{n}) MiB.{0,80}?, R \(\w+\): *"
        r"(?P<rs_r_mib>{n}) MiB, S \(\w+\): *(?P<rs_s_mib>{n}) MiB",
    ),
    rule("SWA KV cache", r"creating non-SWA KV cache, size = (?P<full_cells>\d+) cells"),
    rule("SWA KV cache", r"creating +SWA KV cache, size = (?P<swa_cells>\d+) cells"),
    rule("layers to GPU", r"offloaded (?P<offloaded>\d+/\d+) layers to GPU", offloaded=str),
    rule(
        "projected to use",
        r"projected to use (?P<fit_projected_mib>\d+) MiB of device memory vs\. "
        r"(?P<fit_free_mib>\d+) MiB",
    ),
    rule("no changes needed", r"will leave (?P<fit_left_mib>\d+) >= \d+ MiB"),
    rule("out of memory", r"allocating (?P<failed_alloc_mib>{n}) MiB on device"),
)
_SINGLE = {
    "cache_type_k",
    "cache_type_v",
    "offloaded",
    "fit_projected_mib",
    "fit_free_mib",
    "fit_left_mib",
}
_SETTINGS = ("cache_type_k", "cache_type_v")
_OF_A_CONTEXT = (
    *("kv_mib", "k_mib", "v_mib", "ckv_mib", "rs_mib", "rs_r_mib", "rs_s_mib"),
    *("full_cells", "swa_cells", "kv_cells", "kv_layers", "kv_streams"),
    *(name for name, _ in BUFFERS),
)
IK_MARKS = re.compile(
    r"\b(?:mla_attn|attn_max_b|fused_moe|fused_up_gate)\s*=|c\^KV \(|ik_llama|: ser\s*=|"
    r"Repacked \d+ tens"
)
PROGRAM = re.compile(
    r"(?:^|[\s/\"'])(?:llama-(?:server|cli|bench|sweep-bench|perplexity)|llama_cpp\.server)(?:\.exe)?\s"
)
NO_PROGRAM = re.compile(r"[Uu]sage:|build with|\.cpp:\d+")
LAUNCH_FLAGS = {
    "c": "ctx_size",
    "ctx_size": "ctx_size",
    "np": "parallel",
    "parallel": "parallel",
    "b": "batch_size",
    "batch_size": "batch_size",
    "ub": "ubatch_size",
    "ubatch_size": "ubatch_size",
    "ctk": "cache_type_k",
    "cache_type_k": "cache_type_k",
    "ctv": "cache_type_v",
    "cache_type_v": "cache_type_v",
    "fa": "flash_attn",
    "flash_attn": "flash_attn",
    "ngl": "gpu_layers",
    "gpu_layers": "gpu_layers",
    "n_gpu_layers": "gpu_layers",
    "mla": "mla_attn",
    "mla_use": "mla_attn",
    "n_cpu_moe": "n_cpu_moe",
    "swa_full": "swa_full",
}
"""llama-server's flags that decide memory, by their short and long names."""

IGNORED = re.compile(
    r"output buffer size|token to piece|llama_model_loader|tensor |Tensor |free_swap|"
    r"msg=\"(?:system|gpu) memory|inference compute|level=INFO source=(?!.*offload)|ggml ctx size|"
    r"MiB free$|prompt cache|log_server_r|downloading"
)
_DEVICE = re.compile(r"using device \S+ \(([^()]{2,80}(?:\([A-Z0-9]+\)[^()]{0,40})?)\)")
_CUDA_DEVICE = re.compile(r"\bDevice \d+: ([^,]{2,80}), compute capability")
_BUILD = re.compile(r"\bbuild(?:_info)?\s*[:=] *b?(\d{3,6})\b(?! *bytes)")
_OLLAMA_VERSION = re.compile(r"\(version (\d[\w.+-]*)\)")


def is_ik(lines: list[Line]) -> bool:
    """Whether a log has lines that only the fork prints."""
    return any(IK_MARKS.search(line.text[:500]) for line in lines)


def read_llama_cpp(lines: list[Line], engine: LogEngine) -> EngineLog:
    """Everything that a log of llama.cpp or of what runs it says of one start."""
    findings = Findings()
    settings: dict[str, Setting] = {}
    for line in lines:
        if "fitting params to free" in line.text or "successfully fit params" in line.text:
            findings.drop(_OF_A_CONTEXT)  # a dry run's
            settings.clear()
        _read_line(line, findings, settings)
    for name in _SETTINGS:
        if name in findings.values:
            settings[name] = _first(findings, name)
    if not any(name in settings for name in ("n_ctx", "n_batch")):
        settings.update(_launched(lines, findings))
    measured = _measured(findings)
    return EngineLog(
        engine=engine,
        version=_version(lines, engine),
        model=_last_match(lines, "general.name", _NAME),
        gpu=_devices(lines),
        settings=settings,
        engine_config_differs={},
        measured=measured,
        outcome=_outcome(lines, measured),
        lines=findings.lines,
        not_understood=tuple(not_understood(lines, findings, IGNORED)),
    )


def _read_line(line: Line, findings: Findings, settings: dict[str, Setting]) -> None:
    text = line.text
    findings.read(RULES, line)
    if " = " in text or "= " in text:
        if match := _CONTEXT.search(text):
            settings.setdefault(match[1], _setting(match[2]))
            findings.lines.setdefault(match[1], line.number)
        elif match := _MODEL_INFO.search(text):
            findings.drop([match[1]])
            findings.add(match[1], _list_or_number(match[2]), line)
        elif match := _SIZE.search(text):
            findings.drop(["model_file_size"])
            findings.add("model_file_size", match[1], line)
    if "buffer size" in text:
        for name, pattern in BUFFERS:
            for match in pattern.finditer(text):
                findings.add(name, [match[1], float(number(match[2]))], line)


def _first(findings: Findings, name: str) -> str:
    return str(findings.values[name][0])


def _setting(text: str) -> Setting:
    return int(text) if text.lstrip("-").isdigit() and len(text) < 19 else text


def _list_or_number(text: str) -> Value:
    if text.startswith("["):
        return [int(part) for part in text.strip("[]").replace(",", " ").split() if len(part) < 19]
    return int(text[:18])


def _measured(findings: Findings) -> dict[str, Figure]:
    """Figures: buffers as lists of device and size, one value as itself, several in order."""
    measured: dict[str, Figure] = {}
    buffers = {name for name, _ in BUFFERS}
    for name, values in findings.values.items():
        if name in _SETTINGS:
            continue
        if name in buffers:
            measured[name] = list(values)
        elif name in _SINGLE:
            measured[name] = values[-1]
        elif (value := single(values)) is not None:
            measured[name] = value
    return measured


def _launched(lines: list[Line], findings: Findings) -> dict[str, Setting]:
    """The launch line's flags, for logs without the context's own lines."""
    launch = find_launch(lines, PROGRAM, NO_PROGRAM)
    if launch is None:
        return {}
    found: dict[str, Setting] = {}
    for name, value in launch.flags.items():
        plain = typed(value)
        if name in LAUNCH_FLAGS and isinstance(plain, int | float | str | bool):
            found[LAUNCH_FLAGS[name]] = plain
            findings.lines[LAUNCH_FLAGS[name]] = launch.line
    return found


def _version(lines: list[Line], engine: LogEngine) -> str | None:
    if engine is LogEngine.OLLAMA:
        return _last_match(lines, "(version ", _OLLAMA_VERSION)
    build = _last_match(lines, "build", _BUILD)
    return None if build is None else f"b{build}"


def _last_match(lines: list[Line], needle: str, pattern: re.Pattern[str]) -> str | None:
    found = None
    for line in lines:
        if needle in line.text and (match := pattern.search(line.text[:2000])):
            found = match[1].strip()
    return found


def _devices(lines: list[Line]) -> str | None:
    """The devices' names, each once."""
    names: dict[str, None] = {}
    for line in lines:
        if "using device" in line.text or "compute capability" in line.text:
            text = line.text[:500]
            match = _DEVICE.search(text) or _CUDA_DEVICE.search(text)
            if match:
                names.setdefault(match[1].strip(), None)
    return ", ".join(names) or None


def _outcome(lines: list[Line], measured: dict[str, Figure]) -> Outcome:
    def seen(*marks: str) -> bool:
        return any(mark in line.text for line in lines for mark in marks)

    failed = "failed_alloc_mib" in measured or seen(
        "failed to allocate", "unable to allocate", "OutOfDeviceMemory"
    )
    is_ready = seen("server is listening", "all slots are idle", "main: model loaded")
    if failed and not is_ready:
        return Outcome.OOM_START
    if failed:
        return Outcome.OOM_RUN
    if is_ready or "kv_mib" in measured or "rs_mib" in measured:
        return Outcome.STARTED
    if seen("error loading model", "failed to load model", "failed to create context"):
        return Outcome.CRASH_OTHER
    return Outcome.INCOMPLETE
