"""Engines side by side as a plain Plotly dict, and in words."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import kvsim
from app.charts import INK, PAPER, Figure
from app.i18n import Text
from app.text import size

FIGURES = ("max_requests", "capacity_tokens", "request_bytes", "bytes_per_token")
"""What the chart can show; the names are those of the JSON object, and of the link."""

BAR, FLOOR = "#0072B2", "#8A949E"  # Okabe-Ito blue; grey for the layout that is no engine
ERROR = "#E69F00"  # Okabe-Ito orange: shows on the bars, on light and on dark
ROW_HEIGHT, MARGIN = 44, 24

Answers = Sequence[kvsim.ScenarioAnswer]
"""An answer per engine, in the order of the table."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One engine's figure, from the cautious to the hopeful estimate."""

    low: int
    best: int
    high: int
    text: str


def bar(answer: kvsim.ScenarioAnswer, figure: str, t: Text) -> Bar | None:
    """The figure that the chart shows of an engine; None where it is not known."""
    if figure in ("bytes_per_token", "request_bytes"):
        if answer.cost is None:
            return None
        value: int = getattr(answer.cost, figure)
        return Bar(value, value, value, size(value))
    held = answer.holding
    if held is None:
        return None
    name = {"max_requests": "requests", "capacity_tokens": "tokens"}[figure]
    low, best, high = (getattr(end, name) for end in (held.low, held.best, held.high))
    spread = t("engine_range", low=f"{low:,}", high=f"{high:,}") if low != high else ""
    return Bar(low, best, high, f"{best:,}{spread}")


# long: one figure, an attribute a line
def side_by_side(answers: Answers, figure: str, t: Text) -> Figure:
    """A bar per engine, its number beside it; an engine without the figure says so."""
    names, values, labels, places, above, below = [], [], [], [], [], []
    for answer in reversed(answers):  # the first row is drawn at the top
        shown = bar(answer, figure, t)
        names.append(str(answer.scenario.engine))
        values.append(shown.best if shown else 0)
        labels.append(shown.text if shown else t("engine_unknown"))
        places.append("auto" if shown else "outside")
        is_spread = shown is not None and shown.low < shown.high
        above.append(shown.high - shown.best if shown and is_spread else None)
        below.append(shown.best - shown.low if shown and is_spread else None)
    colors = [FLOOR if name == kvsim.EngineName.IDEAL else BAR for name in names]
    inks = [INK if color == FLOOR else PAPER for color in colors]
    trace: dict[str, Any] = {
        "type": "bar",
        "orientation": "h",
        "x": values,
        "y": names,
        "text": labels,
        "textposition": places,
        "insidetextanchor": "start",
        "insidetextfont": {"size": 13, "color": inks},
        "outsidetextfont": {"size": 13},
        "marker": {"color": colors},
        "error_x": {
            "array": above,
            "arrayminus": below,
            "color": ERROR,
            "thickness": 2,
            "width": 6,
        },
        "hovertemplate": "%{y}: %{text}<extra></extra>",
    }
    layout = {
        "height": ROW_HEIGHT * len(names) + MARGIN,
        "margin": {"l": 0, "r": 0, "t": 0, "b": 0},
        "bargap": 0.25,
        "xaxis": {"visible": False, "rangemode": "tozero", "fixedrange": True},
        "yaxis": {"fixedrange": True, "automargin": True},
        "showlegend": False,
    }
    return {"data": [trace], "layout": layout}


def side_by_side_words(answers: Answers, figure: str, t: Text) -> str:
    """The chart in words, every number in it."""
    parts = []
    for answer in answers:
        shown = bar(answer, figure, t)
        text = shown.text if shown else t("engine_unknown")
        parts.append(t("engine_part", engine=answer.scenario.engine, figure=text))
    return t("engines_alt", figure=t(f"figure_{figure}"), parts="; ".join(parts))
