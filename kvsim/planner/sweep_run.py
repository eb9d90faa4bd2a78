"""Runs a sweep's tasks, here or on a Ray cluster; a worker that dies loses only its own."""

import pickle
import signal
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

from kvsim.errors import SpecError, WorkerError
from kvsim.specs.attention import check_positive

RETRIES = 3
"""Times that a task is given to another worker after one died on it."""

MOST_TASKS = 1000
"""Tasks of a sweep at most: each leaves one file while the sweep runs."""

LEAST_PLANS = 250
"""Plans of a task at least: a plan takes a fraction of a millisecond."""


class Backend(StrEnum):
    """Where a sweep runs."""

    LOCAL = "local"
    RAY = "ray"


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A run of points, evaluated by one worker; its index orders the table."""

    index: int
    points: range


R = TypeVar("R")

Work = Callable[[object, range], Sequence[R]]
"""What a worker does: a row for each of some points, given what all tasks share."""

Done = tuple[Task, Sequence[R]]


def tasks(num_points: int, *, simulate: bool) -> tuple[Task, ...]:
    """The points in runs of equal size; it depends on the sweep alone, not on who runs it.

    Example:
        >>> [task.points for task in tasks(3, simulate=True)]
        [range(0, 1), range(1, 2), range(2, 3)]
    """
    size = max(1 if simulate else LEAST_PLANS, -(-num_points // MOST_TASKS))
    starts = range(0, num_points, size)
    return tuple(
        Task(index=i, points=range(start, min(start + size, num_points)))
        for i, start in enumerate(starts)
    )


def run_tasks(
    todo: Sequence[Task],
    work: Work[R],
    shared: object,
    *,
    backend: Backend,
    num_workers: int | None = None,
    address: str | None = None,
) -> Iterator[Done[R]]:
    """Yield each task with its rows, in the order in which they get done.

    Args:
        todo: tasks.
        work: a function of a module, which workers import.
        shared: what every task needs; sent to a worker once.
        backend: where to run.
        num_workers: processes on this machine; None: as many as it has cores. A cluster has
            its own.
        address: of a running cluster; None: the one that Ray finds.

    Raises:
        WorkerError: if workers die on one task again and again, or there is no cluster.
        MissingExtraError: without ray.
    """
    if num_workers is not None:
        check_positive(num_workers=num_workers)
    if backend is Backend.RAY:
        if num_workers is not None:
            msg = f"num_workers={num_workers} is this machine's: a cluster has its own"
            raise SpecError(msg)
        from kvsim.planner.sweep_ray import run_on_ray  # noqa: PLC0415 - an extra

        return run_on_ray(todo, work, shared, address=address)
    if address is not None:
        msg = f"address={address} needs backend=ray"
        raise SpecError(msg)
    return _run_here(todo, work, shared, num_workers=num_workers)


def _run_here(
    todo: Sequence[Task], work: Work[R], shared: object, *, num_workers: int | None
) -> Iterator[Done[R]]:
    from joblib import cpu_count  # noqa: PLC0415 - joblib is slow to load

    workers = min(num_workers or cpu_count(), len(todo))
    if workers <= 1:
        return ((task, work(shared, task.points)) for task in todo)
    return _run_in_processes(todo, work, shared, num_workers=workers)


def _run_in_processes(
    todo: Sequence[Task], work: Work[R], shared: object, *, num_workers: int
) -> Iterator[Done[R]]:
    """Rounds of a pool: a worker's death breaks the pool, the next round does what is left."""
    from joblib.externals.loky.process_executor import (  # noqa: PLC0415 - joblib is slow to load
        TerminatedWorkerError,
    )

    left = {task.index: task for task in todo}
    deaths = 0
    with tempfile.TemporaryDirectory(prefix="kvsim-sweep-") as folder:
        path = Path(folder) / "shared.pickle"
        path.write_bytes(pickle.dumps(shared))
        while left:
            try:
                for index, rows in _round(list(left.values()), work, str(path), num_workers):
                    deaths = 0
                    yield left.pop(index), rows
            except TerminatedWorkerError:
                deaths += 1
                if deaths > RETRIES:
                    raise WorkerError(_died(min(left.values(), key=_order))) from None


def _round(
    todo: Sequence[Task], work: Work[R], path: str, num_workers: int
) -> Iterator[tuple[int, Sequence[R]]]:
    from joblib import Parallel, delayed  # noqa: PLC0415 - joblib is slow to load

    pool = Parallel(
        n_jobs=num_workers,
        backend="loky",
        batch_size=1,
        return_as="generator_unordered",
        initializer=_leave_interrupts,
    )
    with _quiet():
        rows = pool(delayed(_work_in_process)(task.index, task.points, work, path) for task in todo)
    try:
        while True:
            with _quiet():
                done = next(rows, None)
            if done is None:
                return
            yield done
    finally:
        with _quiet():
            rows.close()


@contextmanager
def _quiet() -> Iterator[None]:
    """Without joblib's warning of the tasks that it cancels: who stops early knows."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=UserWarning, module="joblib")
        yield


def _leave_interrupts() -> None:
    """Ctrl-C reaches every process of a terminal; the one that started the workers ends them."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _work_in_process(
    index: int, points: range, work: Work[R], path: str
) -> tuple[int, Sequence[R]]:
    return index, work(_shared(path), points)


@lru_cache(maxsize=1)
def _shared(path: str) -> object:
    """What all tasks share, read once in each worker."""
    return pickle.loads(Path(path).read_bytes())


def _order(task: Task) -> int:
    return task.index


def _died(task: Task) -> str:
    first, last = task.points[0], task.points[-1]
    return (
        f"points {first} to {last}: {1 + RETRIES} workers died on them or beside them; "
        "out of memory is the usual cause"
    )
