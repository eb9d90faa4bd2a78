"""Two simulated deployments beside each other: each figure's change, and how sure that is."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from kvsim.errors import SpecError
from kvsim.planner.seeds import CONFIDENCE, RESAMPLES, run_figures

if TYPE_CHECKING:
    from numpy.random import Generator

Json = dict[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A figure's means over the runs, and the interval in which their difference lies.

    The interval is None where one side has a single run: that says nothing about chance.
    """

    baseline: float
    present: float
    difference: float
    low: float | None = None
    high: float | None = None

    @property
    def is_clear(self) -> bool:
        """Whether the difference is beyond chance: its interval leaves 0 out."""
        return self.low is not None and self.high is not None and not self.low <= 0 <= self.high


@dataclass(frozen=True, slots=True, kw_only=True)
class RunComparison:
    """Every figure that both sides have."""

    changes: Mapping[str, Change]
    is_paired: bool  # run by run, seed by seed
    confidence: float = CONFIDENCE

    def as_dict(self) -> Json:
        """Plain values."""
        return {
            "paired": self.is_paired,
            "confidence": self.confidence,
            "changes": {
                name: {**asdict(change), "clear": change.is_clear}
                for name, change in self.changes.items()
            },
        }


def compare_runs(
    baseline: Sequence[Mapping[str, object]],
    present: Sequence[Mapping[str, object]],
    generator: "Generator",
    *,
    is_paired: bool,
) -> RunComparison:
    """How each figure changes, with a percentile bootstrap of the difference of the means.

    Args:
        baseline: figures of runs, as `Simulation.as_dict` gives them.
        present: the same of the other side.
        generator: of the resamples, the only source of chance.
        is_paired: the runs of both sides have the same seeds: pairs are drawn, so that what both
            owe to a seed cancels out.

    Raises:
        SpecError: for a side without a run, and for pairs of unequal number.

    Source:
        Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapters 8 and 13.

    Example:
        >>> rng = np.random.Generator(np.random.PCG64(0))
        >>> runs = [{"preemptions": n} for n in (1, 2, 3, 6)]
        >>> more = [{"preemptions": n} for n in (3, 4, 5, 8)]
        >>> compare_runs(runs, more, rng, is_paired=True).changes["preemptions"]
        Change(baseline=3.0, present=5.0, difference=2.0, low=2.0, high=2.0)
    """
    counts = (len(baseline), len(present))
    if not all(counts) or (is_paired and counts[0] != counts[1]):
        msg = f"runs={counts[0]} and {counts[1]} must be >= 1, and as many where they are paired"
        raise SpecError(msg)
    sides = [[run_figures(run) for run in runs] for runs in (baseline, present)]
    names = [name for name in sides[0][0] if all(name in run for side in sides for run in side)]
    before, after = (np.array([[run[n] for n in names] for run in side]) for side in sides)
    low, high = _interval(before, after, generator, is_paired=is_paired)
    means = zip(before.mean(axis=0).tolist(), after.mean(axis=0).tolist(), strict=True)
    changes = {
        name: Change(
            baseline=was,
            present=now,
            difference=now - was,
            low=None if low is None else float(low[i]),
            high=None if high is None else float(high[i]),
        )
        for i, (name, (was, now)) in enumerate(zip(names, means, strict=True))
    }
    return RunComparison(changes=changes, is_paired=is_paired)


Values = NDArray[np.float64]


def _interval(
    before: Values, after: Values, generator: "Generator", *, is_paired: bool
) -> tuple[Values | None, Values | None]:
    """Ends of the interval of each figure's difference; None of a single run."""
    if min(len(before), len(after)) < 2:
        return None, None
    drawn = generator.integers(0, len(before), size=(RESAMPLES, len(before)))
    other = drawn
    if not is_paired:
        other = generator.integers(0, len(after), size=(RESAMPLES, len(after)))
    differences = after[other].mean(axis=1) - before[drawn].mean(axis=1)
    tail = 100 * (1 - CONFIDENCE) / 2
    low, high = np.percentile(differences, [tail, 100 - tail], axis=0)
    return low, high
