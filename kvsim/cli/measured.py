"""`kvsim workload from-metrics`: what a server's metrics page says of its traffic."""

import time
from collections.abc import Sequence
from functools import partial
from typing import Any

from kvsim.cli import tables
from kvsim.errors import SpecError
from kvsim.io.metrics_page import is_url, read_metrics
from kvsim.io.metrics_traffic import measured_traffic
from kvsim.specs.metrics import MeasuredTraffic

Json = dict[str, Any]

FROM_METRICS = "from-metrics"
MAX_WAIT_S = 86_400


def measure(
    pages: Sequence[str], *, seconds: float | None, max_model_len: int | None
) -> MeasuredTraffic:
    """Traffic between two pages, or since the server's start where there is one.

    Of one URL, or two, two scrapes are made with so many seconds between them.
    """
    if not 1 <= len(pages) <= 2:
        msg = f"pages={len(pages)} must be 1 or 2: {FROM_METRICS} BEFORE AFTER"
        raise SpecError(msg)
    told = partial(measured_traffic, max_model_len=max_model_len)
    if not (is_url(pages[0]) and is_url(pages[-1])):
        before = read_metrics(pages[0]) if len(pages) == 2 else None
        return told(before, read_metrics(pages[-1]), seconds=seconds)
    if seconds is None and len(pages) == 1:
        return told(None, read_metrics(pages[0]))
    if seconds is None or not 0 < seconds < MAX_WAIT_S:
        msg = f"seconds={seconds} must be > 0 and < {MAX_WAIT_S}, the wait between two scrapes"
        raise SpecError(msg)
    before = read_metrics(pages[0])
    time.sleep(seconds)
    return told(before, read_metrics(pages[-1]))


def show_measured(console: Any, measured: Json) -> None:  # noqa: ANN401 - rich is loaded late
    """What was measured, above the workload that is made of it."""
    elapsed = measured["elapsed"]
    table = tables.new_table(
        f"Measured: {measured['engine']} {measured['model_name']}",
        ("", "left"),
        *((name, "right") for name in ("mean", "p50", "p90", "p99")),
    )
    for name in ("prompt_tokens", "output_tokens"):
        table.add_row(name, *(f"{value:,.0f}" for value in measured[name].values()))
    console.print(table)
    rate = measured["rate_per_s"]
    hits = measured["token_hit_rate"]
    if rate is None:
        console.print("rate unknown: state --seconds, the time between the pages")
    else:
        console.print(
            f"{measured['num_arrived']:,} requests in {elapsed['seconds']:,.1f} s "
            f"({elapsed['source']}): {rate:,.3f} per s"
        )
    if hits is not None:
        console.print(f"found cached: {hits:.1%} of all prompt tokens")
    for left_out in measured["not_modeled"]:
        console.print(f"not modelled: {left_out}", style="dim")
