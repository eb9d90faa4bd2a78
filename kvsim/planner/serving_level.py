"""What a run's latencies are against their limits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kvsim.sim.metrics import Spread, spread
from kvsim.sim.simulation import Simulation
from kvsim.specs.slo import GOALS, Slo

Json = dict[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """Latencies of all requests of one or more runs side by side, and which limits they miss.

    `reached` holds the percentile that the limits ask for; a latency that no request has (one
    token has no time per later token) is left out, and keeps its limit.
    """

    reached: Mapping[str, float]
    missed: Mapping[str, float]  # limits, by latency
    num_requests: int
    num_preemptions: int
    output_tokens_per_s: float
    step_time: str

    @property
    def is_met(self) -> bool:
        """Whether every limit is kept."""
        return not self.missed

    def as_dict(self) -> Json:
        """Plain values."""
        return {
            "met": self.is_met,
            "reached": dict(self.reached),
            "missed": dict(self.missed),
            "requests": self.num_requests,
            "preemptions": self.num_preemptions,
            "output_tokens_per_s": self.output_tokens_per_s,
        }


def level(runs: Sequence[Simulation], slo: Slo) -> Level:
    """The latencies of runs that share the requests, against the limits."""
    reached = {
        name: getattr(found, f"p{slo.percentile}")
        for name in GOALS
        if (found := _spread(runs, name)) is not None
    }
    duration_s = max(run.duration_s for run in runs)
    tokens = sum(r.num_output_tokens for run in runs for r in run.requests)
    return Level(
        reached=reached,
        missed={
            name: limit for name, limit in slo.limits.items() if reached.get(name, 0.0) > limit
        },
        num_requests=sum(len(run.requests) for run in runs),
        num_preemptions=sum(run.num_preemptions for run in runs),
        output_tokens_per_s=tokens / duration_s if duration_s else 0.0,
        step_time=runs[0].step_time,
    )


def _spread(runs: Sequence[Simulation], name: str) -> Spread | None:
    values = (getattr(request, name) for run in runs for request in run.requests)
    return spread(value for value in values if value is not None)
