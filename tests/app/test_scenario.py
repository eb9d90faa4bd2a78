"""Inputs, links and the deployment they describe."""

import pytest

import kvsim
from app import scenario
from app.scenario import FIELDS, PAGE_FIELDS, Kind
from app.views import plan
from kvsim.cli import SCHEMA_VERSION

ALL = FIELDS | PAGE_FIELDS


@pytest.mark.parametrize("name", ALL)
def test_a_default_is_a_valid_value(name):
    """The first view is made of defaults."""
    field = ALL[name]
    if field.kind is Kind.CHOICE:
        assert field.default in field.options()
    elif field.default is not None:
        assert field.parse(str(field.default)) == field.default


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [("max_model_len", "8192", 8192), ("gpu_memory_utilization", "0.9", 0.9), ("gpu", "T4", "T4")],
)
def test_an_honoured_value_is_not_reported(name, text, value):
    """A false alarm would teach people to ignore it."""
    assert scenario.ignored({name: text}, {name: value}) == ()


@pytest.mark.parametrize("text", ["8193", "8192.5", "inf", "nan", "x", ""])
def test_a_value_that_was_replaced_is_reported(text):
    """Whatever the widget made of it, the link asked for something else."""
    assert scenario.ignored({"max_model_len": text}, {"max_model_len": 8192}) == (
        f"max_model_len={text}",
    )


def test_an_input_of_another_page_is_reported():
    """Only the page that has the input can honour it."""
    assert scenario.ignored({"seed": "7"}, {}) == ("seed=7",)
    assert scenario.ignored({"seed": "7"}, {"seed": 7}) == ()


def test_an_empty_value_clears_an_optional_input():
    """`?max_num_seqs=` is how a cleared input is written."""
    assert scenario.ignored({"max_num_seqs": ""}, {"max_num_seqs": None}) == ()


def test_the_download_has_the_command_lines_schema():
    """One object, two faces."""
    assert plan.SCHEMA_VERSION == SCHEMA_VERSION


def test_measurements_reach_the_plan_to_the_mebibyte():
    """What a log prints with two decimals must not drift."""
    values = {name: field.default for name, field in FIELDS.items()}
    asked = scenario.Scenario(config=None, **values | {"weights_gib": 14.99})
    weights = asked.deployment().overheads.weights_bytes
    assert weights.is_exact
    assert weights.best == kvsim.parse_bytes("14.99GiB")
