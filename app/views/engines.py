"""Page Engines: the same model and device in every engine side by side."""

import json

import streamlit as st

import kvsim
from app import engine_charts, forms, scenario
from app.engine_charts import FIGURES
from app.i18n import Text
from app.scenario import Scenario
from app.text import gib, inert, size, table
from app.views.plan import CHART, SCHEMA_VERSION

CHOICE_PX = 320  # wide enough for the longest name


def show(asked: Scenario, t: Text) -> None:
    """The page; bad input is explained where the answer would be."""
    st.subheader(t("engines_title"), anchor=False)
    words = st.container()
    with st.container(width=CHOICE_PX):
        figure = str(forms.widget(scenario.FIGURE, t))
    if asked.is_empty:
        st.info(t("paste_first"), icon=":material/upload_file:")
        return
    try:
        comparison = kvsim.compare(asked.deployment())
    except kvsim.KvsimError as error:
        st.error(t("cannot_compute", reason=inert(str(error))), icon=":material/error:")
        return
    with words:
        _words(comparison, t)
    _chart(comparison, figure, t)
    _tables(comparison, t)
    _reasons(comparison, t)
    _download(comparison, t)


def _words(comparison: kvsim.Comparison, t: Text) -> None:
    st.markdown(
        t(
            "engines_asked",
            model=inert(comparison.model),
            num_gpus=comparison.num_ranks,
            gpu=inert(comparison.accelerator),
            length=f"{comparison.num_tokens:,}",
            dtype=inert(comparison.kv_cache_dtype),
        )
    )
    held = {
        str(answer.engine): answer.best.requests
        for answer in comparison.engines
        if answer.best is not None and answer.engine is not kvsim.EngineName.IDEAL
    }
    if not held:
        st.warning(t("engines_none"), icon=":material/warning:")
        return
    most, fewest = max(held, key=held.__getitem__), min(held, key=held.__getitem__)
    numbers = {"most_requests": f"{held[most]:,}", "fewest_requests": f"{held[fewest]:,}"}
    names = {"most": inert(most), "fewest": inert(fewest)}
    st.markdown(t("engines_most", **names, **numbers))


def _chart(comparison: kvsim.Comparison, figure: str, t: Text) -> None:
    st.markdown(f"**{t(f'figure_{figure}')}**")
    st.plotly_chart(
        engine_charts.side_by_side(comparison, figure, t),
        key="engines",
        config=CHART,
        alt=engine_charts.side_by_side_words(comparison, figure, t),
    )
    st.caption(t("engines_ideal"))


def _tables(comparison: kvsim.Comparison, t: Text) -> None:
    takes, holds = [], []
    for answer in comparison.engines:
        name = " ".join(filter(None, (f"**{answer.engine}**", answer.engine_version)))
        cost, cache = answer.cost, answer.cache_bytes
        sizes = ("", "", "")
        if cost is not None:
            sizes = (size(cost.bytes_per_token), size(cost.fixed_bytes), size(cost.request_bytes))
        takes.append((name, *sizes))
        shown = [engine_charts.bar(answer, figure, t) for figure in FIGURES[:2]]
        requests, _ = (bar.text if bar else "" for bar in shown)
        tokens = f"{answer.best.tokens:,}" if answer.best is not None else ""
        holds.append((name, gib(cache.best) if cache is not None else "", tokens, requests))
    engine, length = t("column_engine"), f"{comparison.num_tokens:,}"
    st.markdown(f"**{t('engines_takes')}**")
    header = [engine, t("column_bytes_per_token"), t("column_fixed_bytes")]
    st.markdown(table([*header, t("column_request_bytes", length=length)], takes))
    st.markdown(f"**{t('engines_holds')}**")
    header = [engine, t("column_cache"), t("column_capacity_tokens"), t("column_max_requests")]
    st.markdown(table(header, holds))
    if comparison.num_ranks > 1:
        st.caption(t("engines_per_gpu"))
    whole = [str(a.engine) for a in comparison.engines if a.cost is not None and not a.is_per_rank]
    if whole and comparison.num_ranks > 1:
        st.caption(t("engines_over_all", engines=inert(", ".join(whole))))


def _reasons(comparison: kvsim.Comparison, t: Text) -> None:
    refusals = [(a.engine, a.refusal) for a in comparison.engines if a.refusal is not None]
    if refusals:
        st.markdown(f"**{t('engines_refusals')}**")
        lines = [
            f"- **{engine}**: {inert(refusal.removeprefix(f'{engine}: '))}"
            for engine, refusal in refusals
        ]
        st.markdown("\n".join(lines))
    left_out = [(a.engine, text) for a in comparison.engines for text in a.not_modeled]
    if left_out:
        with st.expander(t("engines_left_out")):
            st.markdown("\n".join(f"- **{engine}**: {inert(text)}" for engine, text in left_out))


def _download(comparison: kvsim.Comparison, t: Text) -> None:
    report = {"schema_version": SCHEMA_VERSION, **comparison.as_dict()}
    st.download_button(
        t("download_json"),
        json.dumps(report, allow_nan=False, indent=2),
        file_name="kvsim-compare.json",
        mime="application/json",
        icon=":material/download:",
        on_click="ignore",
    )
    st.caption(t("link_hint"))
