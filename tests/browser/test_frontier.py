"""Page Frontier in a real browser."""

import re

from tests.browser.conftest import settle
from tests.browser.looks import check_nothing_is_clipped


def test_a_click_moves_the_point(visit):
    """The cell that is clicked is what is asked, in the inputs and in the address."""
    page = visit("frontier?lang=zh")
    area = page.locator(".js-plotly-plot .nsewdrag")
    area.wait_for()
    box = area.bounding_box()
    page.mouse.click(box["x"] + 0.9 * box["width"], box["y"] + 0.9 * box["height"])
    page.wait_for_url(re.compile(r"max_model_len=\d+.*concurrent_requests=\d+"))
    settle(page)
    asked = re.search(r"max_model_len=(\d+)", page.url)[1]
    assert page.get_by_role("spinbutton", name=re.compile("上下文")).input_value() == asked
    check_nothing_is_clipped(page)
