"""What an engine is at: the step that is not settled, and the requests that it has."""

from dataclasses import dataclass
from typing import NamedTuple

from kvsim.sim.batch import Batch
from kvsim.sim.records import StepRecord


class Load(NamedTuple):
    """Requests that an engine has, those of the step under way as it was scheduled."""

    waiting: int
    running: int


@dataclass(frozen=True, slots=True)
class StepUnderWay:
    """A batch that was scheduled and is not settled.

    One that `waits` computes nothing: it ends with a transfer, or when something comes.
    """

    step: int
    start_s: float
    end_s: float
    batch: Batch
    record: StepRecord
    waits: bool = False
