"""Request and Workload: what clients send, when, and which prefixes they share."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from math import isfinite

from kvsim.errors import SpecError
from kvsim.message import Message
from kvsim.specs.attention import check_positive
from kvsim.specs.option import option

TOKENS_PER_SEGMENT = 10**6
"""Distance of two segments' token values: token j of segment s has the value s * 10^6 + j."""

FIRST_OUTPUT_SEGMENT = 10**6
"""Segments from here on name what requests generate, unless a request names its own."""

FIRST_SAMPLE_SEGMENT = 10**9
"""Segments from here on name the second and later answers to one prompt."""

FIRST_PRIVATE_SEGMENT = 10**12
"""Segments from here on name prompts of which nothing else is known: nobody shares them."""

MAX_SAMPLES = 1000
"""Most answers to one prompt."""


@dataclass(frozen=True, slots=True)
class PromptSegment:
    """A run of tokens; equal ids are equal tokens, as far as both runs go."""

    segment_id: int
    num_tokens: int

    def __post_init__(self) -> None:
        if self.segment_id < 0 or self.num_tokens < 0:
            msg = f"segment_id={self.segment_id} and num_tokens={self.num_tokens} must be >= 0"
            raise SpecError(msg)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a client sends: when, how long a prompt, how long an answer.

    `prompt` says which tokens the prompt is made of, as far as others share them; empty, it is
    shared with nobody. `output_segment` names the answer, for a later prompt that repeats it.
    `num_samples` answers are generated from one prompt, as requests of their own.

    A request may wait for an answer: of the request `after`, by its place in the workload. It
    then comes `pause_s` after that answer's end, whenever that is; `arrival_s` is when it would
    come if answers took what the workload's description says.
    """

    num_prompt_tokens: int
    num_output_tokens: int
    arrival_s: float = 0.0
    prompt: tuple[PromptSegment, ...] = ()
    output_segment: int | None = None
    priority: int = 0  # smaller is sooner
    num_samples: int = 1
    num_encoder_tokens: int = 0
    after: int | None = None
    pause_s: float = 0.0

    def __post_init__(self) -> None:
        check_positive(
            num_prompt_tokens=self.num_prompt_tokens,
            num_output_tokens=self.num_output_tokens,
            num_samples=self.num_samples,
        )
        if not (isfinite(self.arrival_s) and self.arrival_s >= 0):
            msg = f"arrival_s={self.arrival_s} must be >= 0"
            raise SpecError(msg)
        if not (isfinite(self.pause_s) and self.pause_s >= 0):
            msg = f"pause_s={self.pause_s} must be >= 0"
            raise SpecError(msg)
        if self.num_encoder_tokens < 0:
            msg = f"num_encoder_tokens={self.num_encoder_tokens} must be >= 0"
            raise SpecError(msg)
        described = sum(segment.num_tokens for segment in self.prompt)
        if self.prompt and described != self.num_prompt_tokens:
            msg = f"num_prompt_tokens={self.num_prompt_tokens} must be its segments' {described}"
            raise SpecError(msg)


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """Requests in order of arrival, and where they come from."""

    requests: tuple[Request, ...]
    name: str = "requests"
    source: str = field(default="given", compare=False)

    def __post_init__(self) -> None:
        if not self.requests:
            msg = Message("workload={name} must hold at least one request", name=self.name)
            raise SpecError(msg)
        for i in range(1, len(self.requests)):
            before, after = self.requests[i - 1].arrival_s, self.requests[i].arrival_s
            if after < before:
                msg = Message(
                    "arrival_s={after} of request {i} must be >= {before}, the one before",
                    after=f"{after:g}",
                    i=i,
                    before=f"{before:g}",
                )
                raise SpecError(msg)
        for i, request in enumerate(self.requests):
            if request.after is not None and not 0 <= request.after < i:
                msg = Message(
                    "after={after} of request {i} must be a request before it",
                    after=request.after,
                    i=i,
                )
                raise SpecError(msg)

    def __len__(self) -> int:
        return len(self.requests)

    @property
    def rate_per_s(self) -> float | None:
        """Requests per second from the first to the last; None where all are there at once."""
        return rate_of(self.requests[0].arrival_s, self.requests[-1].arrival_s, len(self))

    def at_rate(self, rate_per_s: float) -> "Workload":
        """The same requests, all gaps stretched or shrunk to another rate.

        Raises:
            SpecError: if the requests have no rate, or the new one is not above 0.

        Example:
            >>> pair = tuple(Request(num_prompt_tokens=1, num_output_tokens=1, arrival_s=t)
            ...     for t in (0.0, 2.0))
            >>> Workload(requests=pair).at_rate(4.0).requests[1].arrival_s
            0.25
        """
        first_s, last_s = self.requests[0].arrival_s, self.requests[-1].arrival_s
        factor = stretch(first_s, last_s, len(self), rate_per_s=rate_per_s)
        changed = tuple(replace(r, arrival_s=r.arrival_s * factor) for r in self.requests)
        return replace(self, requests=changed)

    def __iter__(self) -> Iterator[Request]:
        return iter(self.requests)


def rate_of(first_s: float, last_s: float, num_requests: int) -> float | None:
    """Requests per second from the first to the last; None where all are there at once."""
    return (num_requests - 1) / (last_s - first_s) if last_s > first_s else None


def stretch(first_s: float, last_s: float, num_requests: int, *, rate_per_s: float) -> float:
    """What to multiply times by so that requests come at another rate.

    Raises:
        SpecError: if the requests have no rate, or the new one is not above 0.
    """
    now = rate_of(first_s, last_s, num_requests)
    if now is None or not 0 < rate_per_s < float("inf"):
        msg = Message(
            "rate_per_s={rate_per_s} must be > 0, and the requests come over time",
            rate_per_s=f"{rate_per_s:g}",
        )
        raise SpecError(msg)
    return now / rate_per_s


@dataclass(frozen=True, slots=True, kw_only=True)
class PoissonTraffic:
    """Requests that arrive independently of each other, with normally distributed lengths.

    Lengths are rounded and at least 1. Without a rate all requests are there at the start.
    """

    num_requests: int = option(1000, "requests to generate")
    rate_per_s: float | None = option(None, "requests per second; none: all at once")
    prompt_tokens: float = option(1000.0, "mean prompt length, tokens")
    prompt_tokens_std: float = option(200.0, "standard deviation of it, tokens")
    output_tokens: float = option(250.0, "mean answer length, tokens")
    output_tokens_std: float = option(50.0, "standard deviation of it, tokens")

    def __post_init__(self) -> None:
        check_positive(num_requests=self.num_requests)
        if self.rate_per_s is not None and not self.rate_per_s > 0:
            msg = Message("rate_per_s={rate_per_s} must be > 0", rate_per_s=f"{self.rate_per_s:g}")
            raise SpecError(msg)
        for name in ("prompt_tokens", "output_tokens"):
            mean, std = getattr(self, name), getattr(self, f"{name}_std")
            if not mean >= 1:
                msg = Message("{name}={mean} must be >= 1", name=name, mean=f"{mean:g}")
                raise SpecError(msg)
            if not std >= 0:
                msg = Message("{name}_std={std} must be >= 0", name=name, std=f"{std:g}")
                raise SpecError(msg)


def prompt_segments(request: Request, index: int) -> Sequence[PromptSegment]:
    """The prompt as segments; one nobody shares where the request names none."""
    if request.prompt:
        return request.prompt
    return (PromptSegment(FIRST_PRIVATE_SEGMENT + index, request.num_prompt_tokens),)


def output_segment(request: Request, index: int, sample: int) -> int:
    """The segment that an answer is; those of several samples differ."""
    if sample:
        return FIRST_SAMPLE_SEGMENT + index * MAX_SAMPLES + sample
    return (
        FIRST_OUTPUT_SEGMENT + index if request.output_segment is None else request.output_segment
    )
