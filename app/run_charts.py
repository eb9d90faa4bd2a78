"""A simulated run over time as a plain Plotly dict, and in words."""

from collections.abc import Iterator, Sequence

import numpy as np

import kvsim
from app.charts import DANGER, LINE, Figure
from app.i18n import Text
from app.job import Result
from app.text import seconds

HEADROOM = 1.08
RUNNING, WAITING, BLOCKS = "#0072B2", "#E69F00", "#009E73"  # Okabe-Ito


def timeline(result: Result, t: Text, *, baseline: Result | None = None) -> Figure:
    """Requests above, blocks below, over the time of the run; preemptions are marked.

    The baseline's lines are thinner and paler; its pool has a line of its own.
    """
    shown = result.points
    traces = [*_lines(baseline.points, t, is_baseline=True)] if baseline is not None else []
    traces += _lines(shown, t, is_baseline=False)
    pools = {run.done.num_gpu_blocks for run in (baseline, result) if run is not None}
    hit = [point for point in shown if point.preempted]
    if hit:
        traces.append(_preemptions(hit, t))
    layout = {
        "height": 440,
        "margin": {"l": 0, "r": 8, "t": 8, "b": 0},
        "xaxis": {"title": {"text": t("axis_time")}, "rangemode": "tozero", "anchor": "y2"},
        "yaxis": {
            "title": {"text": t("axis_requests")},
            "rangemode": "tozero",
            "domain": [0.55, 1],
        },
        "yaxis2": {
            "title": {"text": t("axis_blocks")},
            "range": [0, max(pools) * HEADROOM],  # shapes do not widen an axis
            "domain": [0, 0.45],
        },
        "legend": {"orientation": "h", "x": 0, "y": -0.2, "yanchor": "top"},
        "hovermode": "x",
        "shapes": [_pool_line(pool) for pool in sorted(pools)],
    }
    return {"data": traces, "layout": layout}


def timeline_words(result: Result, t: Text, *, baseline: Result | None = None) -> str:
    """The run's peaks in words, and after them the baseline's."""
    words = _words(result, t)
    if baseline is None:
        return words
    return words + t("between_sentences") + t("timeline_baseline", words=_words(baseline, t))


def _words(result: Result, t: Text) -> str:
    done, figures = result.done, result.figures
    return t(
        "timeline_alt",
        duration=seconds(done.duration_s),
        running=f"{figures['peak_running']:,}",
        waiting=f"{figures['peak_waiting']:,}",
        blocks=f"{done.peak_blocks:,}",
        pool=f"{done.num_gpu_blocks:,}",
        preemptions=f"{done.num_preemptions:,}",
    )


def _lines(
    points: Sequence[kvsim.TimelinePoint], t: Text, *, is_baseline: bool
) -> Iterator[Figure]:
    times = np.array(
        [point.start_s for point in points], np.float32
    )  # of a list Plotly checks each value
    for name, values, axis, color, dash in (
        ("running", [p.running for p in points], "y", RUNNING, "solid"),
        ("waiting", [p.waiting for p in points], "y", WAITING, "dot"),
        ("blocks", [p.used_blocks for p in points], "y2", BLOCKS, "solid"),
    ):
        label = t(f"line_{name}")
        yield {
            "type": "scatter",
            "mode": "lines",
            "name": t("line_of_baseline", line=label) if is_baseline else label,
            "x": times,
            "y": np.array(values),
            "yaxis": axis,
            "opacity": 0.7 if is_baseline else 1,
            "line": {
                "color": color,
                "width": 1.2 if is_baseline else 2.2,
                "shape": "hv",
                "dash": dash,
            },
            "hovertemplate": "%{y:,}",
        }


def _preemptions(hit: Sequence[kvsim.TimelinePoint], t: Text) -> Figure:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": t("line_preemptions"),
        "x": [point.start_s for point in hit],
        "y": [point.used_blocks for point in hit],
        "text": [f"{point.preempted:,}" for point in hit],
        "yaxis": "y2",
        "marker": {"color": DANGER, "symbol": "line-ns-open", "size": 12, "line": {"width": 1}},
        "hovertemplate": "%{text}",
    }


def _pool_line(num_blocks: int) -> Figure:
    return {
        "type": "line",
        "xref": "paper",
        "x0": 0,
        "x1": 1,
        "yref": "y2",
        "y0": num_blocks,
        "y1": num_blocks,
        "line": {"color": LINE, "width": 2, "dash": "dash"},
    }
