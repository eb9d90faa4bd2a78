"""What kvsim itself wrote: the `schema_version` that it reads, and why it reads no other."""

from kvsim import __version__
from kvsim.errors import FileError

VERSION = "schema_version"


def check_version(
    content: object, known: int, *, name: str, unstated: int | None = None
) -> dict[str, object]:
    """The object that a file holds, if it is of the version that this kvsim reads.

    Args:
        content: of the file, decoded.
        known: the version that is read.
        name: of the file, for the error.
        unstated: the version of files that state none; None: each states its own.

    Raises:
        FileError: for something else, or another version; the message says whose.
    """
    if not isinstance(content, dict) or (VERSION not in content and unstated is None):
        msg = f"{name}: must be an object with {VERSION} {known}"
        raise FileError(msg)
    stated = content.get(VERSION, unstated)
    if isinstance(stated, bool) or stated != known:
        is_newer = isinstance(stated, int) and stated > known
        hint = ": a newer kvsim wrote it, update this one" if is_newer else ""
        msg = f"{name}: {VERSION}={str(stated)[:40]} must be {known}{hint}"
        raise FileError(msg)
    return content


def whose(kind: str, writer: object) -> str:
    """Whose a kept state is that is not this run's, for the error.

    Args:
        kind: run or sweep.
        writer: the kvsim that kept it, as it said.

    Example:
        >>> whose("sweep", "0.0.1")
        'of kvsim 0.0.1, whose rules may differ from those of 0.1.0'
    """
    if isinstance(writer, str) and writer != __version__:
        return f"of kvsim {writer[:40]}, whose rules may differ from those of {__version__}"
    return f"another {kind}'s"
