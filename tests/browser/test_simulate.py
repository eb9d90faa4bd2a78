"""Page Simulate in a real browser."""

import json
import re

import pytest

from tests.browser.conftest import settle
from tests.browser.looks import check_nothing_is_clipped

SMALL = "simulate?num_requests=50&output_tokens=50"


def expect(what):
    from playwright.sync_api import expect as wait_for  # noqa: PLC0415 - only with a browser

    return wait_for(what)


def run(page, name="Run"):
    """Press the button, and wait for the picture of the run."""
    page.get_by_role("button", name=name, exact=True).click()
    page.get_by_role("figure").wait_for()
    settle(page)


def test_a_link_runs_to_the_same_result(visit):
    """Open, change, run, send, run there, download."""
    page = visit(SMALL)
    field = page.get_by_role("spinbutton", name="Seed")
    field.fill("7")
    field.press("Enter")
    page.wait_for_url(re.compile(r"seed=7"))
    settle(page)
    run(page)
    words = page.get_by_role("figure").get_attribute("aria-label")
    other = visit(f"simulate?{page.url.partition('?')[2]}")
    assert other.get_by_text("Link values ignored").count() == 0
    run(other)
    assert other.get_by_role("figure").get_attribute("aria-label") == words
    with other.expect_download() as waiting:
        other.get_by_role("button", name="Download JSON").click()
    report = json.loads(waiting.value.path().read_text("utf-8"))
    assert next(iter(report)) == "schema_version"
    assert report["requests"] == 50


def test_an_uploaded_trace_is_served_and_a_bad_one_explained(visit):
    """Two files, by the same door."""
    page = visit("simulate?workload=trace")
    door = page.get_by_test_id("stFileUploader").locator("input[type=file]")
    header = b"arrival_s,num_prompt_tokens,num_output_tokens\n"
    upload = {"name": "trace.csv", "mimeType": "text/csv"}
    door.set_input_files(upload | {"buffer": header + b"0,many,10\n"})
    button = page.get_by_role("button", name="Run", exact=True)
    button.click()
    expect(page.get_by_role("alert")).to_contain_text("num_prompt_tokens")
    page.get_by_role("button", name="Remove trace.csv").click()
    expect(page.get_by_text("Upload a CSV")).to_be_visible()
    door.set_input_files(upload | {"buffer": header + b"0,100,10\n1.5,200,20\n"})
    expect(page.get_by_text("to serve these requests")).to_be_visible()
    run(page)
    expect(page.get_by_text("2 requests served")).to_be_visible()


@pytest.mark.parametrize(("query", "name"), [(SMALL, "Run"), (f"{SMALL}&lang=zh", "运行")])
def test_nothing_is_clipped(visit, query, name):
    """Metrics, latencies and the inputs, on a phone too."""
    page = visit(query)
    run(page, name)
    expect(page.get_by_test_id("stMetricValue")).to_have_count(4)
    check_nothing_is_clipped(page)
