"""Runs that differ in their seed alone: the first one here, the others where it is faster."""

import pickle
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from kvsim.errors import KvsimError, SpecError, WorkerError
from kvsim.planner.seeds import Figures
from kvsim.planner.sweep_run import Backend, Task, run_tasks
from kvsim.sim.request_arrays import RequestArrays
from kvsim.sim.simulation import Simulation
from kvsim.specs.limits import ServiceLimits
from kvsim.specs.workload import Workload

WORTH_PROCESSES_S = 8.0
"""Seconds of work for which processes are started: each takes some 3 s to load all it needs."""

Requests = Workload | RequestArrays
Progress = Callable[[int, int], None]
"""Told how many answers are complete, of how many."""


class Run(Protocol):
    """What serves requests, told who listens; processes are sent it."""

    def __call__(self, workload: Requests, *, seed: int, **listening: object) -> Simulation:
        """The run of these requests."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedShared:
    """What every run needs; `workload` are the requests of each, or makes those of a `seed=`."""

    run: Run
    workload: Requests | Callable[..., Requests]
    limits: ServiceLimits

    def __post_init__(self) -> None:
        """SpecError for a function that no process can be sent."""
        for name in ("run", "workload"):
            given = getattr(self, name)
            try:
                pickle.dumps(given if callable(given) else None)
            except (pickle.PicklingError, AttributeError, TypeError):
                msg = f"{name}={str(given)[:60]} must be of a module, or filled in by "
                raise SpecError(msg + "functools.partial: processes are sent it") from None

    def requests(self, seed: int) -> Requests:
        """Those of a seed."""
        return self.workload(seed=seed) if callable(self.workload) else self.workload

    def figures(self, done: Simulation) -> Figures:
        """What is kept of a run."""
        told = done.as_dict()
        if not self.limits.is_open:
            told["goodput"] = done.goodput(self.limits).as_dict()
        return told


@dataclass(slots=True, kw_only=True)
class SeedRuns:
    """Runs of seeds that follow each other.

    Invariant: the first seed ran in `pace_s`, compiling left out, and `answers` are those of one
    seed; `found` has the further ones that are done, or why one cannot be served.
    """

    shared: SeedShared
    seeds: Sequence[int]
    on_progress: Progress | None
    source: str = ""
    answers: int = 0
    pace_s: float = 0.0
    found: dict[int, Figures | KvsimError] = field(default_factory=dict)

    def first(self, on_start: Callable[[], None], **listening: object) -> Simulation:
        """The first seed's run, here."""
        requests = self.shared.requests(self.seeds[0])
        self.source, self.answers = requests.source, len(requests)
        started_s = time.monotonic()

        def begin() -> None:
            nonlocal started_s
            started_s = time.monotonic()
            on_start()

        tell = None if self.on_progress is None else self._tell
        done = self.shared.run(
            requests, seed=self.seeds[0], on_start=begin, on_progress=tell, **listening
        )
        self.pace_s = time.monotonic() - started_s
        return done

    def others(self, num_workers: int | None) -> None:
        """The further seeds, each found as it gets done.

        Args:
            num_workers: processes at most; None: one for each core, where that is faster.
        """
        further = self.seeds[1:]
        if num_workers is None and self.pace_s * len(further) < WORTH_PROCESSES_S:
            num_workers = 1
        todo = [Task(index=seed, points=range(seed, seed + 1)) for seed in further]
        done = run_tasks(
            todo, run_seeds, self.shared, backend=Backend.LOCAL, num_workers=num_workers
        )
        for task, (one,) in done:
            self.found[task.index] = one
            self._tell(self.answers * (1 + len(self.found)))

    def figures(self) -> list[Figures]:
        """Of the further seeds that are done, in their order.

        Raises:
            KvsimError: of the lowest seed that cannot be served.
        """
        ordered: list[Figures] = []
        for _, one in sorted(self.found.items(), key=lambda item: item[0]):
            if isinstance(one, KvsimError):
                raise one
            ordered.append(one)
        return ordered

    def _tell(self, done: int) -> None:
        if self.on_progress is not None:
            self.on_progress(done, self.answers * len(self.seeds))


def run_seeds(shared: object, seeds: range) -> list[Figures | KvsimError]:
    """Figures of some seeds' runs, or why there are none; what a worker does.

    Raises:
        WorkerError: if the worker was sent something else.
    """
    if not isinstance(shared, SeedShared):
        msg = "shared must be what seeds share"
        raise WorkerError(msg)
    return [_run(shared, seed) for seed in seeds]


def _run(shared: SeedShared, seed: int) -> Figures | KvsimError:
    try:
        return shared.figures(shared.run(shared.requests(seed), seed=seed))
    except KvsimError as error:
        return error
