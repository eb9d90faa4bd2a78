"""`kvsim workload`: list, generate, read, summarise and export requests."""

import argparse
import dataclasses
from typing import Any

from kvsim import api
from kvsim.cli import tables
from kvsim.cli.flags import InputFile, OutputFile
from kvsim.cli.measured import FROM_METRICS, measure, show_measured
from kvsim.cli.progress import progress
from kvsim.errors import SpecError
from kvsim.io.bench import read_bench
from kvsim.io.traces import read_trace, write_trace
from kvsim.io.workloads import named_workload, named_workloads
from kvsim.specs.traffic import ArrivalProcess, Arrivals, Traffic
from kvsim.specs.workload import Workload

Json = dict[str, Any]

DEFAULT_REQUESTS = 1000
FROM_BENCH = "from-bench"
ARRIVAL_FLAGS = {"rate_per_s": "--rate", "process": "--arrivals"}
"""Flags that are not their field's name."""


# long: a list of flags
def add_workload(parser: argparse.ArgumentParser) -> None:
    """The flags of `kvsim workload`."""
    parser.add_argument(
        "source",
        nargs="?",
        type=InputFile,
        metavar="NAME|FILE",
        help="a named workload, a trace, from-metrics or from-bench; none: list",
    )
    parser.add_argument(
        "files",
        nargs="*",
        type=InputFile,
        metavar="FILE|URL",
        help="what is read: from-metrics a page or two, from-bench one file",
    )
    parser.add_argument(
        "--seconds",
        type=float,
        metavar="S",
        help="from-metrics: time between the pages; with one URL, time to wait between two scrapes",
    )
    parser.add_argument(
        "--max-model-len",
        type=int,
        metavar="N",
        help="from-metrics: longest prompt plus answer that the server takes",
    )
    parser.add_argument(
        "--num-requests",
        type=int,
        metavar="N",
        help=f"requests to generate (default: {DEFAULT_REQUESTS}) or to read (default: all)",
    )
    parser.add_argument(
        "--skip-bad", action="store_true", help="count malformed lines, do not stop at them"
    )
    for f in dataclasses.fields(Arrivals):
        flag = ARRIVAL_FLAGS.get(f.name, "--" + f.name.replace("_", "-"))
        choices = [str(p) for p in ArrivalProcess] if f.name == "process" else None
        kind = {"process": str, "num_users": int}.get(f.name, float)
        parser.add_argument(
            flag,
            dest=f.name,
            type=kind,
            choices=choices,
            metavar=None if choices else "N",
            help=f.metadata["doc"],
        )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="one seed, one workload")
    parser.add_argument(
        "--block-size",
        type=int,
        default=16,
        metavar="N",
        help="tokens per block, for what prompts share (default: 16)",
    )
    parser.add_argument(
        "--capacity-tokens",
        type=int,
        nargs="*",
        default=[],
        metavar="N",
        help="sizes of a prefix cache, for what each would find",
    )
    parser.add_argument(
        "--output",
        type=OutputFile,
        metavar="FILE",
        help="write it: .csv, .jsonl, either with .gz, or .parquet",
    )


def run_workload(args: argparse.Namespace) -> Json:
    """List the named workloads, or summarise one, or a trace."""
    if args.source is None:
        return {"workloads": [_row(name) for name in named_workloads()]}
    measured = None
    if args.source == FROM_METRICS:
        measured = measure(args.files, seconds=args.seconds, max_model_len=args.max_model_len)
        workload = _generated(args, measured.traffic)
    else:
        workload = _workload(args)
    if args.output is not None:
        write_trace(workload, args.output)
    summary = api.summarize_workload(
        workload, block_size=args.block_size, capacities=args.capacity_tokens
    )
    result = {"workload": summary.as_dict(), "output": args.output}
    return result if measured is None else result | {"measured": measured.as_dict()}


def _generated(args: argparse.Namespace, traffic: str | Traffic) -> Workload:
    count = DEFAULT_REQUESTS if args.num_requests is None else args.num_requests
    return api.generate_workload(
        traffic, num_requests=count, seed=args.seed, arrivals=_stated_arrivals(args)
    )


def _stated_arrivals(args: argparse.Namespace) -> Json:
    given = {f.name: getattr(args, f.name) for f in dataclasses.fields(Arrivals)}
    return {name: value for name, value in given.items() if value is not None}


def _workload(args: argparse.Namespace) -> Workload:
    for name in ("files", "seconds", "max_model_len"):
        if getattr(args, name) and (name != "files" or args.source != FROM_BENCH):
            msg = f"{name}={getattr(args, name)} must be left out: it is for {FROM_METRICS}"
            raise SpecError(msg)
    if args.source == FROM_BENCH:
        if len(args.files) != 1:
            msg = f"files={len(args.files)} must be 1: {FROM_BENCH} BENCH.json"
            raise SpecError(msg)
        return api.bench_workload(read_bench(args.files[0]), seed=args.seed)
    if args.source in named_workloads():
        return _generated(args, args.source)
    stated = _stated_arrivals(args)
    if "." not in args.source and "/" not in args.source:
        named_workload(args.source)  # says which names there are
    if stated:
        msg = (
            f"{min(stated)}={stated[min(stated)]} must not be given with a trace: it has its times"
        )
        raise SpecError(msg)
    with progress("requests read", None) as on_progress:
        return read_trace(
            args.source,
            skip_bad=args.skip_bad,
            limit=args.num_requests,
            on_progress=on_progress,
        )


def _row(name: str) -> Json:
    traffic = named_workload(name)
    return {
        "name": name,
        "doc": traffic.doc,
        "source": traffic.source,
        "arrivals": str(traffic.arrivals.process),
        "rate_per_s": traffic.arrivals.rate_per_s,
    }


def show_workload(result: Json) -> None:
    """The list, or a summary."""
    console = tables.new_console()
    if "workloads" in result:
        table = tables.new_table(
            "Named workloads", ("name", "left"), ("what", "left"), ("from", "left")
        )
        for row in result["workloads"]:
            table.add_row(row["name"], row["doc"], row["source"])
        console.print(table)
        return
    summary = result["workload"]
    if "measured" in result:
        show_measured(console, result["measured"])
    console.print(summary["source"])
    table = tables.new_table(
        "Tokens", ("", "left"), *((name, "right") for name in ("mean", "p50", "p90", "p99"))
    )
    for name in ("prompt_tokens", "output_tokens"):
        table.add_row(name, *(f"{value:,.0f}" for value in summary[name].values()))
    console.print(table)
    console.print(f"longest request: {summary['longest_tokens']:,} tokens")
    if summary["rate_per_s"] is not None:
        console.print(
            f"{summary['rate_per_s']:,.3f} requests per s over {summary['duration_s']:,.0f} s, "
            f"gaps vary by {summary['gap_variation']:.2f} of their mean"
        )
    prefix = summary["prefix"]
    console.print(
        f"seen before, in blocks of {prefix['block_size']}: {prefix['token_rate']:.1%} of all "
        f"prompt tokens, {prefix['request_rate']:.1%} of a request's on average"
    )
    for point in prefix["curve"]:
        console.print(
            f"  a cache of {point['capacity_tokens']:,} tokens: {point['token_rate']:.1%}"
        )
    if result["output"]:
        console.print(f"written to {result['output']}")
