"""Tries one input on one reader, within a limit of time, and says whether it was safe."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from kvsim import KvsimError
from tests.fuzz.parsers import Parser

SLOWEST_S = 20
"""No input of 256 KiB may take longer, on a busy machine."""

LONGEST_MESSAGE = 2000


class TooSlowError(Exception):
    """The reader did not end in time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Whether a reader gave a result or one clean error, and what it did if not."""

    is_safe: bool
    what: str = ""


def tried(parser: Parser, content: bytes, folder: Path) -> Outcome:
    """What a reader made of an input."""
    path = folder / f"input{parser.suffix}"
    path.write_bytes(content)
    try:
        with _at_most(SLOWEST_S):
            parser.read(path)
    except KvsimError as error:
        return _message(str(error))
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        return Outcome(is_safe=False, what=f"{type(error).__name__}: {error}"[:LONGEST_MESSAGE])
    return Outcome(is_safe=True)


def _message(text: str) -> Outcome:
    """An error is one short text without control characters: it goes to a terminal."""
    controls = [c for c in text if not c.isprintable() and c not in "\n\t "]
    if controls:
        return Outcome(
            is_safe=False, what=f"control characters {controls[:5]!r} in: {text[:200]!r}"
        )
    if len(text) > LONGEST_MESSAGE:
        return Outcome(is_safe=False, what=f"a message of {len(text)} characters: {text[:200]!r}")
    return Outcome(is_safe=True)


@contextmanager
def _at_most(seconds: int) -> Iterator[None]:
    def stop(_signum: int, _frame: object) -> None:
        raise TooSlowError

    previous = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, previous)
