"""What a running vLLM says of itself: its start-up log, and its metrics page."""

from dataclasses import dataclass

import kvsim

CONFIG = "vllm:cache_config_info"
SHOWN = ("kv_cache_gib", "kv_tokens")
"""Figures of the log whose lines a record keeps: they name no path."""


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


def start_of(
    page: kvsim.MetricsPage, log: kvsim.EngineLog | None, *, max_model_len: int | None = None
) -> Start:
    """A start from the metrics page, and from the log where there is one.

    Raises:
        UnsupportedError: if the engine does not say what is compared.
    """
    stated = config_of(page)
    figures: dict[str, object] = {
        "tokens": int(stated["kv_cache_size_tokens"]),
        "max_concurrency": f"{float(stated['kv_cache_max_concurrency']):.2f}",
        "max_model_len": max_model_len,
    }
    if log is not None:
        if missing := {"kv_tokens", "max_concurrency", "max_model_len"} - log.measured.keys():
            msg = f"the log does not say {', '.join(sorted(missing))}"
            raise kvsim.UnsupportedError(msg)
        figures = {
            "tokens": log.measured["kv_tokens"],
            "max_concurrency": f"{log.measured['max_concurrency']:.2f}",
            "max_model_len": log.measured["max_model_len"],
            "max_num_batched_tokens": log.settings.get("max_num_batched_tokens"),
            "available_gib": log.measured.get("kv_cache_gib"),
        }
    return Start(
        num_blocks=int(stated["num_gpu_blocks"]),
        block_size=int(stated["block_size"]),
        enable_prefix_caching=stated["enable_prefix_caching"] == "True",
        **figures,
    )


def shown_lines(log: kvsim.EngineLog, text: str) -> tuple[str, ...]:
    """The lines of a log that say what is compared, without stamps and process ids."""
    lines = text.splitlines()
    numbers = sorted({log.lines[name] for name in SHOWN if name in log.lines})
    return tuple(lines[number - 1].split("] ", 1)[-1] for number in numbers)


def config_of(page: kvsim.MetricsPage) -> dict[str, str]:
    """The settings of the cache that the metrics page states.

    Raises:
        UnsupportedError: if it states none.
    """
    for labels in page.samples.get(CONFIG, {}):
        return dict(labels)
    msg = f"{page.name} has no {CONFIG}: is this vLLM?"
    raise kvsim.UnsupportedError(msg)


def usage_of(page: kvsim.MetricsPage) -> Usage:
    """Gauges and counters of the metrics page.

    Raises:
        UnsupportedError: if one is missing.
    """
    values = {}
    for field, name in (GAUGES | COUNTERS).items():
        if name not in page.samples:
            msg = f"{page.name} has no {name}: is this vLLM?"
            raise kvsim.UnsupportedError(msg)
        values[field] = sum(page.samples[name].values())
    usage = values.pop("kv_cache_usage")
    return Usage(kv_cache_usage=usage, **{name: round(value) for name, value in values.items()})
