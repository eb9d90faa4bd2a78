"""`python -m tests.screenshots` looks at every page of the web app and keeps what it sees."""

import argparse
import io
import signal
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
from PIL import Image

from app.i18n import LANGUAGES
from tests.app.server import running
from tests.browser.conftest import CHROMIUM, HINT, PATIENCE_MS, SWITCHES, settle
from tests.browser.looks import SETTLE_MS
from tests.browser.pages import NAMES, PRESSED, RUN_MS, SHOWN

ROOT = Path(__file__).parents[1]
IMAGES = ROOT / "docs/images"
DESKTOP, PHONE = 1300, 390
SCREENS = {DESKTOP: 1300, PHONE: 1100}
"""How much of a page the documents show, from its top (px)."""

QUERIES = {
    "compare": "s1=-&s2=kv_cache_dtype%3Dfp8&s3=engine%3Dsglang",
    "simulate": "num_requests=200&output_tokens=200&seeds=2",
    "paging": "paging_requests=12",
}
BUTTONS = PRESSED | {"search": "search"}
COMMON, OTHERS = 64, 192
"""Colours of a picture: those that fill most of it are kept as they are, the rest come near."""

HEIGHT = """
selector => Math.max(900, ...[...document.querySelectorAll(selector)].map(e => e.scrollHeight))
"""
TALL = {
    DESKTOP: "[data-testid=stMain], [data-testid=stSidebarContent]",
    PHONE: "[data-testid=stMain]",  # the sidebar is put away
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One way to look at a page."""

    lang: str = "en"
    scheme: str = "light"
    width: int = DESKTOP

    def file(self, name):
        """The picture's name: the page, and what differs from English by day on a desktop."""
        kinds = (self.lang, self.scheme, "phone" if self.width == PHONE else "")
        return "-".join([name, *(kind for kind in kinds if kind not in {"en", "light", ""})])


EVERY = [
    Look(lang=lang, scheme=scheme, width=width)
    for lang, scheme, width in product(LANGUAGES, ("light", "dark"), (DESKTOP, PHONE))
]
KEPT = (Look(), Look(lang="zh", scheme="dark", width=PHONE))
ALSO_KEPT = {"plan": (Look(lang="zh", scheme="dark"),)}  # README.zh.md shows it


@contextmanager
def browser():
    """Debian's Chromium."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - a slow import

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=SWITCHES)
        yield chromium
        chromium.close()


def show(page, address, name, lang):
    """Open a page with its results on it."""
    page.set_viewport_size({"width": DESKTOP, "height": SCREENS[DESKTOP]})
    page.goto(f"{address}/{name}?lang={lang}&{QUERIES.get(name, '')}")
    settle(page)
    if name in BUTTONS:
        page.locator(f".st-key-{BUTTONS[name]} button").click()
        page.mouse.move(0, 0)  # a button under the mouse is darker
    page.locator(SHOWN).first.wait_for(state="attached", timeout=RUN_MS)
    settle(page)


def taken(page, look, *, whole):
    """The picture, in few colours: of the whole page, or of its first screen."""
    page.emulate_media(color_scheme=look.scheme)
    page.set_viewport_size({"width": look.width, "height": SCREENS[look.width]})
    page.wait_for_timeout(SETTLE_MS)
    if whole:
        height = page.evaluate(HEIGHT, TALL[look.width])
        page.set_viewport_size({"width": look.width, "height": height})
        page.wait_for_timeout(SETTLE_MS)
    settle(page)
    return few_colours(Image.open(io.BytesIO(page.screenshot(animations="disabled"))))


def few_colours(picture):
    """The picture with a palette; Pillow itself would also shift colours that are in it."""
    seen = picture.convert("RGB")
    counts = sorted(seen.getcolors(maxcolors=seen.width * seen.height), reverse=True)
    others = seen.quantize(OTHERS, Image.Quantize.MAXCOVERAGE).getpalette()
    common = np.array([colour for _, colour in counts[:COMMON]])
    palette = np.concatenate([common, np.reshape(others, (-1, 3))])
    codes, places = np.unique(np.asarray(seen, int) @ (1 << 16, 1 << 8, 1), return_inverse=True)
    distinct = np.stack([codes >> 16, codes >> 8 & 255, codes & 255], axis=1)
    nearest = np.abs(distinct[:, None] - palette).sum(axis=2).argmin(axis=1).astype(np.uint8)
    made = Image.fromarray(nearest[places].reshape(seen.height, seen.width), mode="P")
    made.putpalette(palette.ravel().tolist())
    return made


def look_at_all(folder, looks_at, names, *, whole):
    """Write the pictures of these pages into the folder, and say so."""
    folder.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as home,
        running(Path(home)) as address,
        browser() as chromium,
    ):
        page = chromium.new_page(locale="en-US")
        page.set_default_timeout(PATIENCE_MS)
        for name, lang in product(names, LANGUAGES):
            looks = [look for look in looks_at(name) if look.lang == lang]
            if looks:
                show(page, address, name, lang)
            for look in looks:
                path = folder / f"{look.file(name)}.png"
                taken(page, look, whole=whole).save(path, optimize=True)
                print(path, flush=True)


def main():
    """Renew docs/images, or write every look at every page elsewhere."""
    parser = argparse.ArgumentParser(prog="./run screenshots", description=main.__doc__)
    parser.add_argument(
        "--all",
        type=Path,
        metavar="FOLDER",
        help="both languages, light and dark, desktop and phone, whole pages, into this folder",
    )
    parser.add_argument("pages", nargs="*", choices=[[], *NAMES], metavar="PAGE", help="only these")
    asked = parser.parse_args()
    if CHROMIUM is None:
        sys.exit(HINT)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    names = asked.pages or NAMES
    if asked.all is None:
        look_at_all(IMAGES, lambda name: KEPT + ALSO_KEPT.get(name, ()), names, whole=False)
    else:
        look_at_all(asked.all.absolute(), lambda _: EVERY, names, whole=True)


if __name__ == "__main__":
    main()
