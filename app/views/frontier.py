"""Page Frontier: how much context for how many requests, and what would have to give."""

from dataclasses import dataclass
from functools import lru_cache

import streamlit as st

import kvsim
from app import forms, frontier_chart, scenario
from app.i18n import Text
from app.said import said
from app.scenario import Scenario
from app.text import inert, table
from app.views.plan import CHART

MAP = "frontier_map"
QUESTION_PX = 320


@dataclass(frozen=True, slots=True, kw_only=True)
class Map:
    """The grid, and both ends of the visitor's point."""

    edge: kvsim.Frontier
    fit: kvsim.Plan
    longest: int | None  # context of which so many requests fit; None: not one token


def show(asked: Scenario, t: Text) -> None:
    """The page; bad input is explained where the map would be."""
    st.subheader(t("frontier_title"), anchor=False)
    if asked.is_empty:
        st.info(t("paste_first"), icon=":material/upload_file:")
        return
    try:
        answer = _map(asked)
    except kvsim.KvsimError as error:
        st.error(t("cannot_compute", reason=said(error.words, t)), icon=":material/error:")
        return
    _words(answer, t)
    _chart(answer, t)
    _question(asked, t)
    st.caption(t("link_hint"))


@lru_cache(maxsize=16)
def _map(asked: Scenario) -> Map:
    deployment, requests = asked.deployment(), asked.concurrent_requests
    longest = kvsim.solve(deployment, "max_model_len", concurrent_requests=requests).value
    return Map(
        edge=kvsim.frontier(deployment, concurrent_requests=requests),
        fit=kvsim.plan(deployment, concurrent_requests=requests),
        longest=None if longest is None else int(longest),
    )


def _words(answer: Map, t: Text) -> None:
    e = answer.fit.evaluation
    length, requests = f"{e.resolved.max_model_len:,}", f"{e.concurrent_requests:,}"
    with st.grid(2, min_column_width=260):
        st.metric(
            t("frontier_at_context", length=length),
            t("frontier_requests", requests=f"{e.fit.max_requests:,}"),
            border=True,
        )
        st.metric(
            t("frontier_at_requests", requests=requests),
            t("frontier_nothing")
            if answer.longest is None
            else t("frontier_tokens", length=f"{answer.longest:,}"),
            border=True,
        )


def _chart(answer: Map, t: Text) -> None:
    e, edge = answer.fit.evaluation, answer.edge
    context, requests = e.resolved.max_model_len, e.concurrent_requests
    st.plotly_chart(
        frontier_chart.heatmap(edge, context=context, requests=requests, t=t),
        # another point is another chart, so that a click on the same cell counts again
        key=f"{MAP}_{context}_{requests}",
        config=CHART,
        alt=frontier_chart.heatmap_words(edge, t),
        on_select=lambda: _move(f"{MAP}_{context}_{requests}"),
        selection_mode="points",
    )
    st.caption(t("frontier_about"))
    header = [t("column_context"), t("column_max_requests_fit")]
    rows = [
        (f"{length:,}", f"{most:,}")
        for length, most in zip(edge.lengths, edge.max_requests, strict=True)
    ]
    with st.expander(t("frontier_table")):
        st.markdown(table(header, rows))


def _move(key: str) -> None:
    """Take the clicked cell's context and requests as what is asked."""
    points = st.session_state[key].selection.points
    if points:
        length, requests = points[0]["customdata"]
        st.session_state["max_model_len"] = int(length)
        st.session_state["concurrent_requests"] = int(requests)


def _question(asked: Scenario, t: Text) -> None:
    """All else held fixed, the extreme value of one quantity."""
    st.subheader(t("question_title"), anchor=False)
    with st.container(width=QUESTION_PX):
        target = str(forms.widget(scenario.TARGET, t))
    try:
        solution = _solved(asked, target)
    except kvsim.KvsimError as error:
        st.error(t("cannot_compute", reason=said(error.words, t)), icon=":material/error:")
        return
    st.markdown(t(f"question_{target}"))
    if solution.value is None:
        st.warning(said(solution.reason, t), icon=":material/cancel:")
        return
    value = solution.value
    shown = f"{value:,}" if isinstance(value, int) else inert(str(value))
    st.success(
        t("question_answer", target=inert(target), value=shown), icon=":material/check_circle:"
    )
    st.markdown(t("question_binding", binding=t(f"binding_{solution.binding.name.lower()}")))
    st.caption(said(solution.reason, t))
    if solution.command is not None:
        st.code(solution.command, language="bash", wrap_lines=True)


@lru_cache(maxsize=64)
def _solved(asked: Scenario, target: str) -> kvsim.Solution:
    requests = None if target == kvsim.Target.MAX_NUM_SEQS else asked.concurrent_requests
    return kvsim.solve(asked.deployment(), target, concurrent_requests=requests)
