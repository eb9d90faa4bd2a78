"""Routers: the rules by which a request's replica is chosen."""

from collections.abc import Sequence
from typing import Protocol

from kvsim.sim.engine import Engine
from kvsim.sim.under_way import Load
from kvsim.specs.routing import Routing, RoutingPolicy
from kvsim.specs.workload import Request

WAITING_WEIGHT = 4
"""Running requests that one waiting request counts for.

Source: vLLM `DPLBAsyncMPClient.get_core_engine_for_request`, vllm/v1/engine/core_client.py.
"""


class Router(Protocol):
    """Chooses a replica when a request comes; what replicas have by then is all it knows."""

    def choose(self, engines: Sequence[Engine], request: Request, place: int) -> int:
        """The replica's number."""
        ...


class RoundRobin:
    """One after the other, whatever they do."""

    def __init__(self) -> None:
        self._num_sent = 0

    def choose(self, engines: Sequence[Engine], request: Request, place: int) -> int:  # noqa: ARG002
        """The next."""
        self._num_sent += 1
        return (self._num_sent - 1) % len(engines)


class LeastLoaded:
    """Where four times the waiting requests and the running ones are fewest; the first of equals.

    The engine's own balancer sees counts that are up to 0.1 s old, and adds what it sent since;
    here they are those of the moment.

    Source:
        vLLM `DPLBAsyncMPClient.get_core_engine_for_request`, vllm/v1/engine/core_client.py, and
        `DPCoordinator`, coordinator.py.
    """

    def choose(self, engines: Sequence[Engine], request: Request, place: int) -> int:  # noqa: ARG002
        """The replica with the lowest score."""
        return least_loaded(engines)


class PrefixAware:
    """Where most of the prompt is cached, while no replica has many more requests than another.

    If it has, or too little of the prompt is cached anywhere, the replica with the fewest
    requests is chosen; of several with as much of the prompt, too. What is cached is what the
    replicas' devices hold at the moment, as routers know that listen to cache events; a router
    that only remembers what it sent knows less.

    Source:
        SGLang's router, `CacheAwarePolicy::select_worker`, sgl-router/src/policies/cache_aware.rs.
    """

    def __init__(self, routing: Routing) -> None:
        self._routing = routing

    def choose(self, engines: Sequence[Engine], request: Request, place: int) -> int:
        """The replica to which the rules lead."""
        loads = [sum(engine.load) for engine in engines]
        everyone = range(len(engines))
        if self._is_unbalanced(loads):
            return min(everyone, key=loads.__getitem__)
        cached = [engine.cached_tokens(place) for engine in engines]
        most = max(cached)
        if most <= self._routing.cache_threshold * request.num_prompt_tokens:
            return min(everyone, key=loads.__getitem__)
        return min((i for i in everyone if cached[i] == most), key=loads.__getitem__)

    def _is_unbalanced(self, loads: Sequence[int]) -> bool:
        """Whether one has more than another by both measures."""
        fewest, most = min(loads), max(loads)
        rules = self._routing
        apart = most - fewest > rules.balance_abs_threshold
        return apart and most > rules.balance_rel_threshold * fewest


def least_loaded(engines: Sequence[Engine]) -> int:
    """The first of the engines with the lowest score."""
    return min(range(len(engines)), key=lambda i: score(engines[i].load))


def score(load: Load) -> int:
    """How loaded a replica counts."""
    return WAITING_WEIGHT * load.waiting + load.running


def router(routing: Routing) -> Router:
    """The router of a policy, before its first request."""
    match routing.routing:
        case RoutingPolicy.ROUND_ROBIN:
            return RoundRobin()
        case RoutingPolicy.LEAST_LOADED:
            return LeastLoaded()
        case RoutingPolicy.PREFIX_AWARE:
            return PrefixAware(routing)
