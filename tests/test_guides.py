"""What the guides name is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PATHS = re.compile(r"`((?:kvsim|tests|app|validation|docs|benchmarks)/[\w./-]+)`")


@pytest.mark.parametrize("name", ["CONTRIBUTING.md", "README.md"])
def test_every_path_in_a_guide_exists(name):
    """
    A checklist that sends one to a file that moved is worse than none.
    """
    named = PATHS.findall((ROOT / name).read_text())

    assert [path for path in named if not (ROOT / path).exists()] == []
