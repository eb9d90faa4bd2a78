"""The model that a visitor brings: a config.json, a GGUF file's header, or an id on a hub."""

from dataclasses import dataclass

import streamlit as st

import kvsim
from app import scenario
from app.i18n import Text
from app.scenario import CUSTOM, HUB
from app.text import inert

GGUF_MB = 32
"""Largest start of a GGUF file taken; the largest headers seen have 16 MiB."""

_READ, _FETCHED = "gguf_read", "hub_fetched"


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnModel:
    """A config's text, or what a file or a hub's answer says; nothing for the catalogue's."""

    config: str | None = None
    spec: kvsim.ModelSpec | kvsim.KvsimError | None = None


def own_model(choice: str, t: Text, *, config_mb: int) -> OwnModel:
    """The inputs of a model that the catalogue does not have, where one is chosen."""
    if choice == CUSTOM:
        return _files(t, config_mb)
    return OwnModel(spec=_hub(t)) if choice == HUB else OwnModel()


def _files(t: Text, config_mb: int) -> OwnModel:
    """A config.json pasted or uploaded, or a GGUF file's start; a pasted text comes first."""
    pasted = st.text_area(
        t("label_config"),
        key="config",
        height=140,
        placeholder='{"model_type": "llama", ...}',
        help=t("help_config"),
    )
    config = st.file_uploader(
        t("label_upload"), type="json", max_upload_size=config_mb, key="upload"
    )
    gguf = st.file_uploader(
        t("label_gguf"),
        type="gguf",
        max_upload_size=GGUF_MB,
        key="gguf",
        help=t("help_gguf", limit=GGUF_MB),
    )
    st.caption(t("gguf_cut", limit=GGUF_MB))
    st.code(
        f"head -c {GGUF_MB * 1_000_000} model.gguf > header.gguf", language="bash", wrap_lines=True
    )
    st.caption(t("config_not_in_link"))
    if pasted or (config is None and gguf is None):
        return OwnModel(config=pasted)
    if config is not None:
        return OwnModel(config=config.getvalue().decode("utf-8-sig", "replace"))
    return OwnModel(spec=_header(gguf.file_id, gguf.getvalue(), gguf.name) if gguf else None)


def _header(file_id: str, start: bytes, name: str) -> kvsim.ModelSpec | kvsim.KvsimError:
    """What a GGUF file's start says; each upload is read once."""
    held = st.session_state.get(_READ)
    if held is None or held[0] != file_id:
        held = (file_id, _read(start, name))
        st.session_state[_READ] = held
    spec: kvsim.ModelSpec | kvsim.KvsimError = held[1]
    return spec


def _read(start: bytes, name: str) -> kvsim.ModelSpec | kvsim.KvsimError:
    try:
        return kvsim.parse_gguf(start, name=name)
    except kvsim.KvsimError as error:
        return error


def _hub(t: Text) -> kvsim.ModelSpec | kvsim.KvsimError | None:
    """What a hub said of an id, once the visitor asked; nothing is asked by drawing the page."""
    field = scenario.HUB_ID
    name = st.text_input(
        t("label_hub_id"),
        max_chars=field.longest,
        key=field.name,
        help=t("help_hub_id"),
        placeholder="Qwen/Qwen3-8B",
        persist_state="session",
    ).strip()
    if kvsim.is_offline():
        st.info(t("hub_offline"), icon=":material/cloud_off:")
        return None
    asked = st.button(
        t("hub_fetch"), key="hub_fetch", disabled=not name, icon=":material/cloud_download:"
    )
    if asked:
        with st.spinner(t("hub_asking")):
            st.session_state[_FETCHED] = (name, _fetch(name))
    st.caption(t("hub_about"))
    held = st.session_state.get(_FETCHED)
    if held is None or held[0] != name:
        return None
    spec: kvsim.ModelSpec | kvsim.KvsimError = held[1]
    if isinstance(spec, kvsim.ModelSpec):
        st.caption(t("hub_has", name=inert(name)))
    return spec


def _fetch(name: str) -> kvsim.ModelSpec | kvsim.KvsimError:
    """Without a token: what the server's owner may read is not every visitor's."""
    try:
        return kvsim.hub_model(name, anonymous=True)
    except kvsim.KvsimError as error:
        return error
