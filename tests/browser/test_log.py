"""Page Log in a real browser."""

import pytest

from tests.browser.conftest import settle
from tests.browser.looks import check_nothing_is_clipped


@pytest.mark.parametrize(("lang", "button"), [("en", "Try an example"), ("zh", "试用示例")])
def test_the_example_shows_tables_and_stays_out_of_the_address(visit, lang, button):
    """Open, click, read, on a phone too."""
    page = visit(f"log?lang={lang}")
    page.get_by_role("button", name=button).click()
    page.locator("[data-testid=stMarkdownContainer] table").first.wait_for()
    settle(page)
    assert "131072" not in page.url
    check_nothing_is_clipped(page)
