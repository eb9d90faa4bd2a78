"""The page on accuracy is what the records give."""

from validation.accuracy import PAGE, page, percent, table


def test_the_page_is_fresh():
    """
    A figure in the documentation is measured, or it is not there; regenerate it with
    `python -m validation accuracy --write`.
    """
    assert PAGE.read_text("utf-8") == page()


def test_no_record_is_wrong():
    """
    The page shows what the code gives: a wrong case would stand there.
    """
    rows = [line for line in page().splitlines() if line.startswith("| ")]
    records = [line.split(" | ") for line in rows[2:7]]

    assert all(cells[5] == "0" for cells in records)


def test_tables_are_markdown():
    """
    A header, a rule, rows.
    """
    assert table(("a", "b"), [(1, percent(0.5))]) == "| a | b |\n| --- | --- |\n| 1 | 50.00 % |"
