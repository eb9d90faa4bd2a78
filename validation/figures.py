"""The report's page: plots and tables in one HTML file that needs no network."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from validation.live.extras import load

COLUMNS = ("record", "total", "exact", "within_rounding", "wrong", "refused", "skipped")
STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem }
table { border-collapse: collapse; display: block; overflow-x: auto }
th, td { border-bottom: 1px solid #ccc; padding: .3rem .8rem; text-align: right }
th:first-child, td:first-child { text-align: left }
"""
HEIGHT = 520
MEASURED, PREDICTED = "measured (bytes)", "predicted (bytes)"


def page(content: Mapping[str, Any]) -> str:
    """The whole file; plotly's script stands in it once."""
    plots = [figure for figure in figures(content) if figure is not None]
    to_html = load("plotly.io").to_html
    drawn = [
        to_html(plot, full_html=False, include_plotlyjs=number == 0, default_height=HEIGHT)
        for number, plot in enumerate(plots)
    ]
    missing = "".join(
        f"<p>Not available here: {escape(name)}: {escape(reason)}</p>"
        for name, reason in content["unavailable"].items()
    )
    return "\n".join(
        (
            '<!doctype html><html lang="en"><head><meta charset="utf-8">',
            f"<title>kvsim validation</title><style>{STYLE}</style></head><body>",
            f"<h1>Predicted against measured, kvsim {escape(content['kvsim'])}</h1>",
            "<p>A case is exact when prediction and measurement are the same number.</p>",
            table(COLUMNS, [[row[name] for name in COLUMNS] for row in content["records"]]),
            missing,
            *drawn,
            "<h2>What was measured on what</h2>",
            table(("record", "device", "versions", "date", "seed", "command"), machines(content)),
            "</body></html>",
        )
    )


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table in HTML."""
    head = "".join(f"<th>{escape(name.replace('_', ' '))}</th>" for name in header)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def machines(content: Mapping[str, Any]) -> Iterable[Sequence[object]]:
    """A row per live record: nothing measured on a CPU is VRAM, so the kind comes first."""
    for name, facts in content["provenance"].items():
        device = facts["device"]
        versions = ", ".join(f"{k} {v}" for k, v in facts["versions"].items())
        where = f"{device['kind']}: {device['name']}"
        yield name, where, versions, facts["date"], facts["seed"], facts["command"]


def figures(content: Mapping[str, Any]) -> Iterable[Any]:
    """Every plot for which there are figures."""
    yield scatter(content["points"])
    yield errors(content["points"])
    yield growth(content["growth"]) if content["growth"] else None
    yield servers(content["servers"]) if content["servers"] else None
    for record in content["live"]:
        if record["kind"] == "with-and-without":
            yield seconds(record)
        elif record["kind"] == "quantisation":
            yield divergence(record)


def scatter(points: Sequence[Mapping[str, Any]]) -> Any:  # noqa: ANN401 - a plotly figure
    """Predicted against measured on two logarithmic axes, with the diagonal."""
    go = load("plotly.graph_objects")
    plot = go.Figure()
    for kind, rows in grouped(points, "kind").items():
        plot.add_scattergl(
            x=[row["measured"] for row in rows],
            y=[row["predicted"] for row in rows],
            text=[row["name"] for row in rows],
            mode="markers",
            name=kind,
        )
    ends = [min(p["measured"] for p in points), max(p["measured"] for p in points)]
    plot.add_scatter(x=ends, y=ends, mode="lines", name="equal", line={"color": "#888"})
    plot.update_layout(title="Predicted against measured cache bytes")
    plot.update_xaxes(type="log", title=MEASURED)
    plot.update_yaxes(type="log", title=PREDICTED)
    return plot


def errors(points: Sequence[Mapping[str, Any]]) -> Any:  # noqa: ANN401 - a plotly figure
    """The largest relative error of each mechanism."""
    by_mechanism = grouped(points, "mechanism")
    worst = {
        name: max(abs(row["error"]) for row in rows) for name, rows in sorted(by_mechanism.items())
    }
    plot = load("plotly.graph_objects").Figure()
    plot.add_bar(
        x=list(worst.values()),
        y=[f"{name} ({len(by_mechanism[name])})" for name in worst],
        orientation="h",
    )
    plot.update_layout(title="Largest error by mechanism (number of figures)", height=2 * HEIGHT)
    plot.update_xaxes(tickformat=".1%", title="largest relative error", rangemode="tozero")
    plot.update_yaxes(automargin=True)
    return plot


def growth(rows: Sequence[Mapping[str, Any]]) -> Any:  # noqa: ANN401 - a plotly figure
    """Storage by context: lines are predicted, marks measured."""
    plot = load("plotly.graph_objects").Figure()
    for subject, found in grouped(rows, "subject").items():
        ordered = sorted(found, key=lambda row: row["num_tokens"])
        plot.add_scatter(
            x=[row["num_tokens"] for row in ordered],
            y=[row["predicted_bytes"] for row in ordered],
            mode="lines",
            name=subject,
            legendgroup=subject,
        )
        plot.add_scatter(
            x=[row["num_tokens"] for row in ordered],
            y=[row["measured_bytes"] for row in ordered],
            text=[row["phase"] for row in ordered],
            mode="markers",
            name=f"{subject}, measured",
            legendgroup=subject,
            showlegend=False,
        )
    plot.update_layout(title="Storage by context, one sequence: lines predicted, marks measured")
    plot.update_xaxes(title="cached tokens")
    plot.update_yaxes(title="bytes", type="log")
    return plot


def servers(rows: Sequence[Mapping[str, Any]]) -> Any:  # noqa: ANN401 - a plotly figure
    """What engines said of their starts and loads, by figure, with the diagonal."""
    plot = load("plotly.graph_objects").Figure()
    for figure, found in grouped(rows, "figure").items():
        plot.add_scatter(
            x=[row["measured"] for row in found],
            y=[row["predicted"] for row in found],
            text=[f"{row['record']}, {row['model']}" for row in found],
            mode="markers",
            name=figure.replace("_", " "),
        )
    ends = [min(row["measured"] for row in rows), max(row["measured"] for row in rows)]
    plot.add_scatter(x=ends, y=ends, mode="lines", name="equal", line={"color": "#888"})
    plot.update_layout(title="Real servers: blocks, tokens, hits, preemptions and peaks")
    plot.update_xaxes(type="log", title="as the engine said")
    plot.update_yaxes(type="log", title="as predicted")
    return plot


def seconds(record: Mapping[str, Any]) -> Any:  # noqa: ANN401 - a plotly figure
    """Seconds of an answer with and without a cache."""
    plot = load("plotly.graph_objects").Figure()
    for uses_cache, name in ((True, "with cache"), (False, "without")):
        rows = [row for row in record["answers"] if row["uses_cache"] is uses_cache]
        plot.add_scatter(
            x=[row["num_output_tokens"] for row in rows],
            y=[row["total_s"] for row in rows],
            mode="lines+markers",
            name=name,
        )
    told = f"Seconds of one greedy answer, the same tokens both ways ({record['name']})"
    plot.update_layout(title=told)
    plot.update_xaxes(type="log", title="output tokens")
    plot.update_yaxes(type="log", title="seconds")
    return plot


def divergence(record: Mapping[str, Any]) -> Any:  # noqa: ANN401 - a plotly figure
    """What fewer bits cost beside what they save."""
    rows = record["formats"]
    plot = load("plotly.graph_objects").Figure()
    plot.add_scatter(
        x=[row["saved"] for row in rows],
        y=[row["kl_divergence_nats"] for row in rows],
        text=[row["format"] for row in rows],
        mode="markers+text",
        textposition="top center",
    )
    told = f"Next-token divergence by cache format, a tiny trained model ({record['name']})"
    plot.update_layout(title=told)
    plot.update_xaxes(tickformat=".0%", title="bytes saved")
    plot.update_yaxes(title="KL divergence from bfloat16 (nats)")
    return plot


def grouped(rows: Sequence[Mapping[str, Any]], key: str) -> dict[str, list[Mapping[str, Any]]]:
    """Rows by the value of a key."""
    groups: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        groups[row[key]].append(row)
    return groups
