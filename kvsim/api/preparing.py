"""What serves a workload before the workload comes: an engine set up, and what its steps cost."""

from dataclasses import dataclass

from kvsim.engines.vllm_cache import vllm_cache
from kvsim.errors import SpecError
from kvsim.io.overheads import overhead_model
from kvsim.planner.plan import evaluate
from kvsim.planner.replica import ready_replica
from kvsim.sim.request_arrays import RequestArrays
from kvsim.sim.setup import EngineSetup
from kvsim.sim.simulate import deployed_setup, limits, offload_limits, replica_limits
from kvsim.sim.step_times import ConstantStepTime, StepTime, TableStepTime
from kvsim.specs.deployment import Deployment
from kvsim.specs.efficiencies import Efficiencies
from kvsim.specs.engine import EngineName, Vllm
from kvsim.specs.model import ModelSpec
from kvsim.specs.offload import Offload
from kvsim.specs.overheads import OverheadModel
from kvsim.specs.parallel import Parallelism
from kvsim.specs.step_table import StepTable
from kvsim.specs.workload import Workload


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """An engine that is ready, and what is said of it in results."""

    setup: EngineSetup
    step_time: StepTime
    model: str
    gpu: str | None
    replicas: int
    not_modeled: tuple[str, ...]


def prepare(
    deployment: Deployment,
    workload: Workload | RequestArrays | None,
    *,
    step_time_s: float | None = None,
    step_table: StepTable | None = None,
    efficiencies: Efficiencies | None = None,
    offload: Offload | None = None,
    watermark: float = 0.0,
    acceptance_rate: float = 0.0,
    overheads: OverheadModel | None = None,
) -> Prepared:
    """The engine of a deployment.

    Args:
        deployment: model, accelerator, engine settings, parallelism.
        workload: requests that will come; None: they are not known yet.
        step_time_s: seconds of every step; None means the roofline of the device.
        step_table: measured steps, in place of the roofline.
        efficiencies: shares of the device's stated speeds that were measured.
        offload: speeds of the tiers below the device.
        watermark: share of the blocks that stays free when a request is admitted beside others.
        acceptance_rate: chance that a drafted token is right, if those before it were.
        overheads: coefficients of the engine's overheads; None means those shipped.

    Raises:
        CapacityError: if one request of `max_model_len` does not fit: the engine would not start.
        SpecError: for settings that exclude each other.
        UnsupportedError: for a layout or a schedule that is not known.
    """
    coefficients = overheads or overhead_model(EngineName.VLLM, deployment.engine.engine_version)
    replica = ready_replica(
        evaluate(deployment, coefficients, concurrent_requests=1),
        workload,
        step_time=_stated_step_time(step_time_s, step_table),
        efficiencies=efficiencies,
        offload=offload,
        watermark=watermark,
        acceptance_rate=acceptance_rate,
    )
    return Prepared(
        setup=replica.setup,
        step_time=replica.step_time,
        model=replica.model.name,
        gpu=deployment.accelerator.name,
        replicas=deployment.parallel.data_parallel_size,
        not_modeled=(
            *replica.not_modeled,
            *replica_limits(replica.model, deployment.parallel),
        ),
    )


def prepare_blocks(
    model: ModelSpec,
    *,
    engine: Vllm,
    parallel: Parallelism | None = None,
    step_time_s: float | None = None,
    step_table: StepTable | None = None,
    offload: Offload | None = None,
    watermark: float = 0.0,
    acceptance_rate: float = 0.0,
) -> Prepared:
    """An engine with a stated number of blocks; arguments and errors as of `prepare`.

    Raises:
        SpecError: without a number of blocks.
    """
    if engine.num_gpu_blocks_override is None:
        msg = "num_gpu_blocks_override must be given where no device says how many blocks there are"
        raise SpecError(msg)
    cache, degrees = vllm_cache(model, engine, parallel=parallel), parallel or Parallelism()
    return Prepared(
        setup=deployed_setup(
            cache.start(0),
            cache.settings,
            engine,
            acceptance_rate=acceptance_rate,
            watermark=watermark,
            offload=offload,
        ),
        step_time=_stated_step_time(step_time_s, step_table) or ConstantStepTime(),
        model=model.name,
        gpu=None,
        replicas=degrees.data_parallel_size,
        not_modeled=(
            *model.not_modeled,
            *limits(cache.settings, engine, degrees),
            *offload_limits(engine, offload),
            *replica_limits(model, degrees),
        ),
    )


def _stated_step_time(step_time_s: float | None, step_table: StepTable | None) -> StepTime | None:
    """A constant or a table; None for neither."""
    if step_table is None:
        return None if step_time_s is None else ConstantStepTime(step_time_s)
    if step_time_s is not None:
        msg = f"step_time_s={step_time_s:g} and a table of measured steps exclude each other"
        raise SpecError(msg)
    return TableStepTime(step_table)
