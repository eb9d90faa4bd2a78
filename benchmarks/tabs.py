"""Ten browser tabs on page Plan that change inputs at once: updates lost, CPU, and memory.

Run with `python -m benchmarks.tabs`; `--record` appends the figure to the history. Status 1 where
an update was lost.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from playwright.sync_api import TimeoutError as PlaywrightTimeoutError
from playwright.sync_api import sync_playwright
from pytest_benchmark.plugin import pytest_benchmark_generate_machine_info

from benchmarks.history import HISTORY, Figure, machine_name
from benchmarks.processes import cpu_s, resident_bytes
from tests.app.server import free_port, start
from tests.browser.conftest import CHROMIUM, HINT, SWITCHES, settle

PATIENCE_MS = 60_000
WARM_SHARE = 0.2
"""Of the time, after which memory should grow no more: caches hold what they will."""

WORKLOAD = (
    "Tabs on page Plan, each with values of its own: context and requests changed one right after "
    "the other in all tabs at once, until each shows both; server CPU per update of a tab."
)
SHOWS = """
text => [...document.querySelectorAll('[data-testid=stAlert]')]
  .some(e => e.innerText.includes(text))
"""


@contextmanager
def server():
    """Address and process id of an app that runs inside the block."""
    with tempfile.TemporaryDirectory() as home:
        port = free_port()
        process = start(Path(home), port)
        try:
            yield f"http://127.0.0.1:{port}", process.pid
        finally:
            process.terminate()
            process.wait(timeout=60)


@contextmanager
def open_tabs(address, num_tabs):
    """Pages of one browser, each a visit of its own, settled."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=SWITCHES)
        context = browser.new_context(locale="en-US")
        context.set_default_timeout(PATIENCE_MS)
        pages = [context.new_page() for _ in range(num_tabs)]
        for page in pages:
            page.goto(address)
            settle(page)
        yield pages
        browser.close()


def change_all(pages, turn):
    """Two inputs in every tab, none waited for; how many tabs never showed both."""
    asked = [(1024 * (2 + (turn + i) % 90), 1 + (turn * 7 + i) % 60) for i in range(len(pages))]
    for page, (context, requests) in zip(pages, asked, strict=True):
        enter(page, "Context, tokens", context)
        enter(page, "Requests at once", requests)
    return sum(
        not shows(page, f"{requests:,} \N{MULTIPLICATION SIGN} {context:,} tokens at once")
        for page, (context, requests) in zip(pages, asked, strict=True)
    )


def enter(page, label, value):
    """A number, as a visitor enters it."""
    box = page.get_by_role("spinbutton", name=label, exact=True)
    box.fill(str(value))
    box.press("Enter")


def shows(page, text):
    """Whether the verdict comes to say so, and the page to rest."""
    try:
        page.wait_for_function(SHOWS, arg=text)
        settle(page)
    except PlaywrightTimeoutError:
        return False
    return True


def measure(num_tabs, seconds):
    """The figure of so many tabs for so long."""
    load, memory, lost = os.getloadavg()[0], [], 0
    with server() as (address, pid), open_tabs(address, num_tabs) as pages:
        opened_bytes, before_cpu_s, started_s = resident_bytes(pid), cpu_s(pid), time.monotonic()
        while (wall_s := time.monotonic() - started_s) < seconds:
            lost += change_all(pages, len(memory))
            memory.append((wall_s, resident_bytes(pid)))
        used_s = cpu_s(pid) - before_cpu_s
    updates = len(memory) * num_tabs
    warm = [held for at_s, held in memory if at_s >= WARM_SHARE * seconds] or [memory[-1][1]]
    return Figure(
        name="tabs::changing_at_once",
        workload=WORKLOAD,
        seconds=used_s / updates,
        clock="process_time",
        rounds=len(memory),
        machine=machine_name(pytest_benchmark_generate_machine_info()),
        date=f"{datetime.now(UTC):%Y-%m-%d}",
        extra={
            "tabs": num_tabs,
            "wall_s": round(wall_s, 1),
            "updates": updates,
            "lost_updates": lost,
            "opened_mb": megabytes(opened_bytes),
            "warm_mb": megabytes(warm[0]),
            "end_mb": megabytes(warm[-1]),
            "peak_mb": megabytes(max(held for _, held in memory)),
            "load_average": round(load, 1),
        },
    )


def megabytes(num_bytes):
    """For reading."""
    return round(num_bytes / 1e6, 1)


def main(argv=None):
    """Print the figure, keep it where asked; 1 where an update was lost."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tabs", description=__doc__)
    parser.add_argument("--num-tabs", type=int, default=10, metavar="N")
    parser.add_argument("--seconds", type=float, default=300.0, metavar="S")
    parser.add_argument("--record", action="store_true", help="append the figure to the history")
    args = parser.parse_args(argv)
    if CHROMIUM is None:
        print(f"tabs: {HINT}", file=sys.stderr)
        return 2
    figure = measure(args.num_tabs, args.seconds)
    print(json.dumps(figure.as_dict(), indent=1))
    if args.record:
        with HISTORY.open("a", encoding="utf-8") as file:
            file.write(json.dumps(figure.as_dict()) + "\n")
    return int(figure.extra["lost_updates"] > 0)


if __name__ == "__main__":
    sys.exit(main())
