"""Page Engines: the same model and device in every engine side by side."""

import streamlit as st

import kvsim
from app import engine_charts, forms, scenario
from app.engine_charts import FIGURES, Answers
from app.i18n import Text
from app.report import headed
from app.said import said
from app.scenario import Scenario
from app.text import gib, inert, size, table
from app.views import exports
from app.views.plan import CHART

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
        deployment = asked.deployment()
        answers = [
            kvsim.answer(kvsim.Scenario(deployment=deployment, engine=engine))
            for engine in kvsim.EngineName
        ]
        _check(answers)
    except kvsim.KvsimError as error:
        st.error(t("cannot_compute", reason=said(error.words, t)), icon=":material/error:")
        return
    with words:
        _words(answers, t)
    _chart(answers, figure, t)
    _tables(answers, t)
    _reasons(answers, t)
    _download(answers, t)


def _check(answers: Answers) -> None:
    """SpecError where no engine has a length to answer for."""
    if all(answer.num_tokens is None for answer in answers):
        raise kvsim.SpecError(answers[0].refusal or "")


def _length(answers: Answers) -> str:
    return next(f"{a.num_tokens:,}" for a in answers if a.num_tokens is not None)


def _words(answers: Answers, t: Text) -> None:
    deployment = answers[0].scenario.deployment
    st.markdown(
        t(
            "engines_asked",
            model=inert(deployment.model.name),
            num_gpus=deployment.parallel.num_ranks,
            gpu=inert(deployment.accelerator.name),
            length=_length(answers),
            dtype=inert(deployment.engine.kv_cache_dtype),
        )
    )
    held = {
        str(answer.scenario.engine): answer.holding.best.requests
        for answer in answers
        if answer.holding is not None and answer.scenario.engine is not kvsim.EngineName.IDEAL
    }
    if not held:
        st.warning(t("engines_none"), icon=":material/warning:")
        return
    most, fewest = max(held, key=held.__getitem__), min(held, key=held.__getitem__)
    numbers = {"most_requests": f"{held[most]:,}", "fewest_requests": f"{held[fewest]:,}"}
    names = {"most": inert(most), "fewest": inert(fewest)}
    st.markdown(t("engines_most", **names, **numbers))


def _chart(answers: Answers, figure: str, t: Text) -> None:
    st.markdown(f"**{t(f'figure_{figure}')}**")
    st.plotly_chart(
        engine_charts.side_by_side(answers, figure, t),
        key="engines",
        config=CHART,
        alt=engine_charts.side_by_side_words(answers, figure, t),
    )
    st.caption(t("engines_ideal"))


def _tables(answers: Answers, t: Text) -> None:
    takes, holds = [], []
    for answer in answers:
        name = " ".join(filter(None, (f"**{answer.scenario.engine}**", answer.engine_version)))
        cost, held = answer.cost, answer.holding
        sizes = ("", "", "")
        if cost is not None:
            sizes = (size(cost.bytes_per_token), size(cost.fixed_bytes), size(cost.request_bytes))
        takes.append((name, *sizes))
        shown = [engine_charts.bar(answer, figure, t) for figure in FIGURES[:2]]
        requests, _ = (bar.text if bar else "" for bar in shown)
        tokens = f"{held.best.tokens:,}" if held is not None else ""
        cache = gib(held.cache_bytes.best) if held is not None else ""
        holds.append((name, cache, tokens, requests))
    engine, length = t("column_engine"), _length(answers)
    st.markdown(f"**{t('engines_takes')}**")
    header = [engine, t("column_bytes_per_token"), t("column_fixed_bytes")]
    st.markdown(table([*header, t("column_request_bytes", length=length)], takes))
    st.markdown(f"**{t('engines_holds')}**")
    header = [engine, t("column_cache"), t("column_capacity_tokens"), t("column_max_requests")]
    st.markdown(table(header, holds))
    num_ranks = answers[0].scenario.deployment.parallel.num_ranks
    if num_ranks > 1:
        st.caption(t("engines_per_gpu"))
    whole = [str(a.scenario.engine) for a in answers if a.cost is not None and not a.is_per_rank]
    if whole and num_ranks > 1:
        st.caption(t("engines_over_all", engines=inert(", ".join(whole))))


def _reasons(answers: Answers, t: Text) -> None:
    refusals = [(a.scenario.engine, a.refusal) for a in answers if a.refusal is not None]
    if refusals:
        st.markdown(f"**{t('engines_refusals')}**")
        lines = [f"- **{engine}**: {said(refusal, t)}" for engine, refusal in refusals]
        st.markdown("\n".join(lines))
    left_out = [(a.scenario.engine, text) for a in answers for text in a.not_modeled]
    if left_out:
        with st.expander(t("engines_left_out")):
            st.markdown("\n".join(f"- **{engine}**: {said(text, t)}" for engine, text in left_out))


def _download(answers: Answers, t: Text) -> None:
    scenarios = [answer.scenario for answer in answers]
    report = headed({"engines": [answer.as_dict() for answer in answers]}, asked=scenarios)
    exports.downloads("engines", report, t)
    st.caption(t("link_hint"))
