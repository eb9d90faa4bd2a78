"""Versions of the serving engine: the newest whose rules are known, and how one is read."""

from functools import lru_cache

from kvsim.errors import SpecError
from kvsim.message import Message

NEWEST_VLLM = "0.32.0"


@lru_cache(maxsize=64)
def parse_version(text: str) -> tuple[int, int]:
    """Major and minor number of a version; SpecError unless it starts with two numbers.

    Example:
        >>> parse_version("0.32.0")
        (0, 32)
    """
    parts = text.removeprefix("v").split(".")
    if len(parts) < 2 or not all(p.isascii() and p.isdigit() and len(p) < 6 for p in parts[:2]):
        msg = Message(
            "engine_version={text} must look like {newest_vllm}",
            text=text[:40],
            newest_vllm=NEWEST_VLLM,
        )
        raise SpecError(msg)
    return int(parts[0]), int(parts[1])


FIRST_V1 = (0, 8)
"""The version that made V1 the default: it brought the null block and windows that free blocks.

Source: vLLM's release notes; logs of 0.6.3 and 0.4.1 print "# GPU blocks", those of 0.9 do not.
"""

FIRST_ASYNC = (0, 14)
"""The version from which asynchronous scheduling is on unless something forbids it.

Source: vLLM's release notes; logs from 0.16 on say that it is enabled, those up to 0.12 do not.
"""


def is_v0(version: str) -> bool:
    """Whether a version is of the engine before V1.

    Example:
        >>> is_v0("0.6.3.post1"), is_v0("0.9.2")
        (True, False)
    """
    return parse_version(version) < FIRST_V1


def schedules_ahead(version: str) -> bool:
    """Whether a version schedules a step before the last is settled, unless told otherwise."""
    return parse_version(version) >= FIRST_ASYNC
