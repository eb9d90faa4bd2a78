"""Page Learn in a real browser."""

import re

import pytest

from tests.browser.conftest import settle
from tests.browser.looks import check_nothing_is_clipped


def test_a_step_is_part_of_the_link(visit):
    """Open, step, send."""
    from playwright.sync_api import expect as wait_for  # noqa: PLC0415 - only with a browser

    page = visit("learn")
    page.get_by_role("spinbutton", name="Tokens so far").press("ArrowUp")
    page.wait_for_url(re.compile(r"step=6"))
    wait_for(page.get_by_text("To go on from 6 tokens")).to_be_visible()
    settle(page)
    other = visit(f"learn?{page.url.partition('?')[2]}")
    wait_for(other.get_by_text("To go on from 6 tokens")).to_be_visible()
    assert other.get_by_text("Link values ignored").count() == 0


@pytest.mark.parametrize("query", ["learn", "learn?lang=zh&model=deepseek-v2-lite"])
def test_nothing_is_clipped(visit, query):
    """Eight pictures and thirteen cards, on a phone too."""
    page = visit(query)
    page.get_by_role("figure").first.wait_for()
    check_nothing_is_clipped(page)
