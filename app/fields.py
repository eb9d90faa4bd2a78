"""One input: its name is the widget's key, the name in a link, and the engine's flag."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

MOST = 2**53 - 1
"""Largest whole number that a browser tells from its neighbours."""

MAX_WORD = 20
"""Characters of a word."""

Value = str | int | float | bool | list[str] | None


class Kind(StrEnum):
    """How a value is entered, and written in a link."""

    AMOUNT = "amount"  # above 0
    CHOICE = "choice"
    COUNT = "count"
    RATE = "rate"
    SAVED = "saved"  # a scenario as text
    SHARE = "share"
    SIZE = "size"  # in GiB
    SOME = "some"  # of the options, in the order in which they were chosen
    SWITCH = "switch"
    WORD = "word"


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One input; None is a value of those whose default it is, and of a rate."""

    name: str
    kind: Kind
    default: Value
    options: Callable[[], tuple[str, ...]] = tuple
    step: int = 1
    least: int = 1
    most: int = MOST
    empty: str = "engine_decides"  # key of the text for no value
    longest: int = MAX_WORD  # letters of a word
    clears: bool = False  # whether it can be emptied though its default is a number
    accepts: Callable[[str], bool] = bool

    @property
    def low(self) -> float:
        """Least amount that can be entered."""
        return {Kind.SIZE: 0.0, Kind.AMOUNT: 0.001}.get(self.kind, 0.01)

    @property
    def high(self) -> float | None:
        """Largest amount that can be entered, where there is one."""
        return 1.0 if self.kind is Kind.SHARE else None

    def parse(self, text: str) -> Value:
        """The value that a text in a link stands for; an empty one clears a number.

        Raises:
            ValueError: if the input cannot hold it.
        """
        value = self._read(text)
        if not self._holds(value):
            msg = f"{self.name}={text} cannot be entered"
            raise ValueError(msg)
        return value

    def write(self, value: Value) -> str:
        """The text in a link that stands for a value."""
        if value is None:
            return ""
        if isinstance(value, bool):
            return str(value).lower()
        if isinstance(value, list):
            return ",".join(value)
        if isinstance(value, float) and value.is_integer():
            return str(int(value))
        return str(value)

    def _read(self, text: str) -> Value:
        match self.kind:
            case Kind.COUNT:
                return _whole(text) if text else None
            case Kind.RATE | Kind.AMOUNT | Kind.SHARE | Kind.SIZE:
                return float(text) if text else None
            case Kind.SOME:
                return text.split(",") if text else []
            case Kind.SWITCH:
                return {"true": True, "false": False}.get(text.lower())
        return text

    def _holds(self, value: Value) -> bool:
        if self.kind in (Kind.CHOICE, Kind.SOME):
            chosen = value if isinstance(value, list) else [value]
            return set(chosen) <= set(self.options()) and len(set(chosen)) == len(chosen)
        if isinstance(value, bool):
            return self.kind is Kind.SWITCH
        if isinstance(value, int):
            return self.least <= value <= self.most
        if isinstance(value, float):
            high = math.inf if self.high is None else self.high
            return math.isfinite(value) and self.low <= value <= high
        if isinstance(value, str):
            return self.accepts(value) if self.kind is Kind.SAVED else len(value) <= self.longest
        return self.default is None or self.clears or self.kind is Kind.RATE


def read_query(
    query: Mapping[str, str], fields: Mapping[str, Field]
) -> tuple[dict[str, Value], tuple[str, ...]]:
    """The values that a link's query gives inputs, and what no input can hold, as `name=text`."""
    values: dict[str, Value] = {}
    lost = []
    for name, text in query.items():
        try:
            values[name] = fields[name].parse(text)
        except (KeyError, ValueError, OverflowError):
            lost.append(f"{name}={text}")
    return values, tuple(lost)


def write_query(values: Mapping[str, Value], fields: Mapping[str, Field]) -> dict[str, str]:
    """The query of a link: what differs from the defaults."""
    return {
        name: field.write(values[name])
        for name, field in fields.items()
        if name in values and values[name] != field.default
    }


def _whole(text: str) -> int:
    number = float(text)
    if not number.is_integer():
        msg = f"{text} must be a whole number"
        raise ValueError(msg)
    return int(number)
