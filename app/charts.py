"""Results as plain Plotly dicts, and in words for who cannot see them."""

# long: page Plan's two pictures, drawn in the same styles and with the same lines

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import kvsim
from app.i18n import Text
from app.text import gib, size, tokens

Figure = dict[str, Any]

DANGER = "#D55E00"  # Okabe-Ito vermillion: only what does not fit
INK, PAPER, LINE = "#000000", "#FFFFFF", "#808080"  # the line's grey shows on light and on dark


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """How a segment looks: an Okabe-Ito colour or a tint of one, and ink that reads on it."""

    color: str
    ink: str = INK
    pattern: str = ""
    hatch: str | None = None


STYLES = {
    kvsim.SegmentName.WEIGHTS: Style(color="#0072B2", ink=PAPER),
    kvsim.SegmentName.ACTIVATION_PEAK: Style(color="#E69F00"),
    kvsim.SegmentName.NON_TORCH: Style(color="#CC79A7"),
    kvsim.SegmentName.CUDA_GRAPHS: Style(color="#F0E442"),
    kvsim.SegmentName.RUNTIME: Style(color="#CC79A7"),
    kvsim.SegmentName.BUFFERS: Style(color="#E69F00"),
    kvsim.SegmentName.KV_USED: Style(color="#009E73"),
    kvsim.SegmentName.KV_FREE: Style(color="#A6DCCB"),
    kvsim.SegmentName.OUTSIDE: Style(color="#C4CBD2"),
    kvsim.SegmentName.OTHER_PROCESSES: Style(color="#8A949E"),
}
BAR_HEIGHT, ROW_HEIGHT = 130, 64
NEAR_THE_LEFT = 0.4  # share of the chart: a label there would be cut off on its left
LABEL_SPAN = 4  # of a number beside its mark on the axis of lengths, as a factor, on a phone
CHART_HEIGHT = 150  # of axis, legend and the lines' labels
BEYOND = Style(color=DANGER, pattern="/", hatch="#E58A4D")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A GPU, or GPUs whose memory is alike."""

    name: str
    bar: kvsim.MemoryBar


def memory_bars(rows: Sequence[Row], t: Text) -> Figure:
    """Each GPU's memory as a stacked bar; what passes the budget line is in the danger colour."""
    traces: list[Figure] = []
    seen: set[str] = set()
    for row in rows:
        for stretch in _stretches(row.bar, t):
            is_new = stretch["name"] not in seen
            seen.add(stretch["name"])
            traces.append(stretch | {"y": [row.name], "showlegend": is_new})
    height = BAR_HEIGHT if len(rows) == 1 else ROW_HEIGHT * len(rows)
    lines = _limits(rows, t)
    layout = {
        "barmode": "overlay",
        "bargap": 0 if len(rows) == 1 else 0.2,
        "height": CHART_HEIGHT + height,
        "margin": {"l": 0, "r": 0, "t": 56, "b": 0},
        "xaxis": {"zeroline": False, "rangemode": "tozero"},
        "yaxis": {
            "showticklabels": len(rows) > 1,
            "fixedrange": True,
            "automargin": True,
            "autorange": "reversed",
        },
        "legend": {"orientation": "h", "x": 0, "y": -0.3, "yanchor": "top", "traceorder": "normal"},
        "uniformtext": {"minsize": 11, "mode": "hide"},
        "shapes": [shape for shape, _ in lines],
        "annotations": [annotation for _, annotation in lines],
    }
    return {"data": traces, "layout": layout}


def _limits(rows: Sequence[Row], t: Text) -> list[tuple[Figure, Figure]]:
    """The lines of the memory and of the budget, where every row has the same.

    Labels are on one side; the line that is farther on that side is the lower, clear of the other.
    """
    lines = []
    end = max(row.bar.end_bytes for row in rows)
    is_near = max(row.bar.total_bytes for row in rows) < NEAR_THE_LEFT * end
    heights = (1.0, 1.2) if is_near else (1.2, 1.0)
    for name, height, dash in zip(("total", "budget"), heights, ("dot", "solid"), strict=True):
        at = {getattr(row.bar, f"{name}_bytes") for row in rows}
        if len(at) == 1:
            num_bytes = at.pop()
            label = t(f"{name}_line", size=gib(num_bytes))
            anchor = "left" if is_near else "right"
            lines.append(_limit(num_bytes, label, row=height, dash=dash, anchor=anchor))
    return lines


def _stretches(bar: kvsim.MemoryBar, t: Text) -> list[Figure]:
    """A bar's segments, each split where it passes the limit; what passes shares one name."""
    traces = []
    for segment in bar.segments:
        name = t(f"segment_{segment.name}")
        if segment.within_bytes:
            style = STYLES[segment.name]
            traces.append(_stretch(name, segment.start_bytes, segment.within_bytes, style))
        if segment.beyond_bytes:
            beyond = segment.beyond_bytes
            traces.append(
                _stretch(name, segment.split_bytes, beyond, BEYOND)
                | {"name": t("beyond"), "legendgroup": t("beyond")}
                | {"text": [f"{name}<br>{gib(beyond)}"]}
            )
    return traces


def memory_words(rows: Sequence[Row], t: Text) -> str:
    """The bars in words, every number in them."""
    words = (" ".join(filter(None, (row.name, _bar_words(row.bar, t)))) for row in rows)
    return t("between_sentences").join(words)


def _bar_words(bar: kvsim.MemoryBar, t: Text) -> str:
    parts = []
    for segment in bar.segments:
        name, whole = t(f"segment_{segment.name}"), gib(segment.num_bytes)
        if segment.beyond_bytes:
            beyond = gib(segment.beyond_bytes)
            parts.append(t("bar_part_beyond", name=name, size=whole, beyond=beyond))
        else:
            parts.append(t("bar_part", name=name, size=whole))
    budget, total = gib(bar.budget_bytes), gib(bar.total_bytes)
    return t("bar_alt", budget=budget, total=total, parts="; ".join(parts))


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """The cache over context lengths: of one request, and of as many as are asked for."""

    one: kvsim.CacheCurve
    many: kvsim.CacheCurve
    requests: int
    weights_bytes: int
    available_bytes: int
    context: int


def growth(g: Growth, t: Text) -> Figure:
    """Cache against weights over context length, both axes logarithmic, crossings marked."""
    ends = (g.one.lengths[0], g.one.lengths[-1])
    weights = STYLES[kvsim.SegmentName.WEIGHTS].color
    cache = STYLES[kvsim.SegmentName.KV_USED].color
    traces = [_level(t("curve_weights"), ends, g.weights_bytes, weights, "solid")]
    if g.available_bytes > 0:
        traces.append(_level(t("curve_available"), ends, g.available_bytes, "#E69F00", "dot"))
    if g.requests > 1:
        traces.append(_curve(t("curve_many", requests=f"{g.requests:,}"), g.many, cache, "solid"))
    traces.append(_curve(t("curve_one"), g.one, cache, "dash" if g.requests > 1 else "solid"))
    traces += [
        _crossing(length, g, t)
        for length in (g.one.crossing_tokens, g.many.crossing_tokens)
        if length is not None
    ]
    layout = {
        "height": 380,
        "margin": {"l": 0, "r": 8, "t": 24, "b": 0},
        "xaxis": {
            "type": "log",
            "title": {"text": t("axis_context")},
            "tickvals": g.one.lengths[::2],
            "ticktext": [tokens(length) for length in g.one.lengths[::2]],
        },
        "yaxis": {"type": "log", "title": {"text": t("axis_gib_per_gpu")}, "dtick": 1},
        "legend": {"orientation": "h", "x": 0, "y": -0.22, "yanchor": "top"},
        "hovermode": "closest",
        "shapes": [_upright(g.context)],
        "annotations": [_note_on_log(g.context, t("curve_you"))],
    }
    return {"data": traces, "layout": layout}


def crossing_words(g: Growth, t: Text) -> str:
    """Where the cache passes the weights, as one or two sentences."""
    length, longest = g.one.crossing_tokens, g.one.lengths[-1]
    if length is None:
        words = [t("crossing_one_never", longest=f"{longest:,}")]
    else:
        words = [t("crossing_one", length=f"{length:,}")]
    if g.requests > 1:
        length, requests = g.many.crossing_tokens, f"{g.requests:,}"
        if length is None:
            words.append(t("crossing_many_never", requests=requests))
        else:
            words.append(t("crossing_many", requests=requests, length=f"{length:,}"))
    return t("between_sentences").join(words)


def growth_words(g: Growth, t: Text) -> str:
    """The chart in words."""
    points = "; ".join(
        t("curve_point", length=f"{length:,}", size=size(num_bytes))
        for length, num_bytes in zip(g.many.lengths, g.many.total_bytes, strict=True)
    )
    crossings = crossing_words(g, t).replace("**", "")
    return t("curve_alt", weights=gib(g.weights_bytes), crossings=crossings, points=points)


def _in_gib(num_bytes: int) -> float:
    return num_bytes / kvsim.GiB


def _stretch(name: str, start_bytes: int, num_bytes: int, style: Style) -> Figure:
    label = gib(num_bytes)
    return {
        "type": "bar",
        "orientation": "h",
        "name": name,
        "legendgroup": name,
        "base": [_in_gib(start_bytes)],
        "x": [_in_gib(num_bytes)],
        "text": [label],
        "textposition": "inside",
        "insidetextanchor": "middle",
        "textangle": 0,
        "insidetextfont": {"color": style.ink, "size": 13},
        "hovertemplate": f"{name}<br>{label}<extra></extra>",
        "marker": {
            "color": style.color,
            "line": {"width": 1, "color": PAPER},
            "pattern": {"shape": style.pattern, "bgcolor": style.color, "fgcolor": style.hatch},
        },
    }


def _limit(
    num_bytes: int, label: str, *, row: float, dash: str, anchor: str
) -> tuple[Figure, Figure]:
    """A line across the bar, and its label above, in the row given."""
    at = _in_gib(num_bytes)
    shape = {
        "type": "line",
        "x0": at,
        "x1": at,
        "yref": "paper",
        "y0": 0,
        "y1": row,
        "line": {"color": LINE, "width": 3, "dash": dash},
    }
    note = {
        "x": at,
        "y": row,
        "yref": "paper",
        "text": label,
        "showarrow": False,
        "xanchor": anchor,
        "yanchor": "bottom",
        "font": {"size": 13},
    }
    return shape, note


def _level(name: str, ends: Sequence[int], num_bytes: int, color: str, dash: str) -> Figure:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": list(ends),
        "y": [_in_gib(num_bytes)] * len(ends),
        "line": {"color": color, "width": 3, "dash": dash},
        "hovertemplate": f"{name}<br>{gib(num_bytes)}<extra></extra>",
    }


def _curve(name: str, curve: kvsim.CacheCurve, color: str, dash: str) -> Figure:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": list(curve.lengths),
        "y": [_in_gib(num_bytes) for num_bytes in curve.total_bytes],
        "text": [size(num_bytes) for num_bytes in curve.total_bytes],
        "line": {"color": color, "width": 3, "dash": dash},
        "hovertemplate": f"{name}<br>%{{x:,}}: %{{text}}<extra></extra>",
    }


def _crossing(length: int, g: Growth, t: Text) -> Figure:
    """A mark where a curve passes the weights; its label keeps clear of the curve and the edge."""
    label = t("crossing_at", length=f"{length:,}")
    return {
        "type": "scatter",
        "mode": "markers+text",
        "name": label,
        "showlegend": False,
        "x": [length],
        "y": [_in_gib(g.weights_bytes)],
        "text": [f"{length:,}"],
        "textposition": _clear_side(length, g),
        "textfont": {"size": 13},
        "marker": {"color": DANGER, "size": 13, "line": {"color": PAPER, "width": 2}},
        "hovertemplate": f"{label}<extra></extra>",
    }


def _clear_side(length: int, g: Growth) -> str:
    """Where a crossing's label meets neither the edges nor the line at the visitor's context."""
    shortest, longest = g.one.lengths[0], g.one.lengths[-1]
    if length < LABEL_SPAN * shortest:
        return "bottom right"
    is_left = length < g.context or length * LABEL_SPAN > longest
    return "top left" if is_left else "bottom right"


def _upright(length: int) -> Figure:
    return {
        "type": "line",
        "x0": length,
        "x1": length,
        "yref": "paper",
        "y0": 0,
        "y1": 1,
        "line": {"color": LINE, "width": 2, "dash": "dot"},
    }


def _note_on_log(length: int, label: str) -> Figure:
    """A label at the top of an upright line; on a logarithmic axis a label's place is a power."""
    return {
        "x": math.log10(length),
        "y": 1,
        "yref": "paper",
        "text": label,
        "showarrow": False,
        "xanchor": "center",
        "yanchor": "bottom",
    }
