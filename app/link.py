"""The address: read once when a visit begins, written whole at the end of every run.

The inputs are the truth, the address a copy of them. Nobody else writes it: Streamlit's own binding
loses inputs when another page is clicked while the first is still being drawn.
"""

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from app import saved
from app.fields import Field, Kind, Value, read_query, write_query
from app.i18n import LANGUAGES, Text
from app.scenario import FIELDS, LINK_VERSION, PAGE_FIELDS
from app.text import inert

_OPENED, _LOST = "link_opened", "link_lost"
_VERSION = "v"


def open_visit() -> None:
    """Put the address's values into the inputs, before any is drawn; the visit's first call.

    Done when a visit begins, and when the visitor goes back in the browser to an address that the
    app wrote: one without a version stands between two pages and says nothing.
    """
    query = st.query_params.to_dict()
    begins = _OPENED not in st.session_state
    if not (begins or (_is_history() and query.get(_VERSION) == LINK_VERSION)):
        return
    fields = _fields()
    asked = {name: text for name, text in query.items() if (name, text) != (_VERSION, LINK_VERSION)}
    values, lost = read_query(asked, fields)
    st.session_state.update({name: field.default for name, field in fields.items()} | values)
    st.session_state[_OPENED] = _held(fields)
    st.session_state[_LOST] = lost


def close_run(t: Text) -> None:
    """Warn of what the link asked for in vain, until an input changes; then write the address."""
    held = _held(_fields())
    lost: tuple[str, ...] = st.session_state[_LOST]
    if lost and held == st.session_state[_OPENED]:
        names = ", ".join(inert(part) for part in lost)
        st.warning(t("link_ignored", values=names), icon=":material/link_off:")
    # written even when it seems to be so already: the browser may have cut it since
    st.query_params.from_dict(write_query(held, _fields()) | {_VERSION: LINK_VERSION})


def _fields() -> dict[str, Field]:
    """Every input that a link holds; the language's default is the browser's."""
    locale = st.context.locale or ""
    own = "zh" if locale.lower().startswith("zh") else "en"
    lang = Field(name="lang", kind=Kind.CHOICE, default=own, options=lambda: LANGUAGES)
    return {"lang": lang} | FIELDS | PAGE_FIELDS | saved.PLACES


def _held(fields: dict[str, Field]) -> dict[str, Value]:
    return {name: st.session_state[name] for name in fields if name in st.session_state}


def _is_history() -> bool:
    """Whether the visitor went back or forward in the browser."""
    run = get_script_run_ctx()
    return run is not None and run.is_history_navigation
