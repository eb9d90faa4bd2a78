"""The page's link: what of it could not be honoured is said, and its version is kept."""

import dataclasses

import streamlit as st

from app.i18n import Text
from app.scenario import LINK_VERSION, Scenario, Value, ignored
from app.text import inert

_SEEN = "link_seen"
_VERSION = "v"


def opened() -> dict[str, str] | None:
    """The query of the link, before any widget has cleaned it; None once it was looked at."""
    return None if _SEEN in st.session_state else st.query_params.to_dict()


def check(query: dict[str, str] | None, scenario: Scenario, t: Text) -> None:
    """Warn of values that the link asks for and the widgets do not hold, until an input changes."""
    values: dict[str, Value] = dataclasses.asdict(scenario) | {
        "lang": t.language,
        _VERSION: LINK_VERSION,
    }
    if query is not None:
        st.session_state[_SEEN] = (scenario, ignored(query, values))
    first, lost = st.session_state[_SEEN]
    if lost and scenario == first:
        names = ", ".join(inert(part) for part in lost)
        st.warning(t("link_ignored", values=names), icon=":material/link_off:")
    if st.query_params.get(_VERSION) != LINK_VERSION:
        st.query_params[_VERSION] = LINK_VERSION
