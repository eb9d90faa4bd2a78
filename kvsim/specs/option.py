"""A setting's documentation travels with the field: flags, tooltips and tables read it there."""

from dataclasses import field
from typing import TypeVar

T = TypeVar("T")


def option(default: T, doc: str) -> T:
    """A dataclass field whose `doc` becomes the CLI help, the form's tooltip and the docs table."""
    return field(default=default, metadata={"doc": doc})
