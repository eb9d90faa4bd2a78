"""Workloads from descriptions: lengths and arrivals in, requests out, all from one generator."""

import numpy as np

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
    rate = "at once" if traffic.rate_per_s is None else f"{traffic.rate_per_s:g} per s"
    return Workload(
        requests=tuple(requests), name="poisson", source=f"{n} generated requests, {rate}"
    )


def _lengths(
    generator: np.random.Generator, mean: float, std: float, n: int
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.maximum(np.rint(generator.normal(mean, std, n)), 1)
