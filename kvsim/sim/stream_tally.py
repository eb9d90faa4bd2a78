"""What a streamed run is folded into: sums, waiting times, and the steps that still matter."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from kvsim.sim.figures import MAX_EVICTIONS, Outcome
from kvsim.sim.latency import Gaps, StepEnds, joined_gaps, stall_gaps, weighted_spread
from kvsim.sim.metrics import prefix_cache_use, spread
from kvsim.sim.series import PREEMPTION_COLUMNS, PreemptionSeries, RequestSeries
from kvsim.sim.totals import COUNTED, OVER_TIME, PEAKS, StepSums, StepTotals

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

GAP_COLUMNS = np.dtype([("seconds", "f8"), ("times", "i8")])

STEP_TIMES = np.dtype([("start_s", "f8"), ("end_s", "f8"), ("is_computing", "?")])

VALUES = ("ttft_s", "tpot_s", "queue_s", "e2e_s", "hit_shares")
"""Waiting times of requests, and what they found cached; the time per later token of one is NaN."""


class Folded(NamedTuple):
    """What a window adds to the values that percentiles are taken of."""

    requests: RequestSeries
    values: Mapping[str, Floats]
    gaps: NDArray[np.void]


class StreamTally:
    """Sums over what is over, and the times of the last steps.

    Invariant: `steps` are those from step `first_step` on, in which a request that is not folded
    may have been served; `changes` says how many more of the folded requests wait from one token
    time to the next than `waiting` before the first, as `StepEnds.changes` does.
    """

    def __init__(self) -> None:
        self.totals = StepTotals()
        self.steps = np.zeros(0, STEP_TIMES)
        self.first_step = self.waiting = 0
        self.changes = np.zeros(1, np.int64)
        self.num_finished = self.num_output_tokens = self.num_recomputed_tokens = 0
        self.evictions = np.zeros(0, PREEMPTION_COLUMNS)

    def add(self, rows: NDArray[np.void]) -> None:
        """Take in the steps that come next."""
        self.totals.add(rows)
        times = np.zeros(len(rows), STEP_TIMES)
        times["start_s"], times["end_s"] = rows["start_s"], rows["end_s"]
        times["is_computing"] = rows["num_tokens"] > 0
        self.steps = np.concatenate([self.steps, times])

    def fold(
        self, requests: RequestSeries, preemptions: PreemptionSeries, *, oldest_step: int
    ) -> Folded:
        """Take in requests that are finished, all whose steps are there.

        Args:
            requests: with their stalls.
            preemptions: since the last call, in their order.
            oldest_step: no request that is still to be folded was part of an earlier one.
        """
        self.num_finished += len(requests)
        self.num_output_tokens += requests.total("num_output_tokens")
        self.num_recomputed_tokens += requests.total("num_recomputed_tokens")
        self.evictions = np.concatenate([self.evictions, preemptions.rows])[:MAX_EVICTIONS]
        start_s = self.steps["start_s"][requests.rows["first_step"] - self.first_step]
        values = {
            "ttft_s": requests.ttft_s,
            "tpot_s": requests.tpot_or_nan_s,
            "queue_s": np.maximum(0.0, start_s - requests.rows["arrival_s"]),
            "e2e_s": requests.e2e_s,
            "hit_shares": requests.hit_shares,
        }
        ends = StepEnds(self.steps["end_s"][self.steps["is_computing"]])
        changes = ends.changes(requests)
        changes[: len(self.changes)] += self.changes
        self.changes = changes
        gaps = joined_gaps([self._let_go(oldest_step), stall_gaps(requests)])
        rows = np.zeros(len(gaps.seconds), GAP_COLUMNS)
        rows["seconds"], rows["times"] = gaps
        return Folded(requests, values, rows)

    def _let_go(self, oldest_step: int) -> Gaps:
        """Forget the steps that no later request was part of; the gaps between their tokens."""
        is_computing = self.steps["is_computing"]
        ends = self.steps["end_s"][is_computing]
        num_steps = max(0, min(oldest_step - self.first_step, len(self.steps) - 1))
        num_ends = max(0, min(int(is_computing[:num_steps].sum()), len(ends) - 1))
        num_ends = int(np.searchsorted(ends, ends[num_ends])) if len(ends) else 0
        waiting = self.waiting + np.cumsum(self.changes)
        gaps = self._gaps(ends[: num_ends + 1], waiting[:num_ends])
        if num_ends:
            self.waiting = int(waiting[num_ends - 1])
            self.changes = self.changes[num_ends:]
            num_steps = int(np.flatnonzero(is_computing)[num_ends])
            self.steps = self.steps[num_steps:]
            self.first_step += num_steps
        return gaps

    @staticmethod
    def _gaps(ends_s: Floats, waiting: Ints) -> Gaps:
        is_any = waiting > 0
        return Gaps(np.diff(ends_s)[is_any], waiting[is_any])

    def outcome(self, values: Callable[[str], Floats], gaps: NDArray[np.void]) -> Outcome:
        """The figures of all that was folded.

        Args:
            values: all that `fold` returned under a name; asked for one at a time.
            gaps: all gaps that it returned.
        """
        ends = self.steps["end_s"][self.steps["is_computing"]]
        waiting = (self.waiting + np.cumsum(self.changes))[: max(0, len(ends) - 1)]
        last = self._gaps(ends, waiting)
        sums, tpot_s = self.totals.sums, values("tpot_s")
        of_tokens = spread(tpot_s[~np.isnan(tpot_s)])
        del tpot_s
        return Outcome(
            sums=sums,
            duration_s=sums.duration_s,
            num_finished=self.num_finished,
            num_output_tokens=self.num_output_tokens,
            num_recomputed_tokens=self.num_recomputed_tokens,
            evictions=PreemptionSeries(self.evictions),
            tiers=(),
            prefix_cache=prefix_cache_use(sums, values("hit_shares")),
            ttft_s=spread(values("ttft_s")),
            tpot_s=of_tokens,
            queue_s=spread(values("queue_s")),
            e2e_s=spread(values("e2e_s")),
            itl_s=weighted_spread(joined_gaps([last, Gaps(gaps["seconds"], gaps["times"])])),
        )

    def as_arrays(self) -> dict[str, NDArray[Any]]:
        """All that it goes on from."""
        done = self.totals.done
        return {
            "counts": np.array([getattr(self, name) for name in COUNTS]),
            "rest": self.totals.rest,
            "num_steps": np.array(done.num_steps),
            "seconds": np.array([done.duration_s, done.seconds]),
            "over_time": np.array([done.over_time[name] for name in OVER_TIME]),
            "counted": np.array([done.counted[name] for name in COUNTED]),
            "most": np.array([done.most[name] for name in PEAKS]),
            "steps": self.steps,
            "changes": self.changes,
            "evictions": self.evictions,
        }

    @classmethod
    def restored(cls, kept: Mapping[str, NDArray[Any]]) -> Self:
        """The tally as it was when `as_arrays` told it."""
        made = cls()
        for name, count in zip(COUNTS, kept["counts"].tolist(), strict=True):
            setattr(made, name, count)
        duration_s, seconds = kept["seconds"].tolist()
        done = StepSums(
            num_steps=int(kept["num_steps"]),
            duration_s=duration_s,
            seconds=seconds,
            over_time=dict(zip(OVER_TIME, kept["over_time"].tolist(), strict=True)),
            counted=dict(zip(COUNTED, kept["counted"].tolist(), strict=True)),
            most=dict(zip(PEAKS, kept["most"].tolist(), strict=True)),
        )
        made.totals = StepTotals(done, kept["rest"])
        made.steps, made.changes = kept["steps"], kept["changes"]
        made.evictions = kept["evictions"]
        return made


COUNTS = (
    *("first_step", "waiting", "num_finished", "num_output_tokens"),
    "num_recomputed_tokens",
)
