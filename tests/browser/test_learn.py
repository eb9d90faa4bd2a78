"""Page Learn in a real browser."""

import re

import pytest

from tests.browser.conftest import settle
from tests.browser.looks import check_nothing_is_clipped


def test_a_step_is_part_of_the_link(visit):
    """Open, step, send."""
    from playwright.sync_api import expect as wait_for  # noqa: PLC0415 - only with a browser

    page = visit("learn")
    wait_for(page.get_by_text("To go on from 5 tokens")).to_be_visible()
    page.get_by_role("button", name="Next token").click()
    wait_for(page.get_by_text("To go on from 6 tokens")).to_be_visible()
    page.wait_for_url(re.compile(r"step=6"))
    settle(page)
    other = visit(f"learn?{page.url.partition('?')[2]}")
    wait_for(other.get_by_text("To go on from 6 tokens")).to_be_visible()
    assert other.get_by_text("Link values ignored").count() == 0


def test_a_word_is_a_step_and_play_goes_through_them(visit):
    """Choose the second token; then all of them, by themselves, to the end."""
    from playwright.sync_api import expect as wait_for  # noqa: PLC0415 - only with a browser

    page = visit("learn?step=8")
    page.get_by_role("button", name="model", exact=True).click()
    wait_for(page.locator(".notes .clock")).to_have_text("token 2 of 8")
    assert page.locator(".notes .cards.with .card").count() == 2
    assert page.locator(".notes .cards.with .dropped").count() == 1
    assert page.locator(".notes .cards.without .again").count() == 3
    assert "tokens. Nothing is kept" in page.locator(".notes .without-sum").inner_text()
    page.get_by_role("button", name="Play").click()
    wait_for(page.locator(".notes .clock")).to_have_text("token 8 of 8")
    wait_for(page.get_by_role("button", name="Play")).to_be_visible()
    assert "Computed so far: 36 tokens" in page.locator(".notes .without-sum").inner_text()


def test_idle_conversations_open_change_and_travel_in_the_link(visit):
    """Ask, shorten the window, send: the other visitor sees the same sentence."""
    from playwright.sync_api import expect as wait_for  # noqa: PLC0415 - only with a browser

    page = visit("learn")
    seconds = page.get_by_role("spinbutton", name="Keep a history for, seconds")
    assert seconds.count() == 0
    page.get_by_text("Work it out for the chosen model", exact=True).click()
    wait_for(page.get_by_text("Kept for 600 s")).to_be_visible()
    seconds.fill("60")
    seconds.press("Enter")
    wait_for(page.get_by_text("Kept for 60 s")).to_be_visible()
    page.wait_for_url(re.compile(r"idle=true&idle_window_s=60"))
    settle(page)
    other = visit(f"learn?{page.url.partition('?')[2]}")
    sentence = other.get_by_text("Kept for 60 s")
    wait_for(sentence).to_be_visible()
    assert sentence.inner_text() == page.get_by_text("Kept for 60 s").inner_text()
    assert other.get_by_text("Link values ignored").count() == 0


@pytest.mark.parametrize("query", ["learn", "learn?lang=zh&model=deepseek-v2-lite"])
def test_nothing_is_clipped(visit, query):
    """Eight pictures and thirteen cards, on a phone too."""
    page = visit(query)
    page.get_by_role("figure").first.wait_for()
    check_nothing_is_clipped(page)
