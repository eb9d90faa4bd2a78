"""Which vLLM a row ran: from a release number, else from the engine's generation or the date."""

import re
from collections.abc import Mapping
from typing import Any

V0_ENGINE = (0, 8)  # the first engine; 0.8 was the last release that started it by default
FIRST_OF_2026, RELEASES_PER_MONTH = 13, 1.9
"""0.13 came out as 2026 began, 0.32 in November 2026."""

_RELEASE = re.compile(r"(?<![\d.])0\.(\d{1,2})(?!\d)")
_MONTH = re.compile(r"2026-(\d\d)")


def vllm_version(row: Mapping[str, Any]) -> tuple[int, int]:
    """Major and minor number: the last release named in the row's text, else an estimate.

    Example:
        >>> vllm_version({"engine_version": "0.9/0.10 v1"})
        (0, 10)
        >>> vllm_version({"engine_version": "2026-09"})
        (0, 28)
    """
    text = row.get("engine_version") or ""
    if named := _RELEASE.findall(text):
        return 0, int(named[-1])
    if "v0 engine" in text:
        return V0_ENGINE
    month = _MONTH.search(text) or _MONTH.search(row.get("date") or "")
    if month:
        return 0, FIRST_OF_2026 + round((int(month[1]) - 1) * RELEASES_PER_MONTH)
    if "2026" in text or (row.get("date") or "").startswith("2026"):
        return 0, FIRST_OF_2026
    return V0_ENGINE


def is_stated(row: Mapping[str, Any]) -> bool:
    """Whether the row names a release."""
    return _RELEASE.search(row.get("engine_version") or "") is not None
