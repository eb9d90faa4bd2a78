"""Cache memory predicted from a row's flags alone against what its log prints, leave-one-out."""

import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import kvsim
from validation.overhead_fit import REFITTED_UNTIL, Evidence, evidence_of, fit
from validation.recorded.frame import read_lines
from validation.recorded.measured_deployments import Ineligible, deployment_of
from validation.recorded.measured_versions import vllm_version

Row = Mapping[str, Any]

SHIPPED = Path(__file__).parents[1] / "golden/measured/measured_open.jsonl"

ERAS = (("0.6 to 0.11", (0, 12)), ("0.12 to 0.20", (0, 21)), ("0.21 and later", (99, 0)))
LORA_GIB = (0.0, 0.15, 0.3)
"""Adapters of an unstated rank: what seven rows with adapters took beside their weights."""

WITHIN_GIB = 0.6  # the distance that the aim names


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryCase:
    """One row's cache memory, GiB per accelerator."""

    id: str
    era: str
    is_multimodal: bool
    total_gib: float
    printed_gib: float
    low_gib: float
    best_gib: float
    high_gib: float

    @property
    def error_gib(self) -> float:
        """Predicted less printed."""
        return self.best_gib - self.printed_gib

    @property
    def is_inside(self) -> bool:
        """Whether the interval holds what was printed."""
        return self.low_gib <= self.printed_gib <= self.high_gib

    @property
    def width_gib(self) -> float:
        """The interval's."""
        return self.high_gib - self.low_gib

    def as_row(self) -> dict[str, Any]:
        """The case as plain values."""
        return {
            "row": self.id,
            "vllm": self.era,
            "multimodal": self.is_multimodal,
            "printed": self.printed_gib,
            "predicted": self.best_gib,
            "low": self.low_gib,
            "high": self.high_gib,
            "error": self.error_gib,
            "inside": self.is_inside,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryScore:
    """How a group of rows came out; errors are absolute."""

    group: str
    rows: int
    median_gib: float
    p90_gib: float
    median_share: float
    p90_share: float
    within: float  # share of rows within WITHIN_GIB
    inside: float  # share of rows inside their interval
    median_width_gib: float


def memory_cases(rows: Sequence[Row]) -> list[MemoryCase]:
    """A case per eligible row, predicted from the shipped rows without its own evidence."""
    evidence = shipped_evidence()
    cases = []
    for row in rows:
        if row["engine"] != "vllm" or row.get("kv_cache_gib") is None:
            continue
        deployment = deployment_of(row)
        if not isinstance(deployment, Ineligible):
            cases.append(memory_case(row, deployment, evidence.without(row["id"])))
    return cases


@functools.cache
def shipped_evidence() -> Evidence:
    """What the shipped rows say: the coefficients of `overheads.toml` are fitted on them."""
    return evidence_of(read_lines(SHIPPED))


def memory_case(row: Row, deployment: kvsim.Deployment, evidence: Evidence) -> MemoryCase:
    """One row's prediction; `evidence` must not hold the row."""
    version = vllm_version(row)
    coefficients = kvsim.overhead_model("vllm", f"{version[0]}.{version[1]}.0")
    if version < REFITTED_UNTIL:
        coefficients = fit(evidence, coefficients)
    evaluation = kvsim.plan(deployment, overheads=coefficients).evaluation
    if (row.get("extra") or {}).get("lora"):
        weights = evaluation.budget.weights_bytes + kvsim.Interval(
            *(round(g * kvsim.GiB) for g in LORA_GIB), "adapters of an unstated rank"
        )
        deployment = replace(deployment, overheads=kvsim.Overheads(weights_bytes=weights))
        evaluation = kvsim.plan(deployment, overheads=coefficients).evaluation
    cache, gib = evaluation.budget.kv_cache_bytes, kvsim.GiB
    return MemoryCase(
        id=row["id"],
        era=next(name for name, until in ERAS if version < until),
        is_multimodal=deployment.model.is_multimodal,
        total_gib=evaluation.budget.total_bytes.best / gib,
        printed_gib=printed_gib(row, evaluation.capacity.best),
        low_gib=cache.low / gib,
        best_gib=cache.best / gib,
        high_gib=cache.high / gib,
    )


def printed_gib(row: Row, pool: Any) -> float:  # noqa: ANN401 - no name of its own
    """What the log says the cache has; where it prints another rank's, what its tokens take."""
    if (row.get("extra") or {}).get("min_rank"):
        return float(row["kv_tokens"] / pool.block_size * pool.block_bytes / kvsim.GiB)
    return float(row["kv_cache_gib"])


def scores(cases: Iterable[MemoryCase]) -> list[MemoryScore]:
    """Text-only and multimodal rows apart, each in all and by era."""
    every = list(cases)
    groups: dict[str, list[MemoryCase]] = {}
    for kind, multimodal in (("text-only", False), ("multimodal", True)):
        of_kind = [c for c in every if c.is_multimodal is multimodal]
        groups[kind] = of_kind
        for era, _ in ERAS:
            groups[f"{kind}, vLLM {era}"] = [c for c in of_kind if c.era == era]
    return [score(name, members) for name, members in groups.items() if members]


def score(group: str, cases: Sequence[MemoryCase]) -> MemoryScore:
    """The figures of one group; it must not be empty."""
    errors = sorted(abs(c.error_gib) for c in cases)
    shares = sorted(abs(c.error_gib) / c.total_gib for c in cases)
    return MemoryScore(
        group=group,
        rows=len(cases),
        median_gib=median(errors),
        p90_gib=quantile(errors, 0.9),
        median_share=median(shares),
        p90_share=quantile(shares, 0.9),
        within=sum(e <= WITHIN_GIB for e in errors) / len(cases),
        inside=sum(c.is_inside for c in cases) / len(cases),
        median_width_gib=median(c.width_gib for c in cases),
    )


def quantile(ordered: Sequence[float], share: float) -> float:
    """The smallest value that so many of the values do not pass."""
    return ordered[max(0, -(-int(share * 100) * len(ordered) // 100) - 1)]
