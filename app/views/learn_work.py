"""Sections of page Learn on work: steps, tokens, prefill and decode, an answer's cost."""

from collections.abc import Sequence
from dataclasses import asdict

import streamlit as st

import kvsim
from app import bars, learn_charts
from app.i18n import Text
from app.said import said
from app.scenario import STEP
from app.text import flops, seconds, size, table
from app.views.bar_view import draw
from app.views.component import source
from app.views.plan import CHART

_WALK = "walk"
WALK = (
    *("label", "play", "pause", "first", "back", "on", "clock", "choose", "sentence", "rows"),
    *("with", "without", "with_sum", "without_sum"),
    *(f"key_{name}" for name in ("new", "kept", "again", "dropped")),
)
"""Texts that the browser fills and shows."""


def steps(notes: kvsim.TokenNotes, walk: Sequence[kvsim.NoteStep], t: Text) -> None:
    """One sentence, token by token: what is computed, what is reused, what is computed again."""
    st.subheader(t("steps_title"), anchor=False)
    words = t("steps_words").split("|")
    player = st.components.v2.component(
        "kvsim_walk",
        html=source("notes.html"),
        css=source("controls.css") + source("notes.css"),
        js=source("notes.js"),
    )
    player(
        key=_WALK,
        data={
            "step": st.session_state[STEP.name],
            "words": words,
            "steps": [
                {**asdict(step), "kept": size(step.kept_bytes)} for step in walk[: len(words)]
            ],
            "texts": {name: t.template(f"walk_{name}") for name in WALK},
        },
        on_step_change=_walked,
    )
    if notes.query_bytes is None:
        st.markdown(t("steps_latent", kept=size(notes.kept_bytes)))
    else:
        figures = {"kept": size(notes.kept_bytes), "query": size(notes.query_bytes)}
        st.markdown(t("steps_query", layers=notes.num_kv_layers, **figures))


def _walked() -> None:
    """Keep where the visitor stands in the sentence, as the link's input; a browser can say all."""
    try:
        st.session_state[STEP.name] = STEP.parse(str(st.session_state[_WALK].step))
    except ValueError:
        return


def tokens(notes: kvsim.TokenNotes, t: Text) -> None:
    """A token's text beside its notes."""
    st.subheader(t("tokens_title"), anchor=False)
    rows = [
        bars.Bar(
            name=t("tokens_text"),
            value=notes.text_bytes,
            label=size(notes.text_bytes),
            color=bars.GREY,
        ),
        bars.Bar(
            name=t("tokens_kept"), value=max(1, notes.kept_bytes), label=size(notes.kept_bytes)
        ),
    ]
    draw("tokens", rows, t, log=True)
    st.markdown(
        t(
            "tokens_said",
            vocab=f"{notes.vocab_size:,}",
            bits=notes.id_bits,
            characters=notes.text_bytes,
            kept=size(notes.kept_bytes),
            ratio=f"{notes.kept_per_text:,.0f}",
        )
    )


def phases(plan: kvsim.Plan, t: Text) -> None:
    """Operations per byte of each phase against the device's ridge."""
    st.subheader(t("phases_title"), anchor=False)
    work = plan.compute
    if work is None:
        st.caption(t("weights_unknown"))
        return
    rows = [
        ("prefill", work.compute.prefill),
        ("decode", work.compute.decode_step),
        ("uncached", work.compute.uncached_decode_step),
    ]
    shown = [
        bars.Bar(
            name=t(f"phase_{name}"),
            value=phase.intensity,
            label=f"{phase.intensity:,.1f}",
            color=bars.ORANGE if name == "decode" else bars.BLUE,
        )
        for name, phase in rows
    ]
    mark = None
    if work.ridge_point is not None:
        mark = bars.Mark(
            value=work.ridge_point, label=t("phase_ridge", ridge=f"{work.ridge_point:,.0f}")
        )
    draw("phases", shown, t, log=True, mark=mark)
    header = [t("column_phase"), t("column_flops"), t("column_read"), t("column_intensity")]
    lines = [
        (
            t(f"phase_{name}"),
            *(flops(phase.flops), size(phase.bytes_moved), f"{phase.intensity:,.1f}"),
        )
        for name, phase in rows
    ]
    st.markdown(table(header, lines))
    if work.prefill and work.decode:
        bounds = {"prefill": work.prefill.bound, "decode": work.decode.bound}
        st.markdown(t("bound", **{phase: t(f"bound_{bound}") for phase, bound in bounds.items()}))
    st.markdown(t("phases_said", length=f"{plan.evaluation.resolved.max_model_len:,}"))


# long: one section of the page, from top to bottom
def answer(costs: Sequence[kvsim.AnswerCost], measured: kvsim.Lessons, t: Text) -> None:
    """Operations of this model's answer and measured seconds of a small one's."""
    st.subheader(t("answer_title"), anchor=False)
    if costs:
        for name in ("token", "total"):
            st.markdown(f"**{t(f'answer_{name}')}**")
            st.plotly_chart(
                learn_charts.operations(costs, name, t),
                key=f"answer_{name}",
                config=CHART,
                alt=learn_charts.operations_words(costs, name, t),
            )
        _operations_table(costs, t)
        last = costs[-1]
        st.markdown(
            t(
                "answer_said",
                length=f"{last.num_output_tokens:,}",
                cached=flops(last.cached_total_flops),
                uncached=flops(last.uncached_total_flops),
            )
        )
    else:
        st.caption(t("weights_unknown"))
    st.markdown(f"**{t('answer_measured')}**")
    st.plotly_chart(
        learn_charts.measured_seconds(measured, t),
        key="answer_measured",
        config=CHART,
        alt=learn_charts.measured_words(measured, t),
    )
    st.markdown(
        t(
            "measured_said",
            cached=f"{measured.cached_exponent:.2f}",
            uncached=f"{measured.uncached_exponent:.2f}",
        )
    )
    st.caption(
        t("measured_source", model=said(measured.answers_model, t), source=measured.answers_source)
    )
    rows = [
        (
            t("curve_cached" if row.uses_cache else "curve_uncached"),
            f"{row.num_output_tokens:,}",
            seconds(row.total_s),
        )
        for row in measured.answers
    ]
    with st.expander(t("measured_table")):
        st.markdown(table([t("column_how"), t("column_tokens"), t("column_seconds")], rows))


def _operations_table(costs: Sequence[kvsim.AnswerCost], t: Text) -> None:
    header = [t("column_tokens"), t("column_token_cached"), t("column_token_uncached")]
    header += [t("column_total_cached"), t("column_total_uncached")]
    rows = [
        (
            f"{cost.num_output_tokens:,}",
            *(flops(cost.cached_token_flops), flops(cost.uncached_token_flops)),
            *(flops(cost.cached_total_flops), flops(cost.uncached_total_flops)),
        )
        for cost in costs
    ]
    with st.expander(t("answer_table")):
        st.markdown(table(header, rows))
