"""StepTable: measured steps of an engine, and the line through them."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import pairwise

from kvsim.errors import SpecError

Json = dict[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class StepPoint:
    """What some measured steps computed, each on average, and how long each took.

    `num_tokens` counts those that were computed: one per decoding request, and prompts.
    `num_cached_tokens` are all that the requests had in the cache.
    """

    num_requests: float
    num_tokens: float
    num_cached_tokens: float
    seconds: float
    num_steps: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class StepLine:
    """Seconds of a step as a sum: a base, and as much for each request and token."""

    base_s: float
    per_request_s: float
    per_token_s: float
    per_cached_token_s: float

    def __post_init__(self) -> None:
        terms: Mapping[str, float] = asdict(self)
        for name, value in terms.items():
            if not 0 <= value < float("inf"):
                msg = f"{name}={value} must be >= 0"
                raise SpecError(msg)
        if not sum(terms.values()) > 0:
            msg = "base_s=0 must be > 0 where everything else is 0: a step takes time"
            raise SpecError(msg)

    def seconds(self, *, num_requests: float, num_tokens: float, num_cached_tokens: float) -> float:
        """Seconds of a step that computes so much."""
        return (
            self.base_s
            + self.per_request_s * num_requests
            + self.per_token_s * num_tokens
            + self.per_cached_token_s * num_cached_tokens
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Residuals:
    """Measured less fitted, as shares of the fitted seconds, over the measured steps."""

    mean_absolute: float
    p90_absolute: float
    largest_absolute: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StepTable:
    """Measured points, the line that was fitted to the steps behind them, and how well.

    It holds for the model, engine and devices that were measured; `source` says which, as far
    as the files did.
    """

    source: str
    line: StepLine
    residuals: Residuals
    points: tuple[StepPoint, ...]
    num_steps: int
    not_modeled: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.points:
            msg = f"points of {self.source[:60]} must hold at least one"
            raise SpecError(msg)
        if any(a.num_requests > b.num_requests for a, b in pairwise(self.points)):
            msg = f"points of {self.source[:60]} must be in order of num_requests"
            raise SpecError(msg)

    def fitted_s(self, point: StepPoint) -> float:
        """What the line says of a measured point."""
        return self.line.seconds(
            num_requests=point.num_requests,
            num_tokens=point.num_tokens,
            num_cached_tokens=point.num_cached_tokens,
        )

    def as_dict(self) -> Json:
        """Plain values: each point beside what the line says of it."""
        return {
            "source": self.source,
            "num_steps": self.num_steps,
            "line": asdict(self.line),
            "residuals": asdict(self.residuals),
            "points": [{**asdict(p), "fitted_s": self.fitted_s(p)} for p in self.points],
            "not_modeled": list(self.not_modeled),
        }
