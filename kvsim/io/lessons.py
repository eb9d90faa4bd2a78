"""Reads what pages that teach show beside predictions (`data/lessons.toml`)."""

import functools
import tomllib
from importlib import resources

from kvsim.specs.lessons import FormatLoss, HeadScores, Lessons, TimedAnswer


@functools.cache
def lessons() -> Lessons:
    """Answers timed with a cache and without, what formats lose, and published figures.

    Example:
        >>> lessons().identical_tokens, lessons().formats[4].name
        (True, 'int4')
    """
    text = resources.files("kvsim.io").joinpath("data/lessons.toml").read_text("utf-8")
    table = tomllib.loads(text)
    answers, formats, text_table = table["answers"], table["formats"], table["text"]
    return Lessons(
        answers_source=answers["source"],
        answers_model=answers["model"],
        answers=tuple(TimedAnswer(**row) for row in answers["rows"]),
        identical_tokens=answers["identical_tokens"],
        cached_exponent=answers["cached_exponent"],
        uncached_exponent=answers["uncached_exponent"],
        formats_source=formats["source"],
        formats_model=formats["model"],
        formats=tuple(FormatLoss(**row) for row in formats["rows"]),
        heads=HeadScores(**table["heads"]),
        characters_per_token=text_table["characters_per_token"],
        characters_source=text_table["source"],
    )
