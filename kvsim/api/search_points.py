"""What a worker does with a candidate of a search: its capacity, or one more seed at its rate."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kvsim import __version__
from kvsim.errors import KvsimError, WorkerError
from kvsim.io.overheads import overhead_model
from kvsim.planner.plan import Evaluation, evaluate
from kvsim.planner.replica import Replica, ready_replica
from kvsim.planner.search_candidate import SearchGoal
from kvsim.planner.search_floor import floor_of, load_of
from kvsim.planner.search_points import SearchPoints
from kvsim.planner.search_probe import Probe, find_capacity, probe_kept, probe_rate
from kvsim.planner.search_rows import (
    Found,
    capacity_row,
    probe_row,
    refused,
    trial_row,
    tried_probe,
)
from kvsim.planner.sweep_rows import Row
from kvsim.sim.request_arrays import RequestArrays
from kvsim.specs.deployment import Deployment
from kvsim.specs.engine import EngineName


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedSearch:
    """What every task of a search needs."""

    version: str
    deployments: Mapping[int, Deployment]
    num_candidates: int
    goal: SearchGoal
    seeds: tuple[int, ...]
    workloads: tuple[RequestArrays, ...]  # one for each seed
    fewest_replicas: Mapping[int, int]  # of each candidate, by closed forms; tried first
    trials: Mapping[int, Found]  # of the candidates whose capacities are asked for
    rates: Mapping[int, float]  # of the candidates whose further seeds are asked for

    @property
    def points(self) -> SearchPoints:
        """What the points are."""
        return SearchPoints(num_candidates=self.num_candidates, num_seeds=len(self.seeds))


def run_candidates(shared: object, points: range) -> list[Row]:
    """Rows of some points; what a worker does.

    Raises:
        WorkerError: if the worker's kvsim is another one.
    """
    if not isinstance(shared, SharedSearch) or shared.version != __version__:
        msg = f"kvsim={__version__} on a worker must be the search's own version"
        raise WorkerError(msg)
    if points[0] < shared.num_candidates:
        return [_capacity(shared, candidate) for candidate in points]
    if shared.points.is_trial(points[0]):
        return [_trial(shared, shared.points.tried(point)) for point in points]
    return _further_seeds(shared, points)


def judged(deployment: Deployment) -> Evaluation:
    """The plan of one replica, for one request of its longest length.

    Raises:
        KvsimError: where the model or the engine refuses.
    """
    coefficients = overhead_model(EngineName.VLLM, deployment.engine.engine_version)
    return evaluate(deployment, coefficients, concurrent_requests=1)


def _capacity(shared: SharedSearch, candidate: int) -> Row:
    requests, goal = shared.workloads[0], shared.goal
    try:
        replica = _ready(shared, candidate, requests)
        floor = floor_of(load_of(requests, replica), replica)
        found = find_capacity(
            replica,
            requests,
            goal.limits,
            floor=floor,
            demanded_per_s=goal.rate_per_s,
            known=_tried(shared, candidate),
        )
    except KvsimError as error:
        return refused(candidate, shared.seeds[0], str(error))
    return capacity_row(candidate, shared.seeds[0], found)


def _tried(shared: SharedSearch, candidate: int) -> dict[float, Probe | None]:
    """The run of the candidate's trial, by its rate."""
    trial = shared.trials.get(candidate)
    if trial is None:
        return {}
    return {shared.goal.share(shared.fewest_replicas[candidate]): tried_probe(trial)}


def _trial(shared: SharedSearch, candidate: int) -> Row:
    requests, goal = shared.workloads[0], shared.goal
    replicas = shared.fewest_replicas[candidate]
    try:
        replica = _ready(shared, candidate, requests)
        found = probe_kept(replica, requests, goal.limits, goal.share(replicas))
    except KvsimError as error:
        return refused(candidate, shared.seeds[0], str(error))
    return trial_row(candidate, shared.seeds[0], found, replicas=replicas)


def _ready(shared: SharedSearch, candidate: int, requests: RequestArrays) -> Replica:
    evaluation = judged(shared.deployments[candidate])
    return ready_replica(evaluation, requests, efficiencies=shared.goal.efficiencies)


def _further_seeds(shared: SharedSearch, points: Sequence[int]) -> list[Row]:
    rows = []
    for point in points:
        candidate, place = shared.points.seed_run(point)
        requests, goal = shared.workloads[place], shared.goal
        replica = _ready(shared, candidate, requests)
        found = probe_rate(replica, requests, goal.limits, shared.rates[candidate])
        rows.append(probe_row(candidate, shared.seeds[place], found))
    return rows
