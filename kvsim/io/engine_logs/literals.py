"""Settings as Python prints them: {'a': 1}, Namespace(a=1), a=1, b='x'; whole, cut or broken."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

MAX_TEXT = 200_000
MAX_LITERAL = 20_000
MAX_DEPTH = 40
_GLUED = re.compile(r"\s*([\w.+-]{1,60})\s+([a-z_]{1,60}=.*)", re.DOTALL)
_WORDS = {"True": True, "False": False, "None": None, "true": True, "false": False, "null": None}


@dataclass(frozen=True, slots=True)
class Raw:
    """A value that is no plain literal, as printed: PoolerConfig(...), torch.bfloat16."""

    text: str


def pairs(text: str, *, is_closed: bool) -> Iterator[tuple[str, object]]:
    """Names and values of a printed dict's or call's inside.

    Args:
        text: what follows the opening bracket, or the first name where there is none.
        is_closed: whether a closing bracket is expected; without it, the last value counts as cut.

    Yields:
        Each name with its value, up to the closing bracket or to where the text was cut.
    """
    for item, is_whole in _items(text[:MAX_TEXT]):
        name, value = _split(item)
        while name and (glued := _GLUED.fullmatch(value)):  # a line that forgot a comma
            yield name, literal(glued[1])
            name, value = _split(glued[2])
        if name and (is_whole or (not is_closed and value.strip() in _WORDS)):
            yield name, literal(value)


def has_end(text: str) -> bool:
    """Whether the bracket that is open at the start is closed somewhere."""
    depth, quote = 1, ""
    for i, char in enumerate(text[:MAX_TEXT]):
        quote, depth, _ = _step(text, i, char, quote, depth)
        if depth == 0:
            return True
    return False


def literal(text: str) -> object:
    """The value of a printed literal; `Raw` for anything else.

    Example:
        >>> literal("0.9"), literal("'auto'"), literal("torch.bfloat16")
        (0.9, 'auto', Raw(text='torch.bfloat16'))
    """
    text = text.strip()
    if text in _WORDS:
        return _WORDS[text]
    if not text or len(text) > MAX_LITERAL or _depth(text) > MAX_DEPTH:
        return Raw(text[:200])
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
        return Raw(text[:200])


def _depth(text: str) -> int:
    depth = most = 0
    for char in text:
        depth += (char in "([{") - (char in ")]}")
        most = max(most, depth)
    return most


def _items(text: str) -> Iterator[tuple[str, bool]]:
    """Parts between top-level commas, and whether each is whole."""
    start, depth, quote = 0, 1, ""
    for i, char in enumerate(text):
        quote, depth, is_comma = _step(text, i, char, quote, depth)
        if depth == 0:
            yield text[start:i], True
            return
        if is_comma and depth == 1:
            yield text[start:i], True
            start = i + 1
    yield text[start:], False


def _step(text: str, i: int, char: str, quote: str, depth: int) -> tuple[str, int, bool]:
    """The quote and depth after a letter, and whether it is a comma outside of quotes."""
    if quote:
        is_end = char == quote and text[i - 1] != "\\"
        return ("" if is_end else quote), depth, False
    if char in "'\"" and (i == 0 or not text[i - 1].isalnum()):
        return char, depth, False
    if char in "([{":
        return "", depth + 1, False
    if char in ")]}":
        return "", depth - 1, False
    return "", depth, char == ","


def _split(item: str) -> tuple[str, str]:
    """`a=1` or `'a': 1` as name and value; an empty name where it is neither."""
    item = item.strip()
    if item[:1] in "'\"" and item:
        end = item.find(item[0], 1)
        rest = item[end + 1 :].lstrip()
        return (item[1:end], rest[1:]) if end > 0 and rest[:1] == ":" else ("", "")
    name, mark, value = item.partition("=")
    return (name.strip(), value) if mark and name.strip().isidentifier() else ("", "")
