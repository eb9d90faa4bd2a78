"""Figures over seeds: their means, and how sure these are, by the bootstrap."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from kvsim.errors import SpecError
from kvsim.sim.simulation import Simulation

if TYPE_CHECKING:
    from numpy.random import Generator

Json = dict[str, object]

Figures = dict[str, Any]
"""Of a run, as `Simulation.as_dict` gives them."""

RESAMPLES = 2000
CONFIDENCE = 0.95
FIGURES = (
    *("duration_s", "preemptions", "recomputed_tokens", "peak_blocks", "mean_block_utilization"),
    *("peak_running", "mean_running", "peak_waiting", "mean_waiting"),
)
GROUPS = ("ttft_s", "tpot_s", "itl_s", "queue_s", "e2e_s", "waste", "prefix_cache", "goodput")
"""Figures of a run, and groups of such, of which every number is taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Confidence:
    """The mean of a figure over the seeds, and between what it lies with the stated confidence."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedSpread:
    """Runs that differ in their seed alone: each figure's mean and its confidence interval."""

    seeds: tuple[int, ...]
    figures: Mapping[str, Confidence]
    confidence: float = CONFIDENCE
    resamples: int = RESAMPLES

    def as_dict(self) -> Json:
        """Plain values."""
        return {
            "seeds": list(self.seeds),
            "confidence": self.confidence,
            "resamples": self.resamples,
            "figures": {name: asdict(figure) for name, figure in self.figures.items()},
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class SeededRuns:
    """Runs that differ in their seed alone: the first one's records, and the figures of all.

    `interrupted` means that some were not run; `spread` is None then, and of one seed. `source`
    says where the first one's requests come from.
    """

    first: Simulation
    source: str
    runs: tuple[Figures, ...]
    spread: SeedSpread | None
    interrupted: bool


def over_seeds(
    runs: Sequence[Mapping[str, object]], seeds: Sequence[int], generator: "Generator"
) -> SeedSpread:
    """Every figure that all runs have: its mean, and a percentile bootstrap of it over the runs.

    Args:
        runs: figures of runs, as `Simulation.as_dict` gives them.
        seeds: of each run.
        generator: of the resamples, the only source of chance.

    Raises:
        SpecError: for fewer than two runs.

    Source:
        Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13.

    Example:
        >>> rng = np.random.Generator(np.random.PCG64(0))
        >>> spread = over_seeds([{"preemptions": n} for n in (1, 2, 3, 6)], (0, 1, 2, 3), rng)
        >>> spread.figures["preemptions"]
        Confidence(mean=3.0, low=1.5, high=5.0)
    """
    if len(runs) < 2 or len(runs) != len(seeds):
        msg = f"seeds={len(runs)} must be >= 2: one run says nothing about chance"
        raise SpecError(msg)
    flat = [run_figures(run) for run in runs]
    names = [name for name in flat[0] if all(name in run for run in flat)]
    values = np.array([[run[name] for name in names] for run in flat], dtype=np.float64)
    drawn = generator.integers(0, len(runs), size=(RESAMPLES, len(runs)))
    means = values[drawn].mean(axis=1)
    tail = 100 * (1 - CONFIDENCE) / 2
    low, high = np.percentile(means, [tail, 100 - tail], axis=0)
    figures = {
        name: Confidence(mean=float(values[:, i].mean()), low=float(low[i]), high=float(high[i]))
        for i, name in enumerate(names)
    }
    return SeedSpread(seeds=tuple(seeds), figures=figures)


def run_figures(run: Mapping[str, object]) -> dict[str, float]:
    """The figures of a run by name, as `Simulation.as_dict` gave it; of a group `group.figure`."""
    found: dict[str, float] = {}
    for name in FIGURES:
        value = run.get(name)
        if isinstance(value, int | float):
            found[name] = value
    for group in GROUPS:
        members = run.get(group)
        for name, value in members.items() if isinstance(members, Mapping) else ():
            if isinstance(value, int | float) and not isinstance(value, bool):
                found[f"{group}.{name}"] = value
    return found
