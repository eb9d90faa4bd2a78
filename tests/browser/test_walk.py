"""Every page in both languages: first paint, a change, its link, and a phone.

The fixture `visit` fails on a page error and on a request to another host.
"""

from app.i18n import Text
from tests.browser.conftest import settle
from tests.browser.looks import CLIPPED, WIDER_THAN_THE_SCREEN
from tests.browser.pages import in_every_language, on_every_page, opened, show_results

PHONE = {"width": 390, "height": 844}
TRIES, PAUSE_MS = 60, 500
RESULTS = """
() => [...document.querySelectorAll(
  '[data-testid=stMain] :is([role=figure], [data-testid=stMetricValue], table)'
)].map(e => e.ariaLabel ?? e.innerText)
"""


def agree(one, other):
    """Whether two pages come to show the same results; charts are drawn when all else is there."""
    for _ in range(TRIES):
        if one.evaluate(RESULTS) == other.evaluate(RESULTS):
            return True
        other.wait_for_timeout(PAUSE_MS)
    return False


@in_every_language
@on_every_page
def test_a_change_is_in_the_link_and_the_link_shows_the_same(visit, name, lang):
    """Open, change the context, send; then on a phone."""
    t = Text(lang)
    page = opened(visit, name, lang)
    box = page.get_by_role("spinbutton", name=t("label_max_model_len"), exact=True)
    box.fill("9216")
    box.press("Enter")
    page.wait_for_url("**max_model_len=9216*")
    settle(page)
    show_results(page, name)
    other = visit(f"{name}?{page.url.partition('?')[2]}")
    show_results(other, name)
    assert agree(page, other)
    ignored, _, _ = t("link_ignored", values="|").partition("|")
    assert other.get_by_text(ignored).count() == 0
    page.set_viewport_size(PHONE)
    page.wait_for_function(f"() => !({CLIPPED})().length")  # once the sidebar has slid away
    assert not page.evaluate(WIDER_THAN_THE_SCREEN)
