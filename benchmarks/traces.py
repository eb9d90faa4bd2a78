"""Trace files for benchmarks, written in bounded memory."""

import numpy as np
import polars as pl

BLOCK_REQUESTS = 100_000
COLUMNS = ("arrival_s", "num_prompt_tokens", "num_output_tokens")
LENGTHS = ((1000, 200), (250, 50))
"""Mean and standard deviation of prompts and of answers, tokens."""


def write_trace(path, *, num_requests, rate_per_s):
    """Requests that arrive independently of each other; the same ones each time."""
    numbers, now_s = np.random.default_rng(0), 0.0
    with path.open("wb") as file:
        for start in range(0, num_requests, BLOCK_REQUESTS):
            n = min(BLOCK_REQUESTS, num_requests - start)
            arrivals = now_s + np.cumsum(numbers.exponential(1 / rate_per_s, n))
            now_s = arrivals[-1]
            lengths = [
                np.maximum(1, np.rint(numbers.normal(mean, std, n))).astype(int)
                for mean, std in LENGTHS
            ]
            frame = pl.DataFrame(dict(zip(COLUMNS, (arrivals, *lengths), strict=True)))
            frame.write_csv(file, include_header=not start)
