"""An answer's cost over its length, with a cache and without, as Plotly dicts and in words."""

from collections.abc import Sequence

import kvsim
from app.bars import GREEN
from app.charts import DANGER, Figure
from app.i18n import Text
from app.text import flops, seconds

KEPT, AGAIN = GREEN, DANGER
HEIGHT = 280


def operations(costs: Sequence[kvsim.AnswerCost], name: str, t: Text) -> Figure:
    """Operations of each token or of the whole answer, both axes logarithmic."""
    lengths = [cost.num_output_tokens for cost in costs]
    traces = []
    for how, color, dash in (("cached", KEPT, "solid"), ("uncached", AGAIN, "dash")):
        values = [getattr(cost, f"{how}_{name}_flops") for cost in costs]
        traces.append(
            _line(t(f"curve_{how}"), lengths, values, text=list(map(flops, values)))
            | {"line": {"color": color, "width": 3, "dash": dash}}
        )
    return {"data": traces, "layout": _layout(t("axis_flops"), lengths, t, exponents="power")}


def operations_words(costs: Sequence[kvsim.AnswerCost], name: str, t: Text) -> str:
    """The chart in words."""
    points = "; ".join(
        t(
            "answer_point",
            length=f"{cost.num_output_tokens:,}",
            cached=flops(getattr(cost, f"cached_{name}_flops")),
            uncached=flops(getattr(cost, f"uncached_{name}_flops")),
        )
        for cost in costs
    )
    return t("answer_alt", title=t(f"answer_{name}"), points=points)


def measured_seconds(measured: kvsim.Lessons, t: Text) -> Figure:
    """Seconds of the measured answers."""
    traces = []
    for uses_cache, color, dash in ((True, KEPT, "solid"), (False, AGAIN, "dash")):
        rows = [row for row in measured.answers if row.uses_cache is uses_cache]
        traces.append(
            _line(
                t("curve_cached" if uses_cache else "curve_uncached"),
                [row.num_output_tokens for row in rows],
                [row.total_s for row in rows],
                text=[seconds(row.total_s) for row in rows],
            )
            | {"mode": "lines+markers", "line": {"color": color, "width": 3, "dash": dash}}
        )
    lengths = sorted({row.num_output_tokens for row in measured.answers})
    return {"data": traces, "layout": _layout(t("axis_seconds"), lengths, t, exponents="none")}


def measured_words(measured: kvsim.Lessons, t: Text) -> str:
    """The chart in words."""
    points = "; ".join(
        t(
            "measured_point",
            how=t("curve_cached" if row.uses_cache else "curve_uncached"),
            length=f"{row.num_output_tokens:,}",
            seconds=seconds(row.total_s),
        )
        for row in measured.answers
    )
    return t("answer_alt", title=t("answer_measured"), points=points)


def _line(
    name: str, lengths: Sequence[int], values: Sequence[float], *, text: Sequence[str]
) -> Figure:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": list(lengths),
        "y": list(values),
        "text": list(text),
        "hovertemplate": f"{name}<br>%{{x:,}}: %{{text}}<extra></extra>",
    }


def _layout(title: str, lengths: Sequence[int], t: Text, *, exponents: str) -> Figure:
    return {
        "height": HEIGHT,
        "margin": {"l": 0, "r": 8, "t": 16, "b": 0},
        "xaxis": {
            "type": "log",
            "title": {"text": t("axis_answer")},
            "tickvals": list(lengths),
            "ticktext": [f"{length:,}" for length in lengths],
        },
        "yaxis": {"type": "log", "title": {"text": title}, "dtick": 1, "exponentformat": exponents},
        "legend": {"orientation": "h", "x": 0, "y": -0.3, "yanchor": "top"},
    }
