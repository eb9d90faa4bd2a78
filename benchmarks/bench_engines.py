"""Speed of the table of engines: 23 configs x 7 engines x 4 cache formats, refusals included.

Run with `python -m pytest benchmarks/bench_engines.py --benchmark-only`.
"""

import time
from pathlib import Path

import pytest

import kvsim

CONFIGS = sorted(
    path
    for path in (Path(__file__).parents[1] / "validation/golden/configs").glob("*.json")
    if path.stem != "truth"
)
ENGINES = list(kvsim.EngineName)
FORMATS = ("bf16", "fp8", "q8_0", "int4_per_token_head")
NUM_TOKENS = 8192


def cell(model, engine, fmt):
    """Bytes of one sequence, or why the engine refuses."""
    try:
        return kvsim.cache_bytes(
            model, num_tokens=NUM_TOKENS, engine=engine, kv_cache_dtype=fmt
        ).total_bytes
    except kvsim.KvsimError as error:
        return str(error)


def build():
    """The whole table, the configs read from their files."""
    models = [kvsim.load_model(path) for path in CONFIGS]
    return {
        (model.name, engine, fmt): cell(model, engine, fmt)
        for model in models
        for engine in ENGINES
        for fmt in FORMATS
    }


@pytest.mark.benchmark(timer=time.process_time, min_rounds=10)
def test_table_of_engines(benchmark):
    """644 cells; the aim is under a second."""
    table = benchmark(build)
    refused = sum(isinstance(value, str) for value in table.values())

    assert len(table) == len(CONFIGS) * len(ENGINES) * len(FORMATS)
    assert 0 < refused < len(table)
