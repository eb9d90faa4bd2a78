"""Runs a sweep's tasks on a Ray cluster; Ray gives those of a dead worker to another one."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from kvsim.errors import KvsimError, MissingExtraError, WorkerError
from kvsim.planner.sweep_run import RETRIES, Done, R, Task, Work

if TYPE_CHECKING:
    from types import ModuleType

CONNECT_TIMEOUT_S = 10.0
"""Longest wait for something to listen at a cluster's address."""

JOIN_TIMEOUT_S = 60.0
"""Longest wait for a cluster to let somebody in: a busy one takes seconds, a dead one minutes."""

_JOIN = "import ray, sys; ray.init(sys.argv[1], log_to_driver=False, logging_level='CRITICAL')"

MOST_IN_FLIGHT = 256
"""Tasks that a cluster holds at once; more are sent as they get done."""


def run_on_ray(
    todo: Sequence[Task], work: Work[R], shared: object, *, address: str | None
) -> Iterator[Done[R]]:
    """Yield each task with its rows, in the order in which they get done.

    A cluster that the caller is connected to is used and stays connected.

    Raises:
        MissingExtraError: without ray.
        WorkerError: if there is no cluster at the address, its workers die on a task again and
            again, or lack this package.
    """
    ray = _ray()
    was_connected = ray.is_initialized()
    if not was_connected:
        _connect(ray, address)
    try:
        yield from _run(ray, todo, work, ray.put(shared))
    finally:
        if not was_connected:
            ray.shutdown()


def _ray() -> "ModuleType":
    try:
        import ray  # noqa: PLC0415 - an extra
    except ImportError:
        raise MissingExtraError(package="ray", extra="ray") from None
    module: ModuleType = ray
    return module


def _connect(ray: Any, address: str | None) -> None:  # noqa: ANN401 - a module without types
    """Join a running cluster; never start one."""
    chosen = address or os.environ.get("RAY_ADDRESS") or "auto"
    if chosen != "auto":
        _check_listens(chosen)
    _check_answers(chosen)
    ray.init(address=chosen, log_to_driver=False, logging_level="ERROR")


def _check_listens(address: str) -> None:
    """WorkerError unless something listens there: Ray itself waits for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=CONNECT_TIMEOUT_S).close()
    except (OSError, ValueError) as error:
        msg = f"address={address}: no Ray cluster answers: {error}"
        raise WorkerError(msg) from None


def _check_answers(address: str) -> None:
    """WorkerError unless a process of its own can join in time: in this one Ray may not stop."""
    command = [sys.executable, "-c", _JOIN, address]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=JOIN_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        reason = f"nothing within {JOIN_TIMEOUT_S:.0f} s"
    else:
        if done.returncode == 0:
            return
        reason = (done.stderr.strip().splitlines() or ["it ended"])[-1]
    msg = f"address={address}: no Ray cluster answers: {reason}"
    raise WorkerError(msg)


def _run(
    ray: Any,  # noqa: ANN401 - a module without types
    todo: Sequence[Task],
    work: Callable[..., Sequence[R]],
    shared: object,
) -> Iterator[Done[R]]:
    remote = ray.remote(max_retries=RETRIES, num_cpus=1)(work)
    waiting = list(reversed(todo))
    flying: dict[object, Task] = {}
    try:
        while waiting or flying:
            while waiting and len(flying) < MOST_IN_FLIGHT:
                task = waiting.pop()
                flying[remote.remote(shared, task.points)] = task
            done, _ = ray.wait(list(flying), num_returns=1)
            for reference in done:
                task = flying.pop(reference)
                rows: Sequence[R] = _rows(ray, reference, task)
                yield task, rows
    finally:
        for reference in flying:  # stopped in the middle: nobody wants these any more
            ray.cancel(reference, force=True)


def _rows(ray: Any, reference: object, task: Task) -> Sequence[Any]:  # noqa: ANN401
    try:
        rows: Sequence[Any] = ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, KvsimError):
            raise error.cause from None
        if isinstance(error.cause, ImportError):
            msg = f"a worker of the cluster lacks this package: {error.cause}"
            raise WorkerError(msg) from None
        raise
    except ray.exceptions.RayError as error:
        first, *_ = str(error).splitlines() or [""]
        place = f"points {task.points[0]} to {task.points[-1]}"
        msg = f"{place}: {1 + RETRIES} workers died on them: {first}"
        raise WorkerError(msg) from None
    return rows
