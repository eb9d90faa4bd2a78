"""Histograms as a /metrics page has them, and values of a sweep as text."""

import pytest

from kvsim.errors import SpecError
from kvsim.specs.metrics import Histogram
from kvsim.specs.sweep_fields import find_field, parsed_value

INF = float("inf")


def test_the_mean_is_of_what_was_observed():
    """
    The sum over the count; of nothing there is none.
    """
    seen = Histogram(bounds=(1.0, 10.0, INF), counts=(2.0, 3.0, 5.0), total=120.0)

    assert (seen.num_observed, seen.mean, seen.cumulative) == (10, 12, (2, 5, 10))
    assert Histogram(bounds=(INF,), counts=(0.0,), total=0.0).mean is None


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("block_size", "16", 16),
        ("gpu_memory_utilization", "0.5", 0.5),
        ("enforce_eager", "true", True),
        ("enforce_eager", "false", False),
        ("kv_cache_dtype", "fp8", "fp8"),
    ],
)
def test_a_flags_text_is_the_fields_value(name, text, value):
    """
    As the field's own type, not as text.
    """
    found = parsed_value(find_field(name, simulate=False), text)

    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("block_size", "many", "block_size='many' must be a whole number"),
        ("gpu_memory_utilization", "half", "gpu_memory_utilization='half' must be a number"),
        ("enforce_eager", "yes", "enforce_eager='yes' must be true or false"),
    ],
)
def test_text_that_is_no_such_value_is_refused(name, text, words):
    """
    Field, text and what it must be.
    """
    with pytest.raises(SpecError, match=words):
        parsed_value(find_field(name, simulate=False), text)
