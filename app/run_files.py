"""A run as files: records, a trace for Perfetto, the metrics page."""

import tempfile
from collections.abc import Callable
from pathlib import Path

import kvsim

TABLES = ("requests", "steps", "preemptions")
ENDINGS = {".csv": "text/csv", ".parquet": "application/vnd.apache.parquet"}


def records(done: kvsim.Simulation, table: str, ending: str) -> bytes:
    """A row for each of the run's requests, steps or preemptions."""
    return _written(lambda path: kvsim.write_table(done, path, table=table), ending)


def perfetto(done: kvsim.Simulation) -> bytes:
    """Trace events, as Perfetto and Chrome open them."""
    return _written(lambda path: kvsim.write_timeline(done, path), ".json")


def metrics(done: kvsim.Simulation) -> bytes:
    """The engine's metrics page at the end of the run."""
    return _written(lambda path: kvsim.write_metrics(done, path), ".prom")


def _written(write: Callable[[Path], None], ending: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"run{ending}"
        write(path)
        return path.read_bytes()
