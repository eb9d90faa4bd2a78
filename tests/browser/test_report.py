"""The validation's report in a real browser."""

import pytest

from validation.__main__ import main
from validation.report import FILES

pytestmark = pytest.mark.filterwarnings("ignore")  # plotly's and torch's own


def test_a_browser_without_network_shows_the_plots(browser, tmp_path):
    """Offline, without an error, every plot drawn."""
    main(["report", "--no-live", "--output", str(tmp_path)])
    context = browser.new_context(offline=True)
    page = context.new_page()
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto((tmp_path / FILES[0]).as_uri())
    page.wait_for_function("document.querySelectorAll('.js-plotly-plot').length >= 6")
    drawn = page.locator(".main-svg").count()
    context.close()

    assert errors == []
    assert drawn >= 6
