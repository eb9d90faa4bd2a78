"""Page Search in a real browser."""

import json
import re

import pytest

from tests.browser.conftest import settle
from tests.browser.looks import check_nothing_is_clipped

SMALL = "search?search_gpus=L4,H100-SXM5-80GB&search_degrees=1&search_weights=fp8"
SMALL += "&search_requests=50&demanded_per_s=2"
RUN_MS = 180_000  # the first run compiles the twin
SEARCH, SEARCH_ZH = re.compile(r"^Search \d+ candidates"), re.compile(r"^搜索 \d+ 个候选")


def expect(what):
    from playwright.sync_api import expect as wait_for  # noqa: PLC0415 - only with a browser

    return wait_for(what)


def press(page, name=SEARCH):
    page.get_by_role("button", name=name).click()


def search(page, name=SEARCH):
    """Press the button, and wait for the picture of the front."""
    press(page, name)
    page.get_by_role("figure").first.wait_for(timeout=RUN_MS)
    settle(page)


def test_the_first_paint_asks_and_searches_nothing(visit):
    """A search costs seconds: the visitor starts it."""
    page = visit("search")
    expect(page.get_by_role("heading", name="Hardware under a latency goal")).to_be_visible()
    expect(page.get_by_role("button", name=SEARCH)).to_have_text(re.compile("Search 16 candidates"))
    expect(page.get_by_text("Press the button to search.")).to_be_visible()
    expect(page.get_by_role("figure")).to_have_count(0)


def test_a_link_searches_to_the_same_front(visit):
    """Open, change, search, send: there it is shown without a second search."""
    page = visit(SMALL)
    field = page.get_by_role("spinbutton", name=re.compile("^Time to first token"))
    field.fill("2")
    field.press("Enter")
    page.wait_for_url(re.compile(r"goal_ttft_s=2"))
    settle(page)
    search(page)
    words = page.get_by_role("figure").first.get_attribute("aria-label")
    other = visit(f"search?{page.url.partition('?')[2]}")
    assert other.get_by_text("Link values ignored").count() == 0
    expect(other.get_by_role("figure").first).to_have_attribute("aria-label", words)


def test_another_goal_is_not_answered_by_the_old_front(visit):
    """One change: the page says to search again, and shows nothing staler."""
    page = visit(SMALL)
    search(page)
    field = page.get_by_role("spinbutton", name=re.compile("^Time to first token"))
    field.fill("3")
    field.press("Enter")
    expect(page.get_by_text("The inputs have changed: search again.")).to_be_visible()
    expect(page.get_by_role("figure")).to_have_count(0)


def test_the_answer_is_read_back(visit):
    """The JSON holds the goal of the page, the front, and every candidate."""
    page = visit(SMALL)
    search(page)
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Download JSON", exact=True).click()
    report = json.loads(waiting.value.path().read_text("utf-8"))
    assert next(iter(report)) == "schema_version"
    assert report["rate_per_s"] == 2
    assert report["fits"]
    shown = page.get_by_test_id("stCode").first.inner_text()
    assert report["front"][0]["command"] in shown
    assert {one["settings"]["gpu"] for one in report["candidates"]} == {"L4", "H100-SXM5-80GB"}


def test_a_search_is_cancelled(visit):
    """A search of a minute ends when the visitor says so, and the page goes on."""
    page = visit(
        "search?search_requests=500&search_degrees=1,2,4,8&search_weights=none,fp8,awq,int8"
    )
    press(page)
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_text("was cancelled")).to_be_visible()
    expect(page.get_by_role("button", name="Cancel")).to_have_count(0)
    expect(page.get_by_role("button", name=SEARCH)).to_be_enabled()


@pytest.mark.parametrize(("language", "name"), [("en", SEARCH), ("zh", SEARCH_ZH)])
def test_nothing_is_clipped(visit, language, name):
    """Metrics, the front and the inputs, on a phone too."""
    page = visit(f"{SMALL}&lang={language}")
    search(page, name)
    expect(page.get_by_test_id("stMetricValue")).to_have_count(4)
    check_nothing_is_clipped(page)
