"""Candidates of a search: deployments, what closed forms say of them, and what they cost."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from kvsim.errors import KvsimError, SpecError
from kvsim.message import Message
from kvsim.planner.fleet import FleetCost, fleet_cost
from kvsim.planner.plan import Evaluation
from kvsim.planner.replica import Replica
from kvsim.planner.search_floor import floor_of, load_of
from kvsim.planner.search_front import Objectives, throughput_level
from kvsim.planner.search_probe import fewest_replicas
from kvsim.planner.search_rows import Found, number
from kvsim.planner.serving_level import check_limited
from kvsim.sim.metrics import spread
from kvsim.sim.request_arrays import RequestArrays
from kvsim.specs.deployment import Deployment
from kvsim.specs.efficiencies import Efficiencies
from kvsim.specs.limits import ServiceLimits


class SearchOutcome(StrEnum):
    """What became of a candidate."""

    FRONT = "front"
    DOMINATED = "dominated"  # simulated: another is as good in all and better in something
    OVERTAKEN = "overtaken"  # not simulated: another is better than this one can be
    MISSES = "misses the goal"  # simulated: even requests that are alone miss it
    TOO_SLOW = "too slow"  # not simulated: no schedule could keep the goal
    DOES_NOT_FIT = "does not fit"
    REFUSED = "refused"  # by the model or the engine
    NO_PRICE = "no price"
    NOT_REACHED = "not reached"  # the search was stopped before


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchGoal:
    """What is asked of every candidate, and what the ranking rests on."""

    limits: ServiceLimits
    rate_per_s: float | None  # of all replicas; None: what one replica bears is all that is asked
    spare: int
    efficiencies: Efficiencies
    tokens_per_request: float  # prompt and answer
    output_tokens_per_request: float

    def __post_init__(self) -> None:
        check_limited(self.limits)
        if self.limits.slo_ttft_s is None and self.limits.slo_e2e_s is None:
            msg = "slo_ttft_s or slo_e2e_s must be given: no other limit keeps a queue from growing"
            raise SpecError(msg)
        if self.rate_per_s is not None and not 0 < self.rate_per_s < float("inf"):
            msg = f"rate_per_s={self.rate_per_s:g} must be > 0"
            raise SpecError(msg)
        if self.spare < 0:
            msg = f"spare={self.spare} must be >= 0"
            raise SpecError(msg)

    @classmethod
    def of(
        cls,
        limits: ServiceLimits,
        requests: RequestArrays,
        *,
        rate_per_s: float | None,
        spare: int,
        efficiencies: Efficiencies,
    ) -> Self:
        """The goal for these requests."""
        answers = int(requests.num_output_tokens.sum())
        return cls(
            limits=limits,
            rate_per_s=rate_per_s,
            spare=spare,
            efficiencies=efficiencies,
            tokens_per_request=(int(requests.num_prompt_tokens.sum()) + answers) / len(requests),
            output_tokens_per_request=answers / len(requests),
        )

    @property
    def step_time(self) -> str:
        """Where the seconds of a step come from, in words."""
        if self.efficiencies.are_absent:
            return "rooflines of the devices, not calibrated: lower bounds"
        return Message(
            "rooflines of the devices at {shares}, as measured by the user",
            shares=self.efficiencies.text,
        )

    @property
    def is_calibrated(self) -> bool:
        """Whether step times rest on measured speeds."""
        return self.efficiencies.are_complete

    @property
    def percentile(self) -> str:
        """Of the latency that is ranked: without measured speeds, never one of the tail."""
        return "p99" if self.is_calibrated else "p50"

    def share(self, replicas: int) -> float:
        """Each replica's share of the demanded rate."""
        assert self.rate_per_s is not None
        return self.rate_per_s / replicas

    @property
    def cost_name(self) -> str:
        """The cost that is ranked."""
        return "usd_per_million_tokens" if self.rate_per_s is None else "usd_per_month"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What closed forms say: the best that a candidate could be."""

    most_rate_per_s: float
    most_share: float
    least_excess: float
    least_latency_s: float  # of the ranked percentile, to the last token


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One deployment with its settings; `bounds` are None where it is out without them."""

    index: int
    settings: Mapping[str, object]
    deployment: Deployment | None
    bounds: Bounds | None = None
    outcome: SearchOutcome | None = None
    reason: str | None = None
    missing_bytes: int = 0  # of the cache on one device, where it does not fit

    def cost(self, goal: SearchGoal, *, replicas: int | None, rate_per_s: float) -> FleetCost:
        """What as many replicas and the spares cost; one replica where no rate is demanded."""
        assert self.deployment is not None
        assert self.deployment.accelerator.price is not None
        machines = 1 if replicas is None else replicas + goal.spare
        rate = goal.rate_per_s or rate_per_s
        return fleet_cost(
            self.deployment.accelerator.price,
            num_devices=machines * self.deployment.parallel.num_ranks,
            tokens_per_s=rate * goal.tokens_per_request,
        )

    def fewest_replicas(self, goal: SearchGoal) -> int | None:
        """Replicas that could bear the demanded rate at best; None where none is demanded."""
        assert self.bounds is not None
        if goal.rate_per_s is None:
            return None
        return fewest_replicas(self.bounds.most_rate_per_s, goal.rate_per_s)

    def best_case(self, goal: SearchGoal, trial: Found | None) -> Objectives:
        """What it could be at best, after a trial of the fewest replicas if there was one."""
        assert self.bounds is not None
        most, latency_s = self.bounds.most_rate_per_s, self.bounds.least_latency_s
        replicas = self.fewest_replicas(goal)
        if trial is not None and replicas is not None:
            if trial["replicas"] is None:
                replicas += 1
            else:
                latency_s = number(trial, f"e2e_s_{goal.percentile}")
        return Objectives(
            cost=ranked_cost(self.cost(goal, replicas=replicas, rate_per_s=most), goal),
            throughput_level=throughput_level(most * goal.output_tokens_per_request),
            latency_s=latency_s,
        )


def ranked_cost(cost: FleetCost, goal: SearchGoal) -> float:
    """The middle of the price range, of what is ranked."""
    if goal.rate_per_s is not None:
        return (cost.low_usd_per_month + cost.high_usd_per_month) / 2
    assert cost.low_usd_per_million_tokens is not None
    assert cost.high_usd_per_million_tokens is not None
    return (cost.low_usd_per_million_tokens + cost.high_usd_per_million_tokens) / 2


def bounds_of(replica: Replica, requests: RequestArrays, goal: SearchGoal) -> Bounds:
    """The best that a replica could do with the requests, whatever the schedule."""
    floor = floor_of(load_of(requests, replica), replica)
    latency = spread(floor.end_to_end_s)
    assert latency is not None
    return Bounds(
        most_rate_per_s=floor.most_rate_per_s,
        most_share=floor.most_share(goal.limits),
        least_excess=floor.least_excess(goal.limits),
        least_latency_s=getattr(latency, goal.percentile),
    )


def refused(index: int, settings: Mapping[str, object], error: KvsimError) -> Candidate:
    """One that the model or the engine cannot be."""
    return Candidate(
        index=index,
        settings=settings,
        deployment=None,
        outcome=SearchOutcome.REFUSED,
        reason=error.words,
    )


def unfit(index: int, settings: Mapping[str, object], evaluation: Evaluation) -> Candidate:
    """One on whose devices not one request of the longest length fits."""
    return Candidate(
        index=index,
        settings=settings,
        deployment=evaluation.deployment,
        outcome=SearchOutcome.DOES_NOT_FIT,
        reason=Message.of_all(evaluation.fit.reasons),
        missing_bytes=evaluation.fit.missing_bytes,
    )
