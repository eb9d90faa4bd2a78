"""StreamedSimulation: the figures of a run that kept sums in place of records."""

from dataclasses import dataclass

from kvsim.sim.figures import AboutRun, Json, Outcome, figures
from kvsim.sim.latency import Goodput


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamedSimulation(AboutRun):
    """What happened when an engine served a stream of requests; figures as of `Simulation`.

    `num_resumed` of the requests were served by earlier runs; `goodput` counts those that kept the
    limits, where some were given.
    """

    outcome: Outcome
    num_resumed: int
    goodput: Goodput | None = None

    def as_dict(self, *, cpu_s: float | None = None) -> Json:
        """The figures as plain values.

        Args:
            cpu_s: CPU seconds that this run took, for its speed.
        """
        told = figures(self, self.outcome)
        num_served = self.outcome.num_finished - self.num_resumed
        told["simulated_requests_per_s"] = num_served / cpu_s if cpu_s else None
        return told
