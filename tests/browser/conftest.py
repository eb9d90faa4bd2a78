"""One server, one Chromium, one context; a new page, and with it a new visit, per test."""

import os
import shutil
from pathlib import Path

import pytest

from tests.app.server import running

HINT = "chromium is not installed (apt-get install chromium fonts-noto-cjk)"
CHROMIUM = shutil.which("chromium")
SWITCHES = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
PATIENCE_MS = 60_000
OPENINGS, OPEN_MS = 4, 10_000
READY = (
    "[data-testid=stApp][data-test-connection-state=CONNECTED][data-test-script-state=notRunning]"
)


def pytest_collection_modifyitems(items):
    """All of this folder is slow and needs the browser; without one it is skipped, never in CI."""
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here):
            item.add_marker(pytest.mark.browser)
            item.add_marker(pytest.mark.slow)
            if CHROMIUM is None and os.environ.get("CI") != "true":
                item.add_marker(pytest.mark.skip(reason=HINT))


@pytest.fixture(scope="session")
def address(tmp_path_factory):
    """Where the app runs."""
    with running(tmp_path_factory.mktemp("home")) as url:
        yield url


@pytest.fixture(scope="session")
def browser():
    """Debian's Chromium."""
    if CHROMIUM is None:
        pytest.fail(HINT)
    from playwright.sync_api import expect, sync_playwright  # noqa: PLC0415 - only with a browser

    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=SWITCHES)
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def context(browser):
    """One cache for all pages: the scripts are fetched and compiled once."""
    made = browser.new_context(locale="en-US", accept_downloads=True)
    made.set_default_timeout(PATIENCE_MS)
    yield made
    made.close()


@pytest.fixture
def visit(context, address):
    """Opens a link in a new page; fails the test on a page error or an off-host request."""
    pages, complaints = [], []

    def opened(query="", *, width=1300, height=900):
        page = context.new_page()
        pages.append(page)
        page.set_viewport_size({"width": width, "height": height})
        page.on("pageerror", lambda error: complaints.append(f"page error: {error}"))
        page.on("request", lambda request: _complain_if_off_host(request.url, address, complaints))
        page.goto(f"{address}/{query}")
        settle(page)
        return page

    yield opened
    for page in pages:
        page.close()
    assert complaints == []


def settle(page):
    """Wait until the script has run and the page shows what it said."""
    page.wait_for_selector(READY)
    page.wait_for_function("() => !document.querySelector('[data-stale=true]')")


def choose(page, label, option):
    """Choose from a list; a page that is drawn anew meanwhile closes it, so it is opened again."""
    from playwright.sync_api import TimeoutError as TooLate  # noqa: PLC0415 - only with a browser

    settle(page)
    wanted = page.get_by_role("option", name=option, exact=True)
    for _ in range(OPENINGS):
        page.get_by_role("combobox", name=label).click()
        try:
            wanted.click(timeout=OPEN_MS)
        except TooLate:
            page.keyboard.press("Escape")
        else:
            return
    msg = f"{option} cannot be chosen from {label}"
    raise AssertionError(msg)


def _complain_if_off_host(url, address, complaints):
    if not url.startswith((address, "data:", "blob:", address.replace("http", "ws"))):
        complaints.append(f"off-host request: {url}")
