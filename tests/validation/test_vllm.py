"""vLLM's recorded configurations and start-ups, replayed whole."""

from pathlib import Path

import pytest

from validation.recorded import run

GOLDEN = Path(__file__).parents[2] / "validation/golden/vllm"


@pytest.mark.parametrize(
    ("kind", "file", "total"),
    [
        ("vllm-specs", "specs.jsonl.gz", 543),
        ("vllm-static", "static.jsonl", 72),
        ("vllm-engine", "engine.jsonl.gz", 28),
    ],
)
def test_every_recorded_case_is_exact(kind, file, total):
    """
    Settings, layers, groups, blocks, tokens, concurrency, refusals: as the engine had them.
    """
    report = run(kind, GOLDEN / file)

    assert report.total == total
    assert [case.id for case in report.misses] == []
