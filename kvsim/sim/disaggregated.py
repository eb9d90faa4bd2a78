"""Prefill/decode disaggregation: prompts in one pool of replicas, answers in another."""

from dataclasses import replace

from kvsim.errors import SpecError, UnsupportedError
from kvsim.sim.arrivals import Arrival, Arrivals
from kvsim.sim.content import ContentTree
from kvsim.sim.cover import SchedulerName
from kvsim.sim.disaggregated_run import DisaggregatedSimulation, disaggregated_run
from kvsim.sim.engine import Engine
from kvsim.sim.pool_engines import (
    DecodeEngine,
    DecodeInbox,
    HandingOver,
    PrefillEngine,
    PrefillInbox,
    pulling,
)
from kvsim.sim.records import StepRecord
from kvsim.sim.request_arrays import RequestArrays
from kvsim.sim.routers import least_loaded, router
from kvsim.sim.serve import Served, Service
from kvsim.sim.setup import EngineSetup
from kvsim.sim.side_by_side import Happening, RoutedArrivals, run_side_by_side
from kvsim.sim.simulate import num_answers, simulation
from kvsim.sim.simulation import STEPS_PER_REPORT, collected
from kvsim.sim.transfers import Links, Sending
from kvsim.specs.disaggregation import Disaggregation
from kvsim.specs.parallel import Parallelism
from kvsim.specs.routing import Routing
from kvsim.specs.workload import Workload, output_segment

REASON = "two pools run side by side on one clock"

NOT_MODELED = (
    "first tokens that are computed a second time after the transfer: vLLM's example proxy drops "
    "that of the prefill pool; what its clients wait for is in second_token_s",
    "blocks of a prompt that are given up because nobody fetched them in time (vLLM: 480 s)",
    "layers that are sent while later ones are computed: a transfer begins when the prompt is done",
    "a layout that differs because a connector is used: versions without support for groups turn "
    "the hybrid manager off",
)


class Pools:
    """The engines of both pools over a workload, and what happens between them."""

    def __init__(
        self,
        setup: EngineSetup,
        workload: Workload,
        service: Service,
        *,
        rules: Disaggregation,
        routing: Routing,
        copies: int,
    ) -> None:
        self._setup, self._workload = setup, workload
        first = rules.prefill_replicas
        numbers = range(first, first + rules.decode_replicas)
        arrivals, tree = Arrivals(workload), ContentTree()
        links = Links(rules, first + rules.decode_replicas)
        self.sending = Sending(lambda one: self.prefill[one.engine].release(one))
        prompts = _prompts(workload)
        inboxes = [PrefillInbox(arrivals, prompts, self._ends) for _ in range(first)]
        self.prefill = [
            PrefillEngine(i, setup, prompts, service.step_time, arrivals=inbox, tree=tree)
            for i, inbox in enumerate(inboxes)
        ]
        waiting = {number: DecodeInbox(arrivals) for number in numbers}
        self.decode = [
            DecodeEngine(
                setup,
                workload,
                service.step_time,
                arrivals=waiting[number],
                tree=tree,
                connector=pulling(number, links, self.sending, setup, copies),
            )
            for number in numbers
        ]
        self._router = router(routing)
        self.arriving = RoutedArrivals(arrivals, inboxes, self._choose_prefill)
        self.handing = HandingOver(
            dict(enumerate(self.prefill)), waiting, self._choose_decode, self._ends
        )

    @property
    def engines(self) -> list[Engine]:
        """Those that compute prompts, then those that answer."""
        return [*self.prefill, *self.decode]

    def _ends(self, place: int) -> bool:
        """Whether a request's first token is its last."""
        request = self._workload.requests[place]
        return self._setup.final_tokens(request) == request.num_prompt_tokens + 1

    def _choose_prefill(self, arrival: Arrival) -> int:
        request = self._workload.requests[arrival.place]
        return self._router.choose(self.prefill, request, arrival.place)

    def _choose_decode(self) -> int:
        return len(self.prefill) + least_loaded(self.decode)


def simulate_disaggregated(
    setup: EngineSetup,
    workload: Workload | RequestArrays,
    service: Service,
    *,
    rules: Disaggregation,
    routing: Routing,
    copies: int,
    model: str | None = None,
    gpu: str | None = None,
    not_modeled: tuple[str, ...] = (),
) -> DisaggregatedSimulation:
    """What two pools of equal engines do with the requests.

    A prompt is computed in the first pool, where the router sends it, and gives the first token
    there. Its blocks stay held. The replica of the second pool with the least to do is told,
    takes blocks for the prompt, pulls what it has not cached, and goes on with the answer; when
    the transfer is over, the first pool's blocks are free.

    Args:
        setup: of an engine of either pool.
        workload: requests in order of arrival.
        service: seconds of a step, and who is told.
        rules: how many engines, and how fast caches move.
        routing: by what prompts are sent to the first pool.
        copies: ranks of an engine that hold blocks.
        model: its name, for the result.
        gpu: the device's.
        not_modeled: what is left out beside what two pools leave out.

    Raises:
        SpecError: for a request that an engine would refuse, or could never serve.
        UnsupportedError: for tiers, or drafts, beside two pools; for the compiled twin.

    Source:
        vLLM `NixlConnector`, vllm/distributed/kv_transfer/kv_connector/v1/nixl_connector.py.
    """
    _check(setup, service)
    requests = workload if isinstance(workload, Workload) else workload.workload()
    pools = Pools(setup, requests, service, rules=rules, routing=routing, copies=copies)
    steps, interrupted = _serve(pools, service)
    parts = [
        simulation(
            setup,
            Served(
                collected(engine, own, interrupted=interrupted), SchedulerName.REFERENCE, REASON
            ),
            service,
            num_requests=len(engine.requests),
            model=model,
            gpu=gpu,
            not_modeled=(*not_modeled, *NOT_MODELED),
        )
        for engine, own in zip(pools.engines, steps, strict=True)
    ]
    return disaggregated_run(
        parts,
        pools.handing.handed,
        rules=rules,
        routing=routing,
        num_asked=num_answers(requests),
    )


def _serve(pools: Pools, service: Service) -> tuple[list[list[StepRecord]], bool]:
    """Every engine's steps until all is served, and whether Ctrl-C ended that."""
    steps: list[list[StepRecord]] = [[] for _ in pools.engines]
    interrupted = False
    service.on_start()
    try:
        happenings: list[Happening] = [pools.sending, pools.arriving, pools.handing]
        for i, record in run_side_by_side(pools.engines, happenings):
            steps[i].append(record)
            if service.on_progress is not None and not record.step % STEPS_PER_REPORT:
                service.on_progress(sum(len(engine.requests) for engine in pools.decode))
    except KeyboardInterrupt:
        if not service.keep_partial:
            raise
        interrupted = True
    return steps, interrupted


def check_pools(parallel: Parallelism, replicas: int) -> None:
    """What degrees two pools do not take.

    Raises:
        SpecError: for replicas beside the pools' own.
        UnsupportedError: for stages, each of which holds other layers.
    """
    if replicas > 1:
        msg = f"data_parallel_size={replicas} must be 1: the pools say how many replicas there are"
        raise SpecError(msg)
    if parallel.pipeline_parallel_size > 1:
        msg = f"pipeline_parallel_size={parallel.pipeline_parallel_size} beside prefill_replicas: "
        raise UnsupportedError(msg + "transfers between stages are not modelled")


def _check(setup: EngineSetup, service: Service) -> None:
    """UnsupportedError for what two pools do not do here."""
    if service.scheduler is SchedulerName.COMPILED:
        msg = f"scheduler={service.scheduler} does not cover this run: {REASON}"
        raise UnsupportedError(msg)
    if setup.tiers is not None:
        msg = "kv_offloading_size beside prefill_replicas: two connectors at once are not modelled"
        raise UnsupportedError(msg)
    if setup.config.num_speculative_tokens:
        msg = "speculative_method beside prefill_replicas: drafts of two pools are not modelled"
        raise UnsupportedError(msg)


def _prompts(workload: Workload) -> Workload:
    """The same requests with one token to answer, under the names that answers have."""
    return replace(
        workload,
        requests=tuple(
            replace(request, num_output_tokens=1, output_segment=output_segment(request, place, 0))
            for place, request in enumerate(workload)
        ),
    )
