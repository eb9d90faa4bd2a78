"""Workloads from descriptions: lengths and arrivals in, requests out, all from one generator."""

import numpy as np

from kvsim.message import Message
from kvsim.specs.bench import BenchResult
from kvsim.specs.workload import PoissonTraffic, Request, Workload


def poisson_workload(traffic: PoissonTraffic, generator: np.random.Generator) -> Workload:
    """Requests of a Poisson process; prompts share nothing.

    Args:
        traffic: rate and lengths.
        generator: the only source of chance; one seed, one workload.

    Example:
        >>> rng = np.random.Generator(np.random.PCG64(0))
        >>> workload = poisson_workload(PoissonTraffic(num_requests=3, rate_per_s=1.0), rng)
        >>> [r.num_prompt_tokens for r in workload]
        [1025, 974, 1128]
    """
    n = traffic.num_requests
    prompts = _lengths(generator, traffic.prompt_tokens, traffic.prompt_tokens_std, n)
    outputs = _lengths(generator, traffic.output_tokens, traffic.output_tokens_std, n)
    arrivals = np.zeros(n)
    if traffic.rate_per_s is not None:
        arrivals = np.cumsum(generator.exponential(1 / traffic.rate_per_s, n))
    requests = (
        Request(arrival_s=float(arrival), num_prompt_tokens=int(p), num_output_tokens=int(o))
        for arrival, p, o in zip(arrivals, prompts, outputs, strict=True)
    )
    source = Message("{requests} generated requests, {rate}", requests=n, rate=_rate(traffic))
    return Workload(requests=tuple(requests), name="poisson", source=source)


def _rate(traffic: PoissonTraffic) -> Message:
    if traffic.rate_per_s is None:
        return Message("at once")
    return Message("{rate} per s", rate=f"{traffic.rate_per_s:g}")


def bench_workload(result: BenchResult, generator: np.random.Generator) -> Workload:
    """The requests of a benchmark: as recorded, or of its mean lengths and its arrivals.

    Where only so many requests were under way at once, each waits for the answer of the one that
    many places before it.

    Args:
        result: what was recorded.
        generator: of the arrivals, where their rate is all that was recorded.

    Source:
        vLLM `get_request`, vllm/benchmarks/serve.py: gaps of a gamma distribution whose shape is
        the burstiness.
    """
    n = len(result.requests) or result.num_completed
    prompt = max(1, round(result.total_input_tokens / result.num_completed))
    output = max(1, round(result.total_output_tokens / result.num_completed))
    sizes = [(r.num_prompt_tokens, r.num_output_tokens) for r in result.requests]
    times, recorded = [r.start_s for r in result.requests], "as recorded"
    if not times or None in times:
        times, recorded = [0.0] * n, "at once"
        if result.rate_per_s is not None:
            scale = 1 / (result.rate_per_s * result.burstiness)
            times = np.cumsum(generator.gamma(result.burstiness, scale, n)).tolist()
            recorded = f"{result.rate_per_s:g} per s"
    limit = result.max_concurrency if recorded != "as recorded" else None
    requests = (
        Request(
            arrival_s=times[i] or 0.0,
            num_prompt_tokens=length[0],
            num_output_tokens=length[1],
            after=i - limit if limit is not None and i >= limit else None,
        )
        for i, length in enumerate(sizes or [(prompt, output)] * n)
    )
    lengths = "recorded lengths" if sizes else "mean lengths"
    source = f"{result.name}: {n} requests of {lengths}, {recorded}"
    return Workload(requests=tuple(requests), name=result.name, source=source)


def _lengths(
    generator: np.random.Generator, mean: float, std: float, n: int
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.maximum(np.rint(generator.normal(mean, std, n)), 1)
