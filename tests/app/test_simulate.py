"""Page Simulate: it asks before it runs, shows what ran and nothing staler, explains bad input."""

import json

import pytest

import kvsim
from app import run_charts
from app.i18n import Text
from app.text import seconds

SMALL = {"num_requests": "20", "output_tokens": "20"}


def run_of(*, num_requests=20, output_tokens=20, num_blocks=None):
    engine = kvsim.Vllm(max_model_len=8192, num_gpu_blocks_override=num_blocks)
    deployment = kvsim.Deployment(
        model=kvsim.load_model("llama-3.1-8b"),
        accelerator=kvsim.accelerator("H100-SXM5-80GB"),
        engine=engine,
    )
    traffic = kvsim.PoissonTraffic(
        num_requests=num_requests, rate_per_s=8.0, output_tokens=output_tokens
    )
    return kvsim.simulate(deployment, kvsim.poisson_workload(traffic))


def click(app):
    return app.button(key="run").click().run()


def test_it_says_what_to_do_first(open_page):
    """A run costs seconds: the visitor starts it."""
    app = open_page("simulate")
    assert not app.exception
    assert app.info[0].value == "Press Run to serve these requests."
    assert not app.metric
    assert "1,000 requests and 2,000,000 tokens" in app.markdown[0].value


def test_a_run_shows_its_figures(open_page):
    """What the page shows is what the library did."""
    app = click(open_page("simulate", **SMALL))
    done = run_of()
    assert not app.exception
    assert app.success[0].value.startswith(f"**20** requests served in {len(done.steps)} steps")
    metrics = {metric.label: metric.value for metric in app.metric}
    assert metrics["Blocks held at most"] == f"{done.peak_blocks:,}"
    assert metrics["Preemptions"] == "0"
    table = next(text.value for text in app.markdown if "TTFT" in text.value)
    for value in (done.ttft_s.p50, done.tpot_s.p99, done.e2e_s.mean):
        assert seconds(value) in table


def test_latency_is_labelled_uncalibrated(open_page):
    """A roofline is no measurement, in either language."""
    for lang, label in (("en", "Latency, uncalibrated"), ("zh", "延迟（未校准）")):  # noqa: RUF001
        app = click(open_page("simulate", lang=lang, **SMALL))
        assert label in [heading.value for heading in app.subheader]
        assert any("not calibrated" in text.value for text in app.markdown)


@pytest.mark.parametrize("key", ["seed", "max_model_len"])
def test_a_run_is_never_shown_for_other_inputs(open_page, key):
    """A number beside the wrong inputs is a wrong number."""
    app = click(open_page("simulate", **SMALL))
    app.number_input(key=key).set_value(4096).run()
    assert "Run again" in app.info[0].value
    assert not app.metric


def test_a_link_sets_the_inputs(open_page):
    """A colleague runs the same requests."""
    app = open_page("simulate", seed="7", rate_per_s="2.5", num_requests="30")
    held = {key: app.number_input(key=key).value for key in ("seed", "rate_per_s", "num_requests")}
    assert held == {"seed": 7, "rate_per_s": 2.5, "num_requests": 30}


BAD_INPUT = {
    "longer than the context": ({"prompt_tokens": "9000"}, "max\\_model\\_len"),
    "too much work": ({"output_tokens": "1000000"}, "2,000,000 tokens here"),
    "no room for one request": ({"gpu": "T4"}, ""),
}


@pytest.mark.parametrize("case", BAD_INPUT)
def test_bad_input_is_explained(open_page, case):
    """The engine's reason, or the page's limit; no old result below it."""
    query, reason = BAD_INPUT[case]
    app = click(open_page("simulate", **SMALL | query))
    assert not app.exception
    assert reason in app.error[0].value
    assert not app.metric


def test_a_trace_is_asked_for(open_page):
    """Choosing `trace` is no error."""
    app = open_page("simulate", workload="trace")
    assert app.info[0].value.startswith("Upload a CSV")
    assert not app.error


def uploaded(open_page, text):
    app = open_page("simulate", workload="trace")
    app.file_uploader(key="trace").set_value(("../x.csv", text.encode(), "text/csv")).run()
    return click(app)


def test_an_uploaded_trace_is_served(open_page):
    """Two requests of one's own, whatever the file is called."""
    columns = "arrival_s,num_prompt_tokens,num_output_tokens"
    app = uploaded(open_page, f"{columns}\n0,100,10\n1.5,200,20\n")
    assert app.success[0].value.startswith("**2** requests")


def test_a_bad_trace_is_explained(open_page):
    """What a visitor uploads is the least reliable input of all."""
    app = uploaded(open_page, "a,b\n1,2\n")
    assert "no known trace" in app.error[0].value
    assert not app.metric


def test_the_chart_keeps_every_peak():
    """Fewer points than steps, and none of them lower."""
    done = run_of(num_requests=200, output_tokens=200)
    shown = run_charts.points(done.steps, 50)
    assert len(shown) <= 2 * 50  # an idle stretch adds a point
    assert max(point.used_blocks for point in shown) == done.peak_blocks
    assert shown[-1].end_s == done.duration_s


def test_preemptions_are_marked():
    """A preemption is what people look for in the picture."""
    done = run_of(num_requests=60, output_tokens=400, num_blocks=1000)
    assert done.num_preemptions
    figure = run_charts.timeline(done, Text("en"))
    marks = figure["data"][-1]
    assert marks["name"] == "preemptions"
    assert sum(map(int, marks["text"])) == done.num_preemptions
    assert f"{done.num_preemptions:,} preemptions" in run_charts.timeline_words(done, Text("en"))


def test_an_idle_engine_holds_nothing():
    """Between two requests far apart the lines fall to zero."""
    requests = tuple(
        kvsim.Request(num_prompt_tokens=100, num_output_tokens=2, arrival_s=at) for at in (0, 100)
    )
    deployment = kvsim.Deployment(
        model=kvsim.load_model("llama-3.1-8b"), accelerator=kvsim.accelerator("H100-SXM5-80GB")
    )
    done = kvsim.simulate(deployment, kvsim.Workload(requests=requests))
    idle = [p for p in run_charts.points(done.steps, 400) if p.end_s - p.start_s > 90]
    assert [point.running for point in idle] == [0]


def test_the_download_is_the_command_lines_object(open_page):
    """One object, two faces."""
    app = click(open_page("simulate", **SMALL))
    report = app.session_state["last_run"].report
    assert next(iter(report)) == "schema_version"
    assert json.loads(json.dumps(report, allow_nan=False))["requests"] == 20
