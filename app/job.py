"""One job of page Simulate: what was asked, and the function that does it."""

import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import kvsim
from app import scenario
from app.fields import Field, Value
from app.report import headed
from app.run_fields import GOALS, TRAFFIC
from app.scenario import FIELDS, Scenario
from app.traffic import Traffic, Upload

Json = dict[str, Any]

MAX_STEPS = 500_000
"""Most steps of one run: some 50 MB of records."""

MOST_POINTS = 300
"""Points of a picture; more than a screen's pixels show nothing more."""

TABLE_ROWS = 20
MOST_EVENTS = 100

Tell = Callable[[int, int], None]
"""Told how many requests of how many are served."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Goals:
    """How the requests are to be served: the limits, and what was measured."""

    slo_ttft_s: float | None
    slo_tpot_s: float | None
    slo_itl_s: float | None
    slo_e2e_s: float | None
    slo_share: float
    kv_offloading_gib: float | None
    offload_gib_per_s: float | None
    step_times: Upload | None

    @property
    def limits(self) -> kvsim.ServiceLimits:
        """The limits, of which none need be stated."""
        return kvsim.ServiceLimits(
            slo_ttft_s=self.slo_ttft_s,
            slo_tpot_s=self.slo_tpot_s,
            slo_itl_s=self.slo_itl_s,
            slo_e2e_s=self.slo_e2e_s,
            slo_share=self.slo_share,
        )

    def serving(self, deployment: kvsim.Deployment) -> kvsim.Deployment:
        """The deployment with the tier in host memory that is asked for."""
        engine = replace(deployment.engine, kv_offloading_size=self.kv_offloading_gib)
        return replace(deployment, engine=engine)

    @property
    def offload(self) -> kvsim.Offload:
        """The link to that tier; without a rate, transfers take no time."""
        rate = self.offload_gib_per_s
        return kvsim.Offload(
            offload_bytes_per_s=None if rate is None else kvsim.parse_bytes(f"{rate:.6f}GiB")
        )

    def step_table(self) -> kvsim.StepTable | None:
        """The measured steps; None where the device's roofline serves."""
        if self.step_times is None:
            return None
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "step-times.json"
            path.write_bytes(self.step_times.content)
            return kvsim.read_step_table(path)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """All inputs of a run; equal jobs have equal results."""

    scenario: Scenario
    traffic: Traffic
    goals: Goals

    @classmethod
    def of(cls, values: Mapping[str, Value]) -> "Job":
        """The job that a link's inputs describe, which hold no file."""

        def chosen(fields: Iterable[Field]) -> dict[str, Any]:
            return {field.name: values.get(field.name, field.default) for field in fields}

        return cls(
            scenario=scenario.of(chosen(FIELDS.values())),
            traffic=Traffic(trace=None, **chosen(TRAFFIC)),
            goals=Goals(step_times=None, **chosen(GOALS)),
        )

    @property
    def values(self) -> dict[str, Value]:
        """Every input that a link can hold."""
        parts = ((self.traffic, TRAFFIC), (self.goals, GOALS))
        return self.scenario.values | {
            field.name: getattr(part, field.name) for part, fields in parts for field in fields
        }

    @property
    def has_files(self) -> bool:
        """Whether a link cannot hold all of it."""
        given = (self.scenario.config, self.scenario.own, self.traffic.trace, self.goals.step_times)
        return any(file is not None for file in given)

    @property
    def is_empty(self) -> bool:
        """Whether a file that was chosen is not there."""
        return self.scenario.is_empty or self.traffic.is_empty


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a job gave: the first seed's run whole, the figures of all."""

    done: kvsim.Simulation
    points: tuple[kvsim.TimelinePoint, ...]
    few_points: tuple[kvsim.TimelinePoint, ...]  # the same for a table
    preempted: tuple[kvsim.RequestRecord, ...]  # the first of those that lost their blocks
    runs: tuple[Json, ...]
    spread: kvsim.SeedSpread | None  # None of a single seed
    report: Json

    @property
    def num_steps(self) -> int:
        """What it takes to keep it."""
        return len(self.done.steps)

    @property
    def figures(self) -> Json:
        """The first seed's figures."""
        return self.runs[0]


def do(job: Job, tell: Tell) -> Result:
    """Serve the requests, seed by seed.

    Raises:
        KvsimError: for what the engine would refuse, and past the limits of the page.
    """
    traffic, goals = job.traffic, job.goals
    deployment, table = goals.serving(job.scenario.deployment()), goals.step_table()
    seeds = traffic.all_seeds
    first: kvsim.Simulation | None = None
    runs: list[Json] = []
    for place, seed in enumerate(seeds):
        workload = traffic.requests(seed=seed)
        before, total = place * len(workload), len(seeds) * len(workload)
        tell(before, total)
        done = kvsim.simulate(
            deployment,
            workload,
            seed=seed,
            step_table=table,
            offload=goals.offload,
            on_progress=_onward(tell, before=before, total=total),
        )
        if len(done.steps) > MAX_STEPS:
            msg = kvsim.Message(
                "steps={steps} must be <= {most} here: fewer answer tokens",
                steps=f"{len(done.steps):,}",
                most=f"{MAX_STEPS:,}",
            )
            raise kvsim.SpecError(msg)
        runs.append(_figures(done, workload, goals.limits))
        first = first or done
    assert first is not None
    return _result(first, runs, job)


def _onward(tell: Tell, *, before: int, total: int) -> Callable[[int], None]:
    """Told of one run's progress, tells that of all."""
    return lambda served: tell(before + served, total)


def _result(first: kvsim.Simulation, runs: Sequence[Json], job: Job) -> Result:
    seed = job.traffic.seed
    spread = kvsim.over_seeds(runs, first_seed=seed) if len(runs) > 1 else None
    report = headed(runs[0], asked=job, seed=seed)
    if spread is not None:
        report["over_seeds"] = spread.as_dict()
    preempted = (request for request in first.requests if request.num_preemptions)
    return Result(
        done=first,
        points=kvsim.timeline_points(first, most=MOST_POINTS),
        few_points=kvsim.timeline_points(first, most=TABLE_ROWS),
        preempted=tuple(islice(preempted, MOST_EVENTS)),
        runs=tuple(runs),
        spread=spread,
        report=report,
    )


def _figures(done: kvsim.Simulation, workload: kvsim.Workload, limits: kvsim.ServiceLimits) -> Json:
    figures = done.as_dict() | {"workload": workload.source}
    return figures if limits.is_open else figures | {"goodput": done.goodput(limits).as_dict()}
