"""Memory of every GPU that differs: bars, and a table with low, likely and high."""

from collections.abc import Sequence

import streamlit as st

import kvsim
from app import charts
from app.i18n import Text
from app.said import said
from app.text import gib, table

CHART = {"displaylogo": False, "modeBarButtons": [["toImage"]]}


def bars(rows: Sequence[charts.Row], t: Text) -> None:
    """The bars, and the same in words."""
    several = len(rows) > 1
    st.subheader(t("memory_each_title") if several else t("memory_title"), anchor=False)
    st.plotly_chart(
        charts.memory_bars(rows, t),
        key="memory",
        config=CHART,
        alt=charts.memory_words(rows, t),
    )


def intervals(rows: Sequence[tuple[str, kvsim.Interval]], t: Text) -> None:
    """Parts with their low, likely and high, and where they come from."""
    columns = ("part", "low", "likely", "high", "source")
    lines = [
        (name, gib(part.low), gib(part.best), gib(part.high), said(part.source, t))
        for name, part in rows
    ]
    st.markdown(table([t(f"column_{name}") for name in columns], lines, words=1))


def stage_rows(plan: kvsim.Plan, t: Text) -> list[charts.Row]:
    """A row per kind of pipeline stage; one without a name where all GPUs are alike."""
    stages = plan.stages
    if len(stages) == 1:
        return [charts.Row(name="", bar=stages[0].bar)]
    return [
        charts.Row(
            name=t("stage_row", stages=", ".join(map(str, s.stages)), num_gpus=s.num_gpus),
            bar=s.bar,
        )
        for s in stages
    ]


def stage_table(plan: kvsim.Plan, t: Text) -> None:
    """What each kind of stage holds, and what it has for the cache."""
    rows = []
    for stage in plan.stages:
        cache = stage.cache_bytes
        span = t("range", low=gib(cache.low), high=gib(cache.high))
        rows.append(
            (
                ", ".join(map(str, stage.stages)),
                str(stage.num_gpus),
                gib(stage.weights_bytes.best),
                f"{gib(cache.best)} ({span})",
                gib(stage.needed_bytes),
            )
        )
    header = ("stage", "stage_gpus", "stage_weights", "cache_left", "cache_needed")
    st.markdown(table([t(f"column_{name}") for name in header], rows))
    st.caption(t("stages_about"))


def device_rows(judged: kvsim.EnginePlan, t: Text) -> list[charts.Row]:
    """A row for each kind of device of an engine that is not vLLM."""
    plan, total = judged.judged, judged.judged.deployment.accelerator.total_bytes.best
    alike: dict[kvsim.MemoryBar, list[int]] = {}
    for index, device in enumerate(plan.devices):
        alike.setdefault(device.bar(total), []).append(index)
    if len(alike) == 1:
        return [charts.Row(name="", bar=bar) for bar in alike]
    return [
        charts.Row(name=t("device_row", devices=", ".join(map(str, indices))), bar=bar)
        for bar, indices in alike.items()
    ]
