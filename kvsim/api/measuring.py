"""What was measured on servers: metrics pages and benchmarks."""

from collections.abc import Sequence
from os import PathLike
from typing import TYPE_CHECKING

from kvsim.io.frames import write_events, write_frame
from kvsim.io.metrics_page import write_metrics as write_page
from kvsim.specs.bench import BenchResult
from kvsim.specs.metrics import Family
from kvsim.specs.step_table import StepTable

if TYPE_CHECKING:
    from kvsim.sim.simulation import Simulation
    from kvsim.specs.workload import Workload


def metrics_page(done: "Simulation", *, at_start: bool = False) -> tuple[Family, ...]:
    """What the engine's metrics page says when a run ended, or before its first request.

    Args:
        done: what `simulate` returned.
        at_start: the page before the first request: everything is 0.

    Example:
        >>> from kvsim import load_model, simulate_blocks, Request, Vllm, Workload
        >>> engine = Vllm(num_gpu_blocks_override=100, max_model_len=1024)
        >>> requests = (Request(num_prompt_tokens=100, num_output_tokens=9),) * 2
        >>> done = simulate_blocks(load_model("gpt2"), Workload(requests=requests), engine=engine)
        >>> [sum(f.values.values()) for f in metrics_page(done) if f.name == "vllm:prompt_tokens"]
        [200]
    """
    from kvsim.sim.metrics_page import metrics_page as page  # noqa: PLC0415 - the simulator

    return page(done, at_start=at_start)


def write_metrics(done: "Simulation", path: str | PathLike[str], *, at_start: bool = False) -> None:
    """Write the engine's metrics page, its samples stamped with the simulated time.

    Args:
        done: what `simulate` returned.
        path: the file.
        at_start: the page before the first request.

    Raises:
        FileError: if the file cannot be written.
    """
    read_s = 0.0 if at_start else done.duration_s
    write_page(metrics_page(done, at_start=at_start), path, read_s=read_s)


def write_timeline(done: "Simulation", path: str | PathLike[str]) -> None:
    """Write a run as a trace that Perfetto and Chrome open: requests, preemptions, occupancy.

    Args:
        done: what `simulate` returned.
        path: the file, JSON.

    Raises:
        FileError: if the file cannot be written.
    """
    from kvsim.sim.timeline import Timeline  # noqa: PLC0415 - the simulator

    timeline = Timeline(done=done)
    write_events(timeline.events(), path, about=timeline.about)


def write_table(done: "Simulation", path: str | PathLike[str], *, table: str = "requests") -> None:
    """Write a run's records: requests, steps or preemptions, as JSON, CSV or Parquet.

    Args:
        done: what `simulate` returned.
        path: the file; its ending says the format.
        table: which records.

    Raises:
        FileError: for another ending, or if the file cannot be written.
        SpecError: for another table.
    """
    write_frame(done.to_polars(table), path)


def bench_workload(result: BenchResult, *, seed: int = 0) -> "Workload":
    """The requests that a benchmark sent, as `read_bench` read it.

    Args:
        result: lengths and times as recorded, or means and a rate.
        seed: of the arrivals, where their rate is all that was recorded.
    """
    from numpy.random import PCG64, Generator  # noqa: PLC0415 - numpy takes long to load

    from kvsim.sim.workloads import bench_workload as requests  # noqa: PLC0415

    return requests(result, Generator(PCG64(seed)))


def calibrate(results: Sequence[BenchResult]) -> StepTable:
    """The table of an engine's measured steps, and the line through them with its residuals.

    Args:
        results: benchmarks of one model on one server, as `read_bench` returns them.

    Raises:
        SpecError: for benchmarks of different models, or without a gap between two tokens.
    """
    from kvsim.analytic.step_fit import fit_step_table  # noqa: PLC0415 - numpy takes long to load

    return fit_step_table(results)
