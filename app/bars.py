"""Horizontal bars with their numbers beside them, as a plain Plotly dict, and in words."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from app.charts import INK, LINE, PAPER, Figure
from app.i18n import Text

BLUE, ORANGE, GREEN = "#0072B2", "#E69F00", "#009E73"  # Okabe-Ito
GREY = "#8A949E"
ROW_PX, MARGIN_PX, AXIS_PX = 40, 16, 36


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One bar: its name, its length, and the number as people read it."""

    name: str
    value: float
    label: str
    color: str = BLUE


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A line across all bars, and what it says."""

    value: float
    label: str


def bars(rows: Sequence[Bar], *, log: bool = False, mark: Mark | None = None) -> Figure:
    """The first row at the top; on a logarithmic axis a bar starts at the smallest power below."""
    shown = list(reversed(rows))
    inks = [PAPER if row.color == BLUE else INK for row in shown]
    trace = {
        "type": "bar",
        "orientation": "h",
        "x": [row.value for row in shown],
        "y": [row.name for row in shown],
        "text": [row.label for row in shown],
        "textposition": "auto",
        "insidetextanchor": "start",
        "textangle": 0,
        "insidetextfont": {"size": 13, "color": inks},
        "outsidetextfont": {"size": 13},
        "marker": {"color": [row.color for row in shown]},
        "hovertemplate": "%{y}: %{text}<extra></extra>",
        "cliponaxis": False,
    }
    layout: Figure = {
        "height": ROW_PX * len(rows) + MARGIN_PX + (AXIS_PX if mark else 0),
        "margin": {"l": 0, "r": 0, "t": AXIS_PX if mark else 0, "b": 0},
        "bargap": 0.25,
        "xaxis": {
            "visible": False,
            "fixedrange": True,
            "type": "log" if log else "linear",
            "rangemode": "normal" if log else "tozero",
        },
        "yaxis": {"fixedrange": True, "automargin": True},
        "showlegend": False,
    }
    if mark is not None:
        layout["shapes"] = [_line(mark)]
        layout["annotations"] = [_note(mark, log=log)]
    return {"data": [trace], "layout": layout}


def words(title: str, rows: Sequence[Bar], t: Text, *, mark: Mark | None = None) -> str:
    """The bars in words, every number in it."""
    parts = [t("bar_part", name=row.name, size=row.label) for row in rows]
    if mark is not None:
        parts.append(mark.label)
    return t("bars_alt", title=title, parts="; ".join(parts))


def _line(mark: Mark) -> Figure:
    return {
        "type": "line",
        "x0": mark.value,
        "x1": mark.value,
        "yref": "paper",
        "y0": 0,
        "y1": 1,
        "line": {"color": LINE, "width": 3, "dash": "dot"},
    }


def _note(mark: Mark, *, log: bool) -> Figure:
    """A label above the line; on a logarithmic axis a label's place is a power of ten."""
    return {
        "x": math.log10(mark.value) if log else mark.value,
        "y": 1,
        "yref": "paper",
        "text": mark.label,
        "showarrow": False,
        "xanchor": "right",
        "yanchor": "bottom",
        "font": {"size": 13},
    }
