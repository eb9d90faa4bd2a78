"""The choice between the compiled twin and the reference."""

from collections.abc import Callable
from dataclasses import dataclass

from kvsim.errors import UnsupportedError
from kvsim.sim.cover import SchedulerName, why_not_compiled
from kvsim.sim.engine import Engine
from kvsim.sim.moment import Observer
from kvsim.sim.request_arrays import RequestArrays, as_arrays, fits_columns
from kvsim.sim.setup import EngineSetup
from kvsim.sim.simulation import Run, run
from kvsim.sim.step_costs import StepCosts
from kvsim.sim.step_times import StepTime
from kvsim.specs.workload import Workload


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """How a workload is served, beside the engine and the workload themselves.

    `accept` says how many of so many drafts are right, `notify` is told in a line what takes long,
    `on_start` is called when all is ready and the first step comes, `on_progress` is told every now
    and then how many answers are complete. `observe` is shown every step, by the reference alone.
    """

    step_time: StepTime
    accept: Callable[[int], int] = lambda _: 0
    scheduler: SchedulerName = SchedulerName.AUTO
    keep_partial: bool = False
    notify: Callable[[str], None] = lambda _: None
    on_start: Callable[[], None] = lambda: None
    on_progress: Callable[[int], None] | None = None
    observe: Observer | None = None


@dataclass(frozen=True, slots=True)
class Served:
    """A run, by whom it was done, and why not by the compiled twin."""

    run: Run
    scheduler: SchedulerName
    reason: str | None


def serve(setup: EngineSetup, workload: Workload | RequestArrays, service: Service) -> Served:
    """Serve a workload with the compiled twin where it covers the run, else with the reference.

    Raises:
        SpecError: for a request that the engine would refuse, or could never serve.
        UnsupportedError: if the compiled twin is asked for and does not cover the run.
    """
    if service.scheduler is SchedulerName.REFERENCE:
        reason: str | None = "asked for"
    elif service.observe is not None:
        reason = "every step is observed"
    else:
        done, reason = _compiled(setup, workload, service)
        if done is not None:
            return Served(done, SchedulerName.COMPILED, None)
    if service.scheduler is SchedulerName.COMPILED:
        msg = f"scheduler={service.scheduler} does not cover this run: {reason}"
        raise UnsupportedError(msg)
    requests = workload if isinstance(workload, Workload) else workload.workload()
    engine = Engine(setup, requests, service.step_time, service.accept, service.observe)
    service.on_start()
    done = run(engine, keep_partial=service.keep_partial, on_progress=service.on_progress)
    return Served(done, SchedulerName.REFERENCE, reason)


def _compiled(
    setup: EngineSetup, workload: Workload | RequestArrays, service: Service
) -> tuple[Run | None, str | None]:
    """The run of the compiled twin, or why it does not do it."""
    costs = twin_costs(setup, service.step_time)
    if isinstance(costs, str):
        return None, costs
    if isinstance(workload, Workload) and any(r.after is not None for r in workload):
        return None, "requests wait for the answers of others"
    if isinstance(workload, Workload) and not fits_columns(workload):
        return None, "numbers of segments are too large"
    try:
        from kvsim.sim.compiled import run_compiled  # noqa: PLC0415 - numba, which may be missing
    except ImportError as error:
        return None, f"numba cannot be loaded: {error}"
    arrays = as_arrays(workload) if isinstance(workload, Workload) else workload
    done = run_compiled(
        setup,
        arrays,
        costs,
        keep_partial=service.keep_partial,
        notify=service.notify,
        on_start=service.on_start,
        on_progress=service.on_progress,
    )
    return done, None


def twin_costs(setup: EngineSetup, step_time: StepTime) -> StepCosts | str:
    """Costs of a step as the compiled twin takes them, or why it does not serve on this engine."""
    if (reason := why_not_compiled(setup)) is not None:
        return reason
    costs = step_time.costs(setup.config.max_num_batched_tokens)
    return costs or f"seconds of a step by {step_time.source} depend on each sequence"
