"""Replicas behind a router: what each did, and the figures of all of them together."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import NamedTuple

import numpy as np

from kvsim.sim.figures import Json, plain
from kvsim.sim.latency import (
    Goodput,
    StepEnds,
    goodput_of,
    joined_gaps,
    num_keeping,
    weighted_spread,
)
from kvsim.sim.metrics import Spread
from kvsim.sim.series import PreemptionSeries, RequestSeries, StepSeries
from kvsim.sim.simulation import Simulation
from kvsim.sim.tiers import TierUse
from kvsim.specs.limits import ServiceLimits
from kvsim.specs.routing import Routing

STEP_NUMBERS = ("first_step", "first_token_step", "last_step")
"""Columns of a request that name steps of its own replica."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicatedSimulation(Simulation):
    """Several engines that shared a workload, as one run.

    Requests and preemptions are those of all replicas; so are the steps, by the second at which
    they began. Figures of a pool (blocks held, requests running) are those of one replica, over
    the time that steps took in any. `replicas` holds each replica's own run.
    """

    replicas: tuple[Simulation, ...]
    routing: Routing

    @property
    def itl_s(self) -> Spread | None:
        """Time between two outputs of a request in a row."""
        gaps = [StepEnds.of(one.steps).gaps(one.requests) for one in self.replicas]
        return weighted_spread(joined_gaps(gaps))

    @property
    def duration_s(self) -> float:
        """From time 0 to the end of the last step of any replica."""
        return max((one.duration_s for one in self.replicas), default=0.0)

    def goodput(self, limits: ServiceLimits) -> Goodput:
        """The requests that kept these limits, wherever they were served."""
        num_kept = sum(num_keeping(one.steps, one.requests, limits) for one in self.replicas)
        return goodput_of(num_kept, limits, num_asked=self.num_requests, duration_s=self.duration_s)

    def as_dict(self, *, cpu_s: float | None = None) -> Json:
        """The figures of all replicas together, and in `replicas` those of each."""
        return Simulation.as_dict(self, cpu_s=cpu_s) | {
            "routing": self.routing.routing,
            "replicas": [replica_figures(one) for one in self.replicas],
        }


def replica_figures(one: Simulation) -> Json:
    """What one replica did, in a few figures."""
    return {
        "requests": len(one.requests),
        "output_tokens": one.requests.total("num_output_tokens"),
        "duration_s": one.duration_s,
        "preemptions": one.num_preemptions,
        "peak_running": one.steps.most("num_running"),
        "peak_waiting": one.steps.most("num_waiting"),
        "peak_blocks": one.peak_blocks,
        "mean_block_utilization": one.mean_block_utilization,
        "prefix_cache": asdict(one.prefix_cache),
        "ttft_s": plain(one.ttft_s),
        "tpot_s": plain(one.tpot_s),
    }


def merged(
    parts: Sequence[Simulation], routing: Routing, *, num_asked: int
) -> ReplicatedSimulation:
    """The run of all replicas.

    Args:
        parts: each replica's run; its requests have their places in the whole workload.
        routing: how they came there.
        num_asked: answers that the whole workload asks for.
    """
    records = merged_records(parts)
    first = parts[0]
    return ReplicatedSimulation(
        steps=records.steps,
        requests=records.requests,
        preemptions=records.preemptions,
        tiers=_all_tiers(parts),
        num_requests=num_asked,
        num_gpu_blocks=first.num_gpu_blocks,
        num_free_blocks=min(one.num_free_blocks for one in parts),
        block_size=first.block_size,
        max_model_len=first.max_model_len,
        step_time=first.step_time,
        is_calibrated=first.is_calibrated,
        engine=first.engine,
        engine_version=first.engine_version,
        model=first.model,
        gpu=first.gpu,
        interrupted=any(one.interrupted for one in parts),
        scheduler=first.scheduler,
        scheduler_reason=first.scheduler_reason,
        not_modeled=first.not_modeled,
        replicas=tuple(parts),
        routing=routing,
    )


class Records(NamedTuple):
    """Everything that a run leaves behind."""

    steps: StepSeries
    requests: RequestSeries
    preemptions: PreemptionSeries


def merged_records(parts: Sequence[Simulation]) -> Records:
    """The records of several engines as those of one: steps by their start, numbered anew."""
    steps = np.concatenate([one.steps.rows for one in parts])
    order = np.argsort(steps["start_s"], kind="stable")
    number = np.empty_like(order)
    number[order] = np.arange(len(order))
    steps = steps[order]
    steps["step"] = np.arange(len(steps))
    requests, preemptions, stalls, first = [], [], [], 0
    for one, before in zip(parts, _starts([len(one.steps) for one in parts]), strict=True):
        numbered = one.requests.rows.copy()
        for name in STEP_NUMBERS:
            numbered[name] = number[numbered[name] + before]
        lost = one.preemptions.rows.copy()
        lost["step"] = number[lost["step"] + before]
        stalled = one.requests.stalls.copy()
        stalled["row"] += first
        first += len(numbered)
        requests.append(numbered)
        preemptions.append(lost)
        stalls.append(stalled)
    lost = np.concatenate(preemptions)
    return Records(
        StepSeries(steps),
        _in_order(RequestSeries(np.concatenate(requests), np.concatenate(stalls))),
        PreemptionSeries(lost[np.argsort(lost["time_s"], kind="stable")]),
    )


def _starts(sizes: Sequence[int]) -> list[int]:
    return [sum(sizes[:i]) for i in range(len(sizes))]


def _in_order(requests: RequestSeries) -> RequestSeries:
    """Requests in the workload's order, and their stalls with them."""
    order = np.lexsort((requests.rows["sample"], requests.rows["index"]))
    row = np.empty_like(order)
    row[order] = np.arange(len(order))
    stalls = requests.stalls.copy()
    stalls["row"] = row[stalls["row"]]
    return RequestSeries(requests.rows[order], stalls[np.argsort(stalls["row"], kind="stable")])


def _all_tiers(parts: Sequence[Simulation]) -> tuple[TierUse, ...]:
    """Each tier over all replicas: their chunks and what moved, added up."""
    return tuple(
        replace(
            same[0],
            **{
                name: sum(getattr(tier, name) for tier in same)
                for name in asdict(same[0])
                if name != "name"
            },
        )
        for same in zip(*(one.tiers for one in parts), strict=True)
    )
