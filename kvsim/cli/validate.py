"""Starts the validation: this process becomes `python -m validation`."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from kvsim.errors import FileError

_PACKAGE = Path(__file__).resolve().parents[1]
PLACES = (_PACKAGE.parent, _PACKAGE / "_bundled")
"""Folders that may hold `validation/`: a checkout, or an installed package."""


def start_validation(arguments: Sequence[str]) -> None:
    """Replace this process by the validation; returns only by an error.

    Raises:
        FileError: if the installation has no `validation/`.
    """
    place = next((p for p in PLACES if (p / "validation" / "__main__.py").is_file()), None)
    if place is None:
        msg = "validation/ is not there: the installation is incomplete"
        raise FileError(msg)
    paths = [str(place), str(_PACKAGE.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    # -P: the folder that the user stands in is no place to import from
    command = [sys.executable, "-P", "-m", "validation", *arguments]
    os.execve(sys.executable, command, environment)
