"""`kvsim calibrate`: a step's seconds from benchmarks of a server."""

import argparse
from typing import Any

from kvsim import api
from kvsim.cli import tables
from kvsim.cli.flags import InputFile, OutputFile
from kvsim.io.bench import read_bench
from kvsim.io.step_table import write_step_table
from kvsim.units import format_change, format_seconds

Json = dict[str, Any]

TERMS = (
    ("base_s", "every step"),
    ("per_request_s", "each request in it"),
    ("per_token_s", "each token that it computes"),
    ("per_cached_token_s", "each token that its requests have cached"),
)


def add_calibrate(parser: argparse.ArgumentParser) -> None:
    """The flags of `kvsim calibrate`."""
    parser.add_argument(
        "files",
        nargs="+",
        type=InputFile,
        metavar="BENCH.json",
        help="results of `vllm bench serve --save-result`, best with --save-detailed",
    )
    parser.add_argument(
        "--output",
        type=OutputFile,
        metavar="FILE",
        help="write it, for `kvsim simulate --step-time FILE`",
    )


def run_calibrate(args: argparse.Namespace) -> Json:
    """Measured steps, the line through them, and how far it is from each."""
    table = api.calibrate([read_bench(path) for path in args.files])
    if args.output is not None:
        write_step_table(table, args.output)
    return table.as_dict() | {"output": args.output}


def show_calibrate(result: Json) -> None:
    """The points beside the line, its terms, and the residuals."""
    console = tables.new_console()
    console.print(result["source"])
    points = tables.new_table(
        f"{result['num_steps']:,} measured steps",
        *((name, "right") for name in ("requests", "tokens", "cached", "steps")),
        *((name, "right") for name in ("measured", "fitted", "difference")),
    )
    for point in result["points"]:
        measured, fitted = point["seconds"], point["fitted_s"]
        points.add_row(
            f"{point['num_requests']:,.1f}",
            f"{point['num_tokens']:,.1f}",
            f"{point['num_cached_tokens']:,.0f}",
            f"{point['num_steps']:,}",
            *(format_seconds(measured), format_seconds(fitted)),
            format_change(measured, fitted),
        )
    console.print(points)
    terms = tables.new_table("A step takes", ("for", "left"), ("time", "right"))
    for name, label in TERMS:
        terms.add_row(label, format_seconds(result["line"][name]))
    console.print(terms)
    off = result["residuals"]
    console.print(
        f"off by {off['mean_absolute']:.1%} on average, {off['p90_absolute']:.1%} for nine in ten, "
        f"{off['largest_absolute']:.1%} at most"
    )
    for left_out in result["not_modeled"]:
        console.print(f"not modelled: {left_out}", style="dim")
    if result["output"]:
        console.print(f"written to {result['output']}")
