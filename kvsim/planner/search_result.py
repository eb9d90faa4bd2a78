"""SearchResult: the front, every candidate with what became of it, and what would have to give."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

from kvsim.planner.fleet import FleetCost
from kvsim.planner.search import Search
from kvsim.planner.search_candidate import Candidate, SearchGoal, SearchOutcome
from kvsim.planner.search_rows import Found, number
from kvsim.planner.seeds import SeedSpread
from kvsim.planner.serving_level import LATENCIES
from kvsim.planner.sweep_rows import PERCENTILES
from kvsim.specs.engine import EngineName, Vllm

Json = dict[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """A candidate with what its runs gave, and its price."""

    candidate: Candidate
    found: Found | None
    cost: FleetCost | None
    output_tokens_per_s: float | None  # at its capacity
    seeds: SeedSpread | None
    command: str | None

    def as_dict(self) -> Json:
        """Plain values; what is not known is None."""
        one, found = self.candidate, self.found or {}
        deployment = one.deployment
        ranks = None if deployment is None else deployment.parallel.num_ranks
        replicas = found.get("replicas")
        return {
            "candidate": one.index,
            "settings": dict(one.settings),
            "outcome": str(one.outcome),
            "reason": one.reason,
            "gpus_per_replica": ranks,
            "capacity_per_s": found.get("capacity_per_s"),
            "output_tokens_per_s": self.output_tokens_per_s,
            "replicas": replicas,
            "rate_per_s": found.get("rate_per_s"),
            "share": found.get("share"),
            **{name: _spread(found, name) for name in LATENCIES},
            "preemptions": found.get("preemptions"),
            "num_gpu_blocks": found.get("num_gpu_blocks"),
            "excess": found.get("excess"),
            "usd_per_month": _ends(self.cost, "usd_per_month") if replicas is not None else None,
            "usd_per_million_tokens": _ends(self.cost, "usd_per_million_tokens"),
            "bounds": None if one.bounds is None else asdict(one.bounds),
            "intervals": None if self.seeds is None else self.seeds.as_dict(),
            "command": self.command,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortfall:
    """What would have to give where no candidate keeps the goal: the nearest one, and by what."""

    candidate: int
    factor: float | None  # by which its limits would have to be larger
    missing_bytes: int | None  # of the cache on one device
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchResult:
    """What a search found; `front` are indices of contenders, the cheapest first."""

    engine: str
    engine_version: str
    model: str
    workload: str
    seed: int
    goal: SearchGoal
    front: tuple[int, ...]
    contenders: Mapping[int, Contender]
    shortfall: Shortfall | None
    notes: tuple[str, ...]
    digest: str
    interrupted: bool = False

    @property
    def fits(self) -> bool | None:
        """Whether any candidate keeps the goal; None: none so far, and the search was stopped."""
        return None if self.interrupted and not self.front else bool(self.front)

    @property
    def members(self) -> Sequence[Contender]:
        """The front."""
        return [self.contenders[index] for index in self.front]

    @property
    def ranked_by(self) -> Sequence[str]:
        """What the front weighs, one against the other."""
        return (
            self.goal.cost_name,
            "output_tokens_per_s",
            f"e2e_s.{self.goal.percentile}",
        )

    def as_dict(self) -> Json:
        """The answer as plain values; the same whoever computed it."""
        outcomes = Counter(one.candidate.outcome for one in self.contenders.values())
        runs = sum(int(one.found["runs"] or 0) for one in self.contenders.values() if one.found)
        return {
            "engine": self.engine,
            "engine_version": self.engine_version,
            "model": self.model,
            "workload": self.workload,
            "seed": self.seed,
            "rate_per_s": self.goal.rate_per_s,
            "limits": asdict(self.goal.limits),
            "spare": self.goal.spare,
            "fits": self.fits,
            "interrupted": self.interrupted,
            "step_time": {"source": self.goal.step_time, "calibrated": self.goal.is_calibrated},
            "ranked_by": list(self.ranked_by),
            "outcomes": {str(name): outcomes[name] for name in SearchOutcome if outcomes[name]},
            "runs": runs,
            "front": [self.contenders[index].as_dict() for index in self.front],
            "candidates": [one.as_dict() for one in self.contenders.values()],
            "shortfall": None if self.shortfall is None else asdict(self.shortfall),
            "digest": self.digest,
            "notes": list(self.notes),
            "not_modeled": self._not_modeled,
        }

    @property
    def _not_modeled(self) -> list[str]:
        said = (str((one.found or {}).get("not_modeled") or "") for one in self.contenders.values())
        return sorted({part for text in said for part in text.split("; ") if part})


def search_result(
    state: Search,
    *,
    model: str,
    workload: str,
    seeds: Sequence[int],
    front: Sequence[int],
    spreads: Mapping[int, SeedSpread],
    commands: Mapping[int, str],
    digest: str,
) -> SearchResult:
    """The answer of a search that is over, or was stopped.

    Args:
        state: after its conclusion.
        model: its name.
        workload: where the requests come from.
        seeds: of the runs; the first decided.
        front: members, the cheapest first.
        spreads: confidence intervals of members.
        commands: launch commands of members.
        digest: of all that decided the answer.
    """
    goal = state.goal
    versions = {
        one.deployment.engine.engine_version for one in state.candidates.values() if one.deployment
    }
    return SearchResult(
        engine=EngineName.VLLM,
        engine_version=", ".join(sorted(versions)) or Vllm().engine_version,
        model=model,
        workload=workload,
        seed=seeds[0],
        goal=goal,
        front=tuple(front),
        contenders={
            i: Contender(
                candidate=one,
                found=state.found.get(i),
                cost=_cost(state, i),
                output_tokens_per_s=_throughput(state, i),
                seeds=spreads.get(i),
                command=commands.get(i),
            )
            for i, one in state.candidates.items()
        },
        shortfall=None if front else shortfall(state.candidates, state.found),
        notes=tuple(_notes(goal)),
        digest=digest,
        interrupted=state.interrupted,
    )


def _cost(state: Search, index: int) -> FleetCost | None:
    if index not in state.objectives:
        return None
    found = state.found[index]
    replicas = found["replicas"]
    return state.candidates[index].cost(
        state.goal,
        replicas=None if replicas is None else int(replicas),
        rate_per_s=number(found, "capacity_per_s"),
    )


def _throughput(state: Search, index: int) -> float | None:
    if index not in state.objectives:
        return None
    capacity = number(state.found[index], "capacity_per_s")
    return capacity * state.goal.output_tokens_per_request


def _notes(goal: SearchGoal) -> Iterator[str]:
    yield "another rate stretches all gaps alike, those between a conversation's turns too"
    yield "each replica is taken to get requests like all of them, at its share of the rate"
    yield "a price that is a range is ranked by its middle, throughput in steps of a tenth"
    if not goal.is_calibrated:
        yield (
            "step times are not calibrated: latencies and costs are lower bounds, capacities upper "
            "ones; the latency that is ranked is a median"
        )


def shortfall(candidates: Mapping[int, Candidate], found: Mapping[int, Found]) -> Shortfall | None:
    """The nearest miss: by simulation, else by closed forms, else by memory; None without any."""
    missed = [
        (float(cells["excess"]), i)
        for i, cells in found.items()
        if cells["refusal"] is None and cells["excess"] is not None
    ]
    if missed:
        factor, index = min(missed)
        text = f"candidate {index} is the nearest: its limits would have to be {factor:.2f} times "
        text += "as large, or the model, the devices or the formats others"
        return Shortfall(candidate=index, factor=factor, missing_bytes=None, text=text)
    lacking = [(one.missing_bytes, i) for i, one in candidates.items() if one.missing_bytes]
    if not lacking:
        return None
    missing, index = min(lacking)
    text = f"candidate {index} is the nearest: {missing:,} bytes of cache lack on each device"
    return Shortfall(candidate=index, factor=None, missing_bytes=missing, text=text)


def _spread(found: Mapping[str, object], name: str) -> Json | None:
    values = {one: found.get(f"{name}_{one}") for one in PERCENTILES}
    return None if values[PERCENTILES[0]] is None else dict(values)


def _ends(cost: FleetCost | None, name: str) -> list[object] | None:
    return None if cost is None else [getattr(cost, f"{end}_{name}") for end in ("low", "high")]
