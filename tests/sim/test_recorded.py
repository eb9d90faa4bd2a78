"""The simulator against what vLLM's scheduler and its engine were seen to do."""

from functools import cache
from pathlib import Path

import pytest

from validation.recorded.frame import read_lines
from validation.recorded.vllm_schedule import (
    COMPILED,
    REFERENCE,
    read_rows,
    replay,
    replay_case,
    series_of,
)

GOLDEN = Path(__file__).parents[2] / "validation/golden/vllm"
SCHED = GOLDEN / "sched.jsonl.gz"
SCHEDULES = {case["id"]: case for case in read_lines(SCHED)}
SERIES = {row["id"]: row for row in read_lines(series_of(SCHED))}


@cache
def replayed(name, scheduler):
    """The verdict on one schedule; tests come for it, so that collecting them replays nothing."""
    return replay_case(SCHEDULES[name], read_rows(SERIES[name]), scheduler)


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedule_is_replayed_row_by_row(name):
    """Every row of the series, and every request's steps and preemptions, come out as recorded."""
    case = replayed(name, REFERENCE)
    assert case.verdict == "exact", case.reason


@pytest.mark.parametrize("name", SCHEDULES)
def test_the_compiled_twin_replays_what_it_covers(name):
    """Row by row, as the reference does; what it does not cover it refuses."""
    case = replayed(name, COMPILED)
    assert case.verdict in {"exact", "refused"}, case.reason


def test_runs_of_the_real_engine_are_replayed():
    """The engine with a tiny model steps as the scheduler alone does."""
    cases = list(replay(GOLDEN / "engine.jsonl.gz"))

    assert {case.id: case.reason for case in cases if case.verdict != "exact"} == {}
    assert len(cases) == 5


def test_nothing_recorded_is_left_out():
    """The counts are those of the files' own description."""
    covered = [name for name in SCHEDULES if replayed(name, COMPILED).verdict == "exact"]

    assert (len(SCHEDULES), len(covered)) == (56, 41)
