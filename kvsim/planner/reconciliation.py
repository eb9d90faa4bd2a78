"""Checks that set a log's figures beside what kvsim makes of them: parts, a whole, what is left."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from math import ceil, floor

from kvsim.errors import KvsimError
from kvsim.message import Message
from kvsim.specs.engine_log import EngineLog
from kvsim.specs.overheads import Interval, exact, total

Json = dict[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A named share of a whole; its interval's source says whether it was printed or predicted."""

    name: str
    value: Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A whole, and the parts that should make it up; `unit` is bytes, tokens or blocks.

    It is explained where nothing is left beyond the rounding of the print and the spread of
    what was predicted.
    """

    name: str
    unit: str
    whole: Part
    parts: tuple[Part, ...]
    note: str = ""

    @property
    def remainder(self) -> Interval:
        """What the parts leave of the whole."""
        return self.whole.value - total(part.value for part in self.parts)

    @property
    def is_explained(self) -> bool:
        """Whether nothing may be left."""
        return self.remainder.low <= 0 <= self.remainder.high

    def as_dict(self) -> Json:
        """The check as plain values."""
        return {
            "name": self.name,
            "unit": self.unit,
            "whole": _part(self.whole),
            "parts": [_part(part) for part in self.parts],
            "remainder": _interval(self.remainder),
            "explained": self.is_explained,
            "note": self.note,
        }


def _part(part: Part) -> Json:
    return {"name": part.name, **_interval(part.value), "source": part.value.source}


def _interval(value: Interval) -> Json:
    return {"low": value.low, "best": value.best, "high": value.high}


@dataclass(slots=True)
class Findings:
    """Checks of one log as they are made, and the reasons for those that could not be."""

    checks: list[Check] = field(default_factory=list)
    predicted: dict[str, Interval] = field(default_factory=dict)
    not_checked: list[str] = field(default_factory=list)

    def check(
        self, name: str, unit: str, whole: Part, parts: Iterable[Part], note: str = ""
    ) -> None:
        """Add a check."""
        self.checks.append(Check(name=name, unit=unit, whole=whole, parts=tuple(parts), note=note))


def left_out(figure: str, error: KvsimError) -> Message:
    """Why a figure could not be checked, by the error that says so."""
    reason = Message.of_all([error.words])
    return Message("{figure}: {reason}", figure=figure, reason=reason)


def printed(value: float, unit: int = 1, *, decimals: int = 2) -> Interval:
    """A printed size, as wide as its rounding; `decimals` is the least that the engine prints.

    Example:
        >>> printed(0.5, 1000)
        Interval(low=495, best=500, high=505, source='printed')
    """
    if isinstance(value, int) and unit == 1:
        return exact(value, "printed")
    shown = max(decimals, len(repr(float(value)).partition(".")[2]) if value % 1 else 0)
    half = 0.5 * 10.0**-shown
    low, high = (value - half) * unit, (value + half) * unit
    return Interval(floor(low), round(value * unit), ceil(high), "printed")


def numbers(log: EngineLog, name: str) -> list[float]:
    """A figure's values, smallest rank or first pool first; empty where nothing was printed."""
    value = log.measured.get(name)
    values = value if isinstance(value, list) else [value]
    return [v for v in values if isinstance(v, int | float) and not isinstance(v, bool)]


def whole_number(log: EngineLog, name: str, default: int | None = None) -> int | None:
    """A setting that is a whole number, else the default."""
    value = log.settings.get(name)
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    return value if is_whole else default  # type: ignore[return-value]


def fraction(log: EngineLog, name: str, default: float | None = None) -> float | None:
    """A setting that is a share, else the default."""
    value = log.settings.get(name)
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= 1:
        return float(value)
    return default


def text(log: EngineLog, name: str, default: str = "auto") -> str:
    """A setting that is a word, else the default."""
    value = log.settings.get(name)
    return value if isinstance(value, str) else default


def switch(log: EngineLog, name: str) -> bool | None:
    """A setting that is on or off; None where the log does not say."""
    value = log.settings.get(name)
    return value if isinstance(value, bool) else None


def scaled(value: Interval, share: float) -> Interval:
    """A share of an amount, as wide as rounding makes it."""
    return Interval(
        floor(value.low * share), round(value.best * share), ceil(value.high * share), value.source
    )


def spread(values: Iterable[Interval], source: str) -> Interval:
    """The interval that holds all of these; the likely value is the last one's."""
    given = list(values)
    low, high = min(v.low for v in given), max(v.high for v in given)
    return Interval(low, min(max(given[-1].best, low), high), high, source)
