"""What the visitor sends to the simulated engine: generated requests, or a trace of their own."""

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import kvsim

MAX_REQUESTS = 1000
MAX_TOKENS = 2_000_000
"""Most prompt and answer tokens of a run: some seconds of one core."""

GENERATED, TRACE = "poisson", "trace"
WORKLOADS = (GENERATED, TRACE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """The inputs of page Simulate; `trace` is the text of an uploaded file."""

    workload: str
    num_requests: int
    rate_per_s: float | None
    prompt_tokens: int
    prompt_tokens_std: int
    output_tokens: int
    output_tokens_std: int
    seed: int
    trace: str | None

    @property
    def is_empty(self) -> bool:
        """Whether a trace was chosen and is not there yet."""
        return self.workload == TRACE and not self.trace

    def requests(self) -> kvsim.Workload:
        """The requests, at most `MAX_REQUESTS`: the first ones of a longer trace.

        Raises:
            KvsimError: for a trace that cannot be read, or more than `MAX_TOKENS` tokens.
        """
        workload = _read(self.trace or "") if self.workload == TRACE else self._generated()
        if sum(map(_tokens, workload)) > MAX_TOKENS:
            msg = f"prompts and answers together must be <= {MAX_TOKENS:,} tokens here"
            raise kvsim.SpecError(msg)
        return workload

    def _generated(self) -> kvsim.Workload:
        traffic = kvsim.PoissonTraffic(
            num_requests=self.num_requests,
            rate_per_s=self.rate_per_s,
            prompt_tokens=self.prompt_tokens,
            prompt_tokens_std=self.prompt_tokens_std,
            output_tokens=self.output_tokens,
            output_tokens_std=self.output_tokens_std,
        )
        return kvsim.poisson_workload(traffic, seed=self.seed)


def _tokens(request: kvsim.Request) -> int:
    return (request.num_prompt_tokens + request.num_output_tokens) * request.num_samples


def _read(text: str) -> kvsim.Workload:
    """The trace, by way of a file whose name the visitor has no part in."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trace.csv"
        path.write_text(text, encoding="utf-8", newline="")
        workload = kvsim.read_trace(path, limit=MAX_REQUESTS + 1)
    if len(workload) <= MAX_REQUESTS:
        return workload
    source = f"{workload.source}, first {MAX_REQUESTS:,} requests"
    return replace(workload, requests=workload.requests[:MAX_REQUESTS], source=source)
