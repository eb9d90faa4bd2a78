"""Waste: published figures come back, parts are the pool, and a full queue shows the rate."""

import functools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import kvsim
from kvsim.planner.waste_runs import METHODS
from kvsim.specs.workload import PromptSegment, Request, Workload

SHARE_TOLERANCE = 0.11
BATCH_TOLERANCE = 0.15
"""What two samples of other shapes gave: points of the memory, and of a batch."""

NUM_REQUESTS = 1200


@functools.cache
def study():
    return kvsim.waste_study(seed=3, num_requests=NUM_REQUESTS)


def cells(workload):
    return {(c.method, c.quantity): c for c in study().cells if c.workload == workload}


def test_orca_max_is_the_closed_form():
    """
    Seven runs of 2048 slots fit into 15,728, and what is left over is external.
    """
    found = cells("sharegpt")

    assert round(found["orca-max", "batch"].simulated, 2) == 15728 // 2048
    assert round(found["orca-max", "external"].simulated, 3) == 0.089
    assert found["orca-max", "external"].simulated == pytest.approx(1 - 7 * 2048 / 15728)
    assert round(cells("alpaca")["orca-max", "batch"].simulated, 2) == 7.0


def test_every_share_is_the_papers_within_11_points():
    """
    Nothing is fitted to these cells: the means are published, the spread is another sample's.
    """
    shares = [c for c in cells("sharegpt").values() if c.quantity != "batch"]

    assert len(shares) == 14
    assert [c for c in shares if abs(c.difference) > SHARE_TOLERANCE] == []


def test_every_sharegpt_batch_is_the_papers_within_15_percent():
    """
    The batches of paging take a step's time from the same figure: they test consistency.
    """
    batches = [c for c in cells("sharegpt").values() if c.quantity == "batch"]

    assert len(batches) == 4
    assert [c for c in batches if abs(c.relative_difference) > BATCH_TOLERANCE] == []


def test_the_study_says_what_was_chosen_with_the_figures_in_view():
    """
    Whoever reads the comparison learns that it is no blind prediction.
    """
    assert any("Weibull" in note for note in study().as_dict()["notes"])


def test_paging_sustains_what_the_paper_says_over_the_oracle():
    """
    1.7 to 2.7 times the request rate at equal memory.
    """
    ratio = study().reports[0].paged_over_oracle

    assert 1.7 <= ratio <= 2.7


WORKLOADS = st.lists(
    st.tuples(st.floats(0, 2), st.integers(1, 40), st.integers(1, 20)), min_size=1, max_size=12
).map(
    lambda rows: Workload(
        requests=tuple(
            Request(
                arrival_s=sum(gap for gap, _, _ in rows[: i + 1]),
                num_prompt_tokens=prompt,
                num_output_tokens=output,
            )
            for i, (_, prompt, output) in enumerate(rows)
        )
    )
)


@settings(deadline=None, max_examples=50)
@given(WORKLOADS, st.integers(64, 400))
def test_the_parts_of_every_method_are_the_pool(workload, num_slots):
    """
    Used, reserved, internal, external and free add up to 1, and none is negative.
    """
    report = kvsim.waste(workload, num_slots=num_slots, max_model_len=64, block_size=4)

    assert [m.method for m in report.methods] == list(METHODS)
    for m in report.methods:
        parts = (m.used, m.reserved, m.internal, m.external, m.free)
        assert sum(parts) == pytest.approx(1)
        assert min(parts) > -1e-9


def test_a_full_queue_shows_the_rate_by_hand():
    """
    Two of 2 + 8 tokens fit at once and a step takes 1 s: two requests each 8 s.
    """
    requests = (Request(num_prompt_tokens=2, num_output_tokens=8),) * 20
    one_second = kvsim.BatchTime(base_s=1.0, per_request_s=0.0, source="test")

    report = kvsim.waste(
        Workload(requests=requests), num_slots=32, max_model_len=16, batch_time=one_second
    )

    rates = {m.method: m.sustained_per_s for m in report.methods}
    assert rates["orca-oracle"] == pytest.approx(2 / 8)
    assert rates["static"] == pytest.approx(2 / 8)


def test_shared_prefixes_are_left_out():
    """
    The methods are compared on equal terms: none shares memory but the one named after it.
    """
    prompt = (PromptSegment(1, 30),)
    requests = (Request(num_prompt_tokens=30, num_output_tokens=4, prompt=prompt),) * 4
    plain = (Request(num_prompt_tokens=30, num_output_tokens=4),) * 4

    shared = kvsim.waste(Workload(requests=requests))

    assert shared.methods[:-1] == kvsim.waste(Workload(requests=plain)).methods[:-1]


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"num_slots": 63, "max_model_len": 64}, "num_slots=63 must be >= max_model_len=64"),
        ({"num_slots": -1}, "num_slots=-1 must be"),
        ({"max_model_len": 10}, "request 0: num_prompt_tokens=30 must be < max_model_len=10"),
        ({"block_size": 0}, "block_size=0 must be"),
    ],
)
def test_impossible_settings_are_refused(kwargs, message):
    """
    Field, value and rule.
    """
    workload = Workload(requests=(Request(num_prompt_tokens=30, num_output_tokens=4),))

    with pytest.raises(kvsim.SpecError, match=message):
        kvsim.waste(workload, **kwargs)
