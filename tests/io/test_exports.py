"""CSV and Markdown of results: all of it there, and nothing in it acts."""

import csv
import io
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

import kvsim
from kvsim.cli import main

FIELDS = st.text(st.characters(categories=["L", "N"], include_characters="_"), min_size=1)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELDS, inner, max_size=3),
    max_leaves=12,
)
REPORTS = st.dictionaries(FIELDS, VALUES, min_size=1, max_size=4)
HOSTILE = (
    *("=1+1", "+1", "-1", "@SUM(A1)", "'=1", " =1", "\t=1", "\r=1", "\n=1", "＝1"),  # noqa: RUF001
    *("a|b", "![x](http://e.com/x.png)", "<img src=x>", "`x`", "a\nb", "\x1b[31m", "**x**"),
    *(":red[x]", "$x$", "www.example.com", "a@example.com", "https://example.com", "\\|"),
)


def flat(value, path=()):
    """What `report_csv` must hold: every value with its path."""
    if isinstance(value, dict | list) and value:
        for name, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from flat(item, (*path, str(name)))
    else:
        yield ".".join(path), value


def printed(value):
    """A value as a cell says it, before anything is escaped."""
    if isinstance(value, str):
        return "".join(c if c.isprintable() else repr(c)[1:-1] for c in value)
    return "" if value is None else json.dumps(value)


def read_csv(text):
    """What a reader gets who takes the apostrophe off, as a spreadsheet does."""
    header, *rows = csv.reader(io.StringIO(text))
    assert header == ["field", "value"]
    return [(field, value.removeprefix("'")) for field, value in rows]


def read_tables(text):
    """Every table of a Markdown text as rows of cells, its escapes undone."""
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    cells = [re.split(r" \| ", row[2:-2]) for row in rows]
    return [[re.sub(r"\\(.)", r"\1", cell) for cell in row] for row in cells]


@given(REPORTS)
def test_a_csv_reads_as_the_object_that_it_was(report):
    """A spreadsheet is a face of the JSON object, not a summary of it."""
    assert read_csv(kvsim.report_csv(report)) == [
        (field, printed(value)) for field, value in flat(report)
    ]


@given(REPORTS)
def test_no_cell_of_a_csv_computes(report):
    """A model's name comes from a stranger's file."""
    for line in csv.reader(io.StringIO(kvsim.report_csv(report))):
        for cell in line:
            is_number = re.fullmatch(r"-?[\d.]+(e[+-]?\d+)?", cell)
            assert is_number or cell.lstrip()[:1] not in tuple("=+-@＝＋－＠")  # noqa: RUF001


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_shown_as_it_is(text):
    """Neither a column more, nor a picture fetched, nor a colour; the text itself stays."""
    markdown = kvsim.report_markdown({"model": text, "list": [{"name": text}, {"name": "b"}]})
    assert ["model", printed(text)] in read_tables(markdown)
    for line in markdown.splitlines():
        bare = re.sub(r"\\[!-/:-@\[-`{-~]", "", line)
        assert not re.search(r"[<>`*\[\]$@]|https?://|www\.|\x1b", bare)
        assert line.isprintable()
    assert read_csv(kvsim.report_csv({"model": text})) == [("model", printed(text))]


def test_a_plan_as_markdown_holds_every_value_of_its_json(capsys):
    """Sections are for people; nothing may fall between them."""
    asked = ["plan", "llama-3.1-70b", "--gpu", "h100", "-pp", "3", "--concurrent-requests", "99"]
    main([*asked, "--json"])
    report = json.loads(capsys.readouterr().out)
    main([*asked, "--markdown"])
    text = capsys.readouterr().out
    shown = [cell for row in read_tables(text) for cell in row]
    shown += [re.sub(r"\\(.)", r"\1", line[2:]) for line in text.splitlines() if line[:2] == "- "]
    assert {printed(value) for _, value in flat(report)} <= set(shown)


@pytest.mark.parametrize("engine", ["vllm", "sglang", "llama.cpp"])
def test_a_plan_as_csv_is_its_json(capsys, engine):
    """One object, three forms."""
    asked = ["plan", "llama-3.1-8b", "--gpu", "h100", "--engine", engine, "--max-model-len", "8192"]
    main([*asked, "--json"])
    report = json.loads(capsys.readouterr().out)
    main([*asked, "--csv"])
    assert read_csv(capsys.readouterr().out) == [(f, printed(v)) for f, v in flat(report)]


def test_two_forms_at_once_are_refused(capsys):
    """Which of them would be printed?"""
    with pytest.raises(SystemExit):
        main(["plan", "gpt2", "--gpu", "h100", "--csv", "--json"])
    assert "not allowed with" in capsys.readouterr().err
