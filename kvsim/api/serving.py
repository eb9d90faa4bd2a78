"""Simulated runs and what their seeds say: io, sim and planner wired together."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from kvsim.api.generating import generator
from kvsim.api.preparing import Prepared, prepare, prepare_blocks
from kvsim.sim.cover import SchedulerName
from kvsim.sim.disaggregated import check_pools, simulate_disaggregated
from kvsim.sim.moment import Observer
from kvsim.sim.request_arrays import RequestArrays
from kvsim.sim.serve import Service
from kvsim.sim.simulate import accepting
from kvsim.sim.simulate import simulate as run_simulation
from kvsim.sim.simulate_replicas import simulate_replicas
from kvsim.sim.simulation import Simulation
from kvsim.specs.attention import check_positive
from kvsim.specs.deployment import Deployment
from kvsim.specs.disaggregation import Disaggregation
from kvsim.specs.efficiencies import Efficiencies
from kvsim.specs.engine import Vllm
from kvsim.specs.model import ModelSpec
from kvsim.specs.offload import Offload
from kvsim.specs.overheads import OverheadModel
from kvsim.specs.parallel import Parallelism
from kvsim.specs.routing import Routing, RoutingPolicy
from kvsim.specs.step_table import StepTable
from kvsim.specs.workload import Workload

if TYPE_CHECKING:
    from kvsim.planner.run_comparison import RunComparison
    from kvsim.planner.seeds import SeedSpread


# long: a setting a line, each handed on by its name
def simulate(
    deployment: Deployment,
    workload: Workload | RequestArrays,
    *,
    step_time_s: float | None = None,
    step_table: StepTable | None = None,
    efficiencies: Efficiencies | None = None,
    offload: Offload | None = None,
    routing: Routing | str = RoutingPolicy.ROUND_ROBIN,
    replicas: int | None = None,
    disaggregation: Disaggregation | None = None,
    watermark: float = 0.0,
    acceptance_rate: float = 0.0,
    seed: int = 0,
    scheduler: str = SchedulerName.AUTO,
    keep_partial: bool = False,
    on_progress: Callable[[int], None] | None = None,
    notify: Callable[[str], None] = lambda _: None,
    on_start: Callable[[], None] = lambda: None,
    observe: Observer | None = None,
    overheads: OverheadModel | None = None,
) -> Simulation:
    """What a deployment does with a workload, step by step, all its replicas together.

    Of several replicas it is a `ReplicatedSimulation`, which has each replica's own run too.

    Args:
        deployment: model, accelerator, engine settings, parallelism.
        workload: requests in order of arrival.
        step_time_s: seconds of every step; None means the roofline of the device.
        step_table: measured steps, in place of the roofline.
        efficiencies: shares of the device's stated speeds that were measured.
        offload: speeds of the tiers below the device, where the engine's `kv_offloading_size`
            asks for them.
        routing: by what requests are sent to replicas: a policy's name, or with its thresholds;
            one replica gets them all.
        replicas: engines behind the router; None: the `data_parallel_size`.
        disaggregation: a pool for prompts and one for answers, and the link between; the result
            is a `DisaggregatedSimulation` then. None: every engine does both.
        watermark: share of the blocks that stays free when a request is admitted beside others.
        acceptance_rate: chance that a drafted token is right, if those before it were.
        seed: of that chance.
        scheduler: "compiled" or "reference"; "auto" is the compiled twin where it covers the run.
        keep_partial: on Ctrl-C return what was done, in place of raising.
        on_progress: told every now and then how many answers are complete.
        notify: told in a line what takes long: the compiled twin is compiled once per machine.
        on_start: called before the first step, when all is loaded and compiled.
        observe: is shown every step, see `BlockMapRecorder`; the reference serves then.
        overheads: coefficients of the engine's overheads; None means those shipped.

    Raises:
        CapacityError: if one request of `max_model_len` does not fit: the engine would not start.
        SpecError: for a request that the engine would refuse, or could never serve.
        UnsupportedError: for a layout or a schedule that is not known.

    Example:
        >>> from kvsim import accelerator, load_model
        >>> h100 = accelerator("H100-SXM5-80GB")
        >>> deployment = Deployment(model=load_model("llama-3.1-8b"), accelerator=h100,
        ...     engine=Vllm(max_model_len=8192))
        >>> from kvsim.specs.workload import Request
        >>> requests = (Request(num_prompt_tokens=1000, num_output_tokens=10),) * 4
        >>> done = simulate(deployment, Workload(requests=requests))
        >>> len(done.requests), done.num_preemptions
        (4, 0)
    """
    ready = prepare(
        deployment,
        workload,
        step_time_s=step_time_s,
        step_table=step_table,
        efficiencies=efficiencies,
        offload=offload,
        watermark=watermark,
        acceptance_rate=acceptance_rate,
        overheads=overheads,
    )
    service = Service(
        step_time=ready.step_time,
        accept=accepting(acceptance_rate, generator(seed) if acceptance_rate else None),
        scheduler=SchedulerName(scheduler),
        keep_partial=keep_partial,
        notify=notify,
        on_start=on_start,
        on_progress=on_progress,
        observe=observe,
    )
    count = ready.replicas if replicas is None else replicas
    return _served(
        ready,
        workload,
        service,
        replicas=count,
        parallel=deployment.parallel,
        routing=routing,
        disaggregation=disaggregation,
    )


def _served(
    ready: Prepared,
    workload: Workload | RequestArrays,
    service: Service,
    *,
    replicas: int,
    parallel: Parallelism,
    routing: Routing | str,
    disaggregation: Disaggregation | None,
) -> Simulation:
    """The run of one engine, of several behind a router, or of two pools."""
    rules = Routing.of(routing)
    check_positive(replicas=replicas)
    said: dict[str, Any] = {
        "model": ready.model,
        "gpu": ready.gpu,
        "not_modeled": ready.not_modeled,
    }
    if disaggregation is not None:
        check_pools(parallel, replicas)
        said |= {"rules": disaggregation, "copies": parallel.tensor_parallel_size}
        return simulate_disaggregated(ready.setup, workload, service, routing=rules, **said)
    if replicas == 1:
        return run_simulation(ready.setup, workload, service, **said)
    return simulate_replicas(
        ready.setup, workload, service, replicas=replicas, routing=rules, **said
    )


def over_seeds(runs: Sequence[Mapping[str, object]], *, first_seed: int = 0) -> "SeedSpread":
    """Figures of runs that differ in their seed alone: means with bootstrap confidence intervals.

    Args:
        runs: what `Simulation.as_dict` gave, seed by seed.
        first_seed: of the first run; the others follow it.

    Raises:
        SpecError: for fewer than two runs.
    """
    from kvsim.planner.seeds import over_seeds as spread  # noqa: PLC0415 - numpy, see generator

    seeds = range(first_seed, first_seed + len(runs))
    return spread(runs, seeds, generator(first_seed))


def compare_runs(
    baseline: Sequence[Mapping[str, object]],
    present: Sequence[Mapping[str, object]],
    *,
    is_paired: bool,
    seed: int = 0,
) -> "RunComparison":
    """How each figure of simulated runs changes from a baseline, and whether that is beyond chance.

    Args:
        baseline: what `Simulation.as_dict` gave, a run for each seed.
        present: the same for the other deployment or workload.
        is_paired: both sides ran with the same seeds, in the same order.
        seed: of the resamples.

    Raises:
        SpecError: for a side without a run, and for pairs of unequal number.
    """
    from kvsim.planner.run_comparison import compare_runs as compared  # noqa: PLC0415 - numpy

    return compared(baseline, present, generator(seed), is_paired=is_paired)


# long: a setting a line, each handed on by its name
def simulate_blocks(
    model: ModelSpec,
    workload: Workload | RequestArrays,
    *,
    engine: Vllm,
    parallel: Parallelism | None = None,
    step_time_s: float | None = None,
    step_table: StepTable | None = None,
    offload: Offload | None = None,
    routing: Routing | str = RoutingPolicy.ROUND_ROBIN,
    disaggregation: Disaggregation | None = None,
    watermark: float = 0.0,
    acceptance_rate: float = 0.0,
    seed: int = 0,
    scheduler: str = SchedulerName.AUTO,
    keep_partial: bool = False,
    on_progress: Callable[[int], None] | None = None,
    notify: Callable[[str], None] = lambda _: None,
    on_start: Callable[[], None] = lambda: None,
    observe: Observer | None = None,
) -> Simulation:
    """What an engine with a stated number of blocks does with a workload; no device is needed.

    Args:
        model: what `load_model` returned.
        workload: requests in order of arrival.
        engine: settings; `num_gpu_blocks_override` says how many blocks there are.
        parallel: degrees that share the model, and how many replicas there are, each with the
            blocks; None means one rank.
        step_time_s: seconds of every step; None means a round figure, without a table.
        step_table: measured steps.
        offload: speeds of the tiers below the device, where the engine's `kv_offloading_size`
            asks for them.
        routing: by what requests are sent to replicas: a policy's name, or with its thresholds.
        disaggregation: a pool for prompts and one for answers, each engine with the blocks.
        watermark: share of the blocks that stays free when a request is admitted beside others.
        acceptance_rate: chance that a drafted token is right, if those before it were.
        seed: of that chance.
        scheduler: "compiled" or "reference"; "auto" is the compiled twin where it covers the run.
        keep_partial: on Ctrl-C return what was done, in place of raising.
        on_progress: told every now and then how many answers are complete.
        notify: told in a line what takes long: the compiled twin is compiled once per machine.
        on_start: called before the first step, when all is loaded and compiled.
        observe: is shown every step, see `BlockMapRecorder`; the reference serves then.

    Raises:
        CapacityError: if one request of `max_model_len` does not fit: the engine would not start.
        SpecError: without a number of blocks; for a request that could never be served.
        UnsupportedError: for a layout or a schedule that is not known.
    """
    ready = prepare_blocks(
        model,
        engine=engine,
        parallel=parallel,
        step_time_s=step_time_s,
        step_table=step_table,
        offload=offload,
        watermark=watermark,
        acceptance_rate=acceptance_rate,
    )
    service = Service(
        step_time=ready.step_time,
        accept=accepting(acceptance_rate, generator(seed) if acceptance_rate else None),
        scheduler=SchedulerName(scheduler),
        keep_partial=keep_partial,
        notify=notify,
        on_start=on_start,
        on_progress=on_progress,
        observe=observe,
    )
    return _served(
        ready,
        workload,
        service,
        replicas=ready.replicas,
        parallel=parallel or Parallelism(),
        routing=routing,
        disaggregation=disaggregation,
    )
