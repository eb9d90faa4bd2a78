"""Figures of benchmarks, read from pytest-benchmark's report, and their history on disk."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

HISTORY = Path(__file__).with_name("history.jsonl")
WALL_CLOCK = "perf_counter"
SPEED = "_per_cpu_s"
"""Names in a benchmark's `extra_info` that end so are speeds: `requests_per_cpu_s`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One benchmark's median on one machine and day, with all that it said about itself."""

    name: str  # file and test, parameters included
    workload: str
    seconds: float  # of CPU, unless the clock is the wall's
    clock: str
    rounds: int
    machine: str
    date: str
    extra: Mapping[str, object]

    @property
    def is_wall(self) -> bool:
        """Whether the seconds are the wall's: what runs on several cores."""
        return self.clock == WALL_CLOCK

    @property
    def speeds(self) -> Sequence[tuple[str, object]]:
        """What is done in a CPU second, as (unit, count)."""
        named = ((k.removesuffix(SPEED), v) for k, v in self.extra.items() if k.endswith(SPEED))
        return list(named)

    @property
    def notes(self) -> Sequence[str]:
        """What else the benchmark said, as name and value."""
        return [
            f"{k} {v:,}" if isinstance(v, int | float) else f"{k} {v}"
            for k, v in self.extra.items()
            if not k.endswith(SPEED)
        ]

    def as_dict(self) -> dict[str, object]:
        """The line of the history."""
        return asdict(self)

    def last_in(self, history: Iterable["Figure"]) -> "Figure | None":
        """The last record of this benchmark on this machine; None if there is none."""
        same = [f for f in history if (f.name, f.machine) == (self.name, self.machine)]
        return same[-1] if same else None

    def compared_with(self, history: Iterable["Figure"]) -> dict[str, object]:
        """The last record's date, and these seconds over its; None where there is none."""
        last = self.last_in(history)
        return {
            "last_date": last and last.date,
            "of_last": last and self.seconds / last.seconds,
        }


def read_figures(report: Mapping[str, object], *, date: str) -> list[Figure]:
    """The figures of a pytest-benchmark report; none of an empty one."""
    if not report:
        return []
    machine = machine_name(report["machine_info"])
    return [_figure(row, machine=machine, date=date) for row in report["benchmarks"]]


def _figure(row, *, machine, date):
    file, _, test = row["fullname"].rpartition("::")
    extra = dict(row["extra_info"])
    return Figure(
        name=f"{Path(file).stem}::{test}",
        workload=extra.pop("workload", ""),
        seconds=row["stats"]["median"],
        clock=row["options"]["timer"],
        rounds=row["stats"]["rounds"],
        machine=machine,
        date=date,
        extra=extra,
    )


def machine_name(info):
    """Processor, cores and Python: what makes two figures comparable; never the host's name."""
    cpu = info["cpu"]
    processor = cpu.get("brand_raw") or info["machine"]
    python = f"{info['python_implementation']} {info['python_version']}"
    return f"{processor} {cpu.get('arch_string_raw', '')} x {cpu.get('count')}, {python}"


def read_history(path: Path) -> list[Figure]:
    """All figures on record, oldest first; none where there is no file yet."""
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").splitlines()
    return [Figure(**json.loads(line)) for line in lines if line]
