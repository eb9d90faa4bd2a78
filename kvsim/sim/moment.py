"""Moments: what an observer of a run sees of each step, beside the step's record."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

from kvsim.sim.batch import Batch
from kvsim.sim.block_pool import BlockPool
from kvsim.sim.groups import CacheGroup
from kvsim.sim.records import RequestRecord, Stall, StepRecord
from kvsim.sim.request import RunningRequest


@dataclass(slots=True, eq=False)
class Served:
    """What the loop notes about a request while it is served; it becomes its record."""

    arrival_s: float
    running: RunningRequest
    place: int  # of the request in the workload
    sample: int
    first_step: int = -1
    num_cached_tokens: int = 0
    num_loaded_tokens: int = 0
    first_token_step: int = -1
    first_token_s: float = 0.0
    last_token_step: int = -1
    last_token_s: float = 0.0
    num_lost_tokens: int = 0  # at its last preemption
    num_recomputed_tokens: int = 0
    stalls: list[Stall] = field(default_factory=list)

    def record(self, *, last_step: int, finish_s: float) -> RequestRecord:
        """The request's life, when its last token is known."""
        running = self.running
        return RequestRecord(
            index=self.place,
            sample=self.sample,
            num_prompt_tokens=running.num_prompt_tokens,
            num_output_tokens=running.num_tokens - running.num_prompt_tokens,
            num_cached_tokens=self.num_cached_tokens,
            num_loaded_tokens=self.num_loaded_tokens,
            num_preemptions=running.num_preemptions,
            arrival_s=self.arrival_s,
            first_step=self.first_step,
            first_token_step=self.first_token_step,
            last_step=last_step,
            first_token_s=self.first_token_s,
            finish_s=finish_s,
            num_recomputed_tokens=self.num_recomputed_tokens,
            stalls=tuple(self.stalls),
        )


@dataclass(frozen=True, slots=True)
class Moment:
    """One step right after it was scheduled, before its outputs are settled.

    `record` and `batch` are the step's; the others are the engine's own and change with the next
    step, so an observer copies what it keeps.
    """

    record: StepRecord
    batch: Batch
    served: Collection[Served]  # every request that arrived and did not end
    pool: BlockPool
    groups: Sequence[CacheGroup]


Observer = Callable[[Moment], None]
"""Is shown every step of a run; the run is the same with it and without."""
