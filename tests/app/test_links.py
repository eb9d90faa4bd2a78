"""Links that visitors hold: each input and each default that a link's version stands for."""

import json
from pathlib import Path

import pytest

from app import saved
from app.fields import read_query
from app.scenario import FIELDS, LINK_VERSION, PAGE_FIELDS

LINKS = json.loads(Path(__file__).with_name("links.json").read_text())
"""Version -> the text of every default, and a link that gives every input another value."""

INPUTS = FIELDS | PAGE_FIELDS | saved.PLACES


def test_a_link_of_today_opens_whole():
    """
    An input that is renamed, or takes less, breaks links: that needs another LINK_VERSION.
    """
    link = LINKS[LINK_VERSION]["link"]
    values, lost = read_query(link, INPUTS)

    assert lost == ()
    assert {name: INPUTS[name].write(value) for name, value in values.items()} == link


def test_what_a_link_leaves_out_means_what_it_meant():
    """
    A link states what differs from the defaults: another default needs another LINK_VERSION.
    """
    recorded = LINKS[LINK_VERSION]["defaults"]

    assert {name: INPUTS[name].write(INPUTS[name].default) for name in recorded} == recorded


@pytest.mark.parametrize("version", LINKS)
def test_what_an_older_link_says_is_read_or_named(version):
    """
    Nothing of an old link gets lost in silence: the page shows what it could not take.
    """
    link = LINKS[version]["link"]
    values, lost = read_query(link, INPUTS)

    assert {*values, *(text.partition("=")[0] for text in lost)} == set(link)
