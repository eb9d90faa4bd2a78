"""What a search starts from: requests, a grid of settings, and a candidate for each point of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kvsim.api.generating import generate_workload
from kvsim.api.search_points import judged
from kvsim.api.sweep_points import made
from kvsim.errors import KvsimError, SpecError
from kvsim.io.workloads import named_workload
from kvsim.planner.replica import ready_replica
from kvsim.planner.search_candidate import (
    Candidate,
    SearchGoal,
    SearchOutcome,
    bounds_of,
    refused,
    unfit,
)
from kvsim.sim.request_arrays import RequestArrays, as_arrays, fits_columns, longest_tokens
from kvsim.specs.deployment import Deployment
from kvsim.specs.engine import Vllm
from kvsim.specs.hardware import Accelerator
from kvsim.specs.model import ModelSpec
from kvsim.specs.parallel import Parallelism
from kvsim.specs.search import check_searched
from kvsim.specs.sweep import Point, SweepGrid, sweep_grid
from kvsim.specs.traffic import Traffic
from kvsim.specs.workload import Workload

MOST_CANDIDATES = 10_000
"""Most candidates of a search: more settings than that are a mistake."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchWorkload:
    """The requests of each seed, and where they come from."""

    requests: tuple[RequestArrays, ...]
    source: str
    longest_tokens: int


def search_workload(
    given: str | Traffic | Workload,
    *,
    num_requests: int,
    seeds: Sequence[int],
    rate_per_s: float | None,
) -> SearchWorkload:
    """Requests of each seed, in columns.

    Raises:
        UnknownNameError: for a name that there is not.
        SpecError: for requests that have no rate of their own, or several seeds of a trace.
    """
    if isinstance(given, Workload):
        if len(seeds) > 1:
            msg = f"num_seeds={len(seeds)} must be 1: a trace has no chance in it"
            raise SpecError(msg)
        drawn = [given]
    else:
        described = named_workload(given) if isinstance(given, str) else given
        rate = {} if rate_per_s is None else {"rate_per_s": rate_per_s}
        drawn = [
            generate_workload(described, num_requests=num_requests, seed=seed, arrivals=rate)
            for seed in seeds
        ]
    for workload in drawn:
        _check_open(workload)
    return SearchWorkload(
        requests=tuple(as_arrays(workload) for workload in drawn),
        source=drawn[0].source,
        longest_tokens=max(longest_tokens(workload) for workload in drawn),
    )


def _check_open(workload: Workload) -> None:
    """SpecError where the requests cannot come at another rate."""
    if workload.rate_per_s is None:
        msg = f"workload={workload.name} must come over time: a search varies its rate"
        raise SpecError(msg)
    if any(request.after is not None for request in workload):
        msg = f"workload={workload.name} must not wait for answers: its rate follows from them"
        raise SpecError(msg)
    if not fits_columns(workload):
        msg = f"workload={workload.name} has numbers of segments that are too large"
        raise SpecError(msg)


def settings_grid(
    model: ModelSpec,
    catalogue: Sequence[Accelerator],
    settings: Mapping[str, object],
    *,
    longest: int,
) -> SweepGrid:
    """Every combination of devices and settings; the context is the longest request's.

    Raises:
        SpecError: for no device, a setting that there is not or is not searched, or too many.
    """
    if not catalogue:
        msg = "catalogue=[] must hold at least one accelerator"
        raise SpecError(msg)
    check_searched(settings)
    names = [device.name for device in catalogue]
    given = {"max_model_len": longest, **settings}
    grid = sweep_grid({"model": model.name, "gpu": names, **given}, simulate=True)
    if grid.num_points > MOST_CANDIDATES:
        msg = f"settings={grid.num_points:,} candidates must be at most {MOST_CANDIDATES:,}"
        raise SpecError(msg)
    return grid


def candidates(
    model: ModelSpec,
    catalogue: Sequence[Accelerator],
    grid: SweepGrid,
    requests: RequestArrays,
    goal: SearchGoal,
) -> list[Candidate]:
    """A candidate for each point of the grid, judged as far as closed forms go."""
    devices = {device.name: device for device in catalogue}
    found = []
    for index in range(grid.num_points):
        point = grid.point(index)
        settings = {name: value for name, value in point.items() if name != "model"}
        try:
            deployment = Deployment(
                model=model,
                accelerator=devices[str(point["gpu"])],
                engine=made(Vllm, point),
                parallel=made(Parallelism, point),
            )
            found.append(_judged(index, settings, deployment, requests, goal))
        except KvsimError as error:
            found.append(refused(index, settings, error))
    return found


def _judged(
    index: int,
    settings: Point,
    deployment: Deployment,
    requests: RequestArrays,
    goal: SearchGoal,
) -> Candidate:
    evaluation = judged(deployment)
    if not evaluation.fit.verdict.fits:
        return unfit(index, settings, evaluation)
    if deployment.accelerator.price is None:
        return Candidate(
            index=index,
            settings=settings,
            deployment=deployment,
            outcome=SearchOutcome.NO_PRICE,
            reason=f"no price of {deployment.accelerator.name} is known: state one",
        )
    replica = ready_replica(evaluation, requests, efficiencies=goal.efficiencies)
    bounds = bounds_of(replica, requests, goal)
    return Candidate(index=index, settings=settings, deployment=deployment, bounds=bounds)
