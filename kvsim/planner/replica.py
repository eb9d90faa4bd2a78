"""Replica: one deployment ready to serve, with all that does not depend on the requests' times."""

from dataclasses import dataclass

from kvsim.engines.vllm_cache import vllm_cache
from kvsim.planner.plan import Evaluation, deployment_cache_dtype, deployment_dtype
from kvsim.sim.brief import BriefRun
from kvsim.sim.request_arrays import RequestArrays, longest_tokens
from kvsim.sim.serve import Service, twin_costs
from kvsim.sim.setup import EngineSetup
from kvsim.sim.simulate import deployed_setup, limits, offload_limits, simulate
from kvsim.sim.simulation import Simulation
from kvsim.sim.step_times import StepTime, deployed_step_time
from kvsim.specs.efficiencies import Efficiencies
from kvsim.specs.limits import ServiceLimits
from kvsim.specs.model import ModelSpec
from kvsim.specs.offload import Offload
from kvsim.specs.workload import Workload


@dataclass(frozen=True, slots=True, kw_only=True)
class Replica:
    """An engine as it stands after its start, and how long its steps take."""

    evaluation: Evaluation
    setup: EngineSetup
    step_time: StepTime
    not_modeled: tuple[str, ...]

    @property
    def model(self) -> ModelSpec:
        """The model as the engine holds it."""
        return self.evaluation.deployment.model

    def serve(
        self, workload: Workload | RequestArrays, service: Service | None = None
    ) -> Simulation:
        """What it does with requests, none of them longer than those it was made ready for.

        Raises:
            SpecError: for a request that the engine would refuse, or could never serve.
        """
        deployment = self.evaluation.deployment
        return simulate(
            self.setup,
            workload,
            service or Service(step_time=self.step_time),
            model=self.model.name,
            gpu=deployment.accelerator.name,
            not_modeled=self.not_modeled,
        )

    def keep(self, limits: ServiceLimits, requests: RequestArrays) -> Simulation | BriefRun | None:
        """The run of requests of which enough keep the limits; None if they do not.

        Where the compiled twin serves, it stops as soon as too many have missed a limit.

        Raises:
            SpecError: for a request that the engine would refuse, or could never serve.
        """
        costs = twin_costs(self.setup, self.step_time)
        if limits.slo_itl_s is not None or isinstance(costs, str):
            done = self.serve(requests)
            return done if done.goodput(limits).is_met else None
        from kvsim.sim.compiled_brief import run_watched  # noqa: PLC0415 - numba is slow to load

        found = run_watched(self.setup, requests, costs, limits)
        if found is None:
            return None
        return BriefRun(
            requests=found.requests,
            num_requests=len(requests),
            num_preemptions=found.num_preemptions,
            num_gpu_blocks=self.setup.num_gpu_blocks,
            duration_s=found.duration_s,
            step_time=self.step_time.source,
            is_calibrated=self.step_time.is_calibrated,
            not_modeled=self.not_modeled,
        )


# long: a part of the replica a line
def ready_replica(
    evaluation: Evaluation,
    workload: Workload | RequestArrays | None,
    *,
    step_time: StepTime | None = None,
    efficiencies: Efficiencies | None = None,
    offload: Offload | None = None,
    watermark: float = 0.0,
    acceptance_rate: float = 0.0,
) -> Replica:
    """A replica for a workload's lengths.

    Args:
        evaluation: of the deployment.
        workload: requests; its longest one decides what of the roofline is tabulated. None: they
            are not known yet, and may be as long as the context.
        step_time: seconds of a step; None means the roofline of the device.
        efficiencies: shares of the device's stated speeds that were measured.
        offload: speeds of the tiers below the device.
        watermark: share of the blocks that stays free when a request is admitted beside others.
        acceptance_rate: chance that a drafted token is right, if those before it were.

    Raises:
        CapacityError: if one request of `max_model_len` does not fit: the engine would not start.
        SpecError: for an impossible number.
        UnsupportedError: for a layout or a schedule that is not known.
    """
    deployment = evaluation.deployment
    engine, parallel = deployment.engine, deployment.parallel
    cache = vllm_cache(
        deployment.model, engine, accelerator=deployment.accelerator, parallel=parallel
    )
    setup = deployed_setup(
        cache.start(evaluation.budget.kv_cache_bytes.best),
        cache.settings,
        engine,
        acceptance_rate=acceptance_rate,
        watermark=watermark,
        offload=offload,
    )
    return Replica(
        evaluation=evaluation,
        setup=setup,
        step_time=step_time
        or deployed_step_time(
            deployment,
            cache.settings.max_model_len if workload is None else longest_tokens(workload),
            weights=evaluation.weights,
            rank_weights_bytes=evaluation.tensor_bytes,
            kv_dtype=deployment_cache_dtype(deployment),
            dtype=deployment_dtype(deployment),
            settings=cache.settings,
            efficiencies=efficiencies,
        ),
        not_modeled=(
            *evaluation.not_modeled,
            *limits(cache.settings, engine, parallel),
            *offload_limits(engine, offload),
        ),
    )
