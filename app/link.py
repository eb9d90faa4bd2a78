"""The page's link: what of it could not be honoured is said, and its version is kept."""

import dataclasses

import streamlit as st

from app.i18n import Text
from app.scenario import FIELDS, LINK_VERSION, PAGE_FIELDS, Scenario, Value, ignored
from app.text import inert

_OPENED, _SEEN = "link_opened", "link_seen"
_VERSION = "v"


def opened() -> dict[str, str] | None:
    """The query of the link, before any widget has cleaned it; None once it was looked at.

    Numbers that are none are taken out first, for Streamlit's number input fails on infinity.
    """
    if _SEEN in st.session_state:
        return None
    now = st.query_params.to_dict()
    query: dict[str, str] = st.session_state.setdefault(_OPENED, now)
    fields = FIELDS | PAGE_FIELDS
    unreadable = [name for name in fields if name in now and not fields[name].reads(now[name])]
    if unreadable:
        for name in unreadable:
            del st.query_params[name]
        st.rerun()
    return query


def check(query: dict[str, str] | None, scenario: Scenario, t: Text) -> None:
    """Warn of values that the link asks for and the widgets do not hold, until an input changes.

    Called when the page has run, for the inputs of its own are part of the link.
    """
    inputs: dict[str, Value] = dataclasses.asdict(scenario)
    inputs |= {name: st.session_state[name] for name in PAGE_FIELDS if name in st.session_state}
    if query is not None:
        values = inputs | {"lang": t.language, _VERSION: LINK_VERSION}
        st.session_state[_SEEN] = (inputs, ignored(query, values))
    first, lost = st.session_state[_SEEN]
    if lost and inputs == first:
        names = ", ".join(inert(part) for part in lost)
        st.warning(t("link_ignored", values=names), icon=":material/link_off:")
    if st.query_params.get(_VERSION) != LINK_VERSION:
        st.query_params[_VERSION] = LINK_VERSION
