"""`kvsim frontier`: how many requests of each context fit, and what each pair would take."""

import argparse
from typing import Any

from kvsim import api
from kvsim.cli import tables
from kvsim.cli.deployments import deployment_from
from kvsim.specs.engine import EngineName
from kvsim.units import ceil_div

Json = dict[str, Any]

SHOWN_REQUESTS = 6


def add_frontier(parser: argparse.ArgumentParser) -> None:
    """The flags that `kvsim frontier` has beside those of a deployment."""
    parser.add_argument(
        "--concurrent-requests",
        type=int,
        default=1,
        metavar="N",
        help="requests at once that the grid must reach (default: 1)",
    )


def run_frontier(args: argparse.Namespace) -> Json:
    """The grid and its edge."""
    deployment = deployment_from(args)
    edge = api.frontier(deployment, concurrent_requests=args.concurrent_requests)
    return {
        "engine": str(EngineName.VLLM),
        "engine_version": deployment.engine.engine_version,
        "model": deployment.model.name,
        "gpu": deployment.accelerator.name,
        "num_gpus": deployment.parallel.num_ranks,
        **edge.as_dict(),
    }


def show_frontier(result: Json) -> None:
    """A row per context: what fits, and the share that some numbers of requests take."""
    console = tables.new_console()
    step = ceil_div(len(result["requests"]), SHOWN_REQUESTS)
    shown = range(0, len(result["requests"]), step)
    table = tables.new_table(
        f"{result['model']} on {result['num_gpus']} x {result['gpu']}: share of the cache memory",
        ("context", "right"),
        ("fit at once", "right"),
        *((f"{result['requests'][i]:,}", "right") for i in shown),
    )
    for length, most, shares in zip(
        result["lengths"], result["max_requests"], result["shares"], strict=True
    ):
        cells = ("" if shares[i] is None else f"{shares[i]:.0%}" for i in shown)
        table.add_row(f"{length:,}", f"{most:,}", *cells)
    console.print(table)
