"""What travels with a benchmark's figures: its workload, and how busy the machine was."""

import os

import pytest


@pytest.fixture(autouse=True)
def workload(request):
    """Put the first line of the docstring, and the load before it ran, where the history looks."""
    if "benchmark" in request.fixturenames:
        first, *_ = (request.function.__doc__ or "").strip().splitlines() or [""]
        request.getfixturevalue("benchmark").extra_info["workload"] = first
        request.getfixturevalue("benchmark").extra_info["load_average"] = round(
            os.getloadavg()[0], 1
        )
