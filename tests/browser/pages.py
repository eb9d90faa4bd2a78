"""Every page with something to show on it, for what all pages are held to."""

import re
from pathlib import Path

import pytest

from app.i18n import LANGUAGES
from tests.browser.conftest import settle

MAIN = Path(__file__).parents[2] / "app" / "main.py"
NAMES = re.findall(r'url_path="(\w+)"', MAIN.read_text("utf-8"))
QUERIES = {
    "compare": "s1=-&s2=kv_cache_dtype%3Dfp8",
    "simulate": "num_requests=50&output_tokens=50&seeds=2",
    "search": "search_gpus=H100-SXM5-80GB&search_degrees=1&search_weights=none&search_requests=100",
    "paging": "paging_requests=8",
}
PRESSED = {"simulate": "run", "search": "search", "log": "log_example"}
"""Keys of the buttons without which a page has nothing to show."""

RUN_MS = 180_000  # the first run of page Simulate compiles the twin
SHOWN = "[role=figure], [data-testid=stMain] table"
in_every_language = pytest.mark.parametrize("lang", LANGUAGES)
on_every_page = pytest.mark.parametrize("name", NAMES)


def opened(visit, name, lang):
    """The page, its results on it."""
    page = visit(f"{name}?lang={lang}&{QUERIES.get(name, '')}")
    show_results(page, name)
    return page


def show_results(page, name):
    """Press the button that brings them, where they are not there by themselves, and wait."""
    if name in PRESSED and page.locator(SHOWN).count() == 0:
        page.locator(f".st-key-{PRESSED[name]} button").click()
    page.locator(SHOWN).first.wait_for(state="attached", timeout=RUN_MS)
    settle(page)
