"""What a change of an input costs the app's server, page by page: CPU, and bytes to the browser.

Run with `./run bench app`. The server is the one that users start, the browser Chromium.
"""

import re
import statistics
from dataclasses import dataclass, field
from urllib.parse import quote

import pytest

from benchmarks.processes import cpu_s
from tests.app.server import free_port, start
from tests.browser.conftest import CHROMIUM, HINT, SWITCHES, settle

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason=HINT)

ROUNDS, WARM_UP = 6, 2
PATIENCE_MS = 60_000
CONTEXTS = tuple(range(9216, 9216 + 1024 * (ROUNDS + WARM_UP + 1), 1024))
"""No default, so that the address shows them; each is new, so that the server has no answer."""

SEEDS = (1, 2, 3, 4)
"""Enough that the browser keeps no old answer."""

SHORT = "gpu_memory_utilization=0.24&output_tokens=1000&num_requests=100&rate_per_s="
SERVERS = []
"""Process ids of the server that is measured: one, or none."""


def server_cpu_s():
    """CPU seconds of the server so far, its workers left out."""
    return cpu_s(SERVERS[-1])


@dataclass
class Visit:
    """A page in the browser; `received` counts what came over its websocket, uncompressed."""

    page: object
    received: list = field(default_factory=list)

    def change(self, label, name, value):
        """Set a number and wait until the address holds it, which the server writes last."""
        box = self.page.get_by_role("spinbutton", name=label, exact=True)
        self.received.append(0)
        box.fill(str(value))
        box.press("Enter")
        self.page.wait_for_url(re.compile(rf"{name}={value}\b"))
        settle(self.page)

    def listen(self, socket):
        socket.on("framereceived", self._count)

    def _count(self, payload):
        if self.received:
            self.received[-1] += len(payload)


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """Where the app runs."""
    port = free_port()
    process = start(tmp_path_factory.mktemp("home"), port)
    SERVERS.append(process.pid)
    yield f"http://127.0.0.1:{port}"
    process.terminate()
    process.wait(timeout=60)


@pytest.fixture(scope="module")
def context():
    """One browser for all pages."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - only with a browser

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=SWITCHES)
        made = browser.new_context(locale="en-US")
        made.set_default_timeout(PATIENCE_MS)
        yield made
        browser.close()


@pytest.fixture
def visit(context, address):
    """Opens a link."""
    made = []

    def opened(link):
        visited = Visit(page=context.new_page())
        made.append(visited)
        visited.page.on("websocket", visited.listen)
        visited.page.goto(f"{address}/{link}")
        settle(visited.page)
        return visited

    yield opened
    for visited in made:
        visited.page.close()


def measure(benchmark, visited, label, name, values):
    """CPU seconds of a rerun by the benchmark, its bytes beside it; the values take turns."""
    turns = iter(values * (ROUNDS + WARM_UP))
    next(turns)  # the page shows it
    benchmark.pedantic(
        lambda: visited.change(label, name, next(turns)), rounds=ROUNDS, warmup_rounds=WARM_UP
    )
    kilobytes = [received / 1000 for received in visited.received[WARM_UP:]]
    benchmark.extra_info["websocket_kb"] = round(statistics.median(kilobytes), 1)
    benchmark.extra_info["largest_websocket_kb"] = round(max(kilobytes), 1)


PAGES = ("plan", "frontier", "engines", "compare", "search", "paging", "learn", "log")


@pytest.mark.benchmark(timer=server_cpu_s)
@pytest.mark.parametrize("page", PAGES)
def test_rerun(benchmark, visit, page):
    """The context in the sidebar changed; server CPU, bytes before compression."""
    visited = visit(f"{page}?max_model_len={CONTEXTS[0]}")
    measure(benchmark, visited, "Context, tokens", "max_model_len", CONTEXTS)


HEAVY = {
    "no single change fits": "model=llama-3.1-405b&gpu=L4",
    "another engine": "model=deepseek-v3&engine=llama.cpp",
}
"""Plans that try most changes."""


@pytest.mark.benchmark(timer=server_cpu_s)
@pytest.mark.parametrize("kind", HEAVY)
def test_rerun_of_a_heavy_plan(benchmark, visit, kind):
    """Page Plan where much is tried, the context changed; server CPU, bytes before compression."""
    visited = visit(f"plan?{HEAVY[kind]}&max_model_len={CONTEXTS[0]}")
    measure(benchmark, visited, "Context, tokens", "max_model_len", CONTEXTS)


@pytest.mark.benchmark(timer=server_cpu_s)
@pytest.mark.parametrize("kind", ["alone", "beside a baseline"])
def test_rerun_of_simulate(benchmark, visit, kind):
    """From one run's results to another's, both known; server CPU, bytes before compression."""
    baseline = "" if kind == "alone" else f"&baseline={quote(f'{SHORT}&seeds=3&seed=9')}"
    visited = visit(f"simulate?{SHORT}&seeds=3&seed={SEEDS[0]}{baseline}")
    for seed in SEEDS:
        if seed != SEEDS[0]:
            visited.change("Seed", "seed", seed)
        run(visited.page)
    visited.change("Seed", "seed", SEEDS[0])
    visited.received.clear()
    measure(benchmark, visited, "Seed", "seed", SEEDS)


def run(page):
    page.get_by_role("button", name="Run", exact=True).click()
    page.get_by_role("figure").first.wait_for()
    settle(page)
