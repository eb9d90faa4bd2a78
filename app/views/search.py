"""Page Search: a latency goal in; the front of cost, throughput and latency out."""

from typing import Any

import streamlit as st

import kvsim
from app import forms, search_charts, search_fields
from app.desk import MAX_RUN_S, MAX_RUNS, MAX_WAITING, State, Ticket, desk
from app.fields import Value
from app.i18n import Text
from app.said import said
from app.scenario import CUSTOM, Scenario
from app.search_fields import MAX_CANDIDATES, MAX_REQUESTS, Hunt
from app.search_job import Found, SearchJob
from app.text import inert, seconds, table
from app.views.exports import downloads
from app.views.plan import CHART

TICKET = "search_ticket"
POLL_S = 0.5
NOTICES = {
    State.TOO_LONG: "run_too_long",
    State.DIED: "run_died",
    State.BUSY: "run_busy",
    State.CANCELLED: "search_cancelled",
}


def show(asked: Scenario, t: Text) -> None:
    """The page; bad input is explained where the results would be."""
    st.subheader(t("search_title"), anchor=False)
    st.markdown(t("search_about"))
    st.caption(
        t(
            "search_limits",
            candidates=str(MAX_CANDIDATES),
            requests=str(MAX_REQUESTS),
            seconds=str(MAX_RUN_S),
            runs=str(MAX_RUNS),
            waiting=str(MAX_WAITING),
        )
    )
    hunt = _hunt(t)
    if asked.is_empty:
        st.info(t("paste_first"), icon=":material/upload_file:")
        return
    config = asked.config if asked.model == CUSTOM else None
    job = SearchJob(model=asked.model, config=config, own=asked.own, hunt=hunt)
    found = _found(job, t)
    if found is not None:
        _results(found, t)


def _hunt(t: Text) -> Hunt:
    """The inputs of this page."""
    values: dict[str, Value] = {}
    with st.grid(4, min_column_width=190):
        values |= {field.name: forms.widget(field, t) for field in search_fields.GOAL}
    devices, *formats = search_fields.CHOICES
    values[devices.name] = forms.widget(devices, t)
    with st.grid(3, min_column_width=190):
        values |= {field.name: forms.widget(field, t) for field in formats}
    with st.expander(t("search_more"), key="expander_search"), st.grid(4, min_column_width=190):
        values |= {field.name: forms.widget(field, t) for field in search_fields.MORE}
    typed: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in values.items()
    }
    return Hunt(**typed)


def _found(job: SearchJob, t: Text) -> Found | None:
    """The answer to these inputs and no others: known, or from the search that is started."""
    ticket: Ticket | None = st.session_state.get(TICKET)
    words = t("search_run", count=f"{job.hunt.num_candidates:,}")
    if st.button(words, key="search", type="primary", icon=":material/search:"):
        if ticket is not None:
            ticket.cancel()
        ticket = st.session_state[TICKET] = desk().start(job)
    if ticket is not None and not ticket.is_over:
        _progress(ticket, t)
        return None
    known = desk().known(job)
    if isinstance(known, Found):
        return known
    if ticket is None or ticket.job != job:
        words = t("search_press") if ticket is None else t("search_press_again")
        st.info(words, icon=":material/info:")
        return None
    return _outcome(ticket, t)


def _outcome(ticket: Ticket, t: Text) -> Found | None:
    """What a search gave, or why it gave nothing."""
    outcome = ticket.outcome
    assert outcome is not None
    if outcome.state is State.REFUSED:
        st.error(t("cannot_compute", reason=said(outcome.reason, t)), icon=":material/error:")
    elif outcome.state in NOTICES:
        words = t(NOTICES[outcome.state], seconds=str(MAX_RUN_S), runs=str(MAX_RUNS))
        st.warning(words, icon=":material/warning:")
    return outcome.result if isinstance(outcome.result, Found) else None


@st.fragment(run_every=POLL_S)
def _progress(ticket: Ticket, t: Text) -> None:
    """How far the search is; the page is drawn anew when it is over."""
    if ticket.is_over:
        st.rerun()
    settled, total = ticket.served, ticket.total
    if ticket.state is State.WAITING:
        words = t("run_waits", runs=str(MAX_RUNS))
    elif total == 0:
        words = t("run_starts")
    else:
        words = t("search_settled", settled=f"{settled:,}", total=f"{total:,}")
    st.progress(settled / total if total else 0.0, words)
    st.button(t("cancel"), key="cancel", on_click=ticket.cancel, icon=":material/stop:")


def _results(found: Found, t: Text) -> None:
    result = found.result
    if result.members:
        _best(result, t)
        _front(result, t)
    else:
        st.error(t("search_none"), icon=":material/cancel:")
        if result.shortfall is not None:
            st.markdown(said(result.shortfall.text, t))
    _everyone(result, t)
    for note in result.notes:
        st.caption(said(note, t))
    downloads("search", found.report, t)


def _best(result: kvsim.SearchResult, t: Text) -> None:
    """The cheapest fleet that keeps the goal."""
    best = result.members[0]
    shown = best.as_dict()
    replicas = shown["replicas"]
    per_replica = shown["gpus_per_replica"]
    st.success(
        t("search_cheapest", setup=search_charts.numbered(best)), icon=":material/check_circle:"
    )
    spare = result.goal.spare
    figures = {
        "cost": (search_charts.usd(best, result), t(f"axis_{result.goal.cost_name}")),
        "replicas": (
            t("search_one_replica") if replicas is None else f"{replicas:,}",
            t("search_replicas_below", gpus=str(per_replica), spare=str(spare)),
        ),
        "capacity": (
            f"{best.found['capacity_per_s']:,.2f}" if best.found else "",
            t("per_replica"),
        ),
        "latency": (
            seconds(search_charts.latency_s(best, result)),
            t("search_e2e_below", percentile=result.goal.percentile),
        ),
    }
    with st.grid(2, min_column_width=240):
        for name, (value, below) in figures.items():
            st.metric(
                t(f"metric_search_{name}"),
                value,
                below,
                delta_color="off",
                delta_arrow="off",
                border=True,
            )
    if best.command is not None:
        st.code(best.command, language="bash", wrap_lines=True)


def _front(result: kvsim.SearchResult, t: Text) -> None:
    known = result.goal.is_calibrated
    st.subheader(t("search_chart") if known else t("search_chart_uncalibrated"), anchor=False)
    st.plotly_chart(
        search_charts.pareto(result, t),
        key="pareto",
        config=CHART,
        alt=search_charts.pareto_words(result, t),
    )
    st.caption(t("search_chart_about", source=said(result.goal.step_time, t)))
    header = [t("column_setup"), t("column_replicas"), t(f"axis_{result.goal.cost_name}")]
    header += [t("column_capacity"), t("tokens_per_s"), t("column_e2e")]
    rows = [
        (
            search_charts.numbered(one),
            ""
            if one.found is None or one.found["replicas"] is None
            else str(one.found["replicas"]),
            inert(search_charts.usd(one, result)),
            f"{one.found['capacity_per_s']:,.2f}" if one.found else "",
            f"{one.output_tokens_per_s or 0:,.0f}",
            seconds(search_charts.latency_s(one, result)),
        )
        for one in result.members
    ]
    with st.expander(t("search_front_table")):
        st.markdown(table(header, rows))


def _everyone(result: kvsim.SearchResult, t: Text) -> None:
    """Every candidate, with what became of it."""
    contenders = result.contenders.values()
    rows = [
        (
            search_charts.numbered(one),
            t(f"search_outcome_{_name(one)}"),
            said(one.candidate.reason or "", t),
        )
        for one in contenders
    ]
    header = [t("column_setup"), t("column_outcome"), t("column_reason")]
    with st.expander(t("search_everyone", count=f"{len(rows):,}")):
        st.markdown(table(header, rows, words=2))


def _name(one: kvsim.Contender) -> str:
    assert one.candidate.outcome is not None
    return one.candidate.outcome.name.lower()
