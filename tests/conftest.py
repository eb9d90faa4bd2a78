"""What every test shares: Hypothesis without deadlines, and a clean stop."""

import signal

import pytest
from hypothesis import settings

settings.register_profile("kvsim", deadline=None)  # a busy machine is slow, not wrong
settings.load_profile("kvsim")

collect_ignore = ["planner/search_on_ray.py", "planner/sweep_on_ray.py"]
collect_ignore += ["sim/vllm_offload_oracle.py"]
"""Run by tests in a process of their own, where ray or vLLM is."""

SLOW_PAGES = {"watermark.md"}
"""Pages whose examples serve a closed loop for 20,000 steps, which is not compiled."""

stopped_by = pytest.StashKey[int]()


def pytest_configure(config):
    """A termination ends the run as Ctrl-C does, so that fixtures take their servers down."""

    def stop(signum, _frame):
        config.stash[stopped_by] = signum
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)


def pytest_collection_modifyitems(items):
    """A page's examples carry no marker of their own."""
    for item in items:
        if item.path.name in SLOW_PAGES:
            item.add_marker(pytest.mark.slow)


def pytest_sessionfinish(session, exitstatus):
    """Exit as a shell expects of a stopped command: 130 after Ctrl-C.

    A test may raise the signal for code that catches it; that stops nothing.
    """
    if exitstatus == pytest.ExitCode.INTERRUPTED and stopped_by in session.config.stash:
        session.exitstatus = 128 + session.config.stash[stopped_by]
