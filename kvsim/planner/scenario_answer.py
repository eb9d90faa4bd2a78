"""What one scenario takes and holds: the same figures whatever its engine."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal

from kvsim.analytic.capacity import Verdict
from kvsim.engines.layout import Layout
from kvsim.errors import KvsimError
from kvsim.message import Message
from kvsim.planner.answer import plain
from kvsim.planner.engine_advice import judge_engine, longest_request, request_tokens
from kvsim.planner.engine_memory import WEIGHTS, Facts, Held, Memory, memory_of
from kvsim.planner.engine_plan import verdict_of
from kvsim.planner.plan import Evaluation, evaluate
from kvsim.planner.request_cost import DIVIDES_LAYERS, RequestCost, request_cost, scenario_layout
from kvsim.specs.engine import EngineName, resolve_max_model_len
from kvsim.specs.overheads import Interval, total
from kvsim.specs.scenario import Scenario
from kvsim.units import HOURS_PER_MONTH

Json = dict[str, object]
Number = int | Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """A scenario's memory on its tightest device, and the requests of one length that it holds.

    Tokens and requests are over all replicas; `longest_tokens` is the longest request that fits
    alone.
    """

    weights_bytes: Interval
    cache_bytes: Interval
    low: Held
    best: Held
    high: Held
    longest_tokens: int | None
    verdict: Verdict
    refusal: str | None
    not_modeled: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class UsdPerHour:
    """What the devices cost, in US dollars an hour, as the catalogue's prices range."""

    low: Decimal
    high: Decimal

    @property
    def low_per_month(self) -> Decimal:
        """A month's price, of 730 hours, at the lower end."""
        return self.low * HOURS_PER_MONTH

    @property
    def high_per_month(self) -> Decimal:
        """A month's price, of 730 hours, at the upper end."""
        return self.high * HOURS_PER_MONTH

    def as_dict(self) -> Json:
        """An hour's price and a month's."""
        return {
            "usd_per_hour": [float(self.low), float(self.high)],
            "usd_per_month": [float(self.low_per_month), float(self.high_per_month)],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class ScenarioAnswer:
    """One scenario's figures; `refusal` says why those that are None are not known.

    `cost` is per rank, or over all devices where `is_per_rank` is false: an engine that divides
    layers over devices has no rank.
    """

    scenario: Scenario
    engine_version: str | None
    num_tokens: int | None
    cost: RequestCost | None
    holding: Holding | None
    usd: UsdPerHour | None
    refusal: str | None
    not_modeled: tuple[str, ...]

    @property
    def fits(self) -> bool | None:
        """Whether what is asked fits at the likely estimates; None where that is not known."""
        return None if self.holding is None else self.holding.verdict.fits

    @property
    def is_per_rank(self) -> bool:
        """Whether bytes of a request are one rank's."""
        return self.scenario.engine not in DIVIDES_LAYERS

    @property
    def figures(self) -> Mapping[str, Number | None]:
        """The figures at the likely estimates, by name; None where one is not known."""
        cost, held, usd = self.cost, self.holding, self.usd
        return {
            "num_gpus": self.scenario.deployment.parallel.num_ranks,
            "num_tokens": self.num_tokens,
            "weights_bytes": None if held is None else held.weights_bytes.best,
            "cache_bytes": None if held is None else held.cache_bytes.best,
            "bytes_per_token": None if cost is None else cost.bytes_per_token,
            "fixed_bytes": None if cost is None else cost.fixed_bytes,
            "request_bytes": None if cost is None else cost.request_bytes,
            "capacity_tokens": None if held is None else held.best.tokens,
            "max_requests": None if held is None else held.best.requests,
            "longest_tokens": None if held is None else held.longest_tokens,
            "low_usd_per_hour": None if usd is None else usd.low,
            "high_usd_per_hour": None if usd is None else usd.high,
        }

    def as_dict(self) -> Json:
        """The answer as plain values."""
        deployment, cost, held = self.scenario.deployment, self.cost, self.holding
        return {
            "engine": str(self.scenario.engine),
            "engine_version": self.engine_version,
            "model": deployment.model.name,
            "gpu": deployment.accelerator.name,
            "num_gpus": deployment.parallel.num_ranks,
            "num_tokens": self.num_tokens,
            "concurrent_requests": self.scenario.concurrent_requests,
            "fits": self.fits,
            "verdict": held and str(held.verdict),
            "weights_bytes": held and plain(held.weights_bytes),
            "bytes_per_token": cost and cost.bytes_per_token,
            "fixed_bytes": cost and cost.fixed_bytes,
            "request_bytes": cost and cost.request_bytes,
            "per_rank": self.is_per_rank,
            "cache_bytes": held and plain(held.cache_bytes),
            "capacity_tokens": held and _each(held, "tokens"),
            "max_requests": held and _each(held, "requests"),
            "longest_tokens": held and held.longest_tokens,
            **(self.usd.as_dict() if self.usd else {"usd_per_hour": None, "usd_per_month": None}),
            "refusal": self.refusal,
            "not_modeled": list(self.not_modeled),
        }


def _each(held: Holding, name: str) -> Json:
    ends = {"low": held.low, "best": held.best, "high": held.high}
    return {end: getattr(one, name) for end, one in ends.items()}


def answer(scenario: Scenario, facts: Facts) -> ScenarioAnswer:
    """A scenario's figures; what its engine or its rules refuse is kept as text."""
    num_tokens: int | None = None
    layout: Layout | None = None
    cost, held, refusal = None, None, None
    try:
        num_tokens = _num_tokens(scenario, facts)
        layout = scenario_layout(scenario)
        cost = request_cost(layout, scenario, num_tokens)
        held = HOLDINGS.get(scenario.engine, _pooled)(scenario, layout, facts, num_tokens)
        refusal = held.refusal
    except KvsimError as error:
        refusal = error.words
    return ScenarioAnswer(
        scenario=scenario,
        engine_version=layout.engine_version if layout else None,
        num_tokens=num_tokens,
        cost=cost,
        holding=held,
        usd=_usd(scenario),
        refusal=refusal,
        not_modeled=(*(layout.not_modeled if layout else ()), *(held.not_modeled if held else ())),
    )


def _num_tokens(scenario: Scenario, facts: Facts) -> int:
    """Tokens of each request that is asked for: as stated, else the longest that is served."""
    deployment, settings = scenario.deployment, scenario.own_settings
    if settings is not None:
        return request_tokens(deployment, settings)
    if scenario.engine == EngineName.VLLM and deployment.engine.auto_max_model_len:
        return _evaluated(scenario, facts).resolved.max_model_len
    return resolve_max_model_len(deployment.engine.max_model_len, deployment.model)


def _evaluated(scenario: Scenario, facts: Facts) -> Evaluation:
    asked = scenario.concurrent_requests
    return evaluate(scenario.deployment, facts.overheads, concurrent_requests=asked)


def _usd(scenario: Scenario) -> UsdPerHour | None:
    prices = [device.price for device in scenario.deployment.accelerators]
    known = [price for price in prices if price is not None]
    if len(known) < len(prices):
        return None
    low = sum((Decimal(str(price.low_usd_per_hour)) for price in known), Decimal())
    high = sum((Decimal(str(price.high_usd_per_hour)) for price in known), Decimal())
    return UsdPerHour(low=low, high=high)


def _vllm(scenario: Scenario, layout: Layout, facts: Facts, num_tokens: int) -> Holding:  # noqa: ARG001
    told = _evaluated(scenario, facts)
    held, memory = told.capacity, told.budget
    replicas = scenario.deployment.parallel.data_parallel_size
    low, best, high = (
        Held(pool.kv_cache_tokens * replicas, pool.max_requests * replicas)
        for pool in (held.low, held.best, held.high)
    )
    return Holding(
        weights_bytes=memory.weights_bytes,
        cache_bytes=memory.kv_cache_bytes,
        low=low,
        best=best,
        high=high,
        longest_tokens=_longest_served(scenario, facts) or held.best.longest_model_len,
        verdict=told.fit.verdict,
        refusal=None if told.fit.verdict.fits else Message.of_all(told.fit.reasons),
        not_modeled=tuple(text for text in told.not_modeled if text not in told.layout.not_modeled),
    )


def _longest_served(scenario: Scenario, facts: Facts) -> int | None:
    """The longest request with which vLLM starts, up to the model's most; None: it refuses that."""
    deployment = scenario.deployment
    most = deployment.model.vllm.max_model_len or deployment.model.max_model_len
    engine = replace(deployment.engine, max_model_len=most, auto_max_model_len=False)
    try:
        told = evaluate(replace(deployment, engine=engine), facts.overheads, concurrent_requests=1)
    except KvsimError:  # a step must hold the whole prompt, and is too small for the longest
        return None
    return told.capacity.best.longest_model_len


def _pooled(scenario: Scenario, layout: Layout, facts: Facts, num_tokens: int) -> Holding:  # noqa: ARG001
    """An engine with settings of its own, judged device by device."""
    settings = scenario.own_settings
    assert settings is not None  # engines without any have holdings of their own
    asked = scenario.concurrent_requests
    judged, judge = judge_engine(scenario.deployment, settings, facts, concurrent_requests=asked)
    one = judged if asked == 1 else replace(judged, concurrent_requests=1)
    tightest = judged.tightest
    return Holding(
        weights_bytes=tightest.weights_bytes,
        cache_bytes=tightest.cache_bytes,
        low=judged.low,
        best=judged.best,
        high=judged.high,
        longest_tokens=longest_request(one, judge),
        verdict=judged.verdict,
        refusal=None if judged.verdict.fits else Message.of_all(judged.reasons),
        not_modeled=tuple(text for text in judged.not_modeled if text not in layout.not_modeled),
    )


def _side_by_side(scenario: Scenario, layout: Layout, facts: Facts, num_tokens: int) -> Holding:
    """Requests side by side in what the weights leave, as if nothing else took any."""
    memory = memory_of(scenario.engine, scenario.deployment, layout, facts, num_tokens)
    asked, replicas = scenario.concurrent_requests, scenario.deployment.parallel.data_parallel_size
    low, best, high = (
        Held(held.tokens * replicas, held.requests * replicas)
        for held in (memory.low, memory.best, memory.high)
    )
    return Holding(
        weights_bytes=total(part.num_bytes for part in memory.parts if part.name == WEIGHTS),
        cache_bytes=memory.cache_bytes,
        low=low,
        best=best,
        high=high,
        longest_tokens=_longest(
            layout, memory, max(num_tokens, scenario.deployment.model.max_model_len or 0)
        ),
        verdict=verdict_of(best=best.requests >= asked, low=low.requests >= asked),
        refusal=memory.refusal,
        not_modeled=memory.left_out,
    )


def _longest(layout: Layout, memory: Memory, most: int) -> int:
    """The longest request, up to the most that the model takes, that fits alone."""
    low, high = 0, most
    while low < high:
        middle = (low + high + 1) // 2
        fits = layout.sequence(middle).total_bytes <= memory.cache_bytes.best
        low, high = (middle, high) if fits else (low, middle - 1)
    return low


HOLDINGS: Mapping[EngineName, Callable[[Scenario, Layout, Facts, int], Holding]] = {
    EngineName.VLLM: _vllm,
    EngineName.IDEAL: _side_by_side,
    EngineName.TRANSFORMERS: _side_by_side,
}
"""Engines that are not judged by settings of their own."""
