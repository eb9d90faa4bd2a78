"""Page Simulate: the deployment of the sidebar serves requests, step by step."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import streamlit as st

import kvsim
from app import forms, run_fields
from app.desk import MAX_RUN_S, MAX_RUNS, MAX_WAITING, State, Ticket, desk
from app.fields import Field, Value
from app.i18n import Text
from app.job import MAX_STEPS, Goals, Job, Result
from app.said import said
from app.scenario import Scenario
from app.traffic import (
    ENDINGS,
    GENERATED,
    GZIP,
    MAX_REQUESTS,
    MAX_TOKENS,
    TRACE,
    Traffic,
    Upload,
)
from app.views import run_baseline, run_results
from app.views.run_baseline import Baseline

TICKETS = "run_tickets"
POLL_S = 0.5
TYPES = (*(ending.removeprefix(".") for ending in ENDINGS), GZIP.removeprefix("."))
NOTICES = {
    State.TOO_LONG: "run_too_long",
    State.DIED: "run_died",
    State.BUSY: "run_busy",
    State.CANCELLED: "run_cancelled",
}


def show(asked: Scenario, t: Text) -> None:
    """The page; bad input is explained where the results would be."""
    st.subheader(t("simulate_title"), anchor=False)
    st.markdown(t("simulate_about"))
    st.caption(
        t(
            "simulate_limits",
            requests=f"{MAX_REQUESTS:,}",
            tokens=f"{MAX_TOKENS:,}",
            steps=f"{MAX_STEPS:,}",
            seconds=str(MAX_RUN_S),
            runs=str(MAX_RUNS),
            waiting=str(MAX_WAITING),
        )
    )
    traffic = _traffic(t)
    goals = _goals(t)
    if asked.is_empty or traffic.is_empty:
        missing = "paste_first" if asked.is_empty else "trace_first"
        st.info(t(missing), icon=":material/upload_file:")
        return
    job = Job(scenario=asked, traffic=traffic, goals=goals)
    baseline = run_baseline.asked(t)
    result = _result(job, baseline, t)
    if result is None:
        return
    before = _baseline_result(baseline, t)
    run_results.show(result, before, t)
    run_baseline.buttons(job, result, baseline, t)
    if before is not None and baseline is not None and baseline.job != job:
        run_baseline.show(before, baseline.job, result, job, t)
    run_results.show_rest(result, t)


def _traffic(t: Text) -> Traffic:
    """Which requests come, and when."""
    values: dict[str, Value] = {field.name: field.default for field in run_fields.TRAFFIC}
    with st.grid(4, min_column_width=190):
        values |= _widgets(run_fields.SOURCE, t)
        for fields in _described(str(values["workload"])):
            values |= _widgets(fields, t)
        if values["workload"] not in (GENERATED, TRACE):
            values |= _widgets((run_fields.ARRIVALS,), t)
            if values["arrivals"] == kvsim.ArrivalProcess.GAMMA:
                values |= _widgets((run_fields.BURSTS,), t)
            elif values["arrivals"] == kvsim.ArrivalProcess.CLOSED:
                values |= _widgets(run_fields.CLOSED, t)
    trace = _trace(t) if values["workload"] == TRACE else None
    typed: dict[str, Any] = values
    return Traffic(trace=trace, **typed)


def _described(workload: str) -> tuple[tuple[Field, ...], ...]:
    """The inputs that this source of requests takes, beside the arrivals."""
    if workload == TRACE:
        return ((run_fields.PACE,),)
    if workload == GENERATED:
        return (run_fields.CHANCE, run_fields.GENERATED_FIELDS)
    return (run_fields.CHANCE, (run_fields.PACE,))


def _widgets(fields: Iterable[Field], t: Text) -> dict[str, Value]:
    return {field.name: forms.widget(field, t) for field in fields}


def _trace(t: Text) -> Upload | None:
    uploaded = st.file_uploader(
        t("label_trace"), type=TYPES, max_upload_size=forms.UPLOAD_MB, key="trace"
    )
    st.caption(t("trace_about", size=str(forms.UPLOAD_MB)))
    return None if uploaded is None else Upload.of(uploaded.name, uploaded.getvalue())


def _goals(t: Text) -> Goals:
    """What the requests are promised, and what was measured of the machine."""
    with st.expander(t("goals_title"), key="expander_goals"):
        st.caption(t("goals_about"))
        with st.grid(4, min_column_width=190):
            values = _widgets(run_fields.GOALS, t)
        uploaded = st.file_uploader(
            t("label_step_times"), type="json", max_upload_size=forms.UPLOAD_MB, key="step_times"
        )
        st.caption(t("step_times_about"))
    measured = None if uploaded is None else Upload.of(uploaded.name, uploaded.getvalue())
    typed: dict[str, Any] = values
    return Goals(step_times=measured, **typed)


def _result(job: Job, baseline: Baseline | None, t: Text) -> Result | None:
    """The result of these inputs and no others: known, or from the run that the visitor starts."""
    tickets: tuple[Ticket, ...] = st.session_state.get(TICKETS, ())
    if st.button(t("run"), key="run", type="primary", icon=":material/play_arrow:"):
        for ticket in tickets:
            ticket.cancel()
        wanted = [job]
        if baseline is not None and baseline.result is None:
            wanted.append(baseline.job)
        tickets = st.session_state[TICKETS] = tuple(map(desk().start, wanted))
    if not all(ticket.is_over for ticket in tickets):
        _progress(tickets, t)
        return None
    known = desk().known(job)
    if isinstance(known, Result):
        return known
    own = next((ticket for ticket in tickets if ticket.job == job), None)
    if own is None:
        st.info(t("press_run_again" if tickets else "press_run"), icon=":material/info:")
        return None
    return _outcome(own, t)


def _baseline_result(baseline: Baseline | None, t: Text) -> Result | None:
    """The baseline's result, where it ran; else what to do about it."""
    if baseline is None or baseline.result is not None:
        return None if baseline is None else baseline.result
    tickets: tuple[Ticket, ...] = st.session_state.get(TICKETS, ())
    own = next((ticket for ticket in tickets if ticket.job == baseline.job), None)
    known = desk().known(baseline.job) if own is None else _outcome(own, t)
    found = known if isinstance(known, Result) else None
    if found is None and own is None:
        st.info(t("baseline_press_run"), icon=":material/info:")
    if found is not None:
        run_baseline.remember(replace(baseline, result=found))
    return found


def _outcome(ticket: Ticket, t: Text) -> Result | None:
    """What a run gave, or why it gave nothing."""
    outcome = ticket.outcome
    assert outcome is not None
    if outcome.state is State.REFUSED:
        reason = t("cannot_compute", reason=said(outcome.reason, t))
        st.error(reason, icon=":material/error:")
    elif outcome.state in NOTICES:
        words = t(NOTICES[outcome.state], seconds=str(MAX_RUN_S), runs=str(MAX_RUNS))
        st.warning(words, icon=":material/warning:")
    return outcome.result if isinstance(outcome.result, Result) else None


@st.fragment(run_every=POLL_S)
def _progress(tickets: tuple[Ticket, ...], t: Text) -> None:
    """How far the runs are; the page is drawn anew when all are over."""
    if all(ticket.is_over for ticket in tickets):
        st.rerun()
    for ticket in tickets:
        served, total = ticket.served, ticket.total
        if ticket.state is State.WAITING:
            words = t("run_waits", runs=str(MAX_RUNS))
        elif total == 0:
            words = t("run_starts")
        else:
            words = t("run_serves", served=f"{served:,}", total=f"{total:,}")
        st.progress(served / total if total else 0.0, words)
    st.button(t("cancel"), key="cancel", on_click=_cancel, args=(tickets,), icon=":material/stop:")


def _cancel(tickets: tuple[Ticket, ...]) -> None:
    for ticket in tickets:
        ticket.cancel()
