"""Two runs side by side: one kept as the baseline, and what the present one changes."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode

import streamlit as st

import kvsim
from app import run_fields
from app.desk import desk
from app.fields import Field, Kind, Value, read_query, write_query
from app.i18n import Text
from app.job import Job, Result
from app.scenario import FIELDS
from app.text import NO_BREAK, inert, seconds, signed, table

LINK = run_fields.BASELINE.name
KEPT = "run_kept"
INPUTS: dict[str, Field] = FIELDS | {
    field.name: field for field in (*run_fields.TRAFFIC, *run_fields.GOALS)
}


def _count(value: float) -> str:
    return f"{value:,.1f}"


def _rate(value: float) -> str:
    return f"{value:,.2f}"


def _share(value: float) -> str:
    return f"{value:.1%}"


def _points(value: float) -> str:
    return _share(value).replace("%", f"{NO_BREAK}pp")


FIGURES: dict[str, Callable[[float], str]] = {
    "duration_s": seconds,
    "ttft_s.p50": seconds,
    "ttft_s.p99": seconds,
    "tpot_s.p50": seconds,
    "tpot_s.p99": seconds,
    "e2e_s.p50": seconds,
    "e2e_s.p99": seconds,
    "preemptions": _count,
    "recomputed_tokens": _count,
    "mean_running": _count,
    "mean_waiting": _count,
    "peak_blocks": _count,
    "mean_block_utilization": _share,
    "prefix_cache.token_hit_rate": _share,
    "prefix_cache.request_hit_rate": _share,
    "goodput.share": _share,
    "goodput.requests_per_s": _rate,
}
"""Figures that are compared, and how each is written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """A kept run; `link` is None where it holds files, `result` until it ran."""

    job: Job
    link: str | None
    result: Result | None


def asked(t: Text) -> Baseline | None:
    """The baseline of this visit, else that of the link; None where there is none."""
    kept: Baseline | None = st.session_state.get(KEPT)
    link: str | None = st.session_state[LINK]
    if kept is not None and kept.link == link:
        return kept
    if link is None:
        return None
    values, lost = read_query(dict(parse_qsl(link, keep_blank_values=True)), INPUTS)
    job = Job.of(values)
    if lost or job.is_empty:
        names = ", ".join(inert(part) for part in lost) or t("baseline_files")
        st.warning(t("baseline_ignored", values=names), icon=":material/link_off:")
        return None
    known = desk().known(job)
    result = known if isinstance(known, Result) else None
    return remember(Baseline(job=job, link=link, result=result))


def remember(baseline: Baseline) -> Baseline:
    """The baseline, which stays in the visit."""
    st.session_state[KEPT] = baseline
    return baseline


def buttons(job: Job, result: Result, baseline: Baseline | None, t: Text) -> None:
    """Keep this run, drop the one that was kept."""
    with st.container(horizontal=True, gap="small"):
        st.button(
            t("baseline_keep"),
            key="baseline_keep",
            on_click=_keep,
            args=(job, result),
            icon=":material/push_pin:",
            disabled=baseline is not None and baseline.job == job,
        )
        if baseline is not None:
            st.button(
                t("baseline_drop"), key="baseline_drop", on_click=_drop, icon=":material/close:"
            )
    if baseline is not None and baseline.link is None:
        st.caption(t("baseline_not_in_link"))


def _keep(job: Job, result: Result) -> None:
    link = None if job.has_files else urlencode(write_query(job.values, INPUTS))
    st.session_state[LINK] = link
    remember(Baseline(job=job, link=link, result=result))


def _drop() -> None:
    st.session_state[LINK] = None
    st.session_state.pop(KEPT)


def show(before: Result, baseline: Job, now: Result, job: Job, t: Text) -> None:
    """What was changed, and what follows from it."""
    st.subheader(t("baseline_title"), anchor=False)
    changed = [*_changed(baseline, job, t)]
    if changed:
        st.markdown(table([t("baseline_input"), t("baseline_was"), t("baseline_is")], changed))
    is_paired = baseline.traffic.all_seeds == job.traffic.all_seeds
    compared = kvsim.compare_runs(before.runs, now.runs, is_paired=is_paired)
    rows = [_row(name, compared.changes[name], t) for name in FIGURES if name in compared.changes]
    header = [t("baseline_figure"), t("baseline_was"), t("baseline_is"), t("baseline_change")]
    st.markdown(table(header, rows))
    kind = "paired" if is_paired else "apart"
    st.caption(t(f"baseline_{kind}", confidence=f"{compared.confidence:.0%}"))


def _row(name: str, change: kvsim.Change, t: Text) -> tuple[str, ...]:
    write = FIGURES[name]
    unit = _points if write is _share else write  # of shares, points
    difference = signed(change.difference, unit)
    if change.is_clear:
        difference = f"**{difference}**"
    if change.low is not None and change.high is not None:
        difference += f" ({signed(change.low, unit)} … {signed(change.high, unit)})"
    label = t(f"figure_{name}")
    return label, write(change.baseline), write(change.present), difference


def _changed(baseline: Job, job: Job, t: Text) -> Iterator[tuple[str, str, str]]:
    """The inputs that differ, as the visitor knows them."""
    now = job.values
    for name, was in baseline.values.items():
        if was != now[name]:
            field = INPUTS[name]
            yield t(f"label_{name}"), _shown(field, was, t), _shown(field, now[name], t)
    files = {
        "config": (baseline.scenario.config, job.scenario.config),
        "trace": (baseline.traffic.trace, job.traffic.trace),
        "step_times": (baseline.goals.step_times, job.goals.step_times),
    }
    for name, (before, after) in files.items():
        if before != after:
            yield t(f"label_{name}"), _file(before, t), _file(after, t)


def _shown(field: Field, value: Value, t: Text) -> str:
    if value is None:
        return t(field.empty)
    return f"{value:,}" if field.kind is Kind.COUNT else inert(field.write(value))


def _file(content: object, t: Text) -> str:
    return t("baseline_no_file" if content is None else "baseline_a_file")
