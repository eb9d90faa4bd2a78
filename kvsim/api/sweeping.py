"""Grids of plans and simulations: specs, planner and io wired together."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

from kvsim import __version__
from kvsim.api.planning import accelerator, load_model
from kvsim.api.sweep_points import Shared, run_points
from kvsim.errors import SpecError
from kvsim.io.sweep_files import read_sweep, sweep_store
from kvsim.io.traces import read_trace
from kvsim.planner.sweep_rows import Row, columns
from kvsim.planner.sweep_run import Backend, Task, run_tasks, tasks
from kvsim.planner.sweep_table import SweepTable, Tally
from kvsim.specs.digest import digest
from kvsim.specs.sweep import SweepGrid, sweep_grid

Progress = Callable[[int], None]
"""Told the number of points that are done, when it grows."""


def sweep(
    grid: SweepGrid | Mapping[str, object] | str | PathLike[str],
    *,
    backend: str = Backend.LOCAL,
    address: str | None = None,
    num_workers: int | None = None,
    output: str | PathLike[str] | None = None,
    resume: bool = False,
    keep_partial: bool = False,
    on_progress: Progress | None = None,
) -> SweepTable:
    """A plan or a simulation of every point of a grid, as a table.

    The table is the same whatever the number of processes and the backend. With an output, rows
    are kept as they come, and a later call with the same grid does only what is missing.

    Args:
        grid: fields with their values (those of a plan), a `SweepGrid`, or a TOML file's path.
        backend: "local", processes of this machine, or "ray", a running Ray cluster.
        address: of the cluster; None: the one that Ray finds.
        num_workers: processes on this machine; None: as many as it has cores.
        output: a .parquet or .csv file for the table; None: it is returned alone.
        resume: refuse to start anew where there is nothing to go on with.
        keep_partial: on Ctrl-C return what was done, in place of raising.
        on_progress: told the number of points that are done.

    Raises:
        SpecError: for a grid that describes nothing, or an output of another sweep.
        FileError: if a file cannot be read or written; what was written stays readable.
        MissingExtraError: for a cluster without ray.
        WorkerError: if there is no cluster, or workers die on one task again and again.

    Example:
        >>> table = sweep({"model": "llama-3.1-8b", "gpu": "h100", "max_model_len": [4096, 8192]})
        >>> place = list(table.columns).index("max_requests")
        >>> [row[place] for row in table.rows]
        [111, 55]
    """
    if backend not in list(Backend):
        msg = f"backend={backend[:40]} must be one of {', '.join(Backend)}"
        raise SpecError(msg)
    described = _grid(grid)
    shared, identity = _resolved(described)
    run = _Run(grid=described, digest=identity, output=output)
    todo = run.open(resume=resume)
    done = run_tasks(
        todo,
        run_points,
        shared,
        backend=Backend(backend),
        num_workers=num_workers,
        address=address,
    )
    try:
        for task, rows in done:
            run.keep(task, rows)
            if on_progress is not None:
                on_progress(run.num_reused + run.num_computed)
        return run.close(backend=backend, interrupted=False)
    except KeyboardInterrupt:
        if not keep_partial:
            raise
        return run.close(backend=backend, interrupted=True)


class _Run:
    """One run of a sweep: what is done, kept in the output as it comes, or here without one.

    Invariant: `num_reused` points were done before this run, `num_computed` by it; the tally has
    seen them all.
    """

    def __init__(self, *, grid: SweepGrid, digest: str, output: str | PathLike[str] | None) -> None:
        self.grid, self.digest = grid, digest
        self.columns = columns(grid)
        self.tally = Tally(columns=self.columns)
        self.store = None if output is None else sweep_store(output, self.columns)
        self.tasks = tasks(grid.num_points, simulate=grid.simulate)
        self.rows: dict[int, Sequence[Row]] = {}
        self.num_reused = self.num_computed = 0
        self.summary: Mapping[str, Any] | None = None

    @property
    def described(self) -> dict[str, object]:
        """The sweep in plain values, from which it can go on."""
        return {"kvsim": __version__, **self.grid.as_dict()}

    def open(self, *, resume: bool) -> list[Task]:
        """The tasks that no earlier run has done."""
        if self.store is None:
            return list(self.tasks)
        kept = self.store.open(self.digest, self.described, resume=resume)
        self.summary = kept.summary
        if self.summary is not None:
            self.num_reused = self.grid.num_points
            return []
        for task in self.tasks:
            if task.index in kept.parts:
                self.tally.add(self.store.read_part(task.index))
                self.num_reused += len(task.points)
        return [task for task in self.tasks if task.index not in kept.parts]

    def keep(self, task: Task, rows: Sequence[Row]) -> None:
        """Rows of a task that is done."""
        if self.store is None:
            self.rows[task.index] = rows
        else:
            self.store.write_part(task.index, rows)
        self.tally.add(rows)
        self.num_computed += len(rows)

    def close(self, *, backend: str, interrupted: bool) -> SweepTable:
        """The table; the output is made whole if all is done."""
        summary = self.summary or self.tally.as_dict()
        if self.store is not None and self.summary is None and not interrupted:
            indices = [task.index for task in self.tasks]
            self.store.finish(indices, self.digest, self.described, summary=summary)
        return SweepTable(
            grid=self.grid,
            digest=self.digest,
            columns=self.columns,
            rows=[row for index in sorted(self.rows) for row in self.rows[index]],
            refusals=tuple((reason, points) for reason, points in summary["refusals"]),
            not_modeled=tuple(summary["not_modeled"]),
            num_computed=self.num_computed,
            num_reused=self.num_reused,
            backend=str(backend),
            output=None if self.store is None else str(self.store.output),
            interrupted=interrupted,
        )


def _grid(given: SweepGrid | Mapping[str, object] | str | PathLike[str]) -> SweepGrid:
    if isinstance(given, SweepGrid):
        return given
    return sweep_grid(given) if isinstance(given, Mapping) else read_sweep(given)


def _resolved(grid: SweepGrid) -> tuple[Shared, str]:
    """What the workers need, and a digest of all that decides the table."""
    shared = Shared(
        version=__version__,
        grid=grid,
        models={str(name): load_model(str(name)) for name in grid.values("model")},
        accelerators={str(name): accelerator(str(name)) for name in grid.values("gpu")},
        traces={str(path): read_trace(str(path)) for path in grid.values("trace")},
    )
    traces = [hashlib.sha256(Path(path).read_bytes()).digest() for path in shared.traces]
    return shared, digest(__version__, grid, shared.models, shared.accelerators, traces)
