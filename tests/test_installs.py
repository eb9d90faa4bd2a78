"""The page of installations that were tried is the record's."""

import json

from tests.installs.page import PAGE, RECORD, page


def test_the_page_is_what_was_recorded():
    """
    `python -m tests.installs --record` writes both.
    """
    assert PAGE.read_text() == page(json.loads(RECORD.read_text()))
