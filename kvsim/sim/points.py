"""A run's steps as few points for a picture: of each stretch the largest figures."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from kvsim.errors import SpecError

if TYPE_CHECKING:
    from kvsim.sim.series import StepSeries
    from kvsim.sim.simulation import Simulation

MOST_POINTS = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelinePoint:
    """The largest figures of steps that follow each other; preemptions are those of all."""

    start_s: float
    end_s: float
    running: int = 0
    waiting: int = 0
    used_blocks: int = 0
    preempted: int = 0


def timeline_points(done: "Simulation", *, most: int = MOST_POINTS) -> tuple[TimelinePoint, ...]:
    """The run as at most so many stretches, each with the largest of its figures.

    No peak is lost, whatever the number of points. A point of zeros stands where the engine then
    idles until the next stretch, so there are up to twice as many.

    Args:
        done: what `simulate` returned.
        most: stretches of steps.

    Raises:
        SpecError: for a number below 1.

    Example:
        >>> from kvsim import load_model, simulate_blocks, Request, Vllm, Workload
        >>> engine = Vllm(num_gpu_blocks_override=100, max_model_len=1024)
        >>> requests = (Request(num_prompt_tokens=100, num_output_tokens=9),) * 2
        >>> done = simulate_blocks(load_model("gpt2"), Workload(requests=requests), engine=engine)
        >>> [point.running for point in timeline_points(done, most=1)]
        [2]
    """
    if most < 1:
        msg = f"most={most} must be >= 1"
        raise SpecError(msg)
    steps = done.steps
    firsts = np.arange(0, len(steps), max(1, -(-len(steps) // most)))
    shown: list[TimelinePoint] = []
    for point in _stretches(steps, firsts) if len(steps) else ():
        if shown and point.start_s > shown[-1].end_s:
            shown.append(TimelinePoint(start_s=shown[-1].end_s, end_s=point.start_s))
        shown.append(point)
    return tuple(shown)


def _stretches(steps: "StepSeries", firsts: np.ndarray) -> list[TimelinePoint]:
    """The points of stretches that begin at these steps."""
    lasts = [*(firsts[1:] - 1), len(steps) - 1]
    columns = {
        "start_s": steps.floats("start_s")[firsts].tolist(),
        "end_s": steps.floats("end_s")[lasts].tolist(),
        "running": np.maximum.reduceat(steps.ints("num_running"), firsts).tolist(),
        "waiting": np.maximum.reduceat(steps.ints("num_waiting"), firsts).tolist(),
        "used_blocks": np.maximum.reduceat(steps.ints("num_used_blocks"), firsts).tolist(),
        "preempted": np.add.reduceat(steps.ints("num_preempted"), firsts).tolist(),
    }
    rows = zip(*columns.values(), strict=True)
    return [TimelinePoint(**dict(zip(columns, row, strict=True))) for row in rows]
