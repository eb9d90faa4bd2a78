"""`kvsim app` as a process: it listens on loopback only, and stops without a trace."""

import os
import signal
import socket

import pytest

from tests.app.server import free_port, is_healthy, start

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM], ids=lambda s: s.name)
def test_stopping_leaves_no_process(tmp_path, stop):
    """A port that stays taken is the first thing a user meets at the second start."""
    port = free_port()
    process = start(tmp_path, port)
    process.send_signal(stop)
    process.wait(timeout=60)
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)
    assert not is_healthy(port)
    with socket.socket() as again:
        again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        again.bind(("127.0.0.1", port))


def test_it_listens_on_loopback_only(tmp_path):
    """What a visitor pastes is nobody else's business."""
    port = free_port()
    process = start(tmp_path, port)
    try:
        with socket.socket() as other:
            other.settimeout(5)
            assert other.connect_ex(("127.0.0.2", port)) != 0
    finally:
        process.terminate()
        process.wait(timeout=60)
