"""How well one or more runs side by side served their requests, against stated limits."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from kvsim.errors import SpecError
from kvsim.sim.metrics import Spread, spread
from kvsim.sim.simulation import Simulation
from kvsim.specs.limits import ServiceLimits

Json = dict[str, object]

LATENCIES = ("ttft_s", "tpot_s", "e2e_s")


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """Latencies of all requests of the runs, and the share of them that kept every limit."""

    limits: ServiceLimits
    share: float
    latencies: Mapping[str, Spread]  # a latency that no request has is left out
    num_requests: int
    num_preemptions: int
    output_tokens_per_s: float
    step_time: str
    is_calibrated: bool

    @property
    def is_met(self) -> bool:
        """Whether as many kept the limits as must."""
        return self.share >= self.limits.slo_share

    @property
    def text(self) -> str:
        """The share that kept the limits, in words."""
        return f"{self.share:.2%} kept the limits, {self.limits.slo_share:.2%} must"

    def as_dict(self) -> Json:
        """Plain values."""
        return {
            "met": self.is_met,
            "share": self.share,
            **{
                name: asdict(self.latencies[name]) if name in self.latencies else None
                for name in LATENCIES
            },
            "requests": self.num_requests,
            "preemptions": self.num_preemptions,
            "output_tokens_per_s": self.output_tokens_per_s,
        }


def check_limited(limits: ServiceLimits) -> None:
    """SpecError where nothing is limited: then any number of replicas would do."""
    if limits.is_open:
        msg = "at least one of slo_ttft_s, slo_tpot_s, slo_itl_s and slo_e2e_s must be given"
        raise SpecError(msg)


def level(runs: Sequence[Simulation], limits: ServiceLimits) -> Level:
    """How well runs that share the requests served them."""
    asked = sum(run.num_requests for run in runs)
    duration_s = max(run.duration_s for run in runs)
    tokens = sum(r.num_output_tokens for run in runs for r in run.requests)
    return Level(
        limits=limits,
        share=sum(run.goodput(limits).requests for run in runs) / asked,
        latencies={name: found for name in LATENCIES if (found := _spread(runs, name)) is not None},
        num_requests=asked,
        num_preemptions=sum(run.num_preemptions for run in runs),
        output_tokens_per_s=tokens / duration_s if duration_s else 0.0,
        step_time=runs[0].step_time,
        is_calibrated=runs[0].is_calibrated,
    )


def _spread(runs: Sequence[Simulation], name: str) -> Spread | None:
    values = (getattr(request, name) for run in runs for request in run.requests)
    return spread(value for value in values if value is not None)
