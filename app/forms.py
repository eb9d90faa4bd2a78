"""The sidebar: one widget per input, and what they hold as a Scenario."""

from collections.abc import Mapping
from typing import Any

import streamlit as st

import kvsim
from app import engine_fields, saved, scenario
from app.fields import Field, Kind, Value, write_query
from app.i18n import LANGUAGES, Text
from app.own_model import own_model
from app.scenario import FIELDS, PAGE_FIELDS, Scenario
from app.text import inert

UPLOAD_MB = 1
STEPS = {Kind.RATE: 1.0, Kind.AMOUNT: 0.05, Kind.SHARE: 0.01, Kind.SIZE: 0.25}


def language() -> Text:
    """The language control."""
    chosen = st.sidebar.segmented_control(
        "Language / 语言",
        LANGUAGES,
        required=True,
        key="lang",
        label_visibility="collapsed",
        persist_state="session",
    )
    return Text(chosen or LANGUAGES[0])


def inputs(t: Text) -> Scenario:
    """Every input of the sidebar that the chosen engine has; the others keep their values."""
    with st.sidebar:
        st.caption(t("tagline"))
        _presets(t)
        model = str(widget(scenario.MODEL, t))
        own = own_model(model, t, config_mb=UPLOAD_MB)
        _about(model, t)
        engine = str(widget(engine_fields.ENGINE, t))
        parts = scenario.sections(engine)
        values: dict[str, Value] = {"model": model, "engine": engine}
        values |= {f.name: widget(f, t) for f in parts["main"] if f is not engine_fields.ENGINE}
        save(model, t, key="save")
        for title in ("advanced", "machine", "measured"):
            with st.expander(t(title), key=f"expander_{title}"):
                st.caption(t(f"{title}_about", engine=inert(engine)))
                values |= {field.name: widget(field, t) for field in parts[title]}
        kept = {name: _kept(field) for name, field in FIELDS.items() if name not in values}
        _unused(kept, engine, t)
    return scenario.of(kept | values, config=own.config, own=own.spec)


def _kept(field: Field) -> Value:
    value: Value = st.session_state.get(field.name, field.default)
    return value


def _unused(kept: Mapping[str, Value], engine: str, t: Text) -> None:
    """Inputs that were set for another engine: they stay in the link, and count for nothing."""
    stated = {n: v for n, v in write_query(kept, FIELDS).items() if n != scenario.HUB_ID.name}
    if stated:
        texts = ", ".join(f"{name}={value}" for name, value in stated.items())
        st.caption(t("unused_inputs", engine=inert(engine), values=inert(texts)))


def save(model: str, t: Text, *, key: str) -> None:
    """The button that saves the sidebar's scenario for page Compare, and how many there are."""
    held, is_own = saved.texts(), model in (scenario.CUSTOM, scenario.HUB)
    is_there = not is_own and saved.current() in held
    st.button(
        t("save_there") if is_there else t("save", count=len(held), most=saved.MOST),
        key=key,
        on_click=saved.add_current,
        disabled=is_own or is_there or len(held) == saved.MOST,
        help=t("save_own") if is_own else t("save_about", most=saved.MOST),
        icon=":material/add:",
    )


def apply(changes: Mapping[str, str]) -> None:
    """Set inputs, as a button does."""
    st.session_state.update({name: FIELDS[name].parse(text) for name, text in changes.items()})


def apply_preset(values: Mapping[str, Value]) -> None:
    """Set the inputs that a typical use decides."""
    st.session_state.update(values)


def reset() -> None:
    """Set every input as it is first seen, those of other pages too; the language stays."""
    fields = (FIELDS | PAGE_FIELDS).values()
    st.session_state.update({field.name: field.default for field in fields})


def _presets(t: Text) -> None:
    st.caption(t("start_from"))
    with st.container(horizontal=True, gap="xsmall"):
        for key, values in scenario.PRESETS.items():
            st.button(t(key), key=key, on_click=apply_preset, args=(values,))
        st.button(t("reset"), key="reset", on_click=reset, icon=":material/restart_alt:")


def _about(model: str, t: Text) -> None:
    entry = next((entry for entry in kvsim.catalog_models() if entry.id == model), None)
    if entry is not None:
        st.caption(
            t(
                f"about_{entry.provenance}",
                name=entry.name,
                parameters=f"{entry.parameters / 1e9:,.1f}",
                released=entry.released,
            )
        )


def widget(field: Field, t: Text) -> Value:
    """The field's input; its value stays in the visit when another page is looked at."""
    label, doc = t(f"label_{field.name}"), t(f"help_{field.name}")
    match field.kind:
        case Kind.CHOICE:
            options = field.options()
            return st.selectbox(
                label,
                options,
                key=field.name,
                help=doc,
                persist_state="session",
            )
        case Kind.SOME:
            return st.multiselect(
                label,
                field.options(),
                key=field.name,
                help=doc,
                persist_state="session",
            )
        case Kind.SWITCH:
            return st.toggle(
                label,
                key=field.name,
                help=doc,
                persist_state="session",
            )
        case Kind.WORD:
            return st.text_input(
                label,
                max_chars=field.longest,
                key=field.name,
                help=doc,
                persist_state="session",
            )
        case _:
            return _number(field, label, doc, t)


def _number(field: Field, label: str, doc: str, t: Text) -> Value:
    can_clear = field.clears or field.kind is Kind.RATE
    default: Any = None if can_clear else field.default  # None: it can be emptied
    if field.kind is Kind.COUNT:
        count: int | None = st.number_input(
            label,
            min_value=field.least,
            max_value=field.most,
            value=default,
            step=field.step,
            key=field.name,
            help=doc,
            placeholder=t(field.empty),
            persist_state="session",
        )
        return count
    amount: float | None = st.number_input(
        label,
        min_value=field.low,
        max_value=field.high,
        value=default,
        step=STEPS[field.kind],
        format="%.3f" if field.kind in (Kind.AMOUNT, Kind.SIZE) else "%.2f",
        key=field.name,
        help=doc,
        placeholder=t(field.empty),
        persist_state="session",
    )
    return amount
