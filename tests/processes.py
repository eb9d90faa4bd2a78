"""Processes that a test started: interrupted, or found in /proc to end one and see what is lost."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path


def parents():
    """Every process with its parent, as far as they can be read."""
    found = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        found[int(stat.parent.name)] = int(fields[1])
    return found


def descendants(pid):
    """Processes that this one started, and theirs."""
    parent_of = parents()
    found = {pid}
    while True:
        more = {child for child, parent in parent_of.items() if parent in found} - found
        if not more:
            return found - {pid}
        found |= more


def command_line(pid):
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


def kill_a_worker(word, *, wait_s=30):
    """End one process below this one whose command holds the word; its id."""
    deadline_s = time.monotonic() + wait_s
    while time.monotonic() < deadline_s:
        for pid in sorted(descendants(os.getpid())):
            if word in command_line(pid):
                os.kill(pid, signal.SIGKILL)
                return pid
        time.sleep(0.05)
    msg = f"no process with {word} in its command"
    raise AssertionError(msg)


def interrupted(command, kept, *, cwd, wait_s=100):
    """What a command says that gets Ctrl-C once it kept two parts; its whole group, as a terminal.

    It ends with status 130 and without a word of error.
    """
    process = subprocess.Popen(
        command,
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    deadline_s = time.monotonic() + wait_s
    while len(list(kept.glob("*.parquet"))) < 2:
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline_s
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (130, "")
    return json.loads(out)
