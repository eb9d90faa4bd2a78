"""Every page with something to show on it, for what all pages are held to."""

import re
from pathlib import Path

import pytest

from app.i18n import LANGUAGES, Text
from tests.browser.conftest import settle

MAIN = Path(__file__).parents[2] / "app" / "main.py"
NAMES = re.findall(r'url_path="(\w+)"', MAIN.read_text("utf-8"))
QUERIES = {
    "compare": "s1=-&s2=kv_cache_dtype%3Dfp8",
    "simulate": "num_requests=50&output_tokens=50&seeds=2",
    "paging": "paging_requests=8",
}
PRESSED = {"simulate": "run", "log": "log_example"}
"""Keys of the buttons without which a page has nothing to show."""

RUN_MS = 180_000  # the first run of page Simulate compiles the twin
SHOWN = "[role=figure], [data-testid=stMain] table"
in_every_language = pytest.mark.parametrize("lang", LANGUAGES)
on_every_page = pytest.mark.parametrize("name", NAMES)


def opened(visit, name, lang):
    """The page, its results on it."""
    page = visit(f"{name}?lang={lang}&{QUERIES.get(name, '')}")
    show_results(page, name, lang)
    return page


def show_results(page, name, lang):
    """Press the button that brings them, where there is one, and wait for them."""
    if name in PRESSED:
        label = Text(lang)(PRESSED[name])
        page.get_by_role("button", name=label, exact=True).click()
    page.locator(SHOWN).first.wait_for(state="attached", timeout=RUN_MS)
    settle(page)
