"""Page Engines in a real browser."""

import json
import re

import pytest

from kvsim import EngineName
from tests.browser.conftest import choose, settle
from tests.browser.looks import check_nothing_is_clipped

SWITCH_MS = 20_000


def test_a_choice_is_part_of_the_link_and_the_download_holds_every_engine(visit):
    """Open, choose, send, download."""
    from playwright.sync_api import expect as wait_for  # noqa: PLC0415 - only with a browser

    page = visit("engines?model=gemma-2-9b")
    figure = page.get_by_role("figure")
    before = figure.get_attribute("aria-label")
    choose(page, re.compile("Show"), "request_bytes")
    page.wait_for_url(re.compile(r"figure=request_bytes"))
    # the address changes before the script has run, so wait for the chart that was asked for
    wait_for(figure).to_have_attribute("aria-label", re.compile("Cache of one request"))
    settle(page)
    after = figure.get_attribute("aria-label")
    assert after != before
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Download JSON").click()
    report = json.loads(waiting.value.path().read_text("utf-8"))
    assert [row["engine"] for row in report["engines"]] == list(EngineName)
    other = visit(f"engines?{page.url.partition('?')[2]}")
    assert other.get_by_role("figure").get_attribute("aria-label") == after
    assert other.get_by_text("Link values ignored").count() == 0


def test_inputs_stay_when_another_page_is_looked_at(visit):
    """The sidebar is one for all pages: what was chosen is what the next page computes with."""
    from playwright.sync_api import expect as wait_for  # noqa: PLC0415 - only with a browser

    page = visit("engines?max_model_len=16384")
    page.get_by_role("link", name="Plan").click()
    wait_for(page.get_by_text("16,384 tokens at once")).to_be_visible()
    settle(page)
    assert page.get_by_role("spinbutton", name=re.compile("Context")).input_value() == "16384"


def test_the_address_keeps_the_inputs_when_another_page_is_looked_at(visit):
    """A link that is copied there gives the same numbers; a page's own choice comes back too."""
    page = visit("engines?max_model_len=16384&figure=request_bytes")
    page.get_by_role("link", name="Plan").click()
    page.wait_for_url(re.compile(r"/(plan)?\?.*max_model_len=16384"), timeout=SWITCH_MS)
    settle(page)
    page.get_by_role("link", name="Engines").click()
    page.wait_for_url(re.compile(r"engines\?.*figure=request_bytes"), timeout=SWITCH_MS)
    settle(page)
    assert "max_model_len=16384" in page.url


@pytest.mark.parametrize("query", ["engines", "engines?lang=zh&model=qwen3-next-80b-a3b"])
def test_nothing_is_clipped(visit, query):
    """Two tables of four columns, on a phone too."""
    page = visit(query)
    page.get_by_role("figure").wait_for()
    check_nothing_is_clipped(page)


def test_back_brings_the_inputs_back(visit):
    """The address is what the page shows, in both directions."""
    from playwright.sync_api import expect as wait_for  # noqa: PLC0415 - only with a browser

    page = visit("engines")
    field = page.get_by_role("spinbutton", name=re.compile("Context"))
    field.fill("16384")
    field.press("Enter")
    page.wait_for_url(re.compile(r"max_model_len=16384"))
    settle(page)
    page.go_back()
    wait_for(field).to_have_value("8192")
    wait_for(page.get_by_text("requests of 8,192 tokens")).to_be_visible()
    assert "max_model_len" not in page.url
