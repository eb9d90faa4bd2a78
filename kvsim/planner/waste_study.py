"""The published waste of reserving and paging beside what the simulators say."""

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np

from kvsim.planner.waste import MethodWaste, WasteReport, waste
from kvsim.planner.waste_runs import METHODS, PAGED, PAGED_CACHED
from kvsim.sim.lengths import Weibull, matched_lengths
from kvsim.specs.paging_study import PagingStudy, StudiedWorkload
from kvsim.specs.workload import Request, Workload

if TYPE_CHECKING:
    from numpy.random import Generator

Json = dict[str, object]

NOTES = (
    "the family of the lengths, Weibull, was chosen with the published figures in view, so their "
    "agreement is no blind prediction: log-normal lengths, and the fit's own quantiles, agree less",
)
"""What a reader of the comparison must know."""

PUBLISHED = tuple(method for method in METHODS if method != PAGED_CACHED)
"""The methods of the paper."""

WARM_UP_SHARE = 0.1
"""Share of each run that is left out at its start: the paper's traces last an hour."""

NOT_MODELED = (
    "the paper's own lengths: two published means, and the spread of another ShareGPT sample",
    "prompts of several lengths in a step: each step takes what its batch size says",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyCell:
    """One figure of the paper and its simulation: a share of the memory, or a batch size."""

    workload: str
    method: str
    quantity: str
    published: float
    simulated: float

    @property
    def difference(self) -> float:
        """Simulated less published."""
        return self.simulated - self.published

    @property
    def relative_difference(self) -> float | None:
        """The difference as a share of the published figure; None of nothing."""
        return self.difference / self.published if self.published else None


@dataclass(frozen=True, slots=True, kw_only=True)
class WasteStudy:
    """Every published cell, the simulated runs, and the ratio of sustained rates."""

    study: PagingStudy
    reports: tuple[WasteReport, ...]
    cells: tuple[StudyCell, ...]

    def as_dict(self) -> Json:
        """Plain values."""
        ratio = self.reports[0].paged_over_oracle
        return {
            "source": self.study.source,
            "reports": [report.as_dict() for report in self.reports],
            "comparison": [
                {
                    **asdict(cell),
                    "difference": cell.difference,
                    "relative_difference": cell.relative_difference,
                }
                for cell in self.cells
            ],
            "sustained_over_oracle": {
                "simulated": ratio,
                "published_low": self.study.sustained_low,
                "published_high": self.study.sustained_high,
            },
            "notes": list(NOTES),
            "not_modeled": list(NOT_MODELED),
        }


def waste_study(study: PagingStudy, generator: "Generator", *, num_requests: int) -> WasteStudy:
    """Simulate what the paper measured.

    Args:
        study: its setting and figures.
        generator: the only source of chance.
        num_requests: of each workload.
    """
    reports, cells = [], []
    for studied in study.workloads:
        requests = studied_requests(studied, study, generator, num_requests)
        report = waste(requests, study.setting, methods=PUBLISHED, warm_up_share=WARM_UP_SHARE)
        reports.append(report)
        for method in report.methods:
            cells += _cells(studied, method)
    return WasteStudy(study=study, reports=tuple(reports), cells=tuple(cells))


def studied_requests(
    studied: StudiedWorkload, study: PagingStudy, generator: "Generator", n: int
) -> Workload:
    """Poisson arrivals, and lengths of the published means in the shape of the shipped fit."""
    lengths = matched_lengths(
        Weibull(mean=studied.prompt_mean, log_std=studied.prompt_shape.log_std),
        Weibull(mean=studied.output_mean, log_std=studied.output_shape.log_std),
        generator,
        n,
        max_model_len=study.setting.max_model_len,
    )
    arrivals = np.cumsum(generator.exponential(1 / studied.rate_per_s, n))
    return Workload(
        requests=tuple(
            Request(arrival_s=float(a), num_prompt_tokens=int(p), num_output_tokens=int(o))
            for a, p, o in zip(arrivals, lengths.prompt, lengths.output, strict=True)
        ),
        name=studied.name,
        source=f"{studied.name}: {n} generated requests, {studied.rate_per_s:g} per s",
    )


def _cells(studied: StudiedWorkload, method: MethodWaste) -> list[StudyCell]:
    simulated = {"batch": method.batch, **_shares(method)}
    published = dict(studied.shares.get(method.method, {}))
    if method.method in studied.batch:
        published["batch"] = studied.batch[method.method]
    return [
        StudyCell(
            workload=studied.name,
            method=method.method,
            quantity=quantity,
            published=value,
            simulated=simulated[quantity],
        )
        for quantity, value in published.items()
    ]


def _shares(method: MethodWaste) -> dict[str, float]:
    """The paper's parts: of what the demand claimed, where paging leaves memory to spare."""
    if method.method == PAGED:
        return {"used": method.used_of_claimed, "other": 1.0 - method.used_of_claimed}
    return {
        "used": method.used,
        "reserved": method.reserved,
        "internal": method.internal,
        "external": method.external,
    }
