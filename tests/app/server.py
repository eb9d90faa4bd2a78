"""The app as a user starts it, on a free port, with a home folder of its own."""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]
START_S = 120  # a busy machine imports slowly


def free_port():
    """A loopback port that nobody holds now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def is_healthy(port):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=5) as reply:
            return reply.read() == b"ok"
    except (urllib.error.URLError, OSError):
        return False


def start(home, port):
    """`kvsim app` in a session of its own, so that what it leaves behind can be found."""
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "kvsim", "app", "--port", str(port)],
            cwd=ROOT,
            env=os.environ | {"HOME": str(home)},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    end = time.monotonic() + START_S
    while not is_healthy(port):
        if process.poll() is not None or time.monotonic() > end:
            process.kill()
            process.wait()
            raise RuntimeError((home / "log").read_text("utf-8", "replace"))
        time.sleep(0.2)
    return process


@contextmanager
def running(home):
    """The address of an app that runs inside the block."""
    port = free_port()
    process = start(home, port)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(timeout=60)
