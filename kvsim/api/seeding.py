"""Runs that differ in their seed alone, side by side on the machine's cores."""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from kvsim import __version__
from kvsim.api.serving import over_seeds
from kvsim.errors import KvsimError, SpecError, WorkerError
from kvsim.planner.seeds import Figures, SeededRuns
from kvsim.planner.sweep_run import Backend, Task, run_tasks
from kvsim.sim.request_arrays import RequestArrays
from kvsim.sim.simulation import Simulation
from kvsim.specs.attention import check_positive
from kvsim.specs.limits import ServiceLimits
from kvsim.specs.workload import Workload

WORTH_PROCESSES_S = 8.0
"""Seconds of work for which processes are started: each takes some 3 s to load all it needs."""

Requests = Workload | RequestArrays


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedShared:
    """What every run needs."""

    version: str
    run: Callable[..., Simulation]
    workload: Requests | Callable[..., Requests]
    limits: ServiceLimits

    def requests(self, seed: int) -> Requests:
        """Those of a seed."""
        return self.workload(seed=seed) if callable(self.workload) else self.workload

    def figures(self, done: Simulation) -> Figures:
        """What is kept of a run."""
        told = done.as_dict()
        return (
            told if self.limits.is_open else told | {"goodput": done.goodput(self.limits).as_dict()}
        )


# long: a setting a line
def simulate_seeds(
    run: Callable[..., Simulation],
    workload: Requests | Callable[..., Requests],
    seeds: Iterable[int],
    *,
    limits: ServiceLimits | None = None,
    num_workers: int | None = None,
    keep_partial: bool = False,
    on_first: Callable[[Simulation], None] = lambda _: None,
    on_progress: Callable[[float], None] | None = None,
    notify: Callable[[str], None] = lambda _: None,
    on_start: Callable[[], None] = lambda: None,
) -> SeededRuns:
    """Runs that differ in their seed alone, their means, and how sure those are.

    The figures are the same whatever the number of processes. The first seed runs here; the others
    run in processes of their own where at its pace they would take longer than 8 seconds, or where
    `num_workers` is given: below that, processes take longer to start than they save.

    Args:
        run: what serves requests: `simulate` or `simulate_blocks` with all but requests and seed
            filled in, by `functools.partial`; processes are sent it.
        workload: requests of every seed, or what makes those of one when it is called with
            `seed=`, such as `poisson_workload` with its traffic filled in.
        seeds: at least one, each the one before and 1.
        limits: promised to users; each run's figures then have its goodput.
        num_workers: processes on this machine, at most; None: as many as it has cores.
        keep_partial: on Ctrl-C return what was done, in place of raising.
        on_first: is given the first seed's run as soon as it is done.
        on_progress: told how many seeds are done, with a share of the one that is served here.
        notify: told in a line what takes long: the compiled twin is compiled once per machine.
        on_start: called before a run's first step, when all is loaded and compiled.

    Raises:
        SpecError: without a seed; for a request that the engine would refuse, or could never
            serve: of the lowest such seed.
        WorkerError: if processes die on one run again and again.

    Example:
        >>> from functools import partial
        >>> from kvsim import PoissonTraffic, Vllm, load_model, poisson_workload, simulate_blocks
        >>> engine = Vllm(num_gpu_blocks_override=200, max_model_len=1024)
        >>> traffic = PoissonTraffic(num_requests=20, rate_per_s=9.0, prompt_tokens=300)
        >>> run = partial(simulate_blocks, load_model("gpt2"), engine=engine, step_time_s=0.01)
        >>> done = simulate_seeds(run, partial(poisson_workload, traffic), range(4))
        >>> len(done.runs), done.runs[0] == done.first.as_dict()
        (4, True)
    """
    chosen = _checked(seeds, num_workers)
    shared = SeedShared(
        version=__version__, run=run, workload=workload, limits=limits or ServiceLimits()
    )
    started_s = time.monotonic()

    def begin() -> None:
        nonlocal started_s
        started_s = time.monotonic()  # a compiler's time says nothing about the other seeds
        on_start()

    requests = shared.requests(chosen[0])
    first = run(
        requests,
        seed=chosen[0],
        keep_partial=keep_partial,
        on_progress=_share_of(requests, on_progress),
        notify=notify,
        on_start=begin,
    )
    pace_s = time.monotonic() - started_s
    on_first(first)
    others = chosen[1:]
    if num_workers is None and pace_s * len(others) < WORTH_PROCESSES_S:
        num_workers = 1
    runs, interrupted = [shared.figures(first)], first.interrupted
    if not interrupted and others:
        further, interrupted = _others(shared, others, num_workers, keep_partial, on_progress)
        runs += further
    is_spread = len(runs) > 1 and not interrupted
    spread = over_seeds(runs, first_seed=chosen[0]) if is_spread else None
    return SeededRuns(
        first=first,
        source=requests.source,
        runs=tuple(runs),
        spread=spread,
        interrupted=interrupted,
    )


def _checked(seeds: Iterable[int], num_workers: int | None) -> Sequence[int]:
    chosen = list(seeds)
    if not chosen or chosen != list(range(chosen[0], chosen[0] + len(chosen))):
        msg = f"seeds={str(chosen)[:40]} must be at least one, each the one before and 1"
        raise SpecError(msg)
    if num_workers is not None:
        check_positive(num_workers=num_workers)
    return chosen


def _share_of(
    requests: Requests, on_progress: Callable[[float], None] | None
) -> Callable[[int], None] | None:
    """What tells the share of the first seed that is done."""
    if on_progress is None:
        return None
    return lambda done: on_progress(min(1.0, done / len(requests)))


def _others(
    shared: SeedShared,
    seeds: Sequence[int],
    num_workers: int | None,
    keep_partial: bool,  # noqa: FBT001 - handed on
    on_progress: Callable[[float], None] | None,
) -> tuple[list[Figures], bool]:
    """Figures of the further seeds in their order, and whether Ctrl-C came first."""
    todo = [Task(index=i, points=range(seed, seed + 1)) for i, seed in enumerate(seeds)]
    found: dict[int, Figures | KvsimError] = {}
    done = run_tasks(todo, run_seeds, shared, backend=Backend.LOCAL, num_workers=num_workers)
    try:
        for task, (one,) in done:
            found[task.index] = one
            if on_progress is not None:
                on_progress(1 + len(found))
    except KeyboardInterrupt:
        if not keep_partial:
            raise
    figures: list[Figures] = []
    for _, one in sorted(found.items()):
        if isinstance(one, KvsimError):
            raise one
        figures.append(one)
    return figures, len(figures) < len(seeds)


def run_seeds(shared: object, seeds: range) -> list[Figures | KvsimError]:
    """Figures of some seeds' runs, or why there are none; what a worker does.

    Raises:
        WorkerError: if the worker's kvsim is another one.
    """
    if not isinstance(shared, SeedShared) or shared.version != __version__:
        msg = f"kvsim={__version__} on a worker must be the caller's own version"
        raise WorkerError(msg)
    return [_run(shared, seed) for seed in seeds]


def _run(shared: SeedShared, seed: int) -> Figures | KvsimError:
    try:
        return shared.figures(shared.run(shared.requests(seed), seed=seed))
    except KvsimError as error:
        return error
