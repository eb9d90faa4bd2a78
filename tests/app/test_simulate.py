"""Page Simulate: it asks before it runs, shows what ran and nothing staler, explains bad input."""

# long: one claim after another about one page

import json
from dataclasses import replace

import pytest

import kvsim
from app import run_charts, run_files
from app.desk import desk
from app.i18n import Text
from app.job import Goals, Job, do
from app.scenario import FIELDS, of
from app.text import between, seconds, signed
from app.views.simulate import TICKETS
from tests.app.asked import traffic

SMALL = {"num_requests": "20", "output_tokens": "20", "seeds": "2"}
RUN_S = 60
SCENARIO = of({name: field.default for name, field in FIELDS.items()})


@pytest.fixture(scope="module", autouse=True)
def _workers():
    """Workers serve all tests of this file, and end with them."""
    yield
    desk().close()


def job(*, goals=None, **changes):
    inputs = {"num_requests": 20, "output_tokens": 20, "seeds": 2}
    limits = {f"slo_{name}_s": None for name in ("ttft", "tpot", "itl", "e2e")}
    limits |= {"slo_share": 0.99, "step_times": None}
    limits |= {"kv_offloading_gib": None, "offload_gib_per_s": None}
    return Job(
        scenario=SCENARIO,
        traffic=traffic(**inputs | changes),
        goals=Goals(**limits | (goals or {})),
    )


def result_of(**changes):
    return do(job(**changes), unheard)


def unheard(_served, _total):
    """Nobody watches."""


def click(app):
    """Press Run and wait for its end, as the page does."""
    app.button(key="run").click().run()
    for ticket in app.session_state[TICKETS]:
        assert ticket.wait(RUN_S)
    app.run()
    return app


def test_it_says_what_to_do_first(open_page):
    """A run costs seconds: the visitor starts it."""
    app = open_page("simulate", seed="99")
    assert not app.exception
    assert app.info[0].value == "Press Run to serve these requests."
    assert not app.metric
    limits = "Limits of this page: 2,000 requests, 20,000,000 tokens"
    assert any(text.value.startswith(limits) for text in app.caption)


def test_a_run_shows_its_figures(open_page):
    """What the page shows is what the library did."""
    app = click(open_page("simulate", **SMALL))
    result = result_of()
    done, spread = result.done, result.spread
    assert not app.exception
    assert app.success[0].value.startswith(f"**20** requests served in {len(done.steps)} steps")
    metrics = {metric.label: metric.value for metric in app.metric}
    assert metrics["Blocks held at most"] == f"{done.peak_blocks:,}"
    assert metrics["Preemptions"] == "0"
    table = next(text.value for text in app.markdown if "TTFT" in text.value)
    for name in ("ttft_s.p50", "tpot_s.p99", "itl_s.p90", "e2e_s.mean"):
        figure = spread.figures[name]
        assert seconds(figure.mean) in table
        assert between(seconds(figure.low), seconds(figure.high)) in table


def test_one_run_has_no_interval(open_page):
    """One run says nothing about chance."""
    app = click(open_page("simulate", **SMALL | {"seeds": "1"}))
    assert not any("…" in text.value for text in app.markdown)
    assert any(text.value.startswith("One run: no interval") for text in app.caption)


def test_latency_is_labelled_uncalibrated(open_page):
    """A roofline is no measurement, in either language."""
    for lang, label, said in (
        ("en", "Latency, uncalibrated", "not calibrated"),
        ("zh", "延迟（未校准）", "未校准"),  # noqa: RUF001
    ):
        app = click(open_page("simulate", lang=lang, **SMALL))
        assert label in [heading.value for heading in app.subheader]
        assert any(said in text.value for text in app.markdown)


@pytest.mark.parametrize("key", ["seed", "max_model_len"])
def test_a_run_is_never_shown_for_other_inputs(open_page, key):
    """A number beside the wrong inputs is a wrong number."""
    app = click(open_page("simulate", **SMALL))
    app.number_input(key=key).set_value(4099).run()
    assert "Run again" in app.info[0].value
    assert not app.metric


def test_a_result_is_shown_at_once_where_it_is_known(open_page):
    """The same inputs, of another visitor too, need no second run."""
    click(open_page("simulate", **SMALL))
    app = open_page("simulate", **SMALL)
    assert app.success


def test_a_link_sets_the_inputs(open_page):
    """A colleague runs the same requests."""
    app = open_page("simulate", seed="7", rate_per_s="2.5", num_requests="30", slo_ttft_s="0.5")
    names = ("seed", "rate_per_s", "num_requests", "slo_ttft_s")
    held = {key: app.number_input(key=key).value for key in names}
    assert held == {"seed": 7, "rate_per_s": 2.5, "num_requests": 30, "slo_ttft_s": 0.5}


BAD_INPUT = {
    "longer than the context": ({"prompt_tokens": "9000"}, "max\\_model\\_len"),
    "too much work": ({"output_tokens": "10000000"}, "20,000,000 tokens here"),
    "no room for one request": ({"gpu": "T4"}, ""),
    "no traffic of that rate": ({"workload": "agent", "pace_per_s": "2"}, "max\\_model\\_len"),
}


@pytest.mark.parametrize("case", BAD_INPUT)
def test_bad_input_is_explained(open_page, case):
    """The engine's reason, or the page's limit; no old result below it."""
    query, reason = BAD_INPUT[case]
    app = click(open_page("simulate", **SMALL | query))
    assert not app.exception
    assert reason in app.error[0].value
    assert not app.metric


def test_a_run_can_be_cancelled(open_page):
    """The worker ends, the page says so, and the next run works."""
    slow = {"num_requests": "2000", "seeds": "20", "workload": "chat", "arrivals": "closed"}
    app = open_page("simulate", **slow)
    app.button(key="run").click().run()
    (ticket,) = app.session_state[TICKETS]
    app.button(key="cancel").click().run()
    assert ticket.wait(10)
    app.run()
    assert app.warning[0].value.startswith("The run was cancelled")
    assert not app.metric
    app = click(open_page("simulate", **SMALL | {"seed": "5"}))
    assert app.success


def test_goals_are_judged(open_page):
    """Limits in, goodput out."""
    app = click(open_page("simulate", slo_ttft_s="0.001", **SMALL))
    assert app.error[0].value.startswith("Goals missed: **0.0%**")
    app = click(open_page("simulate", slo_e2e_s="1000", **SMALL))
    assert app.success[1].value.startswith("Goals met: **100.0%**")


def test_who_preempted_whom_is_listed(open_page):
    """Blocks run short: each preemption, and what was computed again."""
    short = {"gpu_memory_utilization": "0.24", "output_tokens": "2000", "rate_per_s": ""}
    app = click(open_page("simulate", **SMALL | {"num_requests": "60"} | short))
    assert app.warning[0].value.startswith("**60** requests served")
    rows = app.dataframe[0].value
    assert list(rows.columns) == ["seconds", "step", "request", "lost its blocks to", "tokens lost"]
    assert len(rows)
    assert any(metric.delta.endswith("tokens again") for metric in app.metric)


def test_a_trace_is_asked_for(open_page):
    """Choosing `trace` is no error."""
    app = open_page("simulate", workload="trace")
    assert app.info[0].value.startswith("Upload a trace")
    assert not app.error


def uploaded(open_page, text, name="../x.csv"):
    app = open_page("simulate", workload="trace")
    app.file_uploader(key="trace").set_value((name, text.encode(), "text/csv")).run()
    return click(app)


def test_an_uploaded_trace_is_served(open_page):
    """Two requests of one's own, whatever the file is called."""
    columns = "arrival_s,num_prompt_tokens,num_output_tokens"
    app = uploaded(open_page, f"{columns}\n0,100,10\n1.5,200,20\n")
    assert app.success[0].value.startswith("**2** requests")


def test_a_bad_trace_is_explained(open_page):
    """What a visitor uploads is the least reliable input of all; the line is named."""
    app = uploaded(open_page, "a,b\n1,2\n")
    assert "no known trace" in app.error[0].value
    assert not app.metric
    rows = '{"timestamp": 0, "input_length": 9, "output_length": 1, "hash_ids": [1]}\n{\n'
    app = uploaded(open_page, rows, name="x.jsonl")
    assert "line 2" in app.error[0].value


def test_preemptions_are_marked():
    """A preemption is what people look for in the picture."""
    short = replace(SCENARIO, gpu_memory_utilization=0.24)
    asked = job(num_requests=60, output_tokens=2000, rate_per_s=None, seeds=1)
    result = do(replace(asked, scenario=short), unheard)
    assert result.done.num_preemptions
    marks = run_charts.timeline(result, Text("en"))["data"][-1]
    assert marks["name"] == "preemptions"
    assert sum(map(int, marks["text"])) == result.done.num_preemptions
    assert f"{result.done.num_preemptions:,} preemptions" in run_charts.timeline_words(
        result, Text("en")
    )


def test_the_report_is_the_command_lines_object():
    """One object, two faces."""
    report = result_of(goals={"slo_e2e_s": 9.0}).report
    assert next(iter(report)) == "schema_version"
    again = json.loads(json.dumps(report, allow_nan=False))
    assert again["requests"] == 20
    assert again["over_seeds"]["seeds"] == [0, 1]
    assert again["goodput"]["met"]


def test_every_file_can_be_read_back(tmp_path):
    """Records, the trace for Perfetto, and the metrics page."""
    import polars as pl  # noqa: PLC0415 - slow to load

    done = result_of().done
    for table in run_files.TABLES:
        (tmp_path / "x.csv").write_bytes(run_files.records(done, table, ".csv"))
        (tmp_path / "x.parquet").write_bytes(run_files.records(done, table, ".parquet"))
        assert (
            pl.read_csv(tmp_path / "x.csv").columns
            == pl.read_parquet(tmp_path / "x.parquet").columns
        )
    assert json.loads(run_files.perfetto(done))["traceEvents"]
    page = kvsim.parse_metrics(run_files.metrics(done).decode(), name="page")
    assert page


def test_host_memory_holds_what_the_gpu_cannot(open_page):
    """A tier below: what it held and gave back."""
    asked = {"workload": "chat", "kv_offloading_gib": "4", "seeds": "1", "num_requests": "30"}
    app = click(open_page("simulate", **asked))
    assert not app.exception
    assert any("| host memory |" in text.value for text in app.markdown)


STEP_TIMES = json.dumps(
    {
        "schema_version": 1,
        "source": "a benchmark",
        "num_steps": 1,
        "line": {
            "base_s": 0.01,
            "per_request_s": 0,
            "per_token_s": 1e-5,
            "per_cached_token_s": 0,
        },
        "residuals": {"mean_absolute": 0, "p90_absolute": 0, "largest_absolute": 0},
        "points": [
            {
                "num_requests": 1,
                "num_tokens": 1,
                "num_cached_tokens": 9,
                "seconds": 0.01,
                "num_steps": 1,
            }
        ],
    }
)


def test_measured_step_times_are_calibrated(open_page):
    """Without the label that a roofline bears; a bad file is explained."""
    app = open_page("simulate", **SMALL)
    measured = ("times.json", STEP_TIMES.encode(), "application/json")
    app.file_uploader(key="step_times").set_value(measured).run()
    click(app)
    assert "Latency, calibrated" in [heading.value for heading in app.subheader]
    app.file_uploader(key="step_times").set_value(("x.json", b"{}", "application/json")).run()
    click(app)
    assert "schema\\_version 1" in app.error[0].value


def kept(open_page, **changes):
    """A page on which the small run is the baseline, and other inputs ran."""
    app = click(open_page("simulate", **SMALL))
    app.button(key="baseline_keep").click().run()
    for key, value in changes.items():
        app.number_input(key=key).set_value(value).run()
    return click(app)


def test_two_runs_stand_side_by_side(open_page):
    """What was changed, what follows, and both in one picture."""
    app = kept(open_page, output_tokens=40)
    assert not app.exception
    texts = [text.value for text in app.markdown]
    assert any("| Answer, tokens | 20 | 40 |" in text for text in texts)
    compared = kvsim.compare_runs(
        result_of().runs, result_of(output_tokens=40).runs, is_paired=True
    )
    change = compared.changes["e2e_s.p50"]
    row = next(line for text in texts for line in text.splitlines() if line.startswith("| E2E p50"))
    assert seconds(change.baseline) in row
    assert f"**{signed(change.difference, seconds)}**" in row
    figure = json.loads(app.get("plotly_chart")[0].proto.spec)
    assert "blocks held, baseline" in [trace["name"] for trace in figure["data"]]
    app.button(key="baseline_drop").click().run()
    assert "Against the baseline" not in [heading.value for heading in app.subheader]


def test_a_link_brings_its_baseline(open_page):
    """A colleague sees the same two runs, even where neither ran before."""
    app = kept(open_page, output_tokens=40)
    assert app.query_params["baseline"] == "num_requests=20&seeds=2&output_tokens=20"
    link = "num_requests=21&seeds=2&output_tokens=20"
    other = open_page("simulate", baseline=link, **SMALL)
    assert any("press Run" in text.value for text in other.info)
    other.number_input(key="seed").set_value(8).run()
    click(other)
    assert "Against the baseline" in [heading.value for heading in other.subheader]
    assert any("| Number of requests | 21 | 20 |" in text.value for text in other.markdown)


@pytest.mark.parametrize("link", ["workload=tea", "workload=trace", "nonsense=1"])
def test_a_baseline_that_cannot_be_honoured_says_so(open_page, link):
    """It is left out, never replaced by another."""
    app = open_page("simulate", baseline=link, **SMALL)
    assert any("cannot be honoured" in text.value for text in app.warning)
