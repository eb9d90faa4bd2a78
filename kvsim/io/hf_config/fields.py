"""Fields: one JSON object of a config, read by name and alias, checked, and remembered."""

from collections.abc import Mapping
from types import MappingProxyType

from kvsim.errors import MissingFieldError, SpecError
from kvsim.io.limits import MAX_CONFIG_LAYERS, MAX_CONFIG_SIZE
from kvsim.io.numbers import finite
from kvsim.message import Message

MAX_SHOWN_BITS = 128
"""Longest whole number that a message spells out."""


class Fields:
    """A config's object; every getter names the field when the value is impossible.

    `used` collects the fields that decided something, in order of reading. `defaults` are values
    of the configuration class: what a file leaves out, but not what it sets to null.
    """

    def __init__(
        self,
        values: Mapping[str, object],
        *,
        path: str = "",
        defaults: Mapping[str, object] = MappingProxyType({}),
    ) -> None:
        self._values = values
        self._path = path
        self._defaults = defaults
        self._overridden: Mapping[str, str] = {}
        self.used: dict[str, object] = {}

    def fork(self) -> "Fields":
        """The same object, remembering its own reads only."""
        other = Fields(self._values, path=self._path, defaults=self._defaults)
        other._overridden = self._overridden
        return other

    def overlaid(self, values: Mapping[str, object], path: str) -> "Fields":
        """The same object with some values replaced by those of another object at `path`."""
        other = Fields({**self._values, **values}, path=self._path, defaults=self._defaults)
        other._overridden = {**self._overridden, **{name: f"{path}{name}" for name in values}}
        other.used = self.used
        return other

    def name_of(self, field: str) -> str:
        """The field with the object it lives in: `text_config.head_dim`."""
        return f"{self._path}{self._overridden.get(field, field)}"

    def _find(self, aliases: tuple[str, ...]) -> tuple[str, object] | None:
        """The first alias that is stated, else the first that the class defaults to."""
        for alias in aliases:
            value = self._values.get(alias)
            if value is not None:
                return alias, value
        for alias in aliases:
            value = self._defaults.get(alias)
            if value is not None and alias not in self._values:
                return alias, value
        return None

    def raw(self, *aliases: str) -> object:
        """The first non-null value among the aliases, unchecked; None if there is none."""
        found = self._find(aliases)
        if found is None:
            return None
        self.used[self.name_of(found[0])] = found[1]
        return found[1]

    def _stated_name(self, *aliases: str) -> str:
        """The alias that `raw` reads, with the object it lives in."""
        found = self._find(aliases)
        return self.name_of(aliases[0] if found is None else found[0])

    def has(self, *aliases: str) -> bool:
        """Whether any alias is there and not null."""
        return self._find(aliases) is not None

    def states(self, *aliases: str) -> bool:
        """Whether the file itself has any of the aliases, class defaults left aside."""
        return any(self._values.get(alias) is not None for alias in aliases)

    def names(self) -> tuple[str, ...]:
        """Every field that is there and not null."""
        return tuple(name for name, value in self._values.items() if value is not None)

    def whole(
        self, *aliases: str, default: int | None = None, low: int = 1, high: int = MAX_CONFIG_SIZE
    ) -> int:
        """A whole number in [low, high]; the default if absent, SpecError if there is none."""
        value = self.optional_whole(*aliases, low=low, high=high)
        if value is not None:
            return value
        if default is None:
            msg = Message("{field} is missing, and it decides", field=self.name_of(aliases[0]))
            raise MissingFieldError(msg)
        return default

    def optional_whole(
        self, *aliases: str, low: int = 1, high: int = MAX_CONFIG_SIZE
    ) -> int | None:
        """A whole number in [low, high], or None if no alias is there."""
        found = self._find(aliases)
        if found is None:
            return None
        alias, value = found
        self.used[self.name_of(alias)] = value
        return self._check_whole(alias, value, low=low, high=high)

    def size(self, *aliases: str) -> int | None:
        """A size of at least 1; absent, null and 0 all mean "not stated"."""
        for alias in aliases:
            value = self.optional_whole(alias, low=0)
            if value:
                return value
        return None

    def number(self, *aliases: str) -> float | None:
        """A finite number, or None if no alias is there."""
        value = self.raw(*aliases)
        if value is None:
            return None
        number = finite(value)
        if number is None:
            msg = Message(
                "{field}={value} must be a finite number",
                field=self._stated_name(*aliases),
                value=show(value),
            )
            raise SpecError(msg)
        return number

    def flag(self, *aliases: str, default: bool = False) -> bool:
        """A boolean; the default if absent."""
        value = self.raw(*aliases)
        if value is None:
            return default
        if not isinstance(value, bool):
            msg = Message(
                "{field}={value} must be true or false",
                field=self._stated_name(*aliases),
                value=show(value),
            )
            raise SpecError(msg)
        return value

    def text(self, *aliases: str, default: str = "") -> str:
        """A string; the default if absent."""
        value = self.raw(*aliases)
        if value is None:
            return default
        if not isinstance(value, str):
            msg = Message(
                "{field}={value} must be a string",
                field=self._stated_name(*aliases),
                value=show(value),
            )
            raise SpecError(msg)
        return value

    def items(self, *aliases: str) -> tuple[object, ...] | None:
        """A list, or None if no alias is there; at most MAX_CONFIG_LAYERS long."""
        value = self.raw(*aliases)
        if value is None:
            return None
        if not isinstance(value, list | tuple) or len(value) > MAX_CONFIG_LAYERS:
            name = self._stated_name(*aliases)
            msg = Message(
                "{name} must be a list of at most {max_config_layers} entries",
                name=name,
                max_config_layers=MAX_CONFIG_LAYERS,
            )
            raise SpecError(msg)
        return tuple(value)

    def wholes(self, *aliases: str, low: int = 0) -> tuple[int, ...] | None:
        """A list of whole numbers; booleans count as 0 and 1, as configs mix them."""
        values = self.items(*aliases)
        if values is None:
            return None
        return tuple(
            self._check_whole(aliases[0], int(v) if isinstance(v, bool) else v, low=low)
            for v in values
        )

    def numbers_in_text(self, alias: str) -> tuple[int, ...] | None:
        """Whole numbers of a list, or of a text that separates them by commas."""
        value = self.raw(alias)
        if not isinstance(value, str):
            return self.wholes(alias)
        parts = [part.strip() for part in value.split(",", MAX_CONFIG_LAYERS)]
        if not all(part.isascii() and part.isdigit() and len(part) < 6 for part in parts):
            msg = Message(
                "{field} must be whole numbers, separated by commas", field=self.name_of(alias)
            )
            raise SpecError(msg)
        return tuple(int(part) for part in parts)

    def texts(self, *aliases: str) -> tuple[str, ...] | None:
        """A list of strings, or None if no alias is there."""
        values = self.items(*aliases)
        if values is None:
            return None
        if not all(isinstance(v, str) for v in values):
            msg = Message("{field} must be a list of strings", field=self._stated_name(*aliases))
            raise SpecError(msg)
        return tuple(str(v) for v in values)

    def section(self, *aliases: str) -> "Fields | None":
        """A nested object, or None if no alias is there or it is no object."""
        for alias in aliases:
            value = self._values.get(alias)
            if isinstance(value, Mapping):
                inner = Fields(value, path=f"{self.name_of(alias)}.")
                inner.used = self.used
                return inner
        return None

    def must_agree(self, *aliases: str) -> None:
        """SpecError if two names of one quantity state different numbers."""
        stated = {
            alias: value
            for alias in aliases
            if isinstance(value := self._values.get(alias), int | float | str)
        }
        if len(set(stated.values())) > 1:
            pairs = ", ".join(f"{self.name_of(a)}={show(v)}" for a, v in stated.items())
            msg = Message("{pairs}: they are one quantity and must agree", pairs=pairs)
            raise SpecError(msg)

    def _check_whole(
        self, field: str, value: object, *, low: int = 1, high: int = MAX_CONFIG_SIZE
    ) -> int:
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            msg = Message(
                "{field}={value} must be a whole number in [{low}, {high}]",
                field=self.name_of(field),
                value=show(value),
                low=low,
                high=high,
            )
            raise SpecError(msg)
        return value


def show(value: object) -> str:
    """A value for a message: short, on one line, whatever its size or depth."""
    if isinstance(value, Mapping):
        return f"an object of {len(value)} fields"
    if isinstance(value, list | tuple):
        return f"a list of {len(value)}"
    if isinstance(value, int) and value.bit_length() > MAX_SHOWN_BITS:
        return f"a number of {value.bit_length()} bits"
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
