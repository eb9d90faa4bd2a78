"""Page Paging in a real browser: it plays, steps and scrubs without asking the server."""

import re

import pytest

from tests.browser.conftest import settle
from tests.browser.looks import check_nothing_is_clipped

SMALL = "paging?paging_requests=8"
CUT = """
() => {
  const root = [...document.querySelectorAll('*')].map(e => e.shadowRoot).find(
    r => r && r.querySelector('.player'));
  return [...root.querySelectorAll('.controls, .sentence, .events, .chosen, .key, h3')]
    .filter(e => e.scrollWidth > e.clientWidth + 1).map(e => e.innerText);
}
"""


def step_of(page):
    text = page.locator(".player .clock").inner_text()
    return int(re.search(r"\d+", text).group())


@pytest.fixture
def open_player(visit):
    """The page with its first frame drawn."""

    def opened(query=SMALL):
        page = visit(query)
        page.locator(".player .paged .cell.held").first.wait_for()
        return page

    return opened


def test_the_first_frame_shows_both_pools(open_player):
    """Nothing plays by itself, and the picture is not empty."""
    page = open_player()
    assert page.locator(".player .paged .cell").count() == 96
    assert page.locator(".player .reserved .part.used").count() > 0
    assert page.locator(".player .paged .cell.shared").count() > 0
    sentence = page.locator(".player .sentence").inner_text()
    assert page.locator(".player .paged").get_attribute("aria-label") == sentence
    step = step_of(page)
    page.wait_for_timeout(500)
    assert step_of(page) == step


def test_steps_move_one_frame_and_the_slider_any(open_player):
    """Forward, back, to the start, and by the keyboard."""
    page = open_player()
    first = step_of(page)
    page.get_by_role("button", name="Step", exact=True).click()
    assert step_of(page) == first + 1
    page.get_by_role("button", name="Step back").click()
    assert step_of(page) == first
    page.get_by_role("button", name="Start").click()
    assert step_of(page) == 0
    slider = page.get_by_role("slider", name="Frame")
    slider.press("ArrowRight")
    assert step_of(page) == 1
    slider.press("End")
    assert "8 answered" in page.locator(".player .sentence").inner_text()
    assert page.locator(".player .paged .cell.held").count() == 0


def test_play_moves_and_pause_holds(open_player):
    """A button, pressed twice."""
    from playwright.sync_api import expect as wait_for  # noqa: PLC0415 - only with a browser

    page = open_player()
    page.locator(".player .speed").select_option("50")
    page.get_by_role("button", name="Play").click()
    wait_for(page.locator(".player .clock")).to_have_text(re.compile(r"step ([5-9]|\d\d) of"))
    page.get_by_role("button", name="Pause").click()
    held = step_of(page)
    page.wait_for_timeout(400)
    assert step_of(page) == held


def test_a_chosen_request_shows_its_block_table(open_player):
    """One that is held now: its blocks by number, and in the table of all."""
    page = open_player()
    chip = page.locator(".player .requests .running").last
    name = chip.inner_text()
    chip.click()
    assert chip.get_attribute("aria-pressed") == "true"
    assert f"Request {name}, running" in page.locator(".player .chosen").inner_text()
    tags = page.locator(".player .chosen b").count()
    page.locator(".player summary").click()
    row = page.locator(".player tbody tr").filter(has=page.get_by_text(name, exact=True)).first
    assert len(row.locator("td").nth(3).inner_text().split()) == tags


def test_the_inputs_are_part_of_the_link(open_player, visit):
    """Change, send, and the same run is there; another language keeps the frame."""
    page = open_player("paging?paging_requests=8&reservation=orca-oracle&paging_seed=2")
    page.get_by_role("button", name="Start").click()
    assert "(orca-oracle)" in page.locator(".player .reserved-name").inner_text()
    page.get_by_role("spinbutton", name="System prompt, tokens").press("ArrowUp")
    page.wait_for_url(re.compile(r"system_tokens=80"))
    settle(page)
    sentence = page.locator(".player .sentence").inner_text()
    other = visit(f"paging?{page.url.partition('?')[2]}")
    other.locator(".player .paged .cell.held").first.wait_for()
    assert other.locator(".player .sentence").inner_text() == sentence


def test_chinese_speaks_in_the_player_too(open_player):
    """Every word of it, the frame unchanged."""
    page = open_player(f"{SMALL}&lang=zh")
    assert page.get_by_role("button", name="播放").count() == 1
    assert re.search(r"第 \d+ 步", page.locator(".player .sentence").inner_text())


@pytest.mark.parametrize("query", ["paging", "paging?lang=zh&longest_tokens=1024&pool_sequences=8"])
def test_nothing_is_clipped(open_player, query):
    """Two pools, six bars and every word, on a phone too."""
    page = open_player(query)
    page.get_by_role("figure").first.wait_for()
    check_nothing_is_clipped(page)
    assert page.evaluate(CUT) == []
