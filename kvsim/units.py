"""Sizes: binary units, exact integer helpers, parsing and formatting."""

import re

from kvsim.errors import SpecError

KiB, MiB, GiB, TiB = 2**10, 2**20, 2**30, 2**40
HOURS_PER_MONTH = 730  # 8760 hours a year, over 12

_SUFFIXES = {
    "": 1,
    "b": 1,
    "kib": KiB,
    "mib": MiB,
    "gib": GiB,
    "tib": TiB,
    "kb": 10**3,
    "mb": 10**6,
    "gb": 10**9,
    "tb": 10**12,
}
_SIZE = re.compile(r"\s*(\d+)(?:\.(\d{1,18}))?\s*([a-zA-Z]*)\s*", re.ASCII)
MAX_SIZE_DIGITS = 20


def ceil_div(a: int, b: int) -> int:
    """Smallest integer at or above a / b.

    Example:
        >>> ceil_div(17, 16)
        2
    """
    return -(-a // b)


def round_up(a: int, multiple: int) -> int:
    """Smallest multiple of `multiple` at or above `a`.

    Example:
        >>> round_up(17, 16)
        32
    """
    return ceil_div(a, multiple) * multiple


def at_most(value: int, cap: int) -> int:
    """The smaller of two; in arithmetic alone, so that an array of values is taken too.

    Example:
        >>> at_most(17, 16), at_most(3, 16)
        (16, 3)
    """
    return value - (value - cap) * (value > cap)


def at_least(value: int, floor: int) -> int:
    """The larger of two; in arithmetic alone, so that an array of values is taken too.

    Example:
        >>> at_least(-1, 0), at_least(3, 0)
        (0, 3)
    """
    return value + (floor - value) * (value < floor)


def parse_bytes(text: str, *, field: str = "size") -> int:
    """Bytes of a size as people write it; GiB is 2^30 and GB is 10^9, never mixed up.

    Args:
        text: digits with an optional fraction and unit (B, KiB, MiB, GiB, TiB, kB, MB, GB, TB).
        field: what the size is, for the error.

    Returns:
        Bytes, rounded down.

    Raises:
        SpecError: if the text is not a size or the unit is unknown.

    Example:
        >>> parse_bytes("1.5GiB"), parse_bytes("24 GB"), parse_bytes("4096")
        (1610612736, 24000000000, 4096)
    """
    match = _SIZE.fullmatch(text) if len(text) <= 64 else None
    if match is None or len(match[1]) > MAX_SIZE_DIGITS or match[3].lower() not in _SUFFIXES:
        msg = f"{field}={text[:40]!r} must be a size such as 24GiB, 24GB or plain bytes"
        raise SpecError(msg)
    whole, fraction, suffix = match[1], match[2] or "", match[3].lower()
    scaled: int = int(whole + fraction) * _SUFFIXES[suffix]
    divisor: int = 10 ** len(fraction)
    return scaled // divisor


def format_bytes(num_bytes: int) -> str:
    """A size for people: the largest binary unit that keeps at least one whole, two decimals.

    Example:
        >>> format_bytes(1073741824), format_bytes(131072), format_bytes(600)
        ('1.00 GiB', '128.00 KiB', '600 B')
    """
    for unit, name in ((TiB, "TiB"), (GiB, "GiB"), (MiB, "MiB"), (KiB, "KiB")):
        if abs(num_bytes) >= unit:
            return f"{num_bytes / unit:,.2f} {name}"
    return f"{num_bytes:,} B"


def format_si(value: float, unit: str = "") -> str:
    """A decimal quantity for people: three digits and the SI prefix.

    Example:
        >>> format_si(3.352e12, "B/s"), format_si(8030261248), format_si(989e12, "FLOP/s")
        ('3.35 TB/s', '8.03 G', '989 TFLOP/s')
    """
    for scale, prefix in ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= scale:
            return f"{_digits(value / scale)} {prefix}{unit}"
    return f"{_digits(value)} {unit}".rstrip()


def format_seconds(seconds: float) -> str:
    """A time for people: three digits, in seconds or the largest smaller unit.

    Example:
        >>> format_seconds(0.0123), format_seconds(4.2e-7), format_seconds(75), format_seconds(0)
        ('12.3 ms', '420 ns', '75 s', '0 s')
    """
    for scale, unit in ((1.0, "s"), (1e-3, "ms"), (1e-6, "us")):
        if seconds >= scale or not seconds:
            return f"{_digits(seconds / scale)} {unit}"
    return f"{_digits(seconds / 1e-9)} ns"


def format_change(value: float, base: float) -> str:
    """How far a value is from another, as a share of that.

    Example:
        >>> format_change(11, 10), format_change(9, 10)
        ('+10.0%', '-10.0%')
    """
    return f"{value / base - 1:+.1%}"


def _digits(value: float) -> str:
    """Three significant digits at most, without an exponent."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def format_gib(num_bytes: int) -> str:
    """A size in GiB with two decimals, for tables whose rows must compare.

    Example:
        >>> format_gib(16060522496)
        '14.96 GiB'
    """
    return f"{num_bytes / GiB:,.2f} GiB"


def gigabytes(text: str) -> float:
    """Bytes of a number of 10^9 bytes, as links are sold by.

    Example:
        >>> gigabytes("25")
        25000000000.0
    """
    return float(text) * 1e9
