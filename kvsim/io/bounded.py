"""Files of a user's, read in bounded time and memory: text, JSON or TOML, or one clean error."""

import hashlib
import json
import tomllib
import zlib
from os import PathLike
from pathlib import Path
from typing import Any

from kvsim.errors import FileError

LARGEST = 2**63 - 1

BROKEN_TEXT = (OSError, EOFError, UnicodeDecodeError, zlib.error)
"""What reading lines of a file, zipped or not, raises where it holds none."""


def broken_table() -> tuple[type[BaseException], ...]:
    """What polars raises for a file that is no table; where it panics, that is no `Exception`."""
    import polars as pl  # noqa: PLC0415 - slow to load

    return OSError, pl.exceptions.PolarsError, pl.exceptions.PanicException


def read_text(path: str | PathLike[str], *, most_bytes: int, what: str) -> str:
    """A regular file's text.

    Args:
        path: of the file; a device or a pipe has no end, and is refused.
        most_bytes: of the file.
        what: the file should be, for the error.

    Raises:
        FileError: if it cannot be read, is larger, or is not text in UTF-8.
    """
    file = Path(path)
    shown = str(path)[:200]
    try:
        if file.exists() and not file.is_file():
            msg = f"{shown}: is not a regular file, so no {what}"
            raise FileError(msg)
        with file.open("rb") as opened:
            content = opened.read(most_bytes + 1)
    except (OSError, ValueError) as error:  # a path with a null byte is a ValueError
        msg = f"{shown}: {getattr(error, 'strerror', None) or error}"
        raise FileError(msg) from None
    if len(content) > most_bytes:
        msg = f"{file.name}: larger than {most_bytes:,} bytes, so no {what}"
        raise FileError(msg)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        msg = f"{file.name}: is not text in UTF-8, so no {what}"
        raise FileError(msg) from None


def file_digest(path: str | PathLike[str]) -> bytes:
    """A digest of a file's bytes, however many there are.

    Raises:
        FileError: if it cannot be read.
    """
    try:
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest()
    except OSError as error:
        msg = f"{Path(path).name}: {error.strerror}"
        raise FileError(msg) from None


def read_json(path: str | PathLike[str], *, most_bytes: int, what: str) -> object:
    """What a JSON file holds; errors as of `read_text`, and for what is no JSON."""
    return parse_json(read_text(path, most_bytes=most_bytes, what=what), name=Path(path).name)


def parse_json(text: str, *, name: str) -> object:
    """What a JSON text holds.

    Raises:
        FileError: if it is no JSON, or nested deeper than can be read.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        msg = f"{name}: is no JSON: {error}"
        raise FileError(msg) from None


def read_toml(path: str | PathLike[str], *, most_bytes: int, what: str) -> dict[str, Any]:
    """What a TOML file holds; errors as of `read_text`, and for what is no TOML."""
    text = read_text(path, most_bytes=most_bytes, what=what)
    try:
        table = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        msg = f"{path}: is no TOML: {error}"
        raise FileError(msg) from None
    _check_whole_numbers(table, name=Path(path).name)
    return table


def _check_whole_numbers(table: dict[str, Any], *, name: str) -> None:
    """FileError for a whole number of more than TOML's 64 bits; Python reads it, floats do not."""
    left: list[object] = [table]
    while left:
        value = left.pop()
        if isinstance(value, dict):
            left += value.values()
        elif isinstance(value, list):
            left += value
        elif isinstance(value, int) and not -LARGEST - 1 <= value <= LARGEST:
            msg = f"{name}: is no TOML: a whole number there must have at most 64 bits"
            raise FileError(msg)
