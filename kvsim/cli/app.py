"""Starts the web app: this process becomes the server, so that stopping it leaves nothing."""

import importlib.util
import os
import sys
from pathlib import Path

from kvsim.errors import FileError, MissingExtraError, SpecError

ADDRESS = "127.0.0.1"
_PACKAGE = Path(__file__).resolve().parents[1]
PLACES = (_PACKAGE.parent / "app" / "main.py", _PACKAGE / "_bundled" / "app" / "main.py")


def start_app(*, port: int) -> None:
    """Replace this process by Streamlit, bound to loopback; returns only by an error.

    Raises:
        MissingExtraError: if streamlit or plotly is not installed.
        SpecError: for an impossible port.
    """
    if not 1 <= port <= 65_535:
        msg = f"port={port} must be in [1, 65535]"
        raise SpecError(msg)
    for package in ("streamlit", "plotly"):
        if importlib.util.find_spec(package) is None:
            raise MissingExtraError(package=package, extra="app")
    main = next((place for place in PLACES if place.is_file()), None)
    if main is None:
        msg = "app/main.py is not there: the installation is incomplete"
        raise FileError(msg)
    print(f"kvsim: the web app is at http://{ADDRESS}:{port}", file=sys.stderr, flush=True)
    command = [sys.executable, "-m", "streamlit", "run", str(main)]
    command += ["--server.address", ADDRESS, "--server.port", str(port)]
    command += ["--server.headless", "true", "--browser.gatherUsageStats", "false"]
    os.chdir(main.parent)  # its .streamlit/config.toml applies wherever the command is run
    os.execv(sys.executable, command)
