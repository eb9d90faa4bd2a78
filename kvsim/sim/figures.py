"""The figures of a run as plain values, whoever kept its records, or only their sums."""

from dataclasses import asdict, dataclass, field

from kvsim.sim.cover import SchedulerName
from kvsim.sim.metrics import PrefixCacheUse, Spread, waste
from kvsim.sim.series import PreemptionSeries
from kvsim.sim.tiers import TierUse
from kvsim.sim.totals import StepSums

Json = dict[str, object]

MAX_EVICTIONS = 100
"""Most preemptions that are listed among the figures; all of them are among the records."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AboutRun:
    """What was run, by which rules; `interrupted`: it was stopped before all was served."""

    num_requests: int  # that were to be served, every sample counted
    num_gpu_blocks: int  # the null block counted
    block_size: int  # tokens to which the scheduler aligns
    max_model_len: int  # longest prompt plus answer
    step_time: str  # where a step's seconds come from
    is_calibrated: bool  # whether those rest on measurements
    engine: str
    engine_version: str
    model: str | None = None
    gpu: str | None = None
    interrupted: bool = False
    scheduler: SchedulerName = SchedulerName.REFERENCE
    scheduler_reason: str | None = None  # why the reference served; None for the compiled twin
    not_modeled: tuple[str, ...] = field(default=())


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of a run: sums over its steps and its finished requests, and waiting times."""

    sums: StepSums
    num_finished: int
    num_output_tokens: int
    num_recomputed_tokens: int
    evictions: PreemptionSeries  # the first of them
    tiers: tuple[TierUse, ...]
    prefix_cache: PrefixCacheUse
    ttft_s: Spread | None
    tpot_s: Spread | None
    itl_s: Spread | None
    queue_s: Spread | None
    e2e_s: Spread | None
    duration_s: float  # from time 0 to the end of the last step


def figures(about: AboutRun, outcome: Outcome, *, cpu_s: float | None = None) -> Json:
    """The figures of a run.

    Args:
        about: what was run.
        outcome: what came of it.
        cpu_s: CPU seconds that the run took, for its speed.
    """
    sums = outcome.sums
    parts = waste(sums, num_usable_blocks=about.num_gpu_blocks - 1)
    return {
        "engine": about.engine,
        "engine_version": about.engine_version,
        "model": about.model,
        "gpu": about.gpu,
        "interrupted": about.interrupted,
        "scheduler": about.scheduler,
        "scheduler_reason": about.scheduler_reason,
        "requests": outcome.num_finished,
        "requests_asked": about.num_requests,
        "steps": sums.num_steps,
        "duration_s": outcome.duration_s,
        "scheduled_tokens": sums.counted["num_tokens"],
        "output_tokens": outcome.num_output_tokens,
        "preemptions": sums.counted["num_preempted"],
        "recomputed_tokens": outcome.num_recomputed_tokens,
        "evictions": [asdict(p) for p in outcome.evictions],
        "num_gpu_blocks": about.num_gpu_blocks,
        "block_size": about.block_size,
        "peak_blocks": sums.most["num_used_blocks"],
        "peak_running": sums.most["num_running"],
        "peak_waiting": sums.most["num_waiting"],
        "mean_running": sums.mean("num_running"),
        "mean_waiting": sums.mean("num_waiting"),
        "mean_block_utilization": 0.0 if parts is None else 1.0 - parts.external,
        "waste": None if parts is None else asdict(parts),
        "prefix_cache": asdict(outcome.prefix_cache),
        "tiers": [asdict(tier) for tier in outcome.tiers],
        "step_time": {"source": about.step_time, "calibrated": about.is_calibrated},
        **{name: plain(getattr(outcome, name)) for name in WAITS},
        "simulated_requests_per_s": outcome.num_finished / cpu_s if cpu_s else None,
        "not_modeled": list(about.not_modeled),
    }


WAITS = ("ttft_s", "tpot_s", "itl_s", "queue_s", "e2e_s")


def plain(values: Spread | None) -> Json | None:
    """A spread as plain values."""
    return None if values is None else asdict(values)
