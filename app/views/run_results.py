"""What a run of page Simulate gave: figures, pictures, tables, files."""

from functools import partial

import streamlit as st

import kvsim
from app import run_charts, run_files
from app.i18n import Text
from app.job import MOST_EVENTS, Json, Result
from app.report import as_json
from app.said import said
from app.text import between, seconds, size, table
from app.views.plan import CHART

LATENCIES = ("ttft_s", "queue_s", "tpot_s", "itl_s", "e2e_s")
STATISTICS = ("mean", "p50", "p90", "p99")
PREEMPTED = ("request", "times", "again", "cached", "e2e")
TIERS = ("chunks", "hits", "loaded", "stored")
WASTE = ("used", "reserved", "internal", "external")


def show(result: Result, baseline: Result | None, t: Text) -> None:
    """What is looked at first: the verdict, and the run over time, over the baseline's."""
    _summary(result, t)
    _goodput(result, t)
    _timeline(result, baseline, t)


def show_rest(result: Result, t: Text) -> None:
    """The figures behind it, and files to take along."""
    _latency(result, t)
    _pool(result, t)
    _tiers(result, t)
    _events(result, t)
    _not_modeled(result, t)
    _files(result, t)


def _summary(result: Result, t: Text) -> None:
    done, figures = result.done, result.figures
    counts = {
        "requests": f"{figures['requests']:,}",
        "steps": f"{figures['steps']:,}",
        "duration": seconds(done.duration_s),
    }
    if done.num_preemptions:
        preemptions = f"{done.num_preemptions:,}"
        words = t("run_preempted", preemptions=preemptions, **counts)
        st.warning(words, icon=":material/warning:")
    else:
        st.success(t("run_done", **counts), icon=":material/check_circle:")
    st.caption(t("run_source", source=said(figures["workload"], t)))
    served = t("of_all", total=f"{done.num_requests:,}")
    pool = t("of_all", total=f"{done.num_gpu_blocks:,}")
    again = t("tokens_again", tokens=f"{figures['recomputed_tokens']:,}")
    metrics = {
        "peak_running": (f"{figures['peak_running']:,}", served),
        "peak_waiting": (f"{figures['peak_waiting']:,}", served),
        "peak_blocks": (f"{done.peak_blocks:,}", pool),
        "preemptions": (f"{done.num_preemptions:,}", again),
    }
    with st.grid(4, min_column_width=190):
        for name, (value, below) in metrics.items():
            st.metric(
                t(f"metric_{name}"),
                value,
                below,
                help=t(f"metric_{name}_help"),
                delta_color="off",
                delta_arrow="off",
                border=True,
            )


def _goodput(result: Result, t: Text) -> None:
    goodput = result.figures.get("goodput")
    if goodput is None:
        return
    kind = "met" if goodput["met"] else "missed"
    words = t(
        f"goodput_{kind}",
        share=f"{goodput['share']:.1%}",
        asked=f"{goodput['slo_share']:.1%}",
        rate=f"{goodput['requests_per_s']:,.2f}",
    )
    if goodput["met"]:
        st.success(words, icon=":material/flag:")
    else:
        st.error(words, icon=":material/flag:")


def _timeline(result: Result, baseline: Result | None, t: Text) -> None:
    st.subheader(t("timeline_title"), anchor=False)
    st.plotly_chart(
        run_charts.timeline(result, t, baseline=baseline),
        key="timeline",
        config=CHART,
        alt=run_charts.timeline_words(result, t, baseline=baseline),
    )
    st.caption(t("timeline_about"))
    header = [t("column_from")]
    header += [t(f"line_{name}") for name in ("running", "waiting", "blocks", "preemptions")]
    rows = [
        (
            seconds(point.start_s),
            *(f"{point.running:,}", f"{point.waiting:,}"),
            *(f"{point.used_blocks:,}", f"{point.preempted:,}"),
        )
        for point in result.few_points
    ]
    with st.expander(t("timeline_table")):
        st.markdown(table(header, rows))


def _latency(result: Result, t: Text) -> None:
    done = result.done
    kind = "calibrated" if done.is_calibrated else "uncalibrated"
    st.subheader(t(f"latency_title_{kind}"), anchor=False)
    st.markdown(t(f"latency_about_{kind}", source=said(done.step_time, t)))
    rows: list[tuple[str, ...]] = []
    for name in LATENCIES:
        rows += _latency_rows(name, result, t)
    header = [t("column_latency"), *(t(f"column_{name}") for name in STATISTICS)]
    st.markdown(table(header, rows))
    spread = result.spread
    if spread is None:
        st.caption(t("one_run"))
    else:
        share = f"{spread.confidence:.0%}"
        st.caption(t("over_seeds", seeds=str(len(spread.seeds)), confidence=share))


def _latency_rows(name: str, result: Result, t: Text) -> list[tuple[str, ...]]:
    """The latency's statistics; below them the intervals of their means over the seeds."""
    single: dict[str, float] | None = result.figures[name]
    if single is None:
        return []
    label = t(f"row_{name}")
    if result.spread is None:
        return [(label, *(seconds(single[column]) for column in STATISTICS))]
    found = [result.spread.figures.get(f"{name}.{column}") for column in STATISTICS]
    cells = [cell for cell in found if cell is not None]
    if len(cells) < len(STATISTICS):  # a seed without such a gap
        return []
    return [
        (f"**{label}**", *(seconds(cell.mean) for cell in cells)),
        (
            t("row_interval", confidence=f"{result.spread.confidence:.0%}"),
            *(between(seconds(cell.low), seconds(cell.high)) for cell in cells),
        ),
    ]


def _pool(result: Result, t: Text) -> None:
    st.subheader(t("pool_title"), anchor=False)
    hits: Json = result.figures["prefix_cache"]
    found = {"hit": f"{hits['hit_tokens']:,}", "query": f"{hits['query_tokens']:,}"}
    by_request = f"{hits['request_hit_rate']:.1%}"
    share = f"{hits['token_hit_rate']:.1%}"
    st.markdown(t("prefix_hits", share=share, by_request=by_request, **found))
    waste: dict[str, float] | None = result.figures["waste"]
    if waste is not None:
        rows = [(t(f"waste_{name}"), f"{waste[name]:.1%}") for name in WASTE]
        st.markdown(table([t("column_pool"), t("column_share")], rows))


def _tiers(result: Result, t: Text) -> None:
    """What host memory and disk held and gave back."""
    tiers: list[Json] = result.figures["tiers"]
    if not tiers:
        return
    st.subheader(t("tiers_title"), anchor=False)
    rows = [
        (
            t(f"tier_{tier['name']}"),
            t("tier_chunks", peak=f"{tier['peak_chunks']:,}", all=f"{tier['capacity_chunks']:,}"),
            f"{tier['hit_tokens']:,}",
            *(size(tier["loaded_bytes"]), size(tier["stored_bytes"])),
        )
        for tier in tiers
    ]
    st.markdown(table([t("tiers_column"), *(t(f"tiers_{name}") for name in TIERS)], rows))


def _events(result: Result, t: Text) -> None:
    """Who lost blocks to whom, and what had to be computed again."""
    events = result.figures["evictions"]
    if not events:
        return
    st.subheader(t("events_title"), anchor=False)
    counts = {"shown": f"{len(events):,}", "all": f"{result.done.num_preemptions:,}"}
    extent = "all" if len(events) == result.done.num_preemptions else "first"
    st.markdown(t(f"events_{extent}", **counts))
    st.dataframe(
        {
            t("event_time"): [event["time_s"] for event in events],
            t("event_step"): [event["step"] for event in events],
            t("event_request"): [event["index"] for event in events],
            t("event_by"): [event["by_index"] for event in events],
            t("event_lost"): [event["num_lost_tokens"] for event in events],
        },
        hide_index=True,
        alt=t("events_alt", **counts),
    )
    with st.expander(t("preempted_title")):
        st.caption(t("preempted_about", most=str(MOST_EVENTS)))
        header = [t(f"event_{name}") for name in PREEMPTED]
        rows = [
            (
                *(f"{r.index:,}", f"{r.num_preemptions:,}", f"{r.num_recomputed_tokens:,}"),
                *(f"{r.num_cached_tokens:,}", seconds(r.e2e_s)),
            )
            for r in result.preempted
        ]
        st.markdown(table(header, rows))


def _not_modeled(result: Result, t: Text) -> None:
    texts = [said(text, t) for text in result.done.not_modeled]
    if texts:
        with st.expander(t("run_not_modeled", number=str(len(texts)))):
            st.markdown("\n".join(f"- {text}" for text in texts))


def _files(result: Result, t: Text) -> None:
    st.subheader(t("files_title"), anchor=False)
    st.caption(t("files_about"))
    done: kvsim.Simulation = result.done
    with st.container(horizontal=True, gap="small"):
        _button(t("download_json"), partial(as_json, result.report), "kvsim-simulate.json")
        _button(t("download_perfetto"), partial(run_files.perfetto, done), "kvsim-trace.json")
        _button(t("download_metrics"), partial(run_files.metrics, done), "kvsim-metrics.prom")
        for name in run_files.TABLES:
            for ending in run_files.ENDINGS:
                label = t("download_table", table=t(f"table_{name}"), kind=ending[1:].upper())
                content = partial(run_files.records, done, name, ending)
                _button(label, content, f"kvsim-{name}{ending}")


def _button(label: str, content: "partial[str] | partial[bytes]", file_name: str) -> None:
    st.download_button(
        label, content, file_name=file_name, icon=":material/download:", on_click="ignore"
    )
