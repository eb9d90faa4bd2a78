"""A result's JSON object: its version, and the object as CSV and as Markdown tables, both inert."""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

Json = Mapping[str, object]

SCHEMA_VERSION = 1
"""Of every result's JSON object; raised where a reader of docs/schema would break."""

_FORMULA = re.compile(r"\s*['=+\-@＝＋－＠]")  # noqa: RUF001 - full-width signs compute too
_MARKUP = re.compile(r"([\\`*\[\]<>&|~#!$@]|(?<!\w)_|_(?!\w)|:(?=//|\w+\[)|(?<=www)\.)")
FIELD, VALUE = "field", "value"


def report_csv(report: Json) -> str:
    """A row per value, `field` its path in the JSON object with dots, `value` as JSON writes it.

    Text that a spreadsheet would compute has an apostrophe before it, as has text that begins with
    one; control characters are written out.

    Example:
        >>> print(report_csv({"fits": True, "budget": {"low": 1}, "model": "=1+1"}), end="")
        field,value
        fits,true
        budget.low,1
        model,'=1+1
    """
    page = io.StringIO()
    rows = csv.writer(page, lineterminator="\n")
    rows.writerow((FIELD, VALUE))
    for path, value in _leaves(report, ()):
        word = _cell(value) if isinstance(value, str) else _word(value)
        rows.writerow((_cell(".".join(path)), word))
    return page.getvalue()


def report_markdown(report: Json) -> str:
    r"""Headed tables: single values first, then a section per object; alike objects share a table.

    What others wrote is escaped: no markup, no link, no picture, no further column.

    Example:
        >>> print(report_markdown({"fits": True, "model": "a|b", "why": ["full"]}), end="")
        | field | value |
        | --- | --- |
        | fits | true |
        | model | a\|b |
        <BLANKLINE>
        ## why
        <BLANKLINE>
        - full
    """
    return "\n\n".join(_sections(report, ())) + "\n"


def _leaves(value: object, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], object]]:
    """Every single value with its path; an empty object or list is one."""
    if isinstance(value, Mapping) and value:
        for name, item in value.items():
            yield from _leaves(item, (*path, str(name)))
    elif isinstance(value, list | tuple) and value:
        for index, item in enumerate(value):
            yield from _leaves(item, (*path, str(index)))
    else:
        yield path, value


def _word(value: object) -> str:
    """A value as JSON writes it; nothing for null."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return "{}"
    if isinstance(value, list | tuple):
        return "[]"
    return str(value)


def _printed(text: str) -> str:
    """The text with control characters written out."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def _cell(value: str) -> str:
    """A cell that no spreadsheet computes."""
    text = _printed(value)
    return f"'{text}" if _FORMULA.match(text) else text


def _inert(value: object) -> str:
    """A cell of a Markdown table that shows as it is."""
    return _MARKUP.sub(r"\\\1", _printed(_word(value)))


def _sections(report: Json, path: tuple[str, ...]) -> Iterator[str]:
    single = {name: item for name, item in report.items() if not _holds(item)}
    if single:
        head = f"## {_inert('.'.join(path))}\n\n" if path else ""
        yield head + _table((FIELD, VALUE), single.items())
    for name, item in report.items():
        if _holds(item):
            yield from _section(item, (*path, name))


def _section(item: object, path: tuple[str, ...]) -> Iterator[str]:
    """A list's points, or one table of alike objects, else each member's own sections."""
    title = f"## {_inert('.'.join(path))}\n\n"
    if isinstance(item, Mapping):
        columns = {tuple(_row(member)) for member in item.values()}
        if len(columns) == 1 and all(_holds(member) for member in item.values()):
            rows = ((name, *_row(member).values()) for name, member in item.items())
            yield title + _table((path[-1], *columns.pop()), rows)
        else:
            yield from _sections(item, path)
    elif isinstance(item, list | tuple) and any(_holds(member) for member in item):
        yield title + _list_table(path[-1], [_row(member) for member in item])
    elif isinstance(item, list | tuple):
        yield title + "\n".join(f"- {_inert(member)}" for member in item)


def _list_table(name: str, rows: Sequence[Json]) -> str:
    """A row per object; where that is wider than high, a column per object."""
    every = dict.fromkeys(column for row in rows for column in row)
    columns = [c for c in every if not _is_void(c, rows) or not _is_split(c, every)]
    numbers = [str(index) for index in range(len(rows))]
    if len(columns) > len(rows):
        turned = ((column, *(row.get(column) for row in rows)) for column in columns)
        return _table((name, *numbers), turned)
    lines = (
        (number, *(row.get(column) for column in columns))
        for number, row in zip(numbers, rows, strict=True)
    )
    return _table((name, *columns), lines)


def _is_void(column: str, rows: Iterable[Json]) -> bool:
    return not any(_word(row.get(column)).strip("[]{}") for row in rows)


def _is_split(column: str, every: Iterable[str]) -> bool:
    """Whether other rows hold the column's parts, so that an empty one says nothing."""
    return any(other.startswith(f"{column}.") for other in every)


def _row(member: object) -> dict[str, object]:
    """Every single value of a member, by its path; a member that is one has the path `value`."""
    return {".".join(path) or VALUE: value for path, value in _leaves(member, ())}


def _holds(item: object) -> bool:
    """Whether an item is an object or a list with something in it."""
    return isinstance(item, Mapping | list | tuple) and bool(item)


def _table(header: Sequence[str], rows: Iterable[Iterable[object]]) -> str:
    lines = [[_inert(name) for name in header], ["---"] * len(header)]
    lines += [[_inert(cell) for cell in row] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
