"""Inputs, links and the deployment they describe."""

import json
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

import kvsim
from app import scenario
from app.fields import Kind, read_query, write_query
from app.report import as_json, headed
from app.scenario import FIELDS, PAGE_FIELDS

ALL = FIELDS | PAGE_FIELDS
DEFAULTS = {name: field.default for name, field in FIELDS.items()}
SCHEMAS = Path(__file__).parents[2] / "docs/schema"


@pytest.mark.parametrize("name", ALL)
def test_a_default_is_a_valid_value(name):
    """The first view is made of defaults."""
    field = ALL[name]
    if field.kind is Kind.CHOICE:
        assert field.default in field.options()
    elif field.default is not None:
        assert field.parse(field.write(field.default)) == field.default


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("max_model_len", "8192", 8192),
        ("max_model_len", "8.192e3", 8192),
        ("gpu_memory_utilization", "0.9", 0.9),
        ("gpu", "T4", "T4"),
        ("enforce_eager", "TRUE", True),
        ("max_num_seqs", "", None),
        ("rate_per_s", "", None),
        ("seed", "0", 0),
    ],
)
def test_a_link_gives_an_input_its_value(name, text, value):
    """A false alarm would teach people to ignore it."""
    assert read_query({name: text}, ALL) == ({name: value}, ())


@pytest.mark.parametrize(
    ("name", "text"),
    [
        *(("max_model_len", text) for text in ("8192.5", "inf", "nan", "x", "", "0", "1e300")),
        *(("weights_gib", text) for text in ("-1", "1e400", "nan")),
        ("gpu_memory_utilization", "1.5"),
        ("gpu_memory_utilization", ""),
        ("num_requests", "2001"),
        ("gpu", "t4"),
        ("enforce_eager", ""),
        ("engine_version", "1" * 21),
        ("tokens", "8192"),
    ],
)
def test_what_no_input_can_hold_is_reported(name, text):
    """The link asked for something; the page shows something else, and says so."""
    assert read_query({name: text}, ALL) == ({}, (f"{name}={text}",))


@given(
    st.fixed_dictionaries(
        {
            "max_model_len": st.integers(1, 2**53 - 1),
            "gpu_memory_utilization": st.floats(0.01, 1.0),
            "weights_gib": st.none() | st.floats(0, 1e6),
            "rate_per_s": st.none() | st.floats(0.01, 1e6),
            "enforce_eager": st.booleans(),
            "gpu": st.sampled_from(scenario.gpu_options()),
        }
    )
)
def test_a_written_link_reads_as_it_was(values):
    """Whatever was entered, a colleague sees it to the last digit."""
    read, lost = read_query(write_query(values, ALL), ALL)
    assert lost == ()
    assert {name: ALL[name].default for name in values} | read == values


def test_a_download_has_the_command_lines_schema():
    """One object, two faces: its version, where it comes from, its figures."""
    asked = scenario.of(DEFAULTS)
    planned = kvsim.plan(asked.deployment(), concurrent_requests=asked.concurrent_requests)
    report = json.loads(as_json(headed(planned.as_dict(), asked=asked)))
    schema = json.loads((SCHEMAS / "plan.schema.json").read_text())

    jsonschema.Draft202012Validator(schema).validate(report)
    assert list(report)[:2] == ["schema_version", "provenance"]


def test_what_is_asked_decides_a_downloads_digest():
    """Two visitors who asked the same hold the same digest; another seed is said beside it."""
    first, again, other = (
        headed({}, asked=scenario.of({**DEFAULTS, "max_model_len": length}), seed=length)
        for length in (512, 512, 1024)
    )

    assert first == again != other
    assert first["provenance"]["inputs_sha256"] != other["provenance"]["inputs_sha256"]
    assert other["provenance"]["seed"] == 1024


def test_measurements_reach_the_plan_to_the_mebibyte():
    """What a log prints with two decimals must not drift."""
    values = DEFAULTS
    asked = scenario.of(values | {"weights_gib": 14.99})
    weights = asked.deployment().overheads.weights_bytes
    assert weights.is_exact
    assert weights.best == kvsim.parse_bytes("14.99GiB")
