"""The simulator against what vLLM's scheduler and its engine were seen to do."""

from pathlib import Path

import pytest

from validation.recorded.vllm_schedule import replay

GOLDEN = Path(__file__).parents[2] / "validation/golden/vllm"
SCHEDULES = list(replay(GOLDEN))
TWIN = [case for case in replay(GOLDEN, scheduler="compiled") if case.verdict != "refused"]
ENGINE_RUNS = list(replay(GOLDEN / "engine.jsonl.gz"))


@pytest.mark.parametrize("case", SCHEDULES, ids=lambda case: case.id)
def test_schedule_is_replayed_row_by_row(case):
    """Every row of the series, and every request's steps and preemptions, come out as recorded."""
    assert case.verdict == "exact", case.reason


@pytest.mark.parametrize("case", ENGINE_RUNS, ids=lambda case: case.id)
def test_run_of_the_real_engine_is_replayed(case):
    """The engine with a tiny model steps as the scheduler alone does."""
    assert case.verdict == "exact", case.reason


@pytest.mark.parametrize("case", TWIN, ids=lambda case: case.id)
def test_the_compiled_twin_replays_what_it_covers(case):
    """Row by row, as the reference does."""
    assert case.verdict == "exact", case.reason


def test_nothing_recorded_is_left_out():
    """The counts are those of the files' own description."""
    assert (len(SCHEDULES), len(ENGINE_RUNS), len(TWIN)) == (56, 5, 41)
