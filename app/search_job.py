"""One job of page Search: what was asked, and the function that does it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import kvsim
from app.report import headed
from app.scenario import read_model
from app.search_fields import MAX_CANDIDATES, Hunt

Json = dict[str, Any]
Tell = Callable[[int, int], None]
"""Told how many candidates of how many are settled."""

STEPS_WORTH = 1000
"""Steps of a simulation whose records take the room of a search's answer, roughly."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchJob:
    """All inputs of a search; equal jobs have equal results."""

    model: str
    config: str | None
    own: kvsim.ModelSpec | kvsim.KvsimError | None
    hunt: Hunt


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a search gave."""

    result: kvsim.SearchResult
    report: Json

    @property
    def num_steps(self) -> int:
        """What it takes to keep it, as steps of a run."""
        return STEPS_WORTH


def find(job: SearchJob, tell: Tell) -> Found:
    """Search, in this process alone.

    Raises:
        KvsimError: for what cannot be asked, and past the limits of the page.
    """
    hunt, total = job.hunt, job.hunt.num_candidates
    if not 1 <= total <= MAX_CANDIDATES:
        msg = kvsim.Message(
            "candidates={total} must be >= 1 and <= {most} here",
            total=f"{total:,}",
            most=MAX_CANDIDATES,
        )
        raise kvsim.SpecError(msg)
    tell(0, total)
    result = kvsim.search(
        read_model(job.model, job.config, job.own),
        hunt.search_workload,
        kvsim.ServiceLimits(
            slo_ttft_s=hunt.goal_ttft_s,
            slo_tpot_s=hunt.goal_tpot_s,
            slo_e2e_s=hunt.goal_e2e_s,
            slo_share=hunt.goal_share,
        ),
        [kvsim.accelerator(name) for name in hunt.search_gpus],
        settings={
            "tensor_parallel_size": [int(degree) for degree in hunt.search_degrees],
            "kv_cache_dtype": hunt.search_cache,
            "quantization": hunt.search_weights,
        },
        rate_per_s=hunt.demanded_per_s,
        spare=hunt.search_spare,
        num_requests=hunt.search_requests,
        seed=hunt.search_seed,
        efficiencies=kvsim.Efficiencies(
            compute_efficiency=hunt.compute_efficiency,
            bandwidth_efficiency=hunt.bandwidth_efficiency,
        ),
        num_workers=1,
        on_progress=lambda settled: tell(settled, total),
    )
    report = headed(result.as_dict(), asked=job, seed=hunt.search_seed)
    return Found(result=result, report=report)
