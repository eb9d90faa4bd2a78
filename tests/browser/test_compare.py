"""Page Compare in a real browser."""

import json
import re

import pytest

from tests.browser.conftest import choose, settle
from tests.browser.looks import check_nothing_is_clipped

FOUR = "s1=-&s2=gpu%3DH200-SXM-141GB&s3=kv_cache_dtype%3Dfp8&s4=model%3Dqwen3-32b"


def test_two_are_saved_from_two_pages_and_the_link_brings_them_back(visit):
    """First paint, save, change, save, look, send, download."""
    from playwright.sync_api import expect as wait_for  # noqa: PLC0415 - only with a browser

    page = visit("frontier")
    page.get_by_role("button", name=re.compile("Save to compare")).click()
    wait_for(page.get_by_role("button", name="Saved to compare")).to_be_visible()
    settle(page)
    page.get_by_role("link", name="Compare").click()
    wait_for(page.get_by_text("One more")).to_be_visible()
    choose(page, re.compile("KV cache"), "fp8")
    settle(page)
    page.get_by_role("button", name=re.compile("Save to compare")).first.click()
    figure = page.get_by_role("figure")
    wait_for(figure).to_have_attribute("aria-label", re.compile("scenario 2"))
    settle(page)
    page.wait_for_url(re.compile(r"s1=-&s2=kv_cache_dtype"))
    words = figure.get_attribute("aria-label")
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Download JSON").click()
    report = json.loads(waiting.value.path().read_text("utf-8"))
    assert report["baseline"] == "kv_cache_dtype=auto"
    assert [row["name"] for row in report["scenarios"]] == [
        "kv_cache_dtype=auto",
        "kv_cache_dtype=fp8",
    ]
    other = visit(f"compare?{page.url.partition('?')[2]}")
    assert other.get_by_role("figure").get_attribute("aria-label") == words
    assert other.get_by_text("Link values ignored").count() == 0


def test_a_link_with_a_scenario_that_cannot_be_says_so(visit):
    """The others are compared."""
    page = visit("compare?s1=-&s2=gpu%3DH1000&s3=kv_cache_dtype%3Dfp8")
    page.get_by_text("Link values ignored: s2").wait_for()
    assert "scenario 2" in page.get_by_role("figure").get_attribute("aria-label")


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_nothing_is_clipped(visit, lang):
    """Four scenarios on a desktop, a tablet and a phone."""
    page = visit(f"compare?lang={lang}&{FOUR}")
    page.get_by_role("figure").wait_for()
    check_nothing_is_clipped(page)
