"""Traffic between two scrapes of a server's metrics page."""

from dataclasses import dataclass

from kvsim.errors import SpecError
from kvsim.io.limits import MAX_REQUEST_TOKENS
from kvsim.io.metrics_change import Change
from kvsim.specs.attention import check_positive
from kvsim.specs.lengths import Lengths, counted_lengths
from kvsim.specs.metrics import (
    UNBOUNDED,
    Elapsed,
    Histogram,
    MeasuredTraffic,
    MetricsPage,
)

STARTED = "process_start_time_seconds"
MIN_FILE_GAP_S = 1.0
"""Files whose times are nearer than this were copied or checked out, not scraped one by one."""

ONE_BEGINNING = "which prompts share what: all begin alike, as far as the measured share says"
NO_HIT_RATE = "what prompts share: the page has no counters of the prefix cache"
DRAWN_APART = "which answers follow which prompts: their lengths are drawn apart"
LENGTHS = ("prompts", "answers")


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricNames:
    """What a server calls what is read here; of several names the first that is there counts."""

    engine: str
    prefix: str
    prompt_tokens: str
    output_tokens: str
    hits: tuple[str, ...]
    queries: tuple[str, ...]
    preemptions: tuple[str, ...]
    in_progress: tuple[str, ...]  # gauges; each is added
    config: str | None
    fills_decades: bool  # bounds are 1, 2 and 5 times powers of ten, as many as can occur
    hint: str


NAMES = (
    MetricNames(
        engine="vllm",
        prefix="vllm:",
        prompt_tokens="vllm:request_prompt_tokens",
        output_tokens="vllm:request_generation_tokens",
        hits=("vllm:prefix_cache_hits_total", "vllm:gpu_prefix_cache_hits_total"),
        queries=("vllm:prefix_cache_queries_total", "vllm:gpu_prefix_cache_queries_total"),
        preemptions=("vllm:num_preemptions_total",),
        in_progress=("vllm:num_requests_running", "vllm:num_requests_waiting"),
        config="vllm:cache_config_info",
        fills_decades=True,
        hint="the page must be that of a server, with its statistics on",
    ),
    MetricNames(
        engine="sglang",
        prefix="sglang:",
        prompt_tokens="sglang:prompt_tokens_histogram",
        output_tokens="sglang:generation_tokens_histogram",
        hits=("sglang:cached_tokens_total",),
        queries=("sglang:prompt_tokens_total",),
        preemptions=("sglang:num_retracted_requests_total", "sglang:num_retractions_total"),
        in_progress=("sglang:num_running_reqs", "sglang:num_queue_reqs"),
        config=None,
        fills_decades=False,
        hint="the server must be started with --collect-tokens-histogram",
    ),
)
"""What each engine's page calls things.

Source:
    vLLM `PrometheusStatLogger`, vllm/v1/metrics/loggers.py (the `gpu_` names: 0.8 to 0.10);
    SGLang `TokenizerMetricsCollector` and `SchedulerMetricsCollector`,
    sglang/srt/metrics/collector.py.
"""


# long: a figure a line, each of two pages
def measured_traffic(
    before: MetricsPage | None,
    after: MetricsPage,
    *,
    seconds: float | None = None,
    max_model_len: int | None = None,
) -> MeasuredTraffic:
    """What a server did between two scrapes: lengths, rate and hit rate.

    Args:
        before: the first scrape; None means the server's start.
        after: the second one, of the same server.
        seconds: time between them; None means what the pages say, if they do.
        max_model_len: longest prompt plus answer; None means what the page says, if it does.

    Raises:
        SpecError: for pages of two servers, a counter that fell, or no request in between.
    """
    _check_asked(seconds, max_model_len)
    names = _names(after)
    limit = max_model_len or _max_model_len(after, names)
    first = before or MetricsPage(name="start", samples={})
    if before is not None:
        _check_same_server(before, after, names)
    change = Change(first, after)
    prompts = change.histogram(names.prompt_tokens, names.hint)
    outputs = change.histogram(names.output_tokens, names.hint)
    finished = round(prompts.num_observed)
    if not finished or not outputs.num_observed:
        msg = f"{names.prompt_tokens}_count={finished} must be > 0 between the scrapes"
        raise SpecError(msg)
    hit_rate = _hit_rate(change.counter(names.hits), change.counter(names.queries))
    preemptions = change.counter(names.preemptions)
    arrived = finished + sum(round(change.gauge(name)) for name in names.in_progress)
    notes = [NO_HIT_RATE if hit_rate is None else ONE_BEGINNING, DRAWN_APART]
    longest = [_longest(histogram, names, limit) for histogram in (prompts, outputs)]
    for what, histogram, top in zip(LENGTHS, (prompts, outputs), longest, strict=True):
        if histogram.counts[-1]:
            notes.append(f"{what} above the histogram's last bound: they end at {top:,} tokens")
    return MeasuredTraffic(
        engine=names.engine,
        model_name=_model_name(after, names),
        elapsed=_elapsed(before, after, seconds),
        num_arrived=max(0, arrived),
        num_finished=finished,
        prompt_tokens=_lengths(prompts, longest[0]),
        output_tokens=_lengths(outputs, longest[1]),
        prompt_mean=prompts.total / finished,
        output_mean=outputs.total / outputs.num_observed,
        token_hit_rate=hit_rate,
        num_preemptions=None if preemptions is None else round(preemptions),
        block_size=_block_size(after, names),
        max_model_len=limit,
        not_modeled=tuple(notes),
    )


def _check_asked(seconds: float | None, max_model_len: int | None) -> None:
    """SpecError for a time or a length that no server can have."""
    if seconds is not None and not 0 < seconds < UNBOUNDED:
        msg = f"seconds={seconds:g} must be > 0"
        raise SpecError(msg)
    if max_model_len is not None:
        check_positive(max_model_len=max_model_len)
        if max_model_len > MAX_REQUEST_TOKENS:
            msg = f"max_model_len={max_model_len} must be at most {MAX_REQUEST_TOKENS}"
            raise SpecError(msg)


def _hit_rate(hits: float | None, queries: float | None) -> float | None:
    """Share of the queried tokens; 0 where nothing was asked, None where nobody counts."""
    if queries is None:
        return None
    return min(1.0, (hits or 0.0) / queries) if queries else 0.0


def _names(page: MetricsPage) -> MetricNames:
    for names in NAMES:
        if any(name.startswith(names.prefix) for name in page.samples):
            return names
    known = ", ".join(f"{names.prefix}..." for names in NAMES)
    msg = f"{page.name}: none of its metrics is of a known server ({known})"
    raise SpecError(msg)


def _check_same_server(before: MetricsPage, after: MetricsPage, names: MetricNames) -> None:
    """SpecError where the pages cannot be of one run of one server."""
    first = _names(before)
    pairs: list[tuple[str, object, object]] = [
        ("metrics", first.prefix, names.prefix),
        ("model_name", _model_name(before, first) or None, _model_name(after, names) or None),
        (STARTED, _one(before, STARTED), _one(after, STARTED)),
    ]
    if names.config is not None:
        pairs.append((names.config, _config(before, names), _config(after, names)))
    for field, old, new in pairs:
        if old != new and old is not None and new is not None:
            msg = (
                f"{field}={new} of {after.name} must be {old} as in {before.name}: "
                "two scrapes of one run of one server are needed"
            )
            raise SpecError(msg)


def _config(page: MetricsPage, names: MetricNames) -> str | None:
    """What the page tells of the cache's settings; None where it tells nothing."""
    rows = page.samples.get(names.config or "", {})
    told = {name: value for labels in rows for name, value in labels}
    kept = ("block_size", "cache_dtype", "num_gpu_blocks", "enable_prefix_caching")
    return ", ".join(f"{name} {told[name]}" for name in kept if name in told) or None


def _model_name(page: MetricsPage, names: MetricNames) -> str:
    """The model of every series; SpecError where there are several."""
    found = {
        value
        for name, series in page.samples.items()
        if name.startswith(names.prefix)
        for labels in series
        for label, value in labels
        if label == "model_name"
    }
    if len(found) > 1:
        msg = f"{page.name}: model_name={', '.join(sorted(found))[:100]} must be one model's"
        raise SpecError(msg)
    return found.pop() if found else ""


def _one(page: MetricsPage, name: str) -> float | None:
    values = set(page.samples.get(name, {}).values())
    return values.pop() if len(values) == 1 else None


def _block_size(page: MetricsPage, names: MetricNames) -> int | None:
    for labels in page.samples.get(names.config or "", {}):
        text = dict(labels).get("block_size", "")
        is_number = text.isascii() and text.isdigit() and len(text) < len(str(MAX_REQUEST_TOKENS))
        if is_number and int(text):
            return int(text)
    return None


def _max_model_len(page: MetricsPage, names: MetricNames) -> int | None:
    """Tokens of the cache over the longest requests that fit into it, as the page tells both."""
    for labels in page.samples.get(names.config or "", {}):
        told = dict(labels)
        try:
            length = float(told["kv_cache_size_tokens"]) / float(told["kv_cache_max_concurrency"])
        except (KeyError, ValueError, ZeroDivisionError):
            continue
        if 1 <= length <= MAX_REQUEST_TOKENS:
            return round(length)
    return None


def _elapsed(
    before: MetricsPage | None, after: MetricsPage, seconds: float | None
) -> Elapsed | None:
    """How much time passed, from the surest source there is."""
    if seconds is not None:
        return Elapsed(seconds=seconds, source="stated")
    if after.read_s is None or after.clock is None:
        return None
    if before is None:
        started_s = _one(after, STARTED)
        gap = None if started_s is None else after.read_s - started_s
        source = f"{STARTED} and the {after.clock}"
    elif before.read_s is None or before.clock != after.clock:
        return None
    else:
        gap, source = after.read_s - before.read_s, after.clock
    if gap is None or gap < MIN_FILE_GAP_S:
        return None
    return Elapsed(seconds=gap, source=source)


def _longest(histogram: Histogram, names: MetricNames, limit: int | None) -> int:
    """Most tokens in the last bucket: the longest length, if that is known.

    Where all of 1, 2 and 5 times the powers of ten up to the longest length are bounds, that
    length is below the next one; elsewhere twice the last bound is taken.
    """
    last = max((bound for bound in histogram.bounds if bound != UNBOUNDED), default=1.0)
    if limit is not None:
        return limit
    if names.fills_decades and f"{last:g}"[0] == "2":
        return int(last * 5 / 2) - 1
    return 2 * int(last) - (1 if names.fills_decades else 0)


def _lengths(histogram: Histogram, longest: int) -> Lengths:
    mean = histogram.total / histogram.num_observed
    return counted_lengths(histogram.bounds, histogram.counts, mean=mean, longest=longest)
