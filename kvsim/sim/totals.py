"""Sums over the steps of a run, the same to the last bit whether they come at once or in parts."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kvsim.sim.series import STEP_COLUMNS, StepSeries

BLOCK_STEPS = 2**16
"""Steps that are summed at once; a sum of floats depends on where it is cut."""

OVER_TIME = ("num_running", "num_waiting", "num_used_blocks", "reserved_blocks", "idle_blocks")
COUNTED = (
    *("num_tokens", "num_preempted", "num_query_tokens", "num_hit_tokens"),
    *("num_resume_query_tokens", "num_resume_hit_tokens"),
)
PEAKS = ("num_used_blocks", "num_running", "num_waiting")


@dataclass(frozen=True, slots=True, kw_only=True)
class StepSums:
    """What the steps of a run add up to.

    `over_time` is each column's count times the seconds that it lasted, `most` its largest.
    """

    num_steps: int = 0
    duration_s: float = 0.0  # from time 0 to the end of the last step
    seconds: float = 0.0
    over_time: Mapping[str, float]
    counted: Mapping[str, int]
    most: Mapping[str, int]

    def plus(self, later: "StepSums") -> "StepSums":
        """These steps, and the ones after them."""
        return StepSums(
            num_steps=self.num_steps + later.num_steps,
            duration_s=later.duration_s if later.num_steps else self.duration_s,
            seconds=self.seconds + later.seconds,
            over_time={n: self.over_time[n] + later.over_time[n] for n in OVER_TIME},
            counted={n: self.counted[n] + later.counted[n] for n in COUNTED},
            most={n: max(self.most[n], later.most[n]) for n in PEAKS},
        )

    def mean(self, name: str) -> float:
        """Mean of a column, weighted by the seconds of each step; 0 if no step took time."""
        return self.over_time[name] / self.seconds if self.seconds else 0.0


NOTHING = StepSums(
    over_time=dict.fromkeys(OVER_TIME, 0.0),
    counted=dict.fromkeys(COUNTED, 0),
    most=dict.fromkeys(PEAKS, 0),
)
"""No step yet."""


class StepTotals:
    """Steps that come in parts; `rest` are those that make no whole block yet."""

    def __init__(self, done: StepSums = NOTHING, rest: NDArray[np.void] | None = None) -> None:
        self.done = done
        self.rest = np.zeros(0, STEP_COLUMNS) if rest is None else rest

    def add(self, rows: NDArray[np.void]) -> None:
        """Take in the steps that come next; what is kept of them is a copy."""
        rows = np.concatenate([self.rest, rows]) if len(self.rest) else rows
        whole = len(rows) - len(rows) % BLOCK_STEPS
        for block in _blocks(rows[:whole]):
            self.done = self.done.plus(_sums(block))
        self.rest = rows[whole:].copy()

    @property
    def sums(self) -> StepSums:
        """Those of all steps so far."""
        return self.done.plus(_sums(self.rest)) if len(self.rest) else self.done


def step_sums(steps: StepSeries) -> StepSums:
    """Those of a whole run."""
    done = NOTHING
    for block in _blocks(steps.rows):
        done = done.plus(_sums(block))
    return done


def _blocks(rows: NDArray[np.void]) -> Iterator[NDArray[np.void]]:
    for start in range(0, len(rows), BLOCK_STEPS):
        yield rows[start : start + BLOCK_STEPS]


def _sums(rows: NDArray[np.void]) -> StepSums:
    seconds = rows["end_s"] - rows["start_s"]
    return StepSums(
        num_steps=len(rows),
        duration_s=float(rows["end_s"][-1]),
        seconds=float(seconds.sum()),
        over_time={name: float((seconds * rows[name]).sum()) for name in OVER_TIME},
        counted={name: int(rows[name].sum(dtype=np.int64)) for name in COUNTED},
        most={name: int(rows[name].max()) for name in PEAKS},
    )
