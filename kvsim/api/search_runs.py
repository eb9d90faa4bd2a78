"""The runs of a search: done by workers, kept in a file as they come, read from there if done."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from os import PathLike

from kvsim.api.search_points import SharedSearch, run_candidates
from kvsim.errors import SpecError
from kvsim.io.sweep_files import PARQUET, SweepStore, sweep_store
from kvsim.planner.search_rows import COLUMNS, Found, cells_of
from kvsim.planner.sweep_rows import Row
from kvsim.planner.sweep_run import Backend, Task, run_tasks


def search_store(path: str | PathLike[str]) -> SweepStore:
    """The file beside which a search keeps its rows.

    Raises:
        SpecError: for a path that does not end in .parquet.
        FileError: if the folder is not there.
    """
    if not str(path).endswith(PARQUET):
        msg = f"resume={path} must end in {PARQUET}"
        raise SpecError(msg)
    return sweep_store(path, COLUMNS)


@dataclass(slots=True, kw_only=True)
class SearchRuns:
    """Tasks of a search, each done once.

    Invariant: `kept` are the rows that the file held when the search was opened, `done` the tasks
    whose rows it holds now.
    """

    shared: SharedSearch
    store: SweepStore | None
    digest: str
    description: Mapping[str, object]
    backend: Backend
    address: str | None
    num_workers: int | None
    kept: dict[int, list[Row]] = field(default_factory=dict)
    done: set[int] = field(default_factory=set)
    is_whole: bool = False

    def open(self) -> None:
        """Read what an earlier run of this search left.

        Raises:
            SpecError: if the file is another search's.
            FileError: if it cannot be read or written.
        """
        if self.store is None:
            return
        found = self.store.open(self.digest, self.description, resume=False)
        if found.summary is not None:
            self.is_whole = True
            for row in self.store.read_whole():
                self.kept.setdefault(self._task_of(row), []).append(row)
        for index in sorted(found.parts):
            self.kept[index] = self.store.read_part(index)
        self.done = set(self.kept)

    def _task_of(self, row: Row) -> int:
        cells, points = cells_of(row), self.shared.points
        candidate = int(cells["candidate"] or 0)
        if cells["seed"] != self.shared.seeds[0]:
            return points.further(candidate)[0]
        return points.trial(candidate) if cells["is_trial"] else candidate

    def capacities(self, candidates: Sequence[int], trials: Mapping[int, Found]) -> Iterator[Row]:
        """The first seed's row of each of these candidates; what was tried is not run again."""
        shared = replace(self.shared, trials={i: trials[i] for i in candidates if i in trials})
        tasks = [Task(index=i, points=range(i, i + 1)) for i in candidates]
        yield from self._rows(tasks, shared)

    def trials(self, candidates: Sequence[int]) -> Iterator[Row]:
        """One run of each of these candidates."""
        places = [self.shared.points.trial(i) for i in candidates]
        yield from self._rows([Task(index=i, points=range(i, i + 1)) for i in places], self.shared)

    def further_seeds(self, rates: Mapping[int, float]) -> Iterator[Row]:
        """The other seeds' rows of candidates, at the rates that the first one found."""
        if len(self.shared.seeds) == 1:
            return
        shared = replace(self.shared, rates=rates)
        seeds = [shared.points.further(i) for i in rates]
        tasks = [Task(index=points[0], points=points) for points in seeds]
        yield from self._rows(tasks, shared)

    def _rows(self, tasks: Sequence[Task], shared: SharedSearch) -> Iterator[Row]:
        todo = [task for task in tasks if task.index not in self.kept]
        for task in tasks:
            yield from self.kept.get(task.index, ())
        if not todo:
            return
        for task, rows in run_tasks(
            todo,
            run_candidates,
            shared,
            backend=self.backend,
            num_workers=self.num_workers,
            address=self.address,
        ):
            if self.store is not None:
                self.store.write_part(task.index, rows)
                self.done.add(task.index)
            yield from rows

    def close(self) -> None:
        """Make one file of the parts: the search is whole."""
        if self.store is None or self.is_whole:
            return
        summary = {"rows": len(self.done)}
        self.store.finish(sorted(self.done), self.digest, self.description, summary=summary)
