"""Text for the page: what others wrote made inert, tables, short numbers."""

import re
from collections.abc import Callable, Iterable, Sequence

import kvsim

_SPECIAL = re.compile(r"([\\`*_{}\[\]()#+\-.!|<>~$:&])")
_LONGEST = 500
NO_BREAK = "\u00a0"
FLOPS = ((1e18, "EFLOP"), (1e15, "PFLOP"), (1e12, "TFLOP"), (1e9, "GFLOP"), (1e6, "MFLOP"))


def inert(text: str) -> str:
    """A text that shows as it is: no markup, no link, no picture fetched from elsewhere."""
    line = " ".join(text.split())
    short = line if len(line) <= _LONGEST else f"{line[:_LONGEST]}..."
    return _SPECIAL.sub(r"\\\1", short)


def table(header: Sequence[str], rows: Iterable[Sequence[str]], *, words: int = 0) -> str:
    """A Markdown table: a column of names, columns of numbers, at last so many of words."""
    numbers = len(header) - 1 - words
    lines = [header, ["---", *["---:"] * numbers, *["---"] * words], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def gib(num_bytes: int) -> str:
    """A size in GiB, so that sizes side by side compare; a line never breaks in it."""
    return kvsim.format_gib(num_bytes).replace(" ", NO_BREAK)


def size(num_bytes: int) -> str:
    """A size in the unit that suits it."""
    return kvsim.format_bytes(num_bytes).replace(" ", NO_BREAK)


def seconds(value: float) -> str:
    """A time in the unit that suits it."""
    return f"{value * 1000:,.1f}{NO_BREAK}ms" if value < 1 else f"{value:,.2f}{NO_BREAK}s"


def between(low: str, high: str) -> str:
    """A range; a unit that both ends have stands once, and a line breaks at most after the dots.

    Example:
        >>> between("18.0\u00a0ms", "18.1\u00a0ms").replace(NO_BREAK, " ")
        '18.0 … 18.1 ms'
    """
    amount, _, unit = low.partition(NO_BREAK)
    if unit and high.endswith(NO_BREAK + unit):
        low = amount
    return f"{low}{NO_BREAK}… {high}"


def signed(value: float, write: Callable[[float], str]) -> str:
    """A difference as that function writes amounts, with its sign.

    Example:
        >>> signed(-0.5, seconds).replace(NO_BREAK, " ")
        '-500.0 ms'
    """
    return f"{'+' if value > 0 else '-' if value < 0 else ''}{write(abs(value))}"


def flops(count: float) -> str:
    """A number of operations in the unit that suits it.

    Example:
        >>> flops(2_500_000_000).replace(NO_BREAK, " ")
        '2.50 GFLOP'
    """
    power, unit = next(((power, unit) for power, unit in FLOPS if count >= power), (1, "FLOP"))
    return f"{count / power:,.2f}{NO_BREAK}{unit}"


def tokens(count: int) -> str:
    """A round count of tokens as people say it: 8K is 8,192; others in full.

    Example:
        >>> tokens(8192), tokens(1048576), tokens(1000)
        ('8K', '1M', '1,000')
    """
    for unit, letter in ((2**20, "M"), (2**10, "K")):
        whole, rest = divmod(count, unit)
        if whole and not rest:
            return f"{whole:,}{letter}"
    return f"{count:,}"
