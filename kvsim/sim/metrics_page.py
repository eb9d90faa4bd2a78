"""The metrics page that vLLM would show after a run: the families that records determine."""

from collections.abc import Iterator, Sequence

from kvsim.sim.records import RequestRecord
from kvsim.sim.simulation import Simulation
from kvsim.specs.metrics import Family, Labels, MetricKind, observed

TTFT_BOUNDS_S = (
    *(0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75),
    *(1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0, 160.0, 640.0, 2560.0),
)
TOKEN_BOUNDS_S = (
    *(0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75),
    *(1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0),
)
REQUEST_BOUNDS_S = (
    *(0.3, 0.5, 0.8, 1.0, 1.5, 2.0, 2.5, 5.0, 10.0, 15.0, 20.0, 30.0),
    *(40.0, 50.0, 60.0, 120.0, 240.0, 480.0, 960.0, 1920.0, 7680.0),
)
FINISH_REASONS = ("stop", "length", "abort", "error", "repetition")
ENDS_AT_LENGTH = "length"
"""Why every simulated request ends: its answer has the length that was asked."""

ENGINE = "0"


def token_bounds(max_model_len: int) -> tuple[int, ...]:
    """Bounds of the histograms of lengths: 1, 2 and 5 times powers of ten, up to the longest.

    Source:
        vLLM `build_1_2_5_buckets`, vllm/v1/metrics/loggers.py.

    Example:
        >>> token_bounds(100)
        (1, 2, 5, 10, 20, 50, 100)
    """
    bounds, power = [], 1
    while power <= max_model_len:
        bounds += [n * power for n in (1, 2, 5) if n * power <= max_model_len]
        power *= 10
    return tuple(bounds)


def metrics_page(done: Simulation, *, at_start: bool = False) -> tuple[Family, ...]:
    """What the server's page says when the run ended, or before its first request.

    Left out are families that records do not determine: tokens per iteration, and what clients
    ask for beside lengths.

    Source:
        vLLM `PrometheusStatLogger`, vllm/v1/metrics/loggers.py, and `FinishedRequestStats`,
        stats.py: names, bounds and what each interval is.
    """
    labels = (("engine", ENGINE), ("model_name", done.model or "model"))
    requests = () if at_start else done.requests
    return (
        *_gauges(done, labels, at_start=at_start),
        *_counters(done, requests, labels, at_start=at_start),
        *_lengths(done, requests, labels),
        *_intervals(done, requests, labels),
    )


def _gauges(done: Simulation, labels: Labels, *, at_start: bool) -> Iterator[Family]:
    is_over = at_start or not done.interrupted
    last = None if is_over or not done.steps else done.steps[-1]
    usable = done.num_gpu_blocks - 1
    held = 0 if at_start else usable - done.num_free_blocks
    yield from (
        Family(name=name, kind=MetricKind.GAUGE, doc=doc, values={labels: value})
        for name, doc, value in (
            ("vllm:num_requests_running", "Requests that run.", last.num_running if last else 0),
            ("vllm:num_requests_waiting", "Requests that wait.", last.num_waiting if last else 0),
            ("vllm:kv_cache_usage_perc", "Share of the blocks that is held.", held / usable),
        )
    )
    config = (
        ("block_size", str(done.block_size)),
        ("engine", ENGINE),
        ("num_gpu_blocks", str(done.num_gpu_blocks)),
    )
    doc = "Settings of the cache."
    yield Family(
        name="vllm:cache_config_info", kind=MetricKind.GAUGE, doc=doc, values={config: 1.0}
    )


def _counters(
    done: Simulation, requests: Sequence[RequestRecord], labels: Labels, *, at_start: bool
) -> Iterator[Family]:
    hits = done.prefix_cache
    steps = 0 if at_start else 1
    yield from (
        Family(name=name, kind=MetricKind.COUNTER, doc=doc, values={labels: value})
        for name, doc, value in (
            ("vllm:prefix_cache_queries", "Tokens asked for.", steps * hits.query_tokens),
            ("vllm:prefix_cache_hits", "Tokens found cached.", steps * hits.hit_tokens),
            ("vllm:num_preemptions", "Preemptions.", steps * done.num_preemptions),
            ("vllm:prompt_tokens", "Prompt tokens.", sum(r.num_prompt_tokens for r in requests)),
            ("vllm:generation_tokens", "Answers.", sum(r.num_output_tokens for r in requests)),
        )
    )
    ended: dict[Labels, float] = {
        (("engine", ENGINE), ("finished_reason", reason), labels[1]): 0 for reason in FINISH_REASONS
    }
    ended[("engine", ENGINE), ("finished_reason", ENDS_AT_LENGTH), labels[1]] = len(requests)
    doc = "Requests that ended."
    yield Family(name="vllm:request_success", kind=MetricKind.COUNTER, doc=doc, values=ended)


def _lengths(
    done: Simulation, requests: Sequence[RequestRecord], labels: Labels
) -> Iterator[Family]:
    bounds = token_bounds(done.max_model_len)
    for name, doc, values in (
        ("vllm:request_prompt_tokens", "Prompts.", [r.num_prompt_tokens for r in requests]),
        ("vllm:request_generation_tokens", "Answers.", [r.num_output_tokens for r in requests]),
    ):
        histograms = {labels: observed(values, bounds)}
        yield Family(name=name, kind=MetricKind.HISTOGRAM, doc=doc, histograms=histograms)


def _intervals(
    done: Simulation, requests: Sequence[RequestRecord], labels: Labels
) -> Iterator[Family]:
    starts = [done.steps[r.first_step].start_s for r in requests]
    queued = [s - r.arrival_s for s, r in zip(starts, requests, strict=True)]
    served = [r.finish_s - s for s, r in zip(starts, requests, strict=True)]
    prefill = [r.first_token_s - s for s, r in zip(starts, requests, strict=True)]
    per_token = [r.tpot_s for r in requests if r.tpot_s is not None]
    for name, doc, values, bounds in (
        ("time_to_first_token", "To the first token.", [r.ttft_s for r in requests], TTFT_BOUNDS_S),
        ("request_time_per_output_token", "Per later token.", per_token, TOKEN_BOUNDS_S),
        ("e2e_request_latency", "To the end.", [r.e2e_s for r in requests], REQUEST_BOUNDS_S),
        ("request_queue_time", "Until it first ran.", queued, REQUEST_BOUNDS_S),
        ("request_inference_time", "From then to the end.", served, REQUEST_BOUNDS_S),
        ("request_prefill_time", "From then to the first token.", prefill, REQUEST_BOUNDS_S),
        (
            *("request_decode_time", "From the first token to the last."),
            *([r.finish_s - r.first_token_s for r in requests], REQUEST_BOUNDS_S),
        ),
    ):
        yield Family(
            name=f"vllm:{name}_seconds",
            kind=MetricKind.HISTOGRAM,
            doc=f"Seconds. {doc}",
            histograms={labels: observed(values, bounds)},
        )
