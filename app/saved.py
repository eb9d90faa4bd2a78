"""Scenarios that the visitor saved: each the text of a link, kept in the link of the page."""

from collections.abc import Mapping
from urllib.parse import quote, unquote

import streamlit as st

from app import scenario
from app.fields import Field, Kind, Value, read_query, write_query
from app.scenario import CUSTOM, FIELDS, HUB, Scenario

MOST = 6
BETWEEN, GIVES = ";", "="
NOTHING = "-"
"""The text of a scenario whose every input is as it is first seen."""

MAX_LETTERS = 600  # every input of the sidebar, each stated
SAFE = " ()/,.:"


def write(values: Mapping[str, Value]) -> str:
    """Inputs as one text: those that differ from the defaults.

    Example:
        >>> write({"gpu": "H200-SXM-141GB", "kv_cache_dtype": "fp8", "max_model_len": 8192})
        'gpu=H200-SXM-141GB;kv_cache_dtype=fp8'
    """
    stated = write_query(values, FIELDS)
    parts = (f"{name}{GIVES}{quote(text, safe=SAFE)}" for name, text in stated.items())
    return BETWEEN.join(parts) or NOTHING


def read(text: str) -> dict[str, Value]:
    """The inputs that a text stands for, all of them.

    Raises:
        ValueError: if an input cannot hold what it says: a scenario is honoured whole or not.
    """
    parts = [] if text == NOTHING else [part.partition(GIVES) for part in text.split(BETWEEN)]
    asked = {name: unquote(value) for name, _, value in parts}
    values, lost = read_query(asked, FIELDS)
    if lost or len(asked) < len(parts) or values.get("model") in (CUSTOM, HUB):
        msg = f"scenario={text} cannot be entered"
        raise ValueError(msg)
    return {name: field.default for name, field in FIELDS.items()} | values


def is_saved(text: str) -> bool:
    """Whether a text stands for a scenario, or for an empty place."""
    try:
        return not text or (len(text) <= MAX_LETTERS and bool(read(text)))
    except ValueError:
        return False


PLACES = {
    f"s{number}": Field(name=f"s{number}", kind=Kind.SAVED, default="", accepts=is_saved)
    for number in range(1, MOST + 1)
}
"""Where a link holds the saved scenarios, the baseline first."""


def texts() -> list[str]:
    """The saved scenarios in order."""
    return [text for name in PLACES if (text := str(st.session_state.get(name, "")))]


def scenarios() -> list[Scenario]:
    """What was asked in each."""
    return [scenario_of(text) for text in texts()]


def scenario_of(text: str) -> Scenario:
    """What a text asks.

    Raises:
        ValueError: as `read` does.
    """
    return scenario.of(read(text))


def current() -> str:
    """The sidebar's inputs as a text."""
    return write({name: st.session_state[name] for name in FIELDS if name in st.session_state})


def add(*more: str) -> None:
    """Save scenarios behind those there are; one that is there stays where it is."""
    _keep([*texts(), *more])


def add_current() -> None:
    """Save the sidebar's scenario, as it is when the button is pressed."""
    add(current())


def remove(number: int) -> None:
    """Forget the scenario of that number, from 0 on."""
    _keep([text for i, text in enumerate(texts()) if i != number])


def put_first(number: int) -> None:
    """Make the scenario of that number the baseline."""
    held = texts()
    _keep([held[number], *held])


def clear() -> None:
    """Forget all of them."""
    _keep([])


def ask(number: int) -> None:
    """Put the scenario of that number into the sidebar."""
    st.session_state.update(read(texts()[number]))


def _keep(held: list[str]) -> None:
    unique = list(dict.fromkeys(held))[:MOST]
    padded = [*unique, *[""] * (MOST - len(unique))]
    st.session_state.update(zip(PLACES, padded, strict=True))
