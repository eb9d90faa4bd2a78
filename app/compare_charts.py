"""Scenarios side by side: bars, and figures as text with their sign."""

from decimal import Decimal

import kvsim
from app import bars
from app.bars import GREY, Bar
from app.charts import Figure
from app.i18n import Text
from app.text import gib, size

SIZES = ("bytes_per_token", "request_bytes", "fixed_bytes")
GIBS = ("weights_bytes", "cache_bytes")
USD = ("low_usd_per_hour", "high_usd_per_hour")


def side_by_side(told: kvsim.Comparison, figure: str, t: Text) -> Figure:
    """A bar per scenario, its number beside it, the baseline in grey."""
    drawn = bars.bars(_rows(told, figure, t))
    drawn["layout"]["yaxis"] |= {"type": "category"}  # numbers that are names, in this order
    return drawn


def side_by_side_words(told: kvsim.Comparison, figure: str, t: Text) -> str:
    """The bars in words, every number in it."""
    rows = [t("compare_part", number=row.name, figure=row.label) for row in _rows(told, figure, t)]
    return t("compare_alt", figure=t(f"compared_{figure}"), parts="; ".join(rows))


def _rows(told: kvsim.Comparison, figure: str, t: Text) -> list[Bar]:
    rows = []
    for number, answer in enumerate(told.answers, 1):
        value = answer.figures[figure]
        label = t("compare_unknown")
        if value is not None:
            label = amount(figure, value) + (spread(answer, t) if figure == "max_requests" else "")
        color = GREY if number == 1 else bars.BLUE
        rows.append(Bar(name=str(number), value=float(value or 0), label=label, color=color))
    return rows


def spread(answer: kvsim.ScenarioAnswer, t: Text) -> str:
    """The ends of the estimate of requests, where they differ."""
    held = answer.holding
    if held is None or held.low.requests == held.high.requests:
        return ""
    return t("compare_range", low=f"{held.low.requests:,}", high=f"{held.high.requests:,}")


def amount(figure: str, value: int | Decimal) -> str:
    """A figure as people read it."""
    if figure in GIBS:
        return gib(int(value))
    if figure in SIZES:
        return size(int(value))
    return f"{value:,.2f}" if figure in USD else f"{value:,}"


def signed(figure: str, value: int | Decimal | None, t: Text) -> str:
    """A difference with its sign."""
    if value is None:
        return t("short_unknown")
    sign = "+" if value > 0 else "\N{MINUS SIGN}" if value < 0 else ""
    return sign + amount(figure, max(value, -value))
