"""Runs a function in a fork of this process, for as long as it may take."""

import os
import signal
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass

PATIENCE_S = 90


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What became of a mutant: killed, timeout or survived; and how many tests it met."""

    outcome: str
    num_tests: int
    seconds: float


def child_outcome(run: Callable[[], int], limit_s: float = PATIENCE_S) -> str:
    """Survived if the function returned 0, killed if it failed, timeout if it took too long."""
    child = os.fork()
    if child == 0:
        code = 70
        try:
            os.setsid()
            code = run()
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    deadline_s = time.monotonic() + limit_s
    while time.monotonic() < deadline_s:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            _end(child)
            return "survived" if os.waitstatus_to_exitcode(status) == 0 else "killed"
        time.sleep(0.01)
    _end(child)
    os.waitpid(child, 0)
    return "timeout"


def _end(group: int) -> None:
    """End what a run left behind: it is a session of its own."""
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        return
