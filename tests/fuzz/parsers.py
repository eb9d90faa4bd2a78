"""Every reader of outside input, with valid inputs from which hostile ones are made."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from shutil import rmtree
from urllib.parse import parse_qsl

import kvsim
from app import saved
from app.fields import read_query, write_query
from app.scenario import FIELDS, PAGE_FIELDS
from kvsim.io.scenario_files import read_scenario_rows
from kvsim.io.stream_files import stream_store
from kvsim.io.sweep_files import sweep_store
from tests.fuzz import seeds

CORPUS = Path(__file__).parent / "corpus"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parser:
    """A reader of files, the end of their names, and valid contents."""

    name: str
    suffix: str
    read: Callable[[Path], object]
    seeds: tuple[bytes, ...]

    @property
    def finds(self) -> tuple[bytes, ...]:
        """Inputs that once did what they must not."""
        return tuple(path.read_bytes() for path in sorted((CORPUS / self.name).glob("*")))


def use_model(path: Path) -> object:
    """A model, and a figure of it: what was read must be usable, or refused."""
    model = kvsim.load_model(path)
    return kvsim.cache_bytes(model, num_tokens=1000, batch_size=2).total_bytes


def use_trace(path: Path) -> object:
    """A trace, summed up."""
    return kvsim.summarize_workload(kvsim.read_trace(path))


def use_calibration(path: Path) -> object:
    """A calibration, applied."""
    return kvsim.read_calibration(path).overheads_under(
        kvsim.Parallelism(), stated=kvsim.Overheads()
    )


def use_metrics(path: Path) -> object:
    """A metrics page, read as traffic."""
    return kvsim.generate_workload(
        kvsim.measured_traffic(None, kvsim.read_metrics(path), seconds=60.0).traffic,
        num_requests=3,
    )


def use_bench(path: Path) -> object:
    """A benchmark's result: its requests, and the line through its steps."""
    result = kvsim.read_bench(path)
    return kvsim.bench_workload(result), kvsim.calibrate([result]).as_dict()


def use_step_table(path: Path) -> object:
    """A step-time file, and what it says of its own points."""
    return kvsim.read_step_table(path).as_dict()


def use_safetensors(path: Path) -> object:
    """A model by its config and tensors."""
    (path.parent / "config.json").write_text(json.dumps(seeds.CONFIG))
    return use_model(path)


def use_index(path: Path) -> object:
    """A model whose index names its file of tensors."""
    (path.parent / "model-1.safetensors").write_bytes(seeds.safetensors())
    return use_safetensors(path)


def use_launch(path: Path) -> object:
    """A pasted launch line."""
    return kvsim.parse_command(path.read_bytes().decode(errors="replace"))


def use_link(path: Path) -> object:
    """A link's query: what inputs can hold of it is written as it was read."""
    fields = FIELDS | PAGE_FIELDS | saved.PLACES
    query = dict(parse_qsl(path.read_bytes().decode(errors="replace"), keep_blank_values=True))
    values, lost = read_query(query, fields)
    again, nothing = read_query(write_query(values, fields), fields)
    changed = {name: value for name, value in values.items() if value != fields[name].default}
    if nothing or again != changed or len(values) + len(lost) != len(query):
        msg = f"{query} was read as {values}, then as {again}"
        raise AssertionError(msg)
    return values


def use_stream_state(path: Path) -> object:
    """The state of a streamed run that is to go on."""
    folder = path.parent / "stream"
    rmtree(folder, ignore_errors=True)
    store = stream_store(folder)
    store.open("digest", {}, resume=False)
    (folder / "waits.bin").write_bytes(bytes(32))
    (folder / "state.npz").write_bytes(path.read_bytes())
    return store.open("digest", {}, resume=True)


def use_sweep_table(path: Path) -> object:
    """The table of a sweep that is to be read again."""
    return sweep_store(path, {"num_requests": int}).read_whole()


@cache
# long: a reader a line, with what it is tried on
def parsers() -> dict[str, Parser]:
    """Every parser by name."""
    traces = [
        Parser(
            name=f"trace-{name.split('.')[0]}",
            suffix="." + name.split(".")[1],
            read=use_trace,
            seeds=(content,),
        )
        for name, content in seeds.TRACES.items()
    ]
    every = (
        Parser(name="config", suffix=".json", read=use_model, seeds=seeds.configs()),
        Parser(
            name="gguf",
            suffix=".gguf",
            read=use_model,
            seeds=(seeds.written("m.gguf", seeds.gguf_model),),
        ),
        Parser(
            name="safetensors",
            suffix=".safetensors",
            read=use_safetensors,
            seeds=(seeds.safetensors(),),
        ),
        Parser(
            name="safetensors-index",
            suffix=".safetensors.index.json",
            read=use_index,
            seeds=(seeds.INDEX,),
        ),
        *traces,
        Parser(name="trace-gzip", suffix=".csv.gz", read=use_trace, seeds=seeds.zipped()),
        Parser(
            name="trace-parquet",
            suffix=".parquet",
            read=use_trace,
            seeds=(seeds.written("t.parquet", seeds.parquet),),
        ),
        Parser(name="engine-log", suffix=".log", read=kvsim.read_engine_log, seeds=seeds.logs()),
        Parser(name="launch-line", suffix=".txt", read=use_launch, seeds=seeds.LAUNCH),
        Parser(name="metrics", suffix=".prom", read=use_metrics, seeds=(seeds.METRICS.encode(),)),
        Parser(name="bench", suffix=".json", read=use_bench, seeds=seeds.bench()),
        Parser(
            name="step-table",
            suffix=".json",
            read=use_step_table,
            seeds=(seeds.written("steps.json", seeds.step_table),),
        ),
        Parser(name="sweep", suffix=".toml", read=kvsim.read_sweep, seeds=(seeds.SWEEP,)),
        Parser(name="scenarios", suffix=".toml", read=read_scenario_rows, seeds=(seeds.SCENARIOS,)),
        Parser(name="prices", suffix=".toml", read=kvsim.read_prices, seeds=(seeds.PRICES,)),
        Parser(
            name="calibration",
            suffix=".json",
            read=use_calibration,
            seeds=(seeds.calibration(),),
        ),
        Parser(name="link", suffix=".txt", read=use_link, seeds=(seeds.LINK,)),
        Parser(
            name="stream-state",
            suffix=".npz",
            read=use_stream_state,
            seeds=(seeds.written("state.npz", seeds.stream_state),),
        ),
        Parser(
            name="sweep-table",
            suffix=".parquet",
            read=use_sweep_table,
            seeds=(seeds.written("t.parquet", seeds.parquet),),
        ),
    )
    return {parser.name: parser for parser in every}
