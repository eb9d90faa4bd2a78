"""Rows of a search: what the runs of one candidate gave, flat, as workers send and files keep."""

from collections.abc import Mapping

from kvsim.planner.search_probe import Capacity, Probe
from kvsim.planner.serving_level import LATENCIES
from kvsim.planner.sweep_rows import PERCENTILES, Cell, Columns, Row
from kvsim.sim.metrics import Spread

LATENCY_COLUMNS = tuple(f"{name}_{one}" for name in LATENCIES for one in PERCENTILES)

COLUMNS: Columns = {
    "candidate": int,
    "seed": int,
    "is_trial": bool,
    "refusal": str,
    "runs": int,
    "capacity_per_s": float,
    "replicas": int,
    "rate_per_s": float,
    "share": float,
    **dict.fromkeys(LATENCY_COLUMNS, float),
    "preemptions": int,
    "num_gpu_blocks": int,
    "excess": float,
    "not_modeled": str,
}
"""A row's cells. `capacity_per_s` is None where the goal is missed at any rate; then the other
figures are those of requests that are as good as alone. All figures but it are those at
`rate_per_s`."""

Found = Mapping[str, Cell]


def refused(candidate: int, seed: int, reason: str) -> Row:
    """The row of a candidate that cannot serve these requests."""
    return _row({"candidate": candidate, "seed": seed, "refusal": reason, "runs": 0})


def capacity_row(candidate: int, seed: int, found: Capacity) -> Row:
    """The row of a candidate's capacity."""
    shown = found.shared or found.alone
    cells: dict[str, Cell] = {"candidate": candidate, "seed": seed, "runs": found.num_runs}
    if found.best is not None:
        cells["capacity_per_s"] = found.best.rate_per_s
        cells["replicas"] = found.replicas
    return _row(cells | ({} if shown is None else _figures(shown)))


def probe_row(candidate: int, seed: int, found: Probe) -> Row:
    """The row of one more run at a rate that another seed found."""
    return _row({"candidate": candidate, "seed": seed, "runs": 1} | _figures(found))


def cells_of(row: Row) -> Found:
    """The cells by name."""
    return dict(zip(COLUMNS, row, strict=True))


def trial_row(candidate: int, seed: int, found: Probe | None, *, replicas: int) -> Row:
    """The row of one run at the highest share of the demanded rate that closed forms allow.

    `found` and the row's `replicas` are None where it missed the goal.
    """
    told: dict[str, Cell] = {"candidate": candidate, "seed": seed, "is_trial": True, "runs": 1}
    return _row(told if found is None else told | {"replicas": replicas} | _figures(found))


def tried_probe(trial: Found) -> Probe | None:
    """The run of a trial; None where it missed the goal."""
    if trial["replicas"] is None:
        return None
    left_out = trial["not_modeled"]
    return Probe(
        rate_per_s=number(trial, "rate_per_s"),
        share=number(trial, "share"),
        latencies={
            name: Spread(**{one: number(trial, f"{name}_{one}") for one in PERCENTILES})
            for name in LATENCIES
            if trial[f"{name}_mean"] is not None
        },
        num_preemptions=int(number(trial, "preemptions")),
        excess=number(trial, "excess"),
        num_gpu_blocks=int(number(trial, "num_gpu_blocks")),
        not_modeled=() if left_out is None else tuple(str(left_out).split("; ")),
    )


def seed_figures(found: Found) -> dict[str, object]:
    """The figures of a run that are averaged over seeds, as `over_seeds` takes them."""
    spreads: dict[str, object] = {
        name: {one: found[f"{name}_{one}"] for one in PERCENTILES} for name in LATENCIES
    }
    return {
        **spreads,
        "preemptions": found["preemptions"],
        "goodput": {"share": found["share"]},
    }


def _figures(probe: Probe) -> dict[str, Cell]:
    latencies: dict[str, Cell] = {
        f"{name}_{one}": getattr(spread, one)
        for name, spread in probe.latencies.items()
        for one in PERCENTILES
    }
    return {
        "rate_per_s": probe.rate_per_s,
        "share": probe.share,
        **latencies,
        "preemptions": probe.num_preemptions,
        "num_gpu_blocks": probe.num_gpu_blocks,
        "excess": probe.excess,
        "not_modeled": "; ".join(probe.not_modeled) or None,
    }


def _row(cells: Mapping[str, Cell]) -> Row:
    return tuple(cells.get(name) for name in COLUMNS)


def number(found: Mapping[str, object], name: str) -> float:
    """A figure that is there."""
    value = found[name]
    assert isinstance(value, int | float)
    return float(value)
