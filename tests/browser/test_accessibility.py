"""Every page under axe-core: no violation that keeps somebody from reading or using it."""

import json

from tests.browser.conftest import settle
from tests.browser.pages import in_every_language, on_every_page, opened

HARMFUL = ("serious", "critical")
LOOKS, BETWEEN_LOOKS_MS = 3, 2000
AT_ONCE = "*, ::before, ::after { transition: none !important; animation: none !important }"
OPEN_ALL = (
    "() => document.querySelectorAll('details:not([open]) > summary').forEach(s => s.click())"
)
PAPER = "() => getComputedStyle(document.querySelector('[data-testid=stApp]')).backgroundColor"
WITHOUT_WORDS = """
() => [...document.querySelectorAll('.stPlotlyChart')]
  .filter(e => !(e.closest('[role=figure]') ?? e.querySelector('[role=figure]'))?.ariaLabel)
  .map(e => e.innerText)
"""


def violations(page, *rules):
    """What axe-core finds harmful, by these rules or by all it has."""
    from axe_playwright_python.sync_playwright import Axe  # noqa: PLC0415 - only with a browser

    options = {"resultTypes": ["violations"]}
    if rules:
        options["runOnly"] = {"type": "rule", "values": list(rules)}
    return [
        (rule["id"], node["target"], node["html"], node["failureSummary"])
        for rule in Axe().run(page, options=options).response["violations"]
        if rule["impact"] in HARMFUL
        for node in rule["nodes"]
    ]


def lasting(page, *rules):
    """Those that are still there when all has been drawn: a page is built piece by piece."""
    found = violations(page, *rules)
    for _ in range(LOOKS):
        if not found:
            break
        page.wait_for_timeout(BETWEEN_LOOKS_MS)
        found = violations(page, *rules)
    return found


@in_every_language
@on_every_page
def test_nothing_serious(visit, name, lang):
    """All there is on a page, its expanders open; by light, and its contrasts in the dark."""
    page = opened(visit, name, lang)
    page.mouse.move(0, 0)
    page.add_style_tag(content=AT_ONCE)
    page.evaluate(OPEN_ALL)
    settle(page)
    found = lasting(page)
    light = page.evaluate(PAPER)
    page.emulate_media(color_scheme="dark")
    page.wait_for_function(f"light => ({PAPER})() !== light", arg=light)
    found += lasting(page, "color-contrast")
    assert not found, json.dumps(found, indent=1, ensure_ascii=False)
    assert page.evaluate(WITHOUT_WORDS) == []
