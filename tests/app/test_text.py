"""Text from elsewhere is inert, tables are tables."""

import pytest

from app.text import inert, table, tokens


@pytest.mark.parametrize("mark", list("\\`*_{}[]()#+-.!|<>~$:&"))
def test_no_markup_survives(mark):
    """Each of these starts something in Streamlit's Markdown."""
    assert inert(f"a{mark}b") == f"a\\{mark}b"


def test_inert_text_is_one_short_line():
    """A megabyte in a message would be shown whole."""
    assert inert("a\n\n  b") == "a b"
    assert len(inert("x" * 10_000)) < 600


def test_a_table_has_a_row_per_row():
    """Header, rule, rows."""
    assert table(["a", "b"], [("1", "2")]) == "| a | b |\n| --- | ---: |\n| 1 | 2 |"
    assert table(["a", "b"], [], words=1) == "| a | b |\n| --- | --- |"


@pytest.mark.parametrize(("count", "text"), [(256, "256"), (8192, "8K"), (10_485_760, "10M")])
def test_round_counts_are_short(count, text):
    """Ticks of an axis have no room for commas."""
    assert tokens(count) == text
