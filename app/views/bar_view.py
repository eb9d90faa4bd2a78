"""Horizontal bars in a page: the chart, its words for who cannot see it, how long bars are."""

import streamlit as st

from app import bars
from app.i18n import Text
from app.views.plan import CHART


def draw(
    key: str, rows: list[bars.Bar], t: Text, *, log: bool = False, mark: bars.Mark | None = None
) -> None:
    """The bars of one section of page Learn, titled by its own text; a logarithmic axis is said."""
    st.plotly_chart(
        bars.bars(rows, log=log, mark=mark),
        key=f"learn_{key}",
        config=CHART,
        alt=bars.words(t(f"{key}_title"), rows, t, mark=mark),
    )
    if log:
        st.caption(t("log_bars"))
