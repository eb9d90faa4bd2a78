"""What only looking finds: numbers cut off, pages and tables wider than the screen."""

WIDTHS = (1300, 900, 390)
SETTLE_MS = 1000  # the sidebar slides away on narrow screens
CLIPPED = """
() => [...document.querySelectorAll(
  '[data-testid=stMetricValue], [data-testid=stMetricDelta], [data-testid=stMetricLabel], '
  + '[data-testid=stMetricDelta] *'
)].filter(e => e.scrollWidth > e.clientWidth).map(e => e.innerText)
"""
WIDE_TABLES = """
() => [...document.querySelectorAll('[data-testid=stMarkdownContainer]:has(> table)')]
  .filter(e => !e.closest('[data-testid=stExpander]') && e.scrollWidth > e.clientWidth)
  .map(e => e.innerText)
"""
WIDER_THAN_THE_SCREEN = (
    "() => document.querySelector('[data-testid=stMain]').scrollWidth > window.innerWidth"
)


def check_nothing_is_clipped(page):
    """On a desktop, a tablet and a phone; wide tables in an expander may scroll."""
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_timeout(SETTLE_MS)
        assert page.evaluate(CLIPPED) == [], width
        assert page.evaluate(WIDE_TABLES) == [], width
        assert not page.evaluate(WIDER_THAN_THE_SCREEN), width
