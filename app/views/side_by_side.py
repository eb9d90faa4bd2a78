"""All engines for the same model and GPUs, a line each; page Engines has the detail."""

import streamlit as st

import kvsim
from app import engine_charts
from app.i18n import Text
from app.said import said
from app.text import size, table


def show(asked: kvsim.Scenario, t: Text) -> None:
    """A row per engine under its defaults, the chosen one under its settings."""
    answers = [_answer(engine, asked) for engine in kvsim.EngineName]
    st.subheader(t("engines_brief_title"), anchor=False)
    rows = [_row(answer, asked, t) for answer in answers]
    header = ("engine", "verdict", "max_requests", "request_bytes_brief")
    st.markdown(table([t(f"column_{name}") for name in header], rows))
    refused = [(a.scenario.engine, a.refusal) for a in answers if a.holding is None and a.refusal]
    st.caption(t("engines_brief_about"))
    if refused:
        lines = (f"{engine}: {said(why, t)}" for engine, why in refused)
        st.caption("\n\n".join(lines))


def _answer(engine: kvsim.EngineName, asked: kvsim.Scenario) -> kvsim.ScenarioAnswer:
    if engine is asked.engine:
        return kvsim.answer(asked)
    return kvsim.answer(
        kvsim.Scenario(
            deployment=asked.deployment,
            engine=engine,
            concurrent_requests=asked.concurrent_requests,
        )
    )


def _row(answer: kvsim.ScenarioAnswer, asked: kvsim.Scenario, t: Text) -> tuple[str, ...]:
    held, cost, engine = answer.holding, answer.cost, answer.scenario.engine
    name = f"**{engine}**" if engine is asked.engine else str(engine)
    verdict = t("engine_unknown") if held is None else t(f"verdict_{held.verdict.name.lower()}")
    requests = engine_charts.bar(answer, "max_requests", t)
    request = "" if cost is None else size(cost.request_bytes)
    return name, verdict, requests.text if requests else "", request
