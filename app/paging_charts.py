"""Six ways to use one memory as stacked bars: a plain Plotly dict, and in words."""

from collections.abc import Sequence

import kvsim
from app.charts import INK, Figure
from app.i18n import Text

PARTS = ("used", "reserved", "internal", "external", "free")
COLORS = {
    "used": "#009E73",
    "reserved": "#A6DCCB",
    "internal": "#E69F00",
    "external": "#CC79A7",
    "free": "#C4CBD2",
}
ROW_PX, LEGEND_PX = 44, 90


def methods(rows: Sequence[kvsim.MethodWaste], t: Text) -> Figure:
    """One bar per method, the first at the top; the five parts of each add up to the pool."""
    shown = list(reversed(rows))
    names = [t(f"method_{row.method}") for row in shown]
    traces = []
    for part in PARTS:
        values = [getattr(row, part) for row in shown]
        traces.append(
            {
                "type": "bar",
                "orientation": "h",
                "name": t(f"part_{part}"),
                "x": values,
                "y": names,
                "text": [f"{value:.1%}" for value in values],
                "textposition": "inside",
                "insidetextanchor": "middle",
                "textangle": 0,
                "insidetextfont": {"size": 13, "color": INK},
                "marker": {"color": COLORS[part]},
                "hovertemplate": "%{fullData.name}: %{text}<extra></extra>",
            }
        )
    layout: Figure = {
        "barmode": "stack",
        "bargap": 0.25,
        "height": ROW_PX * len(rows) + LEGEND_PX,
        "margin": {"l": 0, "r": 0, "t": 0, "b": 0},
        "xaxis": {"range": [0, 1], "tickformat": ".0%", "fixedrange": True},
        "yaxis": {"fixedrange": True, "automargin": True},
        "legend": {
            "orientation": "h",
            "x": 0,
            "y": -0.15,
            "yanchor": "top",
            "traceorder": "normal",
        },
        "uniformtext": {"minsize": 11, "mode": "hide"},
    }
    return {"data": traces, "layout": layout}


def methods_words(rows: Sequence[kvsim.MethodWaste], t: Text) -> str:
    """The bars in words, every number in it."""
    lines = []
    for row in rows:
        parts = ", ".join(f"{t(f'part_{part}')} {getattr(row, part):.1%}" for part in PARTS)
        lines.append(t("method_row", name=t(f"method_{row.method}"), parts=parts))
    return t("methods_alt", parts="; ".join(lines))
