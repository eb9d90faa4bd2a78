"""Message: a sentence that still knows its template and its values, so that others can say it."""

from collections.abc import Iterable, Mapping
from functools import reduce
from typing import Self


class Message(str):
    """A sentence made of a template and values; it reads and compares as its English text.

    A value may itself be a message. Where a sentence has no values, the plain text is its template.

    Example:
        >>> said = Message("{name}={value} must be >= 1", name="seeds", value=0)
        >>> said, said.template
        ('seeds=0 must be >= 1', '{name}={value} must be >= 1')
    """

    __slots__ = ("template", "values")
    template: str
    values: Mapping[str, str]

    def __new__(cls, template: str, /, **values: object) -> Self:
        """Fill the template; values are kept as text."""
        said = super().__new__(cls, template.format(**values))
        said.template = template
        said.values = {n: v if isinstance(v, Message) else str(v) for n, v in values.items()}
        return said

    def __getnewargs_ex__(self) -> tuple[tuple[str], dict[str, object]]:
        """How it is made again in another process."""
        return (self.template,), dict(self.values)

    @classmethod
    def of_all(cls, sentences: Iterable[str]) -> Self:
        """Sentences one after the other, with semicolons between them.

        Example:
            >>> Message.of_all(("no memory", "no slot"))
            'no memory; no slot'
        """
        messages = [one if isinstance(one, cls) else cls(_plain(one)) for one in sentences]
        return reduce(cls._then, messages)

    @classmethod
    def _then(cls, first: Self, rest: Self) -> Self:
        return cls("{first}; {rest}", first=first, rest=rest)


def _plain(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")
