"""SweepTable: what a sweep found, and how it went."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from kvsim.planner.sweep_rows import Columns, Row
from kvsim.specs.engine import EngineName, Vllm
from kvsim.specs.sweep import SweepGrid

Json = dict[str, object]


@dataclass(slots=True, kw_only=True)
class Tally:
    """What the rows seen so far say beside their figures; it only grows."""

    columns: Columns
    refusals: Counter[str] = field(default_factory=Counter)
    not_modeled: dict[str, None] = field(default_factory=dict)

    def add(self, rows: Iterable[Row]) -> None:
        """Count the refusals of these rows, and note what their figures leave out."""
        names = list(self.columns)
        refusal, left_out = names.index("refusal"), names.index("not_modeled")
        for row in rows:
            if row[refusal] is not None:
                self.refusals[str(row[refusal])] += 1
            for part in str(row[left_out] or "").split("; "):
                if part:
                    self.not_modeled[part] = None

    def as_dict(self) -> dict[str, Any]:
        """Refusals, the most frequent first, and what is left out."""
        ordered = sorted(self.refusals.items(), key=lambda pair: (-pair[1], pair[0]))
        return {"refusals": ordered, "not_modeled": sorted(self.not_modeled)}


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepTable:
    """A row per point in the grid's order, and how the sweep went.

    `rows` are empty where an output holds them. `refusals` are reasons with the number of points
    that they leave without figures.
    """

    grid: SweepGrid
    digest: str
    columns: Columns
    rows: Sequence[Row]
    refusals: tuple[tuple[str, int], ...]
    not_modeled: tuple[str, ...]
    num_computed: int  # points of this run
    num_reused: int  # points that an earlier run had done
    backend: str
    output: str | None
    interrupted: bool = False

    @property
    def num_refused(self) -> int:
        """Points without figures."""
        return sum(points for _, points in self.refusals)

    @property
    def engine_versions(self) -> tuple[str, ...]:
        """The versions whose rules were used."""
        stated = tuple(str(version) for version in self.grid.values("engine_version"))
        return stated or (Vllm().engine_version,)

    def as_dict(self) -> Json:
        """How it went as plain values; with the rows themselves where no output holds them."""
        names = list(self.columns)
        rows = [dict(zip(names, row, strict=True)) for row in self.rows]
        return {
            "engine": str(EngineName.VLLM),
            "engine_version": ", ".join(self.engine_versions),
            **self.grid.as_dict(),
            "interrupted": self.interrupted,
            "digest": self.digest,
            "points": self.grid.num_points,
            "computed": self.num_computed,
            "reused": self.num_reused,
            "refused": self.num_refused,
            "refusals": [{"reason": reason, "points": n} for reason, n in self.refusals],
            "columns": names,
            "output": self.output,
            "rows": rows if self.output is None else None,
            "not_modeled": list(self.not_modeled),
        }
