"""A server that is measured: started on this machine's own address, watched, and ended."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import kvsim

HOST = "127.0.0.1"
LOOPBACK = (HOST, "localhost", "::1")
POLL_S, GRACE_S, STOP_S, REPLY_S = 0.2, 3.0, 30.0, 600.0


class ServerError(kvsim.KvsimError):
    """A server that does not start, or stops; `log` is what it printed."""

    def __init__(self, message: str, log: Sequence[str]) -> None:
        super().__init__(message)
        self.log = tuple(log)


@dataclass(slots=True)
class Server:
    """A running process and what it printed so far, both streams in one order."""

    process: "subprocess.Popen[str]"
    lines: list[str] = field(default_factory=list)

    @property
    def log(self) -> str:
        """What was printed so far."""
        return "\n".join(self.lines)

    @property
    def has_ended(self) -> bool:
        """Whether the process is gone."""
        return self.process.poll() is not None

    def wait_for(self, is_ready: Callable[[], bool], *, timeout_s: float, what: str) -> None:
        """Until something is so.

        Raises:
            ServerError: if the process ends first, or the time is over.
        """
        end_s = time.monotonic() + timeout_s
        while not is_ready():
            if self.has_ended:
                msg = f"{what}: the server ended with status {self.process.returncode}"
                raise ServerError(msg, self.lines)
            if time.monotonic() > end_s:
                msg = f"{what}: not within {timeout_s:g} s"
                raise ServerError(msg, self.lines)
            time.sleep(POLL_S)

    @contextlib.contextmanager
    def explaining(self, what: str) -> Iterator[None]:
        """Turns a reply that does not come into the server's own end, if it has ended.

        Raises:
            ServerError: in place of UnsupportedError.
        """
        try:
            yield
        except kvsim.UnsupportedError:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(GRACE_S)
            if self.has_ended:
                self.wait_for(lambda: False, timeout_s=0, what=what)
            raise


@contextlib.contextmanager
def started(command: Sequence[str], environment: Mapping[str, str]) -> Iterator[Server]:
    """The process while it is needed; it and its own children are ended afterwards.

    Raises:
        FileError: if there is no such program.
    """
    try:
        process = subprocess.Popen(
            command,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
    except OSError as error:
        msg = f"{command[0]}: {error.strerror}"
        raise kvsim.FileError(msg) from None
    server = Server(process)
    reader = threading.Thread(target=_read, args=(server,), daemon=True)
    reader.start()
    try:
        yield server
    finally:
        _stop(process)
        reader.join(STOP_S)
        if process.stdout is not None:
            process.stdout.close()


def _read(server: Server) -> None:
    stream = server.process.stdout
    assert stream is not None
    for line in stream:
        server.lines.append(line.rstrip("\n"))


def _stop(process: "subprocess.Popen[str]") -> None:
    """End the process's own group: first asked, then not."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_S)
            if number is signal.SIGKILL or not _group_lives(process.pid):
                return


def _group_lives(group: int) -> bool:
    """Whether a child of an ended process is still there; those that end are waited for."""
    end_s = time.monotonic() + STOP_S
    while time.monotonic() < end_s:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return False
        time.sleep(POLL_S)
    return True


def free_port() -> int:
    """A port of this machine's own address that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def fetch(url: str, body: Mapping[str, object] | None = None, *, method: str | None = None) -> str:
    """The text that a server replies with; a body is posted as JSON.

    Raises:
        UnsupportedError: if it cannot be reached, or says no.
    """
    request = urllib.request.Request(
        checked(url),
        data=None if body is None else json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
        method=method,
    )
    try:
        with opener(url).open(request, timeout=REPLY_S) as reply:
            text: str = reply.read().decode("utf-8", "replace")
    except urllib.error.HTTPError as error:
        said = error.read().decode("utf-8", "replace")[:200]
        msg = f"{url}: {error.code} {error.reason}: {said}"
        raise kvsim.UnsupportedError(msg) from None
    except (OSError, ValueError) as error:
        msg = f"{url}: {error}"
        raise kvsim.UnsupportedError(msg) from None
    return text


def metrics(url: str) -> kvsim.MetricsPage:
    """The metrics page of a server.

    Raises:
        UnsupportedError: if it cannot be reached.
        SpecError: if it is no metrics page.
    """
    return kvsim.parse_metrics(fetch(f"{url}/metrics"), name=f"{url}/metrics")


def opener(url: str) -> urllib.request.OpenerDirector:
    """Opens addresses; no proxy stands between this machine and itself."""
    if urllib.parse.urlsplit(url).hostname in LOOPBACK:
        return urllib.request.build_opener(urllib.request.ProxyHandler({}))
    return urllib.request.build_opener()


def checked(url: str) -> str:
    """The address, if it is one of a web server.

    Raises:
        SpecError: for another scheme.
    """
    if not url.startswith(("http://", "https://")):
        msg = f"url={url} must start with http:// or https://"
        raise kvsim.SpecError(msg)
    return url


def replies(url: str) -> bool:
    """Whether a server answers there."""
    try:
        fetch(url)
    except kvsim.UnsupportedError:
        return False
    return True
