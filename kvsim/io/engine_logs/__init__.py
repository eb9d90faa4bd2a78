"""Reads engines' start-up logs: `read_engine_log`."""

import re
from collections.abc import Mapping
from dataclasses import replace
from os import PathLike
from pathlib import Path

from kvsim.errors import UnsupportedError
from kvsim.io.engine_logs.llama_cpp import is_ik, read_llama_cpp
from kvsim.io.engine_logs.sglang import read_sglang
from kvsim.io.engine_logs.starts import last_start
from kvsim.io.engine_logs.tensorrt_llm import read_tensorrt_llm
from kvsim.io.engine_logs.text import Line, lines_of, load
from kvsim.io.engine_logs.vllm import read_vllm
from kvsim.message import Message
from kvsim.specs.engine_log import EngineLog, LogEngine

STRONG: Mapping[LogEngine, re.Pattern[str]] = {
    LogEngine.VLLM: re.compile(
        r"vLLM API server|\(EngineCore|\(APIServer|VllmWorker|LLM engine \(v|vllm serve |"
        r"KV cache size: [\d,]+ tok|# \w+ blocks: \d+, # CPU|Available KV cache memory|"
        r"/vllm/(?:v1|worker|engine|entrypoints)|Loading model weights took|Model loading took|"
        r"max seq len \(\d|vllm\.entrypoints"
    ),
    LogEngine.SGLANG: re.compile(
        r"server_args=(?:ServerArgs|\{)|Load weight (?:begin|end)|KV Cache is allocated|/sglang/|"
        r"max_total_num_tokens=|sglang\.launch_server|sglang serve "
    ),
    LogEngine.TENSORRT_LLM: re.compile(r"\[TRT-LLM\]|\[TensorRT-LLM\]|tensorrt_llm/|trtllm-"),
    LogEngine.OLLAMA: re.compile(r"source=[\w.]+\.go:\d+|ollama runner|\[GIN\]"),
    LogEngine.LLAMA_CPP: re.compile(
        r"\b(?:llama_context|llama_kv_cache\w*|llama_new_context_with_model|llama_model_load\w*|"
        r"llm_load_\w+|print_info|load_tensors|sched_reserve|ggml_\w+|llama_memory_\w+)\s*:"
    ),
}
"""Lines that only one engine prints."""

WEAK = (
    (LogEngine.VLLM, re.compile(r"\bvllm\b", re.IGNORECASE)),
    (LogEngine.SGLANG, re.compile(r"\bsglang\b", re.IGNORECASE)),
    (LogEngine.TENSORRT_LLM, re.compile(r"tensorrt[-_ ]llm|trtllm", re.IGNORECASE)),
    (LogEngine.OLLAMA, re.compile(r"\bollama\b", re.IGNORECASE)),
    (LogEngine.LLAMA_CPP, re.compile(r"llama[._-]cpp|llama-server|\bgguf\b", re.IGNORECASE)),
)
"""Names of engines, for texts in which none of their lines stands."""


def read_engine_log(source: str | PathLike[str] | bytes) -> EngineLog:
    """What an engine's start-up log says: its settings, its figures and how the start ended.

    Args:
        source: a file's path, the text itself (a `str` with a line break), or its bytes. UTF-8 or
            UTF-16, coloured, with progress bars, interleaved ranks, in a collector's JSON, cut.

    Returns:
        Settings and figures that the text states, and no other; of several starts, the last.

    Raises:
        FileError: if the file cannot be read, is empty or larger than 64 MiB.
        UnsupportedError: if no engine's lines are in it.
    """
    given = Path(source) if isinstance(source, PathLike) else source
    lines = lines_of(load(given))
    engine = engine_of(lines)
    part, num_starts = last_start(lines, engine)
    log = _read(part, engine)
    return replace(log, num_starts=num_starts)


def _read(lines: list[Line], engine: LogEngine) -> EngineLog:
    match engine:
        case LogEngine.VLLM:
            return read_vllm(lines)
        case LogEngine.SGLANG:
            return read_sglang(lines)
        case LogEngine.TENSORRT_LLM:
            return read_tensorrt_llm(lines)
        case _:
            return read_llama_cpp(lines, engine)


def engine_of(lines: list[Line]) -> LogEngine:
    """Whose log this is, by the lines that only one engine prints.

    Raises:
        UnsupportedError: if there are none, and no engine is named.
    """
    counts = dict.fromkeys(STRONG, 0)
    for line in lines:
        for engine, pattern in STRONG.items():
            counts[engine] += bool(pattern.search(line.text[:1000]))
    if counts[LogEngine.OLLAMA]:  # it prints llama.cpp's lines as its own
        counts[LogEngine.OLLAMA] += counts[LogEngine.LLAMA_CPP]
    best = max(counts, key=lambda e: counts[e])
    if not counts[best]:
        best = _named(lines)
    if best is LogEngine.LLAMA_CPP and is_ik(lines):
        return LogEngine.IK_LLAMA_CPP
    return best


def _named(lines: list[Line]) -> LogEngine:
    for engine, pattern in WEAK:
        if any(pattern.search(line.text[:5000]) for line in lines):
            return engine
    msg = Message(
        "log: no line of {known} is in it, and none of them is named", known=", ".join(LogEngine)
    )
    raise UnsupportedError(msg)
