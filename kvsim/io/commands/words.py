"""Words of launch lines: flags from fields, and values from words."""

import re
from collections.abc import Mapping

from kvsim.errors import SpecError

_NUMBER = re.compile(r"(-?\d{1,18})(?:\.(\d{1,12}))?([kKmMgGtT]?)(?:i?B?)?")
_DECIMAL, _BINARY = "kmgt", "KMGT"


def changed(names: Mapping[str, str], settings: object, default: object) -> list[str]:
    """Flags of the fields that differ from the engine's defaults; switches without a value.

    Args:
        names: field -> the flag that sets it, with its dashes.
        settings: the fields.
        default: the same fields as the engine takes them by itself.
    """
    words: list[str] = []
    for field, option in names.items():
        value = getattr(settings, field)
        if value is None or value == getattr(default, field):
            continue
        if value is True:
            words.append(option)
        else:
            words += [option, repr(value) if isinstance(value, float) else str(value)]
    return words


def whole(name: str, word: str) -> int:
    """A count as people write it: 32768, 32k (32,000), 32K (32,768).

    Raises:
        SpecError: for what is no whole number.

    Example:
        >>> whole("max_model_len", "1.5k"), whole("max_model_len", "32K")
        (1500, 32768)
    """
    match = _NUMBER.fullmatch(word)
    if match is None:
        msg = f"{name}={word[:40]!r} must be a whole number"
        raise SpecError(msg)
    digits, fraction, suffix = match[1], match[2] or "", match[3]
    factor = 1
    if suffix:
        base, place = (1000, _DECIMAL) if suffix in _DECIMAL else (1024, _BINARY)
        factor = base ** (place.index(suffix) + 1)
    scaled, rest = divmod(int(digits + fraction) * factor, int(10 ** len(fraction)))
    if rest:
        msg = f"{name}={word[:40]!r} must be a whole number"
        raise SpecError(msg)
    return scaled


def share(name: str, word: str) -> float:
    """A fraction or ratio.

    Raises:
        SpecError: for what is no number.
    """
    if not re.fullmatch(r"\d{0,6}\.?\d{0,20}(?:[eE]-?\d{1,3})?", word) or word in ("", "."):
        msg = f"{name}={word[:40]!r} must be a number"
        raise SpecError(msg)
    return float(word)
