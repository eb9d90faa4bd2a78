"""Page Compare: saved scenarios as bars and tables, and which setting makes the difference."""

import streamlit as st

import kvsim
from app import compare_charts, forms, saved, scenario
from app.compare_charts import signed, spread
from app.i18n import Text
from app.report import as_json, headed
from app.said import said
from app.scenario import Scenario
from app.text import gib, inert, size, table
from app.views.plan import CHART

CHOICE_PX = 320  # wide enough for the longest name
EXAMPLE = ("gpu=H200-SXM-141GB", "kv_cache_dtype=fp8", "gpu=H200-SXM-141GB;kv_cache_dtype=fp8")
LEAST = 2


def show(asked: Scenario, t: Text) -> None:
    """The page; what cannot be compared is explained where the answer would be."""
    st.subheader(t("compare_title"), anchor=False)
    held = saved.scenarios()
    _invite(asked, len(held), t)
    if not held:
        return
    try:
        answers = [kvsim.answer(one.scenario()) for one in held]
        told = None
        if len(held) >= LEAST:
            told = kvsim.compare([one.scenario() for one in held])
    except kvsim.KvsimError as error:
        _list([""] * len(held), t)
        st.error(t("cannot_compute", reason=said(error.words, t)), icon=":material/error:")
        return
    _list(list(told.names) if told else [_name(answers[0])], t)
    if told is None:
        st.info(t("compare_one"), icon=":material/exposure_plus_1:")
        return
    _chart(told, t)
    _tables(told, t)
    _differences(told, t)
    _download(told, t)


def _invite(asked: Scenario, held: int, t: Text) -> None:
    """What the page is for while nothing is saved, and the buttons that save."""
    if not held:
        st.info(t("compare_empty"), icon=":material/compare_arrows:")
    with st.container(horizontal=True, gap="small"):
        forms.save(asked.model, t, key="save_here")
        if held < LEAST:
            st.button(
                t("compare_example"),
                key="example",
                on_click=saved.add,
                args=(saved.NOTHING, *EXAMPLE),
                icon=":material/lightbulb:",
            )
        else:
            st.button(
                t("compare_clear"), key="clear", on_click=saved.clear, icon=":material/delete:"
            )


def _name(answer: kvsim.ScenarioAnswer) -> str:
    deployment = answer.scenario.deployment
    return f"{deployment.model.name}, {deployment.accelerator.name}"


def _list(names: list[str], t: Text) -> None:
    """The scenarios by number and name, and what can be done with each."""
    for index, name in enumerate(names):
        number = index + 1
        with st.container(horizontal=True, gap="small", vertical_alignment="center"):
            mark = t("compare_baseline") if index == 0 else ""
            st.markdown(f"**{number}** {inert(name)}{mark}", width="stretch")
            with st.container(horizontal=True, gap="small", width="content"):
                if index:
                    _button("make_baseline", index, saved.put_first, t)
                _button("ask_scenario", index, saved.ask, t)
                _button("remove_scenario", index, saved.remove, t)


def _button(what: str, index: int, act: object, t: Text) -> None:
    st.button(
        t(what),
        key=f"{what}_{index}",
        on_click=act,  # type: ignore[arg-type]
        args=(index,),
        help=t(f"{what}_help", number=index + 1),
        type="tertiary",
    )


def _chart(told: kvsim.Comparison, t: Text) -> None:
    with st.container(width=CHOICE_PX):
        figure = str(forms.widget(scenario.COMPARED, t))
    st.markdown(f"**{t(f'compared_{figure}')}**")
    st.plotly_chart(
        compare_charts.side_by_side(told, figure, t),
        key="compared_bars",
        config=CHART,
        alt=compare_charts.side_by_side_words(told, figure, t),
    )


def _tables(told: kvsim.Comparison, t: Text) -> None:
    """Two tables of few columns, so that a phone shows them whole."""
    holds, takes = [], []
    for number, answer in enumerate(told.answers, 1):
        held, cost, usd, name = answer.holding, answer.cost, answer.usd, f"**{number}**"
        verdict, tokens, requests, longest = t("short_unknown"), "", "", ""
        weights, cache = "", ""
        if held is not None:
            verdict = t(f"short_{held.verdict.name.lower()}")
            tokens, longest = f"{held.best.tokens:,}", f"{held.longest_tokens:,}"
            requests = f"{held.best.requests:,}{spread(answer, t)}"
            weights, cache = gib(held.weights_bytes.best), gib(held.cache_bytes.best)
        per_token = "" if cost is None else size(cost.bytes_per_token)
        month = "" if usd is None else f"{usd.low_per_month:,.0f}–{usd.high_per_month:,.0f}"  # noqa: RUF001
        holds.append((name, verdict, requests, tokens, longest))
        takes.append((name, weights, cache, per_token, month))
    first = t("column_scenario")
    st.markdown(f"**{t('compare_holds')}**")
    header = [first, t("column_verdict"), t("column_max_requests"), t("column_capacity_tokens")]
    st.markdown(table([*header, t("column_longest")], holds))
    st.markdown(f"**{t('compare_takes')}**")
    header = [first, t("column_weights"), t("column_cache"), t("column_bytes_per_token")]
    st.markdown(table([*header, t("column_usd_month")], takes))
    st.caption(t("compare_prices"))
    refused = [(i, a.refusal) for i, a in enumerate(told.answers, 1) if a.refusal is not None]
    if refused:
        st.markdown(f"**{t('compare_refusals')}**")
        st.markdown("\n".join(f"- **{i}**: {said(reason, t)}" for i, reason in refused))


def _differences(told: kvsim.Comparison, t: Text) -> None:
    for number, difference in enumerate(told.differences, 2):
        st.markdown(f"**{t('compare_against', number=number)}**")
        st.markdown("\n".join(_setting(change) for change in difference.changes))
        is_split = len(difference.changes) > 1
        rows = [
            (
                t(f"compared_{figure.figure}"),
                signed(figure.figure, figure.amount, t),
                *([_causes(figure, t)] if is_split else []),
            )
            for figure in difference.figures
        ]
        header = [t("column_figure"), t("column_difference")]
        if not rows:
            st.caption(t("compare_same"))
        elif is_split:
            st.markdown(table([*header, t("column_causes")], rows, words=1))
        else:
            st.markdown(table(header, rows))
        for change in difference.changes:
            if change.alone is None:
                reason = said(change.refusal or "", t)
                values = {"setting": change.setting, "value": inert(change.value)}
                st.caption(t("compare_alone_refused", reason=reason, **values))
    if any(len(difference.changes) > 1 for difference in told.differences):
        st.caption(t("compare_how"))


def _setting(change: kvsim.SettingChange) -> str:
    return f"- `{change.setting}`: {inert(change.baseline)} → {inert(change.value)}"


def _causes(figure: kvsim.FigureDifference, t: Text) -> str:
    """The settings that move a figure, and what only takes effect together."""
    parts = [
        t(
            "compare_cause",
            setting=f"`{part.setting}`",
            amount=signed(figure.figure, part.amount, t),
        )
        for part in figure.parts
        if part.amount != 0
    ]
    if figure.interaction:
        parts.append(t("compare_together", amount=signed(figure.figure, figure.interaction, t)))
    return t("compare_between").join(parts)


def _download(told: kvsim.Comparison, t: Text) -> None:
    st.download_button(
        t("download_json"),
        as_json(headed(told.as_dict(), asked=told.digest)),
        file_name="kvsim-compare.json",
        mime="application/json",
        icon=":material/download:",
        on_click="ignore",
    )
    st.caption(t("link_hint"))
