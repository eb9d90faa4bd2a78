"""Fleets: how many replicas keep the latency limits at a rate, what they cost, what they retain."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

from kvsim.errors import SpecError
from kvsim.planner.fleet_retention import Retention, retention
from kvsim.planner.plan import Evaluation
from kvsim.planner.retention import end_times
from kvsim.planner.serving_level import Level, check_limited, level
from kvsim.sim.simulation import Simulation
from kvsim.specs.attention import check_positive
from kvsim.specs.hardware import Price
from kvsim.specs.limits import ServiceLimits
from kvsim.specs.routing import Routing, RoutingPolicy
from kvsim.specs.workload import Workload
from kvsim.units import HOURS_PER_MONTH

Json = dict[str, object]
Serve = Callable[[int], Simulation]
"""What so many replicas do with the requests."""

SECONDS_PER_HOUR = 3600
MOST_REPLICAS = 64

ROUTED = {
    RoutingPolicy.ROUND_ROBIN: "requests go to the replicas in turn, whatever their prompts share",
    RoutingPolicy.LEAST_LOADED: "requests go to the replica with the fewest waiting and running",
    RoutingPolicy.PREFIX_AWARE: "requests go where their prefix is cached, unless that replica is "
    "overloaded",
}
"""How requests come to replicas, in words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetRun:
    """So many replicas under the whole traffic."""

    replicas: int
    level: Level

    def as_dict(self) -> Json:
        """Plain values."""
        return {"replicas": self.replicas, **self.level.as_dict()}


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetCost:
    """What replicas and spares cost; per million tokens of the traffic, spares included."""

    price: Price  # of an hour of one device
    low_usd_per_month: float
    high_usd_per_month: float
    low_usd_per_million_tokens: float | None  # prompt and answer; None: the traffic has no rate
    high_usd_per_million_tokens: float | None

    def as_dict(self) -> Json:
        """Plain values."""
        return {
            "usd_per_gpu_hour": [self.price.low_usd_per_hour, self.price.high_usd_per_hour],
            "price_date": self.price.date,
            "price_source": self.price.source,
            "usd_per_month": [self.low_usd_per_month, self.high_usd_per_month],
            "usd_per_million_tokens": None
            if self.low_usd_per_million_tokens is None
            else [self.low_usd_per_million_tokens, self.high_usd_per_million_tokens],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """The fewest replicas that keep the limits, the run with one fewer, and what they cost.

    `at_value` is None where not even `most_replicas` do: then `beyond` is the run with those.
    """

    evaluation: Evaluation
    limits: ServiceLimits
    workload: str
    rate_per_s: float | None
    routing: Routing
    at_value: FleetRun | None
    beyond: FleetRun | None
    spare: int
    cost: FleetCost | None
    retention: Retention | None
    command: str
    notes: tuple[str, ...]

    @property
    def replicas(self) -> int | None:
        """Replicas that the traffic needs, spares not counted."""
        return None if self.at_value is None else self.at_value.replicas

    @property
    def reason(self) -> str:
        """What binds, in words."""
        if self.beyond is None:
            return "one replica keeps every limit"
        count, words = self.beyond.replicas, self.beyond.level.text
        return f"{count:,} {'replicas are' if count > 1 else 'replica is'} too few: {words}"

    def as_dict(self) -> Json:
        """The answer as plain values."""
        e, count = self.evaluation, self.replicas
        ranks = e.deployment.parallel.num_ranks
        return {
            "engine": str(e.engine),
            "engine_version": e.resolved.engine_version,
            "model": e.deployment.model.name,
            "gpu": e.deployment.accelerator.name,
            "target": "replicas",
            "goal": "smallest",
            "fits": count is not None,
            "value": count,
            "binding": "service limits" if self.beyond else "end of the range",
            "reason": self.reason,
            "limits": asdict(self.limits),
            "workload": self.workload,
            "rate_per_s": self.rate_per_s,
            "routing": self.routing.routing,
            "at_value": self.at_value and self.at_value.as_dict(),
            "beyond": self.beyond and self.beyond.as_dict(),
            "spare": self.spare,
            "num_gpus": None if count is None else (count + self.spare) * ranks,
            "cost": self.cost and self.cost.as_dict(),
            "retention": self.retention and self.retention.as_dict(),
            "step_time": self._step_time,
            "command": self.command,
            "notes": list(self.notes),
            "not_modeled": list(e.not_modeled),
        }

    @property
    def _step_time(self) -> Json | None:
        run = self.at_value or self.beyond
        if run is None:
            return None
        return {"source": run.level.step_time, "calibrated": run.level.is_calibrated}


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetQuestion:
    """What a fleet is asked for."""

    evaluation: Evaluation  # of one replica
    workload: Workload
    limits: ServiceLimits
    routing: Routing = Routing()  # noqa: RUF009 - frozen
    spare: int = 0
    price: Price | None = None
    retention_s: float | None = None
    most_replicas: int = MOST_REPLICAS

    def __post_init__(self) -> None:
        check_positive(most_replicas=self.most_replicas)
        check_limited(self.limits)
        if self.spare < 0:
            msg = f"spare={self.spare} must be >= 0"
            raise SpecError(msg)
        if self.evaluation.deployment.parallel.data_parallel_size > 1:
            msg = "data_parallel_size must be 1: replicas are what is asked for"
            raise SpecError(msg)
        if self.retention_s is not None and not 0 < self.retention_s < float("inf"):
            msg = f"retention_s={self.retention_s:g} must be > 0"
            raise SpecError(msg)


def size_fleet(question: FleetQuestion, serve: Serve, *, command: str) -> Fleet:
    """The fewest replicas with which a simulation keeps the limits, one fewer failing them.

    Raises:
        SpecError: for a request that no replica could serve.
    """
    runs: dict[int, FleetRun] = {}
    ends_s: dict[int, Sequence[float] | None] = {}

    def run(replicas: int) -> FleetRun:
        if replicas not in runs:
            done = serve(replicas)
            runs[replicas] = FleetRun(replicas=replicas, level=level(done, question.limits))
            if question.retention_s is not None:
                ends_s[replicas] = end_times(question.workload, done)
        return runs[replicas]

    least = _least(run, min(question.most_replicas, len(question.workload)))
    failed = max((n for n in runs if least is None or n < least), default=None)
    rate = question.workload.rate_per_s
    notes = [ROUTED[question.routing.routing]]
    if not next(iter(runs.values())).level.is_calibrated:
        notes.append("step times are not calibrated: latencies are lower bounds, so replicas too")
    if question.price is None:
        notes.append("no price is known for this device: state one for costs")
    return Fleet(
        evaluation=question.evaluation,
        limits=question.limits,
        workload=question.workload.source,
        rate_per_s=rate,
        routing=question.routing,
        at_value=None if least is None else runs[least],
        beyond=None if failed is None else runs[failed],
        spare=question.spare,
        cost=None if least is None else _cost(question, least, rate),
        retention=retention(
            question.evaluation,
            question.workload,
            window_s=question.retention_s,
            machines=(least or question.most_replicas) + question.spare,
            ends_s=ends_s.get(least or max(runs)),
        ),
        command=command,
        notes=tuple(notes),
    )


def _least(run: Callable[[int], FleetRun], most: int) -> int | None:
    """A number that keeps the limits and whose predecessor does not; None: not even `most`."""
    high = 1
    while not run(high).level.is_met:
        if high == most:
            return None
        high = min(2 * high, most)
    low = high // 2  # 0, or a number that failed
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if run(middle).level.is_met else (middle, high)
    return high


def _cost(question: FleetQuestion, replicas: int, rate: float | None) -> FleetCost | None:
    if question.price is None:
        return None
    ranks = question.evaluation.deployment.parallel.num_ranks
    tokens = sum(r.num_prompt_tokens + r.num_output_tokens for r in question.workload)
    return fleet_cost(
        question.price,
        num_devices=(replicas + question.spare) * ranks,
        tokens_per_s=None if rate is None else rate * tokens / len(question.workload),
    )


def fleet_cost(price: Price, *, num_devices: int, tokens_per_s: float | None) -> FleetCost:
    """What devices cost, at both ends of their price.

    Args:
        price: of an hour of one device.
        num_devices: spares included.
        tokens_per_s: prompt and answer tokens of the traffic that they serve; None: not known.
    """
    low, high = price.low_usd_per_hour * num_devices, price.high_usd_per_hour * num_devices

    def per_million(usd_per_hour: float) -> float | None:
        if tokens_per_s is None:
            return None
        return usd_per_hour / (tokens_per_s * SECONDS_PER_HOUR) * 1e6

    return FleetCost(
        price=price,
        low_usd_per_month=low * HOURS_PER_MONTH,
        high_usd_per_month=high * HOURS_PER_MONTH,
        low_usd_per_million_tokens=per_million(low),
        high_usd_per_million_tokens=per_million(high),
    )
