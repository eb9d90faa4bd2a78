"""Simulation: a run's records, and the figures that follow from them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kvsim.sim.engine import Engine
from kvsim.sim.figures import MAX_EVICTIONS, AboutRun, Outcome, figures
from kvsim.sim.latency import Goodput, StepEnds, goodput, queue_times, weighted_spread
from kvsim.sim.metrics import (
    PrefixCacheUse,
    RequestTimes,
    Spread,
    Waste,
    prefix_cache_use,
    spread,
    waste,
)
from kvsim.sim.records import StepRecord
from kvsim.sim.series import PreemptionSeries, RequestSeries, StepSeries
from kvsim.sim.tables import frame
from kvsim.sim.tiers import TierUse
from kvsim.sim.totals import step_sums
from kvsim.specs.limits import ServiceLimits

if TYPE_CHECKING:
    from polars import DataFrame

Json = dict[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulation(AboutRun, RequestTimes):
    """What happened when an engine served a workload; every figure is read off the records.

    `interrupted` means that the run was stopped: the records are those of what was done.
    """

    steps: StepSeries
    requests: RequestSeries  # those that finished, in the workload's order
    num_free_blocks: int  # that nobody held when the run ended
    preemptions: PreemptionSeries
    tiers: tuple[TierUse, ...] = ()  # below the device, the nearest first

    @property
    def num_preemptions(self) -> int:
        """Requests that lost their blocks, counted each time."""
        return self.steps.total("num_preempted")

    @property
    def peak_blocks(self) -> int:
        """Most blocks that requests held at once."""
        return self.steps.most("num_used_blocks")

    @property
    def waste(self) -> Waste | None:
        """Where the pool's blocks went; None if no step was done."""
        return waste(step_sums(self.steps), num_usable_blocks=self.num_gpu_blocks - 1)

    @property
    def mean_block_utilization(self) -> float:
        """Share of the usable blocks that requests held, over the time that steps took."""
        parts = self.waste
        return 0.0 if parts is None else 1.0 - parts.external

    @property
    def prefix_cache(self) -> PrefixCacheUse:
        """What the prefix cache found."""
        return prefix_cache_use(step_sums(self.steps), self.requests.hit_shares)

    @property
    def itl_s(self) -> Spread | None:
        """Time between two outputs of a request in a row."""
        return weighted_spread(StepEnds.of(self.steps).gaps(self.requests))

    @property
    def queue_s(self) -> Spread | None:
        """Time until a request was first part of a step."""
        return spread(queue_times(self.steps, self.requests))

    @property
    def recomputed_tokens(self) -> int:
        """Tokens of finished requests that were computed again after a preemption."""
        return self.requests.total("num_recomputed_tokens")

    def goodput(self, limits: ServiceLimits) -> Goodput:
        """The requests that kept these limits."""
        return goodput(self.steps, self.requests, limits, num_asked=self.num_requests)

    @property
    def duration_s(self) -> float:
        """From time 0 to the end of the last step."""
        return self.steps[-1].end_s if len(self.steps) else 0.0

    def to_polars(self, table: str = "requests") -> "DataFrame":
        """The records as a Polars table.

        Args:
            table: requests, steps or preemptions.

        Raises:
            SpecError: for another table.
        """
        return frame(self, table)

    def as_dict(self, *, cpu_s: float | None = None) -> Json:
        """The figures as plain values; counts in place of the records.

        Args:
            cpu_s: CPU seconds that the run took, for its speed.
        """
        sums = step_sums(self.steps)
        outcome = Outcome(
            sums=sums,
            num_finished=len(self.requests),
            num_output_tokens=self.requests.total("num_output_tokens"),
            num_recomputed_tokens=self.recomputed_tokens,
            evictions=self.preemptions[:MAX_EVICTIONS],
            tiers=self.tiers,
            prefix_cache=prefix_cache_use(sums, self.requests.hit_shares),
            ttft_s=self.ttft_s,
            tpot_s=self.tpot_s,
            itl_s=self.itl_s,
            queue_s=self.queue_s,
            e2e_s=self.e2e_s,
            duration_s=self.duration_s,
        )
        return figures(self, outcome, cpu_s=cpu_s)


@dataclass(frozen=True, slots=True)
class Run:
    """Records of a run, whole or stopped."""

    steps: StepSeries
    requests: RequestSeries
    preemptions: PreemptionSeries
    tiers: tuple[TierUse, ...]
    interrupted: bool
    num_free_blocks: int


STEPS_PER_REPORT = 256
"""Steps between two reports of progress."""


def run(
    engine: Engine, *, keep_partial: bool, on_progress: Callable[[int], None] | None = None
) -> Run:
    """Serve the workload to its end.

    Args:
        engine: with its workload.
        keep_partial: on Ctrl-C return what was done, in place of raising.
        on_progress: told every now and then how many answers are complete.
    """
    steps: list[StepRecord] = []
    interrupted = False
    try:
        for record in engine.run():
            steps.append(record)
            if on_progress is not None and not record.step % STEPS_PER_REPORT:
                on_progress(len(engine.requests))
    except KeyboardInterrupt:
        if not keep_partial:
            raise
        interrupted = True
    return collected(engine, steps, interrupted=interrupted)


def collected(engine: Engine, steps: Sequence[StepRecord], *, interrupted: bool) -> Run:
    """What an engine did so far, its requests in the workload's order."""
    requests = sorted(engine.requests, key=lambda r: (r.index, r.sample))
    return Run(
        steps=StepSeries.of(steps),
        requests=RequestSeries.of(requests),
        preemptions=PreemptionSeries.of(engine.preemptions),
        tiers=engine.tiers,
        interrupted=interrupted,
        num_free_blocks=engine.num_free_blocks,
    )
