"""Components that run in the browser: their sources, which hold nothing of a visitor's."""

from functools import cache
from pathlib import Path

HERE = Path(__file__).resolve().parents[1]


@cache
def source(name: str) -> str:
    """The text of a file of the app."""
    return (HERE / name).read_text("utf-8")
