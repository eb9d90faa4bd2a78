"""What the visitor sends to the simulated engine: generated requests, or a trace of their own."""

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import kvsim

MAX_REQUESTS = 2000
MAX_TOKENS = 20_000_000
"""Most prompt and answer tokens of a run."""

GENERATED, TRACE = "poisson", "trace"
AUTO = "auto"
ENDINGS = (".csv", ".jsonl", ".ndjson", ".json", ".parquet")
"""How a trace's name may end, the first four also with .gz; all else of the name is dropped."""

GZIP = ".gz"


def workload_options() -> tuple[str, ...]:
    """Requests described by the page's numbers, each named workload, and the visitor's trace."""
    return (GENERATED, *kvsim.named_workloads(), TRACE)


def arrival_options() -> tuple[str, ...]:
    """As the workload says, and every arrival process."""
    return (AUTO, *kvsim.ArrivalProcess)


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """A visitor's file: what is in it, and the ending that says how to read it."""

    ending: str
    content: bytes

    @classmethod
    def of(cls, name: str, content: bytes) -> "Upload":
        """The file of that name, of which nothing but a known ending is kept."""
        lower = name.lower()
        zipped = GZIP if lower.endswith(GZIP) else ""
        plain = lower.removesuffix(GZIP)
        ending = next((known for known in ENDINGS if plain.endswith(known)), ENDINGS[0])
        return cls(ending=ending + zipped, content=content)


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """The inputs of page Simulate that say which requests come, and when."""

    workload: str
    num_requests: int
    rate_per_s: float | None
    pace_per_s: float | None
    arrivals: str
    variation: float
    num_users: int
    think_time_s: float
    prompt_tokens: int
    prompt_tokens_std: int
    output_tokens: int
    output_tokens_std: int
    seed: int
    seeds: int
    trace: Upload | None

    @property
    def is_empty(self) -> bool:
        """Whether a trace was chosen and is not there yet."""
        return self.workload == TRACE and self.trace is None

    @property
    def all_seeds(self) -> range:
        """A run for each; nothing in a trace is by chance, so that one run says all."""
        return range(self.seed, self.seed + (1 if self.workload == TRACE else self.seeds))

    def requests(self, *, seed: int) -> kvsim.Workload:
        """The requests of that seed, at most `num_requests`: the first ones of a longer trace.

        Raises:
            KvsimError: for a trace that cannot be read, or more than `MAX_TOKENS` tokens.
        """
        if self.trace is not None and self.workload == TRACE:
            workload = self._recorded(self.trace)
        elif self.workload == GENERATED:
            workload = self._generated(seed)
        else:
            workload = self._named(seed)
        if sum(map(_tokens, workload)) > MAX_TOKENS:
            msg = kvsim.Message(
                "prompts and answers together must be <= {most} tokens here", most=f"{MAX_TOKENS:,}"
            )
            raise kvsim.SpecError(msg)
        return workload

    def _generated(self, seed: int) -> kvsim.Workload:
        traffic = kvsim.PoissonTraffic(
            num_requests=self.num_requests,
            rate_per_s=self.rate_per_s,
            prompt_tokens=self.prompt_tokens,
            prompt_tokens_std=self.prompt_tokens_std,
            output_tokens=self.output_tokens,
            output_tokens_std=self.output_tokens_std,
        )
        return kvsim.poisson_workload(traffic, seed=seed)

    def _named(self, seed: int) -> kvsim.Workload:
        changed: dict[str, object] = {}
        if self.arrivals != AUTO:
            numbers = ("variation", "num_users", "think_time_s")
            changed = {name: getattr(self, name) for name in numbers} | {"process": self.arrivals}
        if self.pace_per_s is not None:
            changed["rate_per_s"] = self.pace_per_s
        return kvsim.generate_workload(
            self.workload, num_requests=self.num_requests, seed=seed, arrivals=changed
        )

    def _recorded(self, trace: Upload) -> kvsim.Workload:
        """The trace, by way of a file whose name the visitor has no part in."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"trace{trace.ending}"
            path.write_bytes(trace.content)
            workload = kvsim.read_trace(path, limit=self.num_requests + 1)
        if len(workload) > self.num_requests:
            source = kvsim.Message(
                "{source}, first {requests} requests",
                source=workload.source,
                requests=f"{self.num_requests:,}",
            )
            first = workload.requests[: self.num_requests]
            workload = replace(workload, requests=first, source=source)
        return workload if self.pace_per_s is None else workload.at_rate(self.pace_per_s)


def _tokens(request: kvsim.Request) -> int:
    return (request.num_prompt_tokens + request.num_output_tokens) * request.num_samples
