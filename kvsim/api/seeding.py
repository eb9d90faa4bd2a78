"""Runs that differ in their seed alone, side by side on the machine's cores."""

from collections.abc import Callable, Iterable, Sequence

from kvsim.api.serving import over_seeds
from kvsim.errors import SpecError
from kvsim.planner.seed_runs import Progress, Requests, Run, SeedRuns, SeedShared
from kvsim.planner.seeds import SeededRuns
from kvsim.sim.simulation import Simulation
from kvsim.specs.attention import check_positive
from kvsim.specs.limits import ServiceLimits


# long: a setting a line
def simulate_seeds(
    run: Run,
    workload: Requests | Callable[..., Requests],
    seeds: Iterable[int],
    *,
    limits: ServiceLimits | None = None,
    num_workers: int | None = None,
    keep_partial: bool = False,
    on_first: Callable[[Simulation], None] = lambda _: None,
    on_progress: Progress | None = None,
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
        on_progress: told how many answers are complete, and how many there will be.
        notify: told in a line what takes long: the compiled twin is compiled once per machine.
        on_start: called before a run's first step, when all is loaded and compiled.

    Raises:
        SpecError: without a seed; for a function that no process can be sent; for a request that
            the engine would refuse, or could never serve: of the lowest such seed.
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
    runs = SeedRuns(
        shared=SeedShared(run=run, workload=workload, limits=limits or ServiceLimits()),
        seeds=chosen,
        on_progress=on_progress,
    )
    first = runs.first(on_start, keep_partial=keep_partial, notify=notify)
    on_first(first)
    interrupted = first.interrupted
    try:
        if not interrupted and len(chosen) > 1:
            runs.others(num_workers)
    except KeyboardInterrupt:
        if not keep_partial:
            raise
        interrupted = True
    figures = [runs.shared.figures(first), *runs.figures()]
    is_spread = len(chosen) > 1 and not interrupted
    return SeededRuns(
        first=first,
        source=runs.source,
        runs=tuple(figures),
        spread=over_seeds(figures, first_seed=chosen[0]) if is_spread else None,
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
