"""The front of a search as a plain Plotly dict, and in words."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import kvsim
from app.charts import Figure
from app.i18n import Text
from app.text import between, inert, seconds

FRONT, OTHER = "#0072B2", "#8A949E"
HEIGHT = 420
SMALLEST, LARGEST = 8, 28
"""Sizes of markers, pixels: the area follows the throughput."""


def pareto(result: kvsim.SearchResult, t: Text) -> Figure:
    """Cost against latency of all that keep the goal; larger is more throughput."""
    able = [one for one in result.contenders.values() if one.cost is not None]
    members = set(result.front)
    front = [result.contenders[index] for index in result.front]
    others = [one for one in able if one.candidate.index not in members]
    most = max((one.output_tokens_per_s or 0.0 for one in able), default=1.0)
    dots = _Dots(result=result, most=most, t=t)
    return {
        "data": [
            dots.of(others, name=t("search_others"), color=OTHER, symbol="circle-open"),
            dots.of(front, name=t("search_front"), color=FRONT, symbol="diamond")
            | {"mode": "lines+markers+text", "line": {"color": FRONT, "width": 1, "dash": "dot"}},
        ],
        "layout": {
            "height": HEIGHT,
            "margin": {"l": 0, "r": 8, "t": 24, "b": 0},
            "xaxis": _axis(
                t(f"axis_{result.goal.cost_name}"), [middle(one, result) for one in able]
            ),
            "yaxis": _axis(
                t("axis_e2e", percentile=result.goal.percentile),
                [latency_s(one, result) for one in able],
            ),
            "legend": {"orientation": "h", "x": 0, "y": -0.24, "yanchor": "top"},
            "dragmode": False,
        },
    }


def _axis(title: str, values: Sequence[float]) -> Figure:
    """A logarithmic axis with marks around the values, closer where they span less than ten."""
    powers = range(math.floor(math.log10(min(values))), math.ceil(math.log10(max(values))) + 1)
    digits = (1, 2, 5) if max(values) > 10 * min(values) else (1, 2, 3, 5, 7)
    marks = [digit * 10.0**power for power in powers for digit in digits]
    return {
        "type": "log",
        "title": {"text": title},
        "automargin": True,
        "tickvals": marks,
        "ticktext": [f"{mark:,.10g}" for mark in marks],
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class _Dots:
    """Marks of candidates; `most` is the largest throughput of all."""

    result: kvsim.SearchResult
    most: float
    t: Text

    def of(self, shown: Sequence[kvsim.Contender], *, name: str, color: str, symbol: str) -> Figure:
        """One mark for each of them."""
        result = self.result
        tokens = [one.output_tokens_per_s or 0.0 for one in shown]
        sizes = [SMALLEST + (LARGEST - SMALLEST) * math.sqrt(n / self.most) for n in tokens]
        told = zip(shown, tokens, strict=True)
        return {
            "type": "scatter",
            "mode": "markers",
            "name": name,
            "x": [middle(one, result) for one in shown],
            "y": [latency_s(one, result) for one in shown],
            "text": [str(one.candidate.index) for one in shown],
            "textposition": "top center",
            "cliponaxis": False,
            "hovertext": [setup(one) for one in shown],
            "customdata": [[usd(one, result), round(n)] for one, n in told],
            "hovertemplate": f"%{{hovertext}}<br>%{{customdata[0]}}<br>%{{y:.3g}} s<br>"
            f"%{{customdata[1]:,}} {self.t('tokens_per_s')}<extra></extra>",
            "marker": {
                "size": sizes,
                "color": color,
                "symbol": symbol,
                "opacity": 1,
                "line": {"width": 1, "color": color},
            },
        }


def pareto_words(result: kvsim.SearchResult, t: Text) -> str:
    """The front in a sentence for each member."""
    said = [
        t(
            "search_member",
            setup=setup(one),
            cost=usd(one, result),
            latency=seconds(latency_s(one, result)),
            tokens=f"{one.output_tokens_per_s or 0:,.0f}",
        )
        for one in result.members
    ]
    return " ".join([t("search_front_words", count=str(len(said))), *said])


def numbered(one: kvsim.Contender) -> str:
    """The same as Markdown after the candidate's number, by which reasons and the picture call it.

    Numbers are those of the exports.
    """
    return f"**{one.candidate.index}** {inert(setup(one))}"


def setup(one: kvsim.Contender) -> str:
    """Devices and settings of a candidate, short."""
    told = one.candidate.settings
    parts = [f"{told['tensor_parallel_size']}x {told['gpu']}"]
    parts += [str(told[name]) for name in ("quantization", "kv_cache_dtype")]
    return ", ".join(parts)


def ends(one: kvsim.Contender, result: kvsim.SearchResult) -> tuple[float, float]:
    """The lower and the upper end of the ranked cost."""
    found = one.as_dict()[result.goal.cost_name]
    assert isinstance(found, list)
    return float(found[0]), float(found[1])


def middle(one: kvsim.Contender, result: kvsim.SearchResult) -> float:
    """The middle of the ranked cost."""
    low, high = ends(one, result)
    return (low + high) / 2


def usd(one: kvsim.Contender, result: kvsim.SearchResult) -> str:
    """The ranked cost as its range."""
    digits = 0 if result.goal.cost_name == "usd_per_month" else 3
    low, high = (f"{end:,.{digits}f}" for end in ends(one, result))
    return f"${low}" if low == high else between(f"${low}", f"${high}")


def latency_s(one: kvsim.Contender, result: kvsim.SearchResult) -> float:
    """The ranked latency."""
    found = one.as_dict()["e2e_s"]
    assert isinstance(found, dict)
    return float(found[result.goal.percentile])
