"""Launch lines in a log: the words after the engine's program, as flags and values."""

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kvsim.io.engine_logs.text import Line, continued
from kvsim.io.limits import MAX_LAUNCH_LETTERS, MAX_LAUNCH_WORDS

MAX_CONTINUED = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """A launch line: `flags` without dashes and with underscores, values as given.

    A flag without a value is True, and False where it was negated.
    """

    line: int
    flags: Mapping[str, object]
    arguments: tuple[str, ...]


def find_launch(
    lines: list[Line], program: re.Pattern[str], skip: re.Pattern[str]
) -> Launch | None:
    """The last launch line of a program; backslashes continue it, quoted text is skipped."""
    found = None
    for i, line in enumerate(lines):
        match = program.search(line.text) if len(line.text) < MAX_LAUNCH_LETTERS else None
        if match is None or skip.search(line.text):
            continue
        text = line.text[match.end() :]
        for more in continued(lines, i, MAX_CONTINUED):
            if not text.rstrip().endswith("\\"):
                break
            text = text.rstrip()[:-1] + " " + more
        words = split(text)
        if words:
            flags, arguments = parse_flags(words)
            found = Launch(line=line.number, flags=flags, arguments=tuple(arguments))
    return found


def split(text: str) -> list[str]:
    """Words of a shell line; of a cut one, those before the quote that is not closed."""
    text = re.split(r"\s(?:&&|\|\||;|>|2>|>>|\|)\s|\s&\s*$|`", text + " ", maxsplit=1)[0]
    for _ in range(3):
        try:
            return shlex.split(text, comments=False)[:MAX_LAUNCH_WORDS]
        except ValueError:
            text = text[: max(text.rfind("'"), text.rfind('"'), 0)]
    return []


def parse_flags(words: Sequence[str]) -> tuple[dict[str, object], list[str]]:
    """Flags with their values, and the words that belong to none.

    Example:
        >>> parse_flags(["serve", "m", "--max-model-len=4096", "-tp", "2", "--no-enable-x"])
        ({'max_model_len': '4096', 'tp': '2', 'enable_x': False}, ['serve', 'm'])
    """
    flags: dict[str, object] = {}
    arguments: list[str] = []
    i = 0
    while i < len(words):
        word = words[i]
        i += 1
        if not _is_flag(word):
            arguments.append(word)
            continue
        name, mark, value = word.lstrip("-").partition("=")
        name = name.replace("-", "_")
        if mark:
            flags[name] = value
        elif i < len(words) and not _is_flag(words[i]):
            flags[name] = words[i]
            i += 1
        elif name.startswith("no_") and word.startswith("--"):
            flags[name.removeprefix("no_")] = False
        else:
            flags[name] = True
    return flags, arguments


def _is_flag(word: str) -> bool:
    return len(word) > 1 and word[0] == "-" and not re.fullmatch(r"-\d+(\.\d+)?", word)


def typed(value: object) -> object:
    """A flag's text as a number where it is one, else the text."""
    if not isinstance(value, str):
        return value
    if re.fullmatch(r"-?\d{1,18}", value):
        return int(value)
    if re.fullmatch(r"-?\d{1,9}\.\d{1,18}", value):
        return float(value)
    return value
