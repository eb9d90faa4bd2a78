"""Searches over devices and settings: specs, planner and io wired together."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from os import PathLike

from kvsim import __version__
from kvsim.api.search_points import SharedSearch
from kvsim.api.search_runs import SearchRuns, search_store
from kvsim.api.search_setup import SearchWorkload, candidates, search_workload, settings_grid
from kvsim.api.serving import over_seeds
from kvsim.errors import SpecError
from kvsim.io.commands import vllm_serve
from kvsim.planner.search import Runs, Search
from kvsim.planner.search_candidate import Candidate, SearchGoal
from kvsim.planner.search_result import SearchResult, search_result
from kvsim.planner.search_rows import Found, cells_of, number, seed_figures
from kvsim.planner.seeds import SeedSpread
from kvsim.planner.sweep_run import Backend
from kvsim.sim.request_arrays import RequestArrays
from kvsim.specs.attention import check_positive
from kvsim.specs.digest import digest
from kvsim.specs.efficiencies import Efficiencies
from kvsim.specs.hardware import Accelerator
from kvsim.specs.limits import ServiceLimits
from kvsim.specs.model import ModelSpec
from kvsim.specs.traffic import Traffic
from kvsim.specs.workload import Workload

Progress = Callable[[int], None]
"""Told how many candidates are settled."""

NUM_REQUESTS = 1000
NUM_SEEDS = 3


# long: a setting a line, each handed on by its name
def search(
    model: ModelSpec,
    workload: str | Traffic | Workload,
    slo: ServiceLimits,
    catalogue: Sequence[Accelerator],
    *,
    settings: Mapping[str, object] | None = None,
    rate_per_s: float | None = None,
    spare: int = 0,
    num_requests: int = NUM_REQUESTS,
    seed: int = 0,
    num_seeds: int | None = None,
    efficiencies: Efficiencies | None = None,
    prune: bool = True,
    backend: str = Backend.LOCAL,
    address: str | None = None,
    num_workers: int | None = None,
    resume: str | PathLike[str] | None = None,
    keep_partial: bool = False,
    on_progress: Progress | None = None,
) -> SearchResult:
    """The Pareto front of cost, throughput and latency among devices and settings that keep a goal.

    Closed forms leave out what does not fit, cannot keep the goal, or cannot beat what was found;
    the others' highest arrival rate is found by simulation. The answer is the same whoever
    computes it. Without both efficiencies step times are lower bounds: then capacities are upper
    bounds, costs lower ones, and the latency that is ranked is a median.

    Args:
        model: what `load_model` returned.
        workload: a name, a description, or requests; those are stretched to each rate.
        slo: the goal: slo_ttft_s or slo_e2e_s at least, and the share that must keep it.
        catalogue: devices, each with its price.
        settings: fields of `Vllm` and `Parallelism`, each with a value or a list of them.
        rate_per_s: requests per second of all replicas; None asks what one replica bears.
        spare: replicas on top, for when some fail.
        num_requests: of each run, where requests are generated.
        seed: of all that is by chance.
        num_seeds: runs of each member of the front, for confidence intervals; 1 gives none.
            None: 3, or 1 of a trace.
        efficiencies: shares of the devices' stated speeds that were measured.
        prune: whether closed forms leave out candidates that fit; the front is the same.
        backend: "local", processes of this machine, or "ray", a running Ray cluster.
        address: of the cluster; None: the one that Ray finds.
        num_workers: processes on this machine; None: as many as it has cores.
        resume: a .parquet file beside which rows are kept as they come, and from which a search
            of the same goes on.
        keep_partial: on Ctrl-C return what was done, in place of raising.
        on_progress: told how many candidates are settled.

    Raises:
        SpecError: for an empty catalogue, a goal that bounds no queue, or an impossible number.
        UnknownNameError: for a workload that there is not.
        FileError: if a file cannot be written; what was written stays readable.
        MissingExtraError: for a cluster without ray.
        WorkerError: if there is no cluster, or workers die on one task again and again.

    Example:
        >>> from kvsim import accelerator, load_model
        >>> found = search(load_model("llama-3.1-8b"), "chat",
        ...     ServiceLimits(slo_ttft_s=1.0, slo_tpot_s=0.05),
        ...     [accelerator("L4"), accelerator("h100")], settings={"quantization": ["fp8"]},
        ...     rate_per_s=8.0, num_requests=100, num_seeds=1, num_workers=1)
        >>> [(one.candidate.settings["gpu"], one.found["replicas"]) for one in found.members]
        [('H100-SXM5-80GB', 1)]
    """
    if backend not in list(Backend):
        msg = f"backend={backend[:40]} must be one of {', '.join(Backend)}"
        raise SpecError(msg)
    seeds = _seeds(workload, seed, num_seeds)
    drawn = search_workload(workload, num_requests=num_requests, seeds=seeds, rate_per_s=rate_per_s)
    goal = SearchGoal.of(
        slo,
        drawn.requests[0],
        rate_per_s=rate_per_s,
        spare=spare,
        efficiencies=efficiencies or Efficiencies(),
    )
    grid = settings_grid(model, catalogue, settings or {}, longest=drawn.longest_tokens)
    state = Search(candidates(model, catalogue, grid, drawn.requests[0], goal), goal)
    runs = SearchRuns(
        shared=_shared(state, drawn, seeds),
        store=None if resume is None else search_store(resume),
        digest=digest(
            __version__, model, list(catalogue), grid, goal, seeds, _contents(drawn.requests)
        ),
        description={"kvsim": __version__, "search": grid.as_dict(), "workload": drawn.source},
        backend=Backend(backend),
        address=address,
        num_workers=num_workers,
    )

    members, further = _run(
        state, runs, prune=prune, keep_partial=keep_partial, on_progress=on_progress or _ignore
    )
    return search_result(
        state,
        model=model.name,
        workload=drawn.source,
        seeds=seeds,
        front=members,
        spreads=_spreads(state, members, further, seeds),
        commands={i: _command(state.candidates[i]) for i in members},
        digest=runs.digest,
    )


def _ignore(_: int) -> None:
    """Nobody wants to know."""


def _seeds(workload: object, seed: int, num_seeds: int | None) -> tuple[int, ...]:
    if num_seeds is None:
        num_seeds = 1 if isinstance(workload, Workload) else NUM_SEEDS
    check_positive(num_seeds=num_seeds)
    return tuple(range(seed, seed + num_seeds))


def _shared(state: Search, drawn: SearchWorkload, seeds: tuple[int, ...]) -> SharedSearch:
    everyone = state.candidates.items()
    return SharedSearch(
        version=__version__,
        deployments={i: one.deployment for i, one in everyone if one.deployment is not None},
        num_candidates=len(state.candidates),
        goal=state.goal,
        seeds=seeds,
        workloads=drawn.requests,
        fewest_replicas={
            i: replicas
            for i, one in everyone
            if one.bounds is not None and (replicas := one.fewest_replicas(state.goal)) is not None
        },
        trials={},
        rates={},
    )


def _contents(workloads: Sequence[RequestArrays]) -> list[str]:
    """What tells requests from others."""
    columns = [field.name for field in fields(RequestArrays) if field.name != "source"]
    return [
        hashlib.sha256(getattr(requests, name).tobytes()).hexdigest()
        for requests in workloads
        for name in columns
    ]


def _run(
    state: Search,
    runs: SearchRuns,
    *,
    prune: bool,
    keep_partial: bool,
    on_progress: Callable[[int], None],
) -> tuple[list[int], list[Found]]:
    """The front, and the rows of its members' further seeds as far as they were done."""
    further: list[Found] = []
    runs.open()
    try:
        both = Runs(
            capacities=lambda chosen: runs.capacities(chosen, state.trials), trials=runs.trials
        )
        state.run(both, prunes=prune, on_progress=on_progress)
        members = state.conclude()
        rates = {i: number(state.found[i], "rate_per_s") for i in members}
        further += (cells_of(row) for row in runs.further_seeds(rates))
        runs.close()
    except KeyboardInterrupt:
        if not keep_partial:
            raise
        state.interrupted = True
        members = state.conclude()
    return members, further


def _spreads(
    state: Search, members: Sequence[int], further: Sequence[Found], seeds: tuple[int, ...]
) -> dict[int, SeedSpread]:
    """Confidence intervals of the members of which every seed was run."""
    found = {}
    for index in members:
        others = [cells for cells in further if cells["candidate"] == index]
        ordered = sorted([state.found[index], *others], key=lambda cells: number(cells, "seed"))
        if 1 < len(ordered) == len(seeds):
            runs = [seed_figures(cells) for cells in ordered]
            found[index] = over_seeds(runs, first_seed=seeds[0])
    return found


def _command(candidate: Candidate) -> str:
    assert candidate.deployment is not None
    return vllm_serve(candidate.deployment)
