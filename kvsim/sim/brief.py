"""Brief runs: of a run is kept only what a latency goal asks of its requests."""

from dataclasses import dataclass

from kvsim.sim.latency import Goodput, count_keeping, goodput_of
from kvsim.sim.metrics import RequestTimes
from kvsim.sim.series import RequestSeries
from kvsim.specs.limits import ServiceLimits


@dataclass(frozen=True, slots=True, kw_only=True)
class BriefRun(RequestTimes):
    """What became of the requests of a run, all of them served; figures as of `Simulation`."""

    requests: RequestSeries  # without their stalls
    num_requests: int
    num_preemptions: int
    num_gpu_blocks: int
    duration_s: float
    step_time: str
    is_calibrated: bool
    not_modeled: tuple[str, ...] = ()

    def goodput(self, limits: ServiceLimits) -> Goodput:
        """The requests that kept these limits, none of which may be of gaps between tokens."""
        assert limits.slo_itl_s is None
        requests = self.requests
        taken = {
            "ttft_s": requests.ttft_s,
            "tpot_s": requests.tpot_or_nan_s,
            "e2e_s": requests.e2e_s,
        }
        return goodput_of(
            count_keeping(taken, limits),
            limits,
            num_asked=self.num_requests,
            duration_s=self.duration_s,
        )
