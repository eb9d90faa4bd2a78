"""Versions of the serving engine: the newest whose rules are known, and how one is read."""

from kvsim.errors import SpecError

NEWEST_VLLM = "0.32.0"


def parse_version(text: str) -> tuple[int, int]:
    """Major and minor number of a version; SpecError unless it starts with two numbers.

    Example:
        >>> parse_version("0.32.0")
        (0, 32)
    """
    parts = text.removeprefix("v").split(".")
    if len(parts) < 2 or not all(p.isascii() and p.isdigit() and len(p) < 6 for p in parts[:2]):
        msg = f"engine_version={text[:40]} must look like {NEWEST_VLLM}"
        raise SpecError(msg)
    return int(parts[0]), int(parts[1])
