"""Entry point: `streamlit run app/main.py`. Inputs in the sidebar, then the page."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # kvsim/ and app/ without installing

import streamlit as st

from app import engine_fields, forms, lasting, link
from app.views import compare, engines, frontier, learn, log, paging, plan, search, simulate

HERE = Path(__file__).resolve().parent
st.set_page_config(page_title="kvsim", page_icon=str(HERE / "icon.svg"), layout="wide")
st.logo(str(HERE / "logo.svg"), size="large", icon_image=str(HERE / "icon.svg"))
st.html(HERE / "style.css")
link.open_visit()
t = forms.language()
scenario = forms.inputs(t)


def show_plan() -> None:
    """Page *Plan*, of the scenario in the sidebar."""
    plan.show(scenario, t)


def go_to_plan() -> None:
    """The address /plan: the first page has the bare address, whatever its name."""
    st.switch_page(first)


def say_whose_page() -> None:
    """Pages about vLLM say so where another engine was chosen."""
    if scenario.engine != engine_fields.VLLM:
        st.info(t("page_is_vllms", engine=scenario.engine), icon=":material/info:")


def show_frontier() -> None:
    """Page *Frontier*, of the scenario in the sidebar."""
    say_whose_page()
    frontier.show(scenario, t)


def show_engines() -> None:
    """Page *Engines*, of the scenario in the sidebar."""
    engines.show(scenario, t)


def show_compare() -> None:
    """Page *Compare*, of the scenarios that were saved."""
    compare.show(scenario, t)


def show_simulate() -> None:
    """Page *Simulate*, of the scenario in the sidebar."""
    say_whose_page()
    simulate.show(scenario, t)


def show_search() -> None:
    """Page *Search*, of the sidebar's model."""
    search.show(scenario, t)


def show_paging() -> None:
    """Page *Paging*, of the scenario in the sidebar."""
    say_whose_page()
    paging.show(scenario, t)


def show_learn() -> None:
    """Page *Learn*, of the scenario in the sidebar."""
    say_whose_page()
    learn.show(scenario, t)


def show_log() -> None:
    """Page *Log*, of a log that the visitor brings."""
    log.show(scenario, t)


first = st.Page(show_plan, title=t("page_plan"), default=True)
page = st.navigation(
    [
        first,
        st.Page(go_to_plan, title=t("page_plan"), url_path="plan", visibility="hidden"),
        st.Page(show_frontier, title=t("page_frontier"), url_path="frontier"),
        st.Page(show_engines, title=t("page_engines"), url_path="engines"),
        st.Page(show_compare, title=t("page_compare"), url_path="compare"),
        st.Page(show_simulate, title=t("page_simulate"), url_path="simulate"),
        st.Page(show_search, title=t("page_search"), url_path="search"),
        st.Page(show_paging, title=t("page_paging"), url_path="paging"),
        st.Page(show_learn, title=t("page_learn"), url_path="learn"),
        st.Page(show_log, title=t("page_log"), url_path="log"),
    ],
    position="top",
)
warning = st.container()  # above the page, filled when the page has shown its inputs
page.run()
with warning:
    link.close_run(t)
lasting.keep()
