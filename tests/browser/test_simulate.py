"""Page Simulate in a real browser."""

import csv
import io
import json
import re

import pytest

import kvsim
from tests.browser.conftest import settle
from tests.browser.looks import check_nothing_is_clipped

SMALL = "simulate?num_requests=50&output_tokens=50&seeds=2"
SHORT = "&gpu_memory_utilization=0.24&output_tokens=2000&rate_per_s="
HEADER = b"arrival_s,num_prompt_tokens,num_output_tokens\n"
CSV = {"name": "trace.csv", "mimeType": "text/csv"}


def expect(what):
    from playwright.sync_api import expect as wait_for  # noqa: PLC0415 - only with a browser

    return wait_for(what)


def run(page, name="Run"):
    """Press the button, and wait for the picture of the run."""
    page.get_by_role("button", name=name, exact=True).click()
    page.get_by_role("figure").first.wait_for()
    settle(page)


def door(page):
    """Where a trace is uploaded: the goals' own door is shut in its expander."""
    return page.get_by_test_id("stFileUploader").locator("input[type=file]").first


def downloaded(page, name):
    with page.expect_download() as waiting:
        page.get_by_role("button", name=name, exact=True).click()
    return waiting.value.path()


def test_a_link_runs_to_the_same_result(visit):
    """Open, change, run, send: there it is shown without a second run."""
    page = visit(SMALL)
    field = page.get_by_role("spinbutton", name="Seed")
    field.fill("7")
    field.press("Enter")
    page.wait_for_url(re.compile(r"seed=7"))
    settle(page)
    run(page)
    words = page.get_by_role("figure").first.get_attribute("aria-label")
    other = visit(f"simulate?{page.url.partition('?')[2]}")
    assert other.get_by_text("Link values ignored").count() == 0
    expect(other.get_by_role("figure").first).to_have_attribute("aria-label", words)


def test_a_link_that_cannot_be_honoured_says_so(visit):
    """No number is changed in silence."""
    page = visit("simulate?workload=tea&num_requests=999999&seed=3")
    expect(page.get_by_text("Link values ignored")).to_contain_text("workload=tea")
    expect(page.get_by_role("spinbutton", name="Seed")).to_have_value("3")


def test_every_file_is_read_back(visit):
    """What the page hands out is what the readers of such files expect."""
    page = visit(SMALL + SHORT)
    run(page)
    report = json.loads(downloaded(page, "Download JSON").read_text("utf-8"))
    assert next(iter(report)) == "schema_version"
    assert report["requests"] == 50
    assert report["over_seeds"]["seeds"] == [0, 1]
    requests = downloaded(page, "Requests, CSV").read_text("utf-8")
    assert len(list(csv.DictReader(io.StringIO(requests)))) == 50
    lost = downloaded(page, "Preemptions, CSV").read_text("utf-8")
    assert len(list(csv.DictReader(io.StringIO(lost)))) == report["preemptions"] > 0
    assert downloaded(page, "Steps, PARQUET").read_bytes().startswith(b"PAR1")
    trace = json.loads(downloaded(page, "Trace for Perfetto").read_text("utf-8"))
    names = {event["name"] for event in trace["traceEvents"]}
    assert {"waiting", "prefill", "decode", "preemption"} <= names
    metrics = downloaded(page, "Metrics page").read_text("utf-8")
    assert kvsim.parse_metrics(metrics, name="page")


def test_two_runs_side_by_side_travel_in_a_link(visit):
    """Keep, change, run, send: both are there, in the other language too; nothing is clipped."""
    page = visit(SMALL)
    run(page)
    page.get_by_role("button", name="Keep as baseline").click()
    page.wait_for_url(re.compile(r"baseline="))
    field = page.get_by_role("spinbutton", name="Answer, tokens")
    field.fill("60")
    field.press("Enter")
    expect(page.get_by_text("Run again")).to_be_visible()
    run(page)
    expect(page.get_by_role("heading", name="Against the baseline")).to_be_visible()
    expect(page.get_by_role("figure").first).to_have_attribute("aria-label", re.compile("Baseline"))
    other = visit(f"simulate?{page.url.partition('?')[2]}&lang=zh")
    expect(other.get_by_role("heading", name="与基准对比")).to_be_visible()
    check_nothing_is_clipped(other)


def test_a_run_is_cancelled(visit):
    """A run of minutes ends when the visitor says so, and the page goes on."""
    page = visit("simulate?workload=chat&arrivals=closed&num_requests=2000&seeds=20")
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.get_by_text(re.compile("of 40,000 requests served"))).to_be_visible()
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_text("The run was cancelled")).to_be_visible()
    expect(page.get_by_role("button", name="Cancel")).to_have_count(0)


def test_an_uploaded_trace_is_served_and_a_bad_one_explained(visit):
    """Two files, by the same door."""
    page = visit("simulate?workload=trace")
    door(page).set_input_files(CSV | {"buffer": HEADER + b"0,many,10\n"})
    expect(page.get_by_text("to serve these requests")).to_be_visible()
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("line 2: num_prompt_tokens")
    page.get_by_role("button", name="Remove trace.csv").click()
    expect(page.get_by_text("Upload a trace of requests")).to_be_visible()
    door(page).set_input_files(CSV | {"buffer": HEADER + b"0,100,10\n1.5,200,20\n"})
    expect(page.get_by_text("Run again")).to_be_visible()
    run(page)
    expect(page.get_by_text("2 requests served")).to_be_visible()


def test_a_large_file_is_refused(visit):
    """The limit that the page states."""
    page = visit("simulate?workload=trace")
    large = HEADER + b"0,100,10\n" * 200_000
    door(page).set_input_files(CSV | {"buffer": large})
    expect(page.get_by_text("File must be 1.0MB or smaller")).to_be_visible()


@pytest.mark.parametrize(("language", "name"), [("en", "Run"), ("zh", "运行")])
def test_nothing_is_clipped(visit, language, name):
    """Metrics, latencies, events and the inputs, on a phone too."""
    page = visit(f"{SMALL}{SHORT}&lang={language}")
    run(page, name)
    expect(page.get_by_test_id("stMetricValue")).to_have_count(4)
    check_nothing_is_clipped(page)
