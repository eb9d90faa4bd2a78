"""Page Simulate: the deployment of the sidebar serves requests, step by step."""

import json
import time
from dataclasses import dataclass

import streamlit as st

import kvsim
from app import forms, run_charts, scenario
from app.fields import Value
from app.i18n import Text
from app.scenario import Scenario
from app.text import inert, seconds, table
from app.traffic import MAX_REQUESTS, MAX_TOKENS, TRACE, Traffic
from app.views.plan import CHART, SCHEMA_VERSION, Json

LATENCIES = ("ttft_s", "tpot_s", "e2e_s")
PERCENTILES = ("mean", "p50", "p90", "p99")
WASTE = ("used", "reserved", "internal", "external")
TABLE_ROWS = 20
_LAST = "last_run"


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A finished run beside what was asked, so that it is never shown for something else."""

    asked: tuple[Scenario, Traffic]
    done: kvsim.Simulation
    report: Json


def show(asked: Scenario, t: Text) -> None:
    """The page; bad input is explained where the results would be."""
    st.subheader(t("simulate_title"), anchor=False)
    limits = {"requests": f"{MAX_REQUESTS:,}", "tokens": f"{MAX_TOKENS:,}"}
    st.markdown(t("simulate_about", **limits))
    traffic = _traffic(t)
    if asked.is_empty or traffic.is_empty:
        missing = "paste_first" if asked.is_empty else "trace_first"
        st.info(t(missing), icon=":material/upload_file:")
        return
    if st.button(t("run"), key="run", type="primary", icon=":material/play_arrow:"):
        st.session_state.pop(_LAST, None)
        try:
            with st.spinner(t("running"), show_time=True):
                st.session_state[_LAST] = _run(asked, traffic)
        except kvsim.KvsimError as error:
            st.error(t("cannot_compute", reason=inert(str(error))), icon=":material/error:")
            return
    run: Run | None = st.session_state.get(_LAST)
    if run is None or run.asked != (asked, traffic):
        st.info(t("press_run" if run is None else "press_run_again"), icon=":material/info:")
        return
    _results(run, t)


def _traffic(t: Text) -> Traffic:
    """The inputs of this page."""
    values: dict[str, Value] = {}
    fields = scenario.TRAFFIC
    with st.grid(4, min_column_width=190):
        values |= {field.name: forms.widget(field, t) for field in fields[:1]}
        if values["workload"] != TRACE:
            values |= {field.name: forms.widget(field, t) for field in fields[1:]}
    trace = _trace(t) if values["workload"] == TRACE else None
    defaults = {field.name: field.default for field in fields}
    return Traffic(trace=trace, **defaults | values)  # type: ignore[arg-type]


def _trace(t: Text) -> str | None:
    uploaded = st.file_uploader(
        t("label_trace"), type="csv", max_upload_size=forms.UPLOAD_MB, key="trace"
    )
    st.caption(t("trace_about", requests=f"{MAX_REQUESTS:,}"))
    return None if uploaded is None else uploaded.getvalue().decode("utf-8-sig", "replace")


def _run(asked: Scenario, traffic: Traffic) -> Run:
    workload = traffic.requests()
    started_s = time.thread_time()
    done = kvsim.simulate(asked.deployment(), workload, seed=traffic.seed)
    report = {
        "schema_version": SCHEMA_VERSION,
        **done.as_dict(cpu_s=time.thread_time() - started_s),
        "workload": workload.source,
    }
    return Run(asked=(asked, traffic), done=done, report=report)


def _results(run: Run, t: Text) -> None:
    _summary(run, t)
    _timeline(run.done, t)
    _latency(run.done, t)
    _pool(run.done, t)
    for text in run.done.not_modeled:
        st.caption(inert(text))
    st.download_button(
        t("download_json"),
        json.dumps(run.report, allow_nan=False, indent=2),
        file_name="kvsim-simulate.json",
        mime="application/json",
        icon=":material/download:",
        on_click="ignore",
    )


def _summary(run: Run, t: Text) -> None:
    done, report = run.done, run.report
    figures = {
        "requests": f"{len(done.requests):,}",
        "steps": f"{len(done.steps):,}",
        "duration": seconds(done.duration_s),
    }
    if done.num_preemptions:
        preemptions = f"{done.num_preemptions:,}"
        words = t("run_preempted", preemptions=preemptions, **figures)
        st.warning(words, icon=":material/warning:")
    else:
        st.success(t("run_done", **figures), icon=":material/check_circle:")
    st.caption(t("run_source", source=inert(str(report["workload"]))))
    served = t("of_all", total=f"{done.num_requests:,}")
    pool = t("of_all", total=f"{done.num_gpu_blocks:,}")
    metrics = {
        "peak_running": (f"{report['peak_running']:,}", served),
        "peak_waiting": (f"{report['peak_waiting']:,}", served),
        "peak_blocks": (f"{done.peak_blocks:,}", pool),
        "preemptions": (f"{done.num_preemptions:,}", t("in_steps", steps=figures["steps"])),
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


def _timeline(done: kvsim.Simulation, t: Text) -> None:
    st.subheader(t("timeline_title"), anchor=False)
    st.plotly_chart(
        run_charts.timeline(done, t),
        key="timeline",
        config=CHART,
        alt=run_charts.timeline_words(done, t),
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
        for point in run_charts.points(done.steps, TABLE_ROWS)
    ]
    with st.expander(t("timeline_table")):
        st.markdown(table(header, rows))


def _latency(done: kvsim.Simulation, t: Text) -> None:
    st.subheader(t("latency_title"), anchor=False)
    st.markdown(t("latency_about", source=inert(done.step_time)))
    rows = []
    for name in LATENCIES:
        spread: kvsim.Spread | None = getattr(done, name)
        if spread is not None:
            times = (seconds(getattr(spread, column)) for column in PERCENTILES)
            rows.append((t(f"row_{name}"), *times))
    header = [t("column_latency"), *(t(f"column_{name}") for name in PERCENTILES)]
    st.markdown(table(header, rows))


def _pool(done: kvsim.Simulation, t: Text) -> None:
    st.subheader(t("pool_title"), anchor=False)
    hits, waste = done.prefix_cache, done.waste
    found = {"hit": f"{hits.hit_tokens:,}", "query": f"{hits.query_tokens:,}"}
    st.markdown(t("prefix_hits", share=f"{hits.token_hit_rate:.1%}", **found))
    if waste is not None:
        rows = [(t(f"waste_{name}"), f"{getattr(waste, name):.1%}") for name in WASTE]
        st.markdown(table([t("column_pool"), t("column_share")], rows))
