"""How well a run served its requests, against stated limits."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from kvsim.errors import SpecError
from kvsim.sim.brief import BriefRun
from kvsim.sim.metrics import Spread
from kvsim.sim.simulation import Simulation
from kvsim.specs.limits import ServiceLimits

Json = dict[str, object]

LATENCIES = ("ttft_s", "tpot_s", "e2e_s")


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """Latencies of all requests of a run, and the share of them that kept every limit."""

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


def level(done: Simulation | BriefRun, limits: ServiceLimits) -> Level:
    """How well a run served its requests."""
    tokens = done.requests.total("num_output_tokens")
    return Level(
        limits=limits,
        share=done.goodput(limits).share,
        latencies={name: found for name in LATENCIES if (found := getattr(done, name)) is not None},
        num_requests=done.num_requests,
        num_preemptions=done.num_preemptions,
        output_tokens_per_s=tokens / done.duration_s if done.duration_s else 0.0,
        step_time=done.step_time,
        is_calibrated=done.is_calibrated,
    )
