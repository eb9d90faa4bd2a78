"""The answer to a retention window: bytes in each tier, what they cost, and what they save."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from kvsim.planner.plan import Evaluation
from kvsim.sim.histories import WindowReuse

Json = dict[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class TierBytes:
    """Where histories lie: each in the nearest tier with room; `beyond` has no place at all."""

    gpu: int
    host: int
    disk: int
    beyond: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionWindow:
    """One window: what is idle and kept, where it lies, what it costs and what it finds.

    `steady_bytes` is by Little's law: turns per second, times the bytes that a turn leaves idle,
    times the seconds that they stay idle and kept. `mean_bytes` and `peak_bytes` are those of the
    workload itself, which begins with nothing kept.
    """

    window_s: float
    idle_s: float
    steady_bytes: int
    mean_bytes: float
    peak_bytes: int
    tiers: TierBytes  # of steady_bytes
    prompts: WindowReuse  # prompts alone, as `kvsim workload` counts
    with_answers: WindowReuse  # whole blocks of prompts and answers, as engines keep them
    usd_per_month: Mapping[str, tuple[float, float] | None]  # by tier, both ends of the price

    def as_dict(self) -> Json:
        """Plain values."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryTransfer:
    """A mean history: how long it takes to come from a tier, and to be computed again.

    None where no rate was stated: a transfer is not taken to be free.
    """

    num_tokens: int
    num_bytes: int  # over all ranks, as the engine packs it
    from_host_s: float | None
    from_disk_s: float | None
    recompute_s: float

    def as_dict(self) -> Json:
        """Plain values."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionStudy:
    """What retention windows cost and save for one replica under a traffic."""

    evaluation: Evaluation
    workload: str
    num_requests: int
    duration_s: float  # from the first arrival to the last
    turns_per_s: float
    bytes_per_turn: float  # that become idle; what other requests hold at the time is not
    gpu_free_bytes: int  # beside the running requests, on average
    transfer: HistoryTransfer
    windows: tuple[RetentionWindow, ...]
    step_time: str
    is_calibrated: bool
    notes: tuple[str, ...]

    def as_dict(self) -> Json:
        """Plain values."""
        e = self.evaluation
        return {
            "engine": str(e.engine),
            "engine_version": e.resolved.engine_version,
            "model": e.deployment.model.name,
            "gpu": e.deployment.accelerator.name,
            "num_gpus": e.deployment.parallel.num_ranks,
            "workload": self.workload,
            "num_requests": self.num_requests,
            "duration_s": self.duration_s,
            "turns_per_s": self.turns_per_s,
            "bytes_per_turn": self.bytes_per_turn,
            "gpu_free_bytes": self.gpu_free_bytes,
            "transfer": self.transfer.as_dict(),
            "windows": [window.as_dict() for window in self.windows],
            "step_time": {"source": self.step_time, "calibrated": self.is_calibrated},
            "notes": list(self.notes),
            "not_modeled": list(e.not_modeled),
        }
