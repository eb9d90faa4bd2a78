"""Runs of several replicas: side by side where the router looks at them, else one by one."""

from collections.abc import Callable
from dataclasses import replace

from kvsim.errors import UnsupportedError
from kvsim.sim.arrivals import Arrival, Arrivals, Inbox
from kvsim.sim.content import ContentTree
from kvsim.sim.cover import SchedulerName
from kvsim.sim.engine import Engine
from kvsim.sim.records import StepRecord
from kvsim.sim.replicas import merged
from kvsim.sim.request_arrays import RequestArrays
from kvsim.sim.routers import router
from kvsim.sim.serve import Served, Service, serve
from kvsim.sim.setup import EngineSetup
from kvsim.sim.side_by_side import RoutedArrivals, run_side_by_side
from kvsim.sim.simulate import num_answers, simulation
from kvsim.sim.simulation import STEPS_PER_REPORT, Run, Simulation, collected
from kvsim.specs.attention import check_positive
from kvsim.specs.routing import Routing, RoutingPolicy
from kvsim.specs.workload import Workload, output_segment


def simulate_replicas(
    setup: EngineSetup,
    workload: Workload | RequestArrays,
    service: Service,
    *,
    replicas: int,
    routing: Routing,
    model: str | None = None,
    gpu: str | None = None,
    not_modeled: tuple[str, ...] = (),
) -> Simulation:
    """What equal engines behind a router do with the requests.

    In turn, requests go where they go whatever the replicas do: each is served on its own, by the
    compiled twin where that covers the run. Otherwise all engines run side by side on one clock.

    Raises:
        SpecError: for a request that an engine would refuse, or could never serve.
        UnsupportedError: if the compiled twin is asked for and does not cover the run.
    """
    check_positive(replicas=replicas)
    requests = workload if isinstance(workload, Workload) else workload.workload()
    serve_all = _apart if _are_independent(requests, replicas, routing) else _together
    parts = [
        simulation(
            setup,
            served,
            service,
            num_requests=len(served.run.requests),
            model=model,
            gpu=gpu,
            not_modeled=not_modeled,
        )
        for served in serve_all(setup, requests, service, replicas=replicas, routing=routing)
    ]
    return merged(parts, routing, num_asked=num_answers(workload))


def _are_independent(workload: Workload, replicas: int, routing: Routing) -> bool:
    """Whether it is known before the run where each request goes."""
    in_turn = routing.routing is RoutingPolicy.ROUND_ROBIN and replicas <= len(workload)
    return in_turn and all(request.after is None for request in workload)


def share(workload: Workload, first: int, every: int) -> Workload:
    """Every so many-th request; answers keep the names that later prompts know them by."""
    kept = range(first, len(workload), every)
    requests = (workload.requests[place] for place in kept)
    named = (
        replace(request, output_segment=output_segment(request, place, 0))
        for place, request in zip(kept, requests, strict=True)
    )
    return replace(workload, requests=tuple(named))


def _apart(
    setup: EngineSetup, workload: Workload, service: Service, *, replicas: int, routing: Routing
) -> list[Served]:
    """Each replica's share, one after the other."""
    assert routing.routing is RoutingPolicy.ROUND_ROBIN
    done: list[Served] = []
    for i in range(replicas):
        before = sum(len(served.run.requests) for served in done)
        told = replace(
            service,
            on_start=_nothing if i else service.on_start,
            on_progress=_from(before, service.on_progress),
        )
        served = serve(setup, share(workload, i, replicas), told)
        done.append(replace(served, run=_placed(served.run, i, replicas)))
        if served.run.interrupted:
            break
    return done


def _placed(run: Run, first: int, every: int) -> Run:
    """A share's records with the places of the whole workload."""
    requests, preemptions = run.requests.rows.copy(), run.preemptions.rows.copy()
    requests["index"] = first + every * requests["index"]
    for name in ("index", "by_index"):
        preemptions[name] = first + every * preemptions[name]
    return replace(
        run,
        requests=type(run.requests)(requests, run.requests.stalls),
        preemptions=type(run.preemptions)(preemptions),
    )


def _nothing() -> None:
    """Loading is over when the first replica begins."""


def _from(before: int, report: Callable[[int], None] | None) -> Callable[[int], None] | None:
    return None if report is None else lambda num_done: report(before + num_done)


def _together(
    setup: EngineSetup, workload: Workload, service: Service, *, replicas: int, routing: Routing
) -> list[Served]:
    """All replicas on one clock."""
    reason = f"where a request goes depends on the replicas: routing={routing.routing}"
    if service.scheduler is SchedulerName.COMPILED:
        msg = f"scheduler={service.scheduler} does not cover this run: {reason}"
        raise UnsupportedError(msg)
    arrivals, tree, chooses = Arrivals(workload), ContentTree(), router(routing)
    inboxes = [Inbox(arrivals) for _ in range(replicas)]
    engines = [
        Engine(setup, workload, service.step_time, service.accept, arrivals=inbox, tree=tree)
        for inbox in inboxes
    ]

    def choose(arrival: Arrival) -> int:
        return chooses.choose(engines, workload.requests[arrival.place], arrival.place)

    steps: list[list[StepRecord]] = [[] for _ in engines]
    interrupted = False
    service.on_start()
    try:
        routed = RoutedArrivals(arrivals, inboxes, choose)
        for i, record in run_side_by_side(engines, [routed]):
            steps[i].append(record)
            if service.on_progress is not None and not record.step % STEPS_PER_REPORT:
                service.on_progress(sum(len(engine.requests) for engine in engines))
    except KeyboardInterrupt:
        if not service.keep_partial:
            raise
        interrupted = True
    return [
        Served(collected(engine, own, interrupted=interrupted), SchedulerName.REFERENCE, reason)
        for engine, own in zip(engines, steps, strict=True)
    ]
