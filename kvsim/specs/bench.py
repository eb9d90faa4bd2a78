"""BenchResult: what a benchmark of a server recorded, request by request or on average."""

from dataclasses import dataclass

from kvsim.errors import SpecError


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchRequest:
    """One request: lengths, and seconds from its start to its tokens; None where not recorded."""

    num_prompt_tokens: int
    num_output_tokens: int
    start_s: float | None = None
    ttft_s: float | None = None
    itls_s: tuple[float, ...] = ()

    @property
    def is_timed(self) -> bool:
        """Whether it is known when each of its outputs came."""
        return self.start_s is not None and self.ttft_s is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchResult:
    """A benchmark: its traffic, its means, and its requests where they were recorded.

    `rate_per_s` is None where all requests were sent at once; then `max_concurrency`, if not
    None, bounds how many were under way.
    """

    name: str
    model_id: str
    backend: str
    duration_s: float
    num_completed: int
    total_input_tokens: int
    total_output_tokens: int
    rate_per_s: float | None
    burstiness: float
    max_concurrency: int | None
    mean_ttft_s: float | None
    mean_tpot_s: float | None
    mean_itl_s: float | None
    requests: tuple[BenchRequest, ...] = ()

    def __post_init__(self) -> None:
        if self.num_completed < 1 or not self.duration_s > 0:
            msg = (
                f"{self.name}: completed={self.num_completed} and duration={self.duration_s:g} "
                "must be > 0"
            )
            raise SpecError(msg)

    @property
    def is_timed(self) -> bool:
        """Whether it is known when each output of each request came."""
        return bool(self.requests) and all(request.is_timed for request in self.requests)
