"""Rules that read figures from lines, and what they found."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from kvsim.io.engine_logs.text import Line

Value = int | float | str | list[object]
OUT_OF_MEMORY = re.compile(
    r"(?:CUDA|HIP|XPU|NPU|MPS|device) (?:error: )?out of memory|OutOfMemoryError|OutOfDeviceMemory|"
    r"out of memory\. Tried|\): out of memory|failed: out of memory|OUT_OF_(?:DEVICE_)?MEMORY"
)
"""A device without memory for what was asked; advice against running out of it is not meant."""

MAX_VALUES = 10_000
"""Values of one figure that are kept; a log of 32 ranks has 32."""

NUMBER = r"-?\d[\d,]{0,20}(?:\.\d{1,20})?"
"""A printed number, with or without commas; for rules."""

_DECIMAL_COMMA = re.compile(r"-?\d{1,20},\d\d")
"""Two digits behind a comma: a locale's fraction; thousands come in threes."""

_FLOAT_NAMES = ("_gib", "_mib", "concurrency", "utilization", "fraction")


def number(text: str) -> int | float:
    """A printed number: whole unless it has a fraction, whose mark may be a comma.

    Example:
        >>> number("1,743,556"), number("14.50"), number("3072,00")
        (1743556, 14.5, 3072.0)
    """
    if _DECIMAL_COMMA.fullmatch(text):
        return float(text.replace(",", "."))
    digits = text.replace(",", "")
    return float(digits) if "." in digits else int(digits)


def figure(name: str, text: str) -> Value:
    """A group's text as the value of the figure of that name; sizes are never whole."""
    value = number(text)
    return float(value) if name.endswith(_FLOAT_NAMES) else value


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A kind of line: a text that all such lines hold, and a pattern whose groups are figures.

    `kinds` converts groups that are no numbers. `wraps`: pasted logs break this line, and it is
    looked for over the break too.
    """

    needle: str
    pattern: re.Pattern[str]
    kinds: Mapping[str, Callable[[str], Value]] = field(default_factory=dict)
    wraps: bool = False

    def matches(self, line: Line) -> Iterable[re.Match[str]]:
        """What the rule finds on a line, or over its break where the line alone says nothing."""
        found = list(self.pattern.finditer(line.text)) if self.needle in line.text else []
        if not found and self.wraps:
            for joined in line.joined:
                if self.needle in joined:
                    found = [
                        m
                        for m in self.pattern.finditer(joined)
                        if m.start() < len(line.text) <= m.end()
                    ]
                if found:
                    break
        return found


def rule(
    needle: str, pattern: str, *, wraps: bool = False, **kinds: Callable[[str], Value]
) -> Rule:
    """A rule; `{n}` in the pattern stands for a number."""
    compiled = re.compile(pattern.replace("{n}", NUMBER))
    return Rule(needle=needle, pattern=compiled, kinds=kinds, wraps=wraps)


@dataclass(slots=True)
class Findings:
    """Values by name in order of appearance, with the lines they were first read on.

    Invariant: every value was printed on the line that is noted for it.
    """

    values: dict[str, list[Value]] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)
    understood: set[int] = field(default_factory=set)

    def add(self, name: str, value: Value, line: Line) -> None:
        """Note one printed value."""
        values = self.values.setdefault(name, [])
        if len(values) < MAX_VALUES:
            values.append(value)
        self.lines.setdefault(name, line.number)
        self.understood.add(line.number)

    def drop(self, names: Iterable[str]) -> None:
        """Forget figures, as when a dry run is followed by the real one."""
        for name in names:
            self.values.pop(name, None)
            self.lines.pop(name, None)

    def read(self, rules: Iterable[Rule], line: Line) -> None:
        """Apply rules to a line."""
        for each in rules:
            for match in each.matches(line):
                self._take(each, match, line)

    def _take(self, each: Rule, match: re.Match[str], line: Line) -> None:
        self.understood.add(line.number)
        for name, text in match.groupdict().items():
            if text is None:
                continue
            convert = each.kinds.get(name)
            try:
                value = convert(text) if convert else figure(name, text)
            except (ValueError, OverflowError):
                continue  # a number cut in the middle of its digits
            self.add(name, value, line)

    def distinct(self, name: str) -> list[Value]:
        """The different values of a figure, in order of appearance."""
        return list(dict.fromkeys(_hashable(v) for v in self.values.get(name, [])))

    def last(self, name: str) -> Value | None:
        """The value printed last."""
        values = self.values.get(name)
        return values[-1] if values else None


def _hashable(value: Value) -> Value:
    return tuple(value) if isinstance(value, list) else value  # type: ignore[return-value]


def single(values: list[Value]) -> Value | None:
    """One value as itself, several as a list, none as None."""
    if not values:
        return None
    return values[0] if len(values) == 1 else list(values)


_ABOUT_MEMORY = re.compile(
    r"\d\s?(?:[GM]i?B)\b|(?:KV [Cc]ache|kv_cache|blocks|mem usage|avail mem)[^:=\n]{0,40}[:=] ?\d|"
    r"buffer size|out of memory"
)
_TRACEBACK = re.compile(r'File "[^"]{1,300}", line \d|\]     \S|^     \S')
"""Frames of a traceback, and the code that it quotes."""

MAX_NOT_UNDERSTOOD = 50
SHOWN_LETTERS = 200


def not_understood(
    lines: Iterable[Line], findings: Findings, ignored: re.Pattern[str]
) -> list[str]:
    """Lines about memory that no rule read, each once, shortened."""
    found: dict[str, None] = {}
    for line in lines:
        if line.number in findings.understood or not _ABOUT_MEMORY.search(line.text[:2000]):
            continue
        if ignored.search(line.text[:2000]) or _TRACEBACK.search(line.text[:2000]):
            continue
        found.setdefault(line.text.strip()[:SHOWN_LETTERS], None)
        if len(found) == MAX_NOT_UNDERSTOOD:
            break
    return list(found)
