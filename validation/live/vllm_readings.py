"""What a running vLLM says of itself: its start-up lines, and its metrics page."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import kvsim

SIZE_LINE = re.compile(
    r"(?P<device>CPU|GPU) KV cache size: (?P<tokens>[\d,]+) tokens, Maximum concurrency for "
    r"(?P<length>[\d,]+) tokens per request: (?P<concurrency>[\d.]+)x"
)
BATCHED_LINE = re.compile(r"Chunked prefill is enabled with max_num_batched_tokens=(\d+)")
AVAILABLE_LINE = re.compile(r"Available KV cache memory: ([\d.]+) GiB")
"""The engine rounds it to two digits."""

SAMPLE = re.compile(r"(?P<name>[a-zA-Z_:][\w:]*)(?:\{(?P<labels>.*)\})? (?P<value>\S+)")
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
CONFIG = "vllm:cache_config_info"


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """A start as the engine reports it; None stands for what it does not say.

    `max_concurrency` is text, with the two digits of the log.
    """

    num_blocks: int
    block_size: int
    tokens: int
    max_concurrency: str
    max_model_len: int | None
    enable_prefix_caching: bool
    max_num_batched_tokens: int | None = None
    available_gib: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Gauges as they stand, and counters since the start."""

    kv_cache_usage: float
    num_running: int
    prefix_query_tokens: int
    prefix_hit_tokens: int
    preemptions: int
    prompt_tokens: int
    generation_tokens: int


GAUGES = {"kv_cache_usage": "vllm:kv_cache_usage_perc", "num_running": "vllm:num_requests_running"}
COUNTERS = {
    "prefix_query_tokens": "vllm:prefix_cache_queries_total",
    "prefix_hit_tokens": "vllm:prefix_cache_hits_total",
    "preemptions": "vllm:num_preemptions_total",
    "prompt_tokens": "vllm:prompt_tokens_total",
    "generation_tokens": "vllm:generation_tokens_total",
}


def start_of(page: str, log: str | None, *, max_model_len: int | None = None) -> Start:
    """A start from the metrics page, and from the log where there is one.

    Raises:
        UnsupportedError: if the engine does not say what is compared.
    """
    settings = config_of(page)
    tokens, concurrency = settings["kv_cache_size_tokens"], settings["kv_cache_max_concurrency"]
    found: dict[str, object] = {
        "tokens": int(tokens),
        "max_concurrency": f"{float(concurrency):.2f}",
        "max_model_len": max_model_len,
    }
    if log is not None:
        line, batched = SIZE_LINE.search(log), BATCHED_LINE.search(log)
        if line is None:
            msg = "the log has no line on the KV cache's size"
            raise kvsim.UnsupportedError(msg)
        available = AVAILABLE_LINE.search(log)
        found = {
            "tokens": number(line["tokens"]),
            "max_concurrency": line["concurrency"],
            "max_model_len": number(line["length"]),
            "max_num_batched_tokens": None if batched is None else int(batched[1]),
            "available_gib": None if available is None else float(available[1]),
        }
    return Start(
        num_blocks=int(settings["num_gpu_blocks"]),
        block_size=int(settings["block_size"]),
        enable_prefix_caching=settings["enable_prefix_caching"] == "True",
        **found,  # type: ignore[arg-type]
    )


def told(log: str) -> tuple[str, ...]:
    """What the log says on memory, without stamps and process ids."""
    patterns = (AVAILABLE_LINE, BATCHED_LINE, SIZE_LINE)
    return tuple(found[0] for pattern in patterns if (found := pattern.search(log)))


def number(text: str) -> int:
    """A whole number that is written with commas."""
    return int(text.replace(",", ""))


def config_of(page: str) -> Mapping[str, str]:
    """The settings of the cache that the metrics page states.

    Raises:
        UnsupportedError: if it states none.
    """
    for labels in samples_of(page).get(CONFIG, {}):
        return dict(labels)
    msg = f"the metrics page has no {CONFIG}: is this vLLM?"
    raise kvsim.UnsupportedError(msg)


def usage_of(page: str) -> Usage:
    """Gauges and counters of the metrics page.

    Raises:
        UnsupportedError: if one is missing.
    """
    samples = samples_of(page)
    values = {}
    for field, name in (GAUGES | COUNTERS).items():
        if name not in samples:
            msg = f"the metrics page has no {name}: is this vLLM?"
            raise kvsim.UnsupportedError(msg)
        values[field] = sum(samples[name].values())
    usage = values.pop("kv_cache_usage")
    return Usage(kv_cache_usage=usage, **{name: round(value) for name, value in values.items()})


def samples_of(page: str) -> dict[str, dict[tuple[tuple[str, str], ...], float]]:
    """A metrics page's samples by name and labels."""
    samples: dict[str, dict[tuple[tuple[str, str], ...], float]] = {}
    for line in page.splitlines():
        if found := SAMPLE.fullmatch(line):
            labels = tuple(LABEL.findall(found["labels"] or ""))
            samples.setdefault(found["name"], {})[labels] = float(found["value"])
    return samples
