"""Section of page Learn on idle conversations: what keeping their histories takes in each tier."""

from functools import lru_cache

import streamlit as st

import kvsim
from app import bars, forms, scenario
from app.i18n import Text
from app.said import said
from app.scenario import Scenario
from app.text import between, gib, seconds, table
from app.views.bar_view import draw

WORKLOAD, NUM_REQUESTS = "chat", 200
"""The conversations that are served to measure how long histories stay idle."""

WINDOWS_S = (60, 600, 3600)
"""Windows beside the visitor's own."""

TIERS = {"gpu": bars.BLUE, "host": bars.ORANGE, "disk": bars.GREY, "beyond": bars.GREEN}


def show(asked: Scenario, t: Text) -> None:
    """The question as a switch and two numbers; nothing is served before it is asked."""
    st.subheader(t("idle_title"), anchor=False)
    st.markdown(t("idle_about", requests=NUM_REQUESTS))
    if not forms.widget(scenario.IDLE, t):
        return
    window, rate = st.columns(2)
    with window:
        window_s = int(str(forms.widget(scenario.IDLE_WINDOW, t)))
    with rate:
        rate_per_s = float(str(forms.widget(scenario.IDLE_RATE, t)))
    try:
        study = _study(asked.deployment(), window_s, rate_per_s)
    except kvsim.KvsimError as error:
        st.error(t("cannot_compute", reason=said(error.words, t)), icon=":material/error:")
        return
    own = next(row for row in study.windows if row.window_s == window_s)
    _tiers(own, t)
    _sentence(study, own, t)
    _windows(study, t)
    st.caption(t("idle_source", source=said(study.step_time, t)))
    for note in study.notes:
        st.caption(said(note, t))


@lru_cache(maxsize=32)
def _study(deployment: kvsim.Deployment, window_s: int, rate_per_s: float) -> kvsim.RetentionStudy:
    chat = kvsim.generate_workload(
        WORKLOAD, num_requests=NUM_REQUESTS, arrivals={"rate_per_s": rate_per_s}
    )
    windows = sorted({*WINDOWS_S, window_s})
    return kvsim.retention(deployment, chat, window_s=windows)


def _tiers(own: kvsim.RetentionWindow, t: Text) -> None:
    rows = [
        bars.Bar(name=t(f"idle_{tier}"), value=held, label=gib(held), color=color)
        for tier, color in TIERS.items()
        for held in [getattr(own.tiers, tier)]
    ]
    draw("idle", rows, t)


def _sentence(study: kvsim.RetentionStudy, own: kvsim.RetentionWindow, t: Text) -> None:
    again = study.transfer
    st.markdown(
        t(
            "idle_said",
            window=f"{own.window_s:,.0f}",
            kept=gib(own.steady_bytes),
            room=gib(study.gpu_free_bytes),
            share=f"{own.with_answers.token_rate:.0%}",
            tokens=f"{again.num_tokens:,}",
            size=gib(again.num_bytes),
            again=seconds(again.recompute_s),
        )
    )


def _windows(study: kvsim.RetentionStudy, t: Text) -> None:
    columns = ("window", "kept", *TIERS, "found", "month")
    rows = [
        (
            f"{row.window_s:,.0f}{t('idle_unit')}",
            gib(row.steady_bytes),
            *(gib(getattr(row.tiers, tier)) for tier in TIERS),
            f"{row.with_answers.token_rate:.1%}",
            _month(row),
        )
        for row in study.windows
    ]
    with st.expander(t("idle_table")):
        st.markdown(table([t(f"idle_{name}") for name in columns], rows))


def _month(row: kvsim.RetentionWindow) -> str:
    """The device's share, which alone has a price here."""
    cost = row.usd_per_month["gpu"]
    return "" if cost is None else between(*(f"{end:,.0f}" for end in cost))
