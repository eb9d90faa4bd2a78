"""A simulated run over time as a plain Plotly dict, and in words."""

from collections.abc import Sequence

import kvsim
from app.charts import DANGER, LINE, Figure
from app.i18n import Text
from app.job import Result
from app.text import seconds

HEADROOM = 1.08
RUNNING, WAITING, BLOCKS = "#0072B2", "#E69F00", "#009E73"  # Okabe-Ito


def timeline(result: Result, t: Text) -> Figure:
    """Requests above, blocks below, over the time of the run; preemptions are marked."""
    shown, num_gpu_blocks = result.points, result.done.num_gpu_blocks
    times = [round(point.start_s, 3) for point in shown]
    running, waiting = [p.running for p in shown], [p.waiting for p in shown]
    blocks = [p.used_blocks for p in shown]
    traces = [
        _steps(t("line_running"), times, running, RUNNING, axis="y", dash="solid"),
        _steps(t("line_waiting"), times, waiting, WAITING, axis="y", dash="dot"),
        _steps(t("line_blocks"), times, blocks, BLOCKS, axis="y2", dash="solid"),
    ]
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
            "range": [0, num_gpu_blocks * HEADROOM],  # shapes do not widen an axis
            "domain": [0, 0.45],
        },
        "legend": {"orientation": "h", "x": 0, "y": -0.2, "yanchor": "top"},
        "hovermode": "x",
        "shapes": [_pool_line(num_gpu_blocks)],
    }
    return {"data": traces, "layout": layout}


def timeline_words(result: Result, t: Text) -> str:
    """The run's peaks in words."""
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


def _steps(
    name: str, times: Sequence[float], values: Sequence[int], color: str, *, axis: str, dash: str
) -> Figure:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": list(times),
        "y": list(values),
        "yaxis": axis,
        "line": {"color": color, "width": 2, "shape": "hv", "dash": dash},
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
