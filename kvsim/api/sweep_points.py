"""What a worker does with a point of a sweep: a deployment, its plan or its run, a row."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from kvsim import __version__
from kvsim.api.generating import generate_workload, poisson_workload
from kvsim.api.serving import simulate, simulate_blocks
from kvsim.errors import KvsimError, SpecError, WorkerError
from kvsim.io.overheads import overhead_model
from kvsim.planner.plan import evaluate
from kvsim.planner.sweep_rows import Cell, Row, columns, planned, row, simulated
from kvsim.sim.simulation import Simulation
from kvsim.specs.deployment import Deployment
from kvsim.specs.efficiencies import Efficiencies
from kvsim.specs.engine import EngineName, Vllm
from kvsim.specs.hardware import Accelerator
from kvsim.specs.limits import ServiceLimits
from kvsim.specs.model import ModelSpec
from kvsim.specs.offload import Offload
from kvsim.specs.overheads import Interval, Overheads, exact
from kvsim.specs.parallel import Parallelism
from kvsim.specs.sweep import Point, SweepGrid
from kvsim.specs.sweep_fields import DEVICE_BYTES, STATED_BYTES
from kvsim.specs.workload import PoissonTraffic, Workload

T = TypeVar("T")

TOLD = ("acceptance_rate", "seed", "step_time_s", "watermark")
"""What a simulation is told under the same names."""

POISSON = "poisson"
"""The workload where none is named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """What every task of a sweep needs; names are resolved here, so that workers read no file."""

    version: str
    grid: SweepGrid
    models: Mapping[str, ModelSpec]
    accelerators: Mapping[str, Accelerator]
    traces: Mapping[str, Workload]


def run_points(shared: object, points: range) -> list[Row]:
    """Rows of some points; what a worker does.

    Raises:
        WorkerError: if the worker's kvsim is another one.
    """
    if not isinstance(shared, Shared) or shared.version != __version__:
        msg = f"kvsim={__version__} on a worker must be the sweep's own version"
        raise WorkerError(msg)
    names = list(columns(shared.grid))
    return [_row(shared, shared.grid.point(index), names) for index in points]


def _row(shared: Shared, point: Point, names: Sequence[str]) -> Row:
    found: Mapping[str, Cell]
    try:
        if shared.grid.simulate:
            found = simulated(_simulate(shared, point), made(ServiceLimits, point))
        else:
            found = _plan(shared, point)
    except KvsimError as error:
        found = {"refusal": str(error)}
    return row(point, found, names)


def _plan(shared: Shared, point: Point) -> dict[str, Cell]:
    deployment = _deployment(shared, point)
    version = deployment.engine.engine_version
    evaluation = evaluate(
        deployment,
        overhead_model(EngineName.VLLM, version),
        concurrent_requests=_whole(point.get("concurrent_requests", 1)),
    )
    return planned(evaluation)


def _simulate(shared: Shared, point: Point) -> Simulation:
    workload, efficiencies = _workload(shared, point), made(Efficiencies, point)
    told: dict[str, Any] = {name: point[name] for name in TOLD if name in point}
    told["offload"] = made(Offload, point)
    if "gpu" in point:
        deployment = _deployment(shared, point)
        return simulate(deployment, workload, efficiencies=efficiencies, **told)
    if not efficiencies.are_absent:
        msg = f"gpu=None must be given where {efficiencies.text} is stated"
        raise SpecError(msg)
    return simulate_blocks(
        shared.models[str(point["model"])],
        workload,
        engine=made(Vllm, point),
        parallel=_parallel(point),
        **told,
    )


def _workload(shared: Shared, point: Point) -> Workload:
    """The requests of a trace, of a named workload, or Poisson's."""
    trace, named, seed = point.get("trace"), point.get("workload"), _whole(point.get("seed", 0))
    if trace is not None:
        if named is not None:
            msg = f"trace={trace} and workload={named} exclude each other"
            raise SpecError(msg)
        return shared.traces[str(trace)]
    if named is None or named == POISSON:
        return poisson_workload(made(PoissonTraffic, point), seed=seed)
    rate = {"rate_per_s": point["rate_per_s"]} if "rate_per_s" in point else {}
    count = {"num_requests": _whole(point["num_requests"])} if "num_requests" in point else {}
    return generate_workload(str(named), seed=seed, arrivals=rate, **count)


def _deployment(shared: Shared, point: Point) -> Deployment:
    stated = {name: _stated(point[name]) for name in STATED_BYTES if name in point}
    device: dict[str, Any] = {name: point[name] for name in DEVICE_BYTES if name in point}
    return Deployment(
        model=shared.models[str(point["model"])],
        accelerator=shared.accelerators[str(point["gpu"])],
        engine=made(Vllm, point),
        parallel=_parallel(point),
        overheads=Overheads(**stated),
        **device,
    )


def _parallel(point: Point) -> Parallelism:
    degrees = made(Parallelism, point)
    return degrees.over(_whole(point["num_gpus"])) if "num_gpus" in point else degrees


def made(spec: type[T], point: Point) -> T:
    """The dataclass with those of its fields that the point names."""
    names = {field.name for field in dataclasses.fields(spec)}  # type: ignore[arg-type]
    return spec(**{name: value for name, value in point.items() if name in names})


def _stated(value: object) -> Interval:
    return exact(_whole(value), "stated by the user")


def _whole(value: object) -> int:
    if not isinstance(value, int):
        msg = f"{value} must be a whole number"
        raise SpecError(msg)
    return value
