"""Context against concurrency as a plain Plotly dict, and in words."""

import math
from bisect import bisect_right
from collections.abc import Sequence

import kvsim
from app.charts import DANGER, INK, Figure
from app.i18n import Text
from app.text import tokens

FULL = 1.0
SHOWN_SHARE = 2.0
"""Shares above are drawn as this one: twice the memory is no less impossible than thrice."""

COLORS = (
    (0.0, "#F2F7FB"),
    (0.25, "#7FB8DA"),
    (0.4999, "#0072B2"),
    (0.5, "#F2B493"),
    (1.0, DANGER),
)
"""Blue where it fits, vermillion where not: told apart by every eye, and the edge is a line too."""

HEIGHT = 420
MOST_STEPS = 12


def place(values: Sequence[int], value: float) -> float:
    """Where a value stands among grid values, each one apart; between two by its logarithm.

    One past the last is as far out as its logarithm says, outside the picture.
    """
    if value <= values[0] or len(values) == 1:
        return 0.0
    i = min(bisect_right(values, value), len(values) - 1)
    low, high = values[i - 1], values[i]
    return i - 1 + math.log(value / low) / math.log(high / low)


def heatmap(edge: kvsim.Frontier, *, context: int, requests: int, t: Text) -> Figure:
    """The share that each pair takes, the line where it is all, and the visitor's point."""
    xs, ys = list(range(len(edge.lengths))), list(range(len(edge.requests)))
    shares = [[row[j] for row in edge.shares] for j in ys]
    cells = {
        "type": "heatmap",
        "x": xs,
        "y": ys,
        "z": [[_drawn(share) for share in row] for row in shares],
        "text": [[_percent(share, t) for share in row] for row in shares],
        "customdata": [[[n, r] for n in edge.lengths] for r in edge.requests],
        "zmin": 0,
        "zmax": SHOWN_SHARE,
        "colorscale": [list(stop) for stop in COLORS],
        "hoverinfo": "skip",
        "xgap": 1,
        "ygap": 1,
        "colorbar": {
            "title": {"text": t("frontier_share")},
            "tickvals": [0, FULL, SHOWN_SHARE],
            "ticktext": ["0%", "100%", "≥ 200%"],
            "thickness": 12,
        },
    }
    return {
        "data": [
            cells,
            _line(edge),
            _targets(edge, shares, t),
            _point(edge, context, requests, t),
        ],
        "layout": {
            "height": HEIGHT,
            "margin": {"l": 0, "r": 0, "t": 8, "b": 0},
            "xaxis": _axis(t("axis_context"), edge.lengths),
            "yaxis": _axis(t("axis_requests_at_once"), edge.requests),
            "showlegend": True,
            "legend": {"orientation": "h", "x": 0, "y": -0.24, "yanchor": "top"},
            "dragmode": False,
        },
    }


def heatmap_words(edge: kvsim.Frontier, t: Text) -> str:
    """The edge in words."""
    points = "; ".join(
        t("frontier_edge_point", length=f"{length:,}", requests=f"{most:,}")
        for length, most in zip(edge.lengths, edge.max_requests, strict=True)
    )
    return t("frontier_alt", points=points)


def _drawn(share: float | None) -> float:
    return SHOWN_SHARE if share is None else min(share, SHOWN_SHARE)


def _percent(share: float | None, t: Text) -> str:
    return t("frontier_no_cache") if share is None else f"{share:.0%}"


def _line(edge: kvsim.Frontier) -> Figure:
    """The most requests of each context; contexts that fit none are left out."""
    reached = [(i, n) for i, n in enumerate(edge.max_requests) if n]
    return {
        "type": "scatter",
        "mode": "lines",
        "x": [i for i, _ in reached],
        "y": [place(edge.requests, n) for _, n in reached],
        "line": {"color": INK, "width": 3},
        "hoverinfo": "skip",
        "showlegend": False,  # black on a dark page; the caption names it
    }


def _targets(edge: kvsim.Frontier, shares: list[list[float | None]], t: Text) -> Figure:
    """What a click or a pointer finds: a heatmap itself tells of no click."""
    cells = [(i, j) for j in range(len(edge.requests)) for i in range(len(edge.lengths))]
    label = t("frontier_cell", length="%{customdata[0]:,}", requests="%{customdata[1]:,}")
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [i for i, _ in cells],
        "y": [j for _, j in cells],
        "customdata": [[edge.lengths[i], edge.requests[j]] for i, j in cells],
        "text": [_percent(shares[j][i], t) for i, j in cells],
        "marker": {"size": 16, "opacity": 0, "symbol": "square"},
        "hovertemplate": f"{label}<br>%{{text}}<extra></extra>",
        "showlegend": False,
    }


def _point(edge: kvsim.Frontier, context: int, requests: int, t: Text) -> Figure:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": t("frontier_you"),
        "x": [place(edge.lengths, context)],
        "y": [place(edge.requests, requests)],
        "marker": {
            "size": 16,
            "symbol": "star",
            "color": "#F0E442",
            "line": {"color": INK, "width": 2},
        },
        "hoverinfo": "skip",
    }


def _axis(title: str, values: Sequence[int]) -> Figure:
    shown = range(0, len(values), 2 * -(-len(values) // MOST_STEPS))  # whole powers of two
    return {
        "title": {"text": title},
        "tickvals": list(shown),
        "ticktext": [tokens(values[i]) for i in shown],
        "range": [-0.5, len(values) - 0.5],
        "fixedrange": True,
        "zeroline": False,
        "showgrid": False,
        "automargin": True,
        "tickangle": 0,
    }
