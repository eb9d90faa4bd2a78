"""Downloads of a result: the command line's JSON object, and the same as CSV and Markdown."""

from collections.abc import Mapping

import streamlit as st

import kvsim
from app.i18n import Text
from app.report import as_json


def downloads(name: str, report: Mapping[str, object], t: Text) -> None:
    """A button for each form; the files are named after the command that prints them."""
    with st.container(horizontal=True, gap="small"):
        for form, ending, mime, content in (
            ("JSON", "json", "application/json", as_json(report)),
            ("CSV", "csv", "text/csv", kvsim.report_csv(report)),
            ("Markdown", "md", "text/markdown", kvsim.report_markdown(report)),
        ):
            st.download_button(
                t("download", form=form),
                content,
                file_name=f"kvsim-{name}.{ending}",
                mime=mime,
                icon=":material/download:",
                on_click="ignore",
            )
