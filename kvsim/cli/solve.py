"""`kvsim solve`: the extreme value of one quantity that still fits."""

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from kvsim import api
from kvsim.cli import tables
from kvsim.cli.advice_table import fix_table
from kvsim.cli.deployments import deployment_from
from kvsim.cli.fleet import REPLICAS, add_fleet, refuse_fleet_flags, run_fleet, show_fleet
from kvsim.errors import SpecError
from kvsim.units import format_gib

if TYPE_CHECKING:
    from rich.table import Table

Json = dict[str, Any]

TARGETS = (
    *("max_model_len", "max_num_seqs", "num_gpus", "accelerator", "tensor_parallel_size"),
    *("kv_cache_dtype", "quantization", "gpu_memory_utilization", "num_gpu_blocks"),
    "offload_bytes",
)
FLAGS = {
    "num_gpu_blocks": "num_gpu_blocks_override",
    "offload_bytes": "kv_offloading_size",
}
"""Quantities whose flag has another name."""


def add_solve(parser: argparse.ArgumentParser) -> None:
    """The flags that `kvsim solve` has beside those of a deployment."""
    parser.add_argument(
        "--for",
        dest="target",
        required=True,
        choices=(*TARGETS, REPLICAS),
        metavar="QUANTITY",
        help=f"what to find: {', '.join(TARGETS)}, {REPLICAS}; accelerators: of --gpu's vendor",
    )
    parser.add_argument(
        "--concurrent-requests",
        type=int,
        metavar="N",
        help="requests of --max-model-len tokens that must fit at once (default: 1)",
    )
    add_fleet(parser)
    unset = {name: parser.get_default(FLAGS.get(name, name)) for name in TARGETS}
    parser.set_defaults(unset=unset)


def run_solve(args: argparse.Namespace) -> Json:
    """`kvsim solve`: the answer, and the plans on either side of the edge.

    Raises:
        SpecError: where the quantity asked for is given too.
    """
    if args.target == REPLICAS:
        return run_fleet(args)
    refuse_fleet_flags(args)
    _refuse_given(args)
    answer = api.solve(
        deployment_from(args), args.target, concurrent_requests=args.concurrent_requests
    )
    return answer.as_dict()


def _refuse_given(args: argparse.Namespace) -> None:
    """SpecError where the quantity asked for is given too."""
    name = FLAGS.get(args.target, args.target)
    value = getattr(args, name, None)
    if args.target == "max_model_len" and args.auto_max_model_len:
        value = "auto"
    if value != args.unset[args.target]:
        msg = f"{name}={value} is what --for asks for: leave one of them out"
        raise SpecError(msg)
    if args.target == "tensor_parallel_size" and args.num_gpus is not None:
        msg = f"num_gpus={args.num_gpus} decides tensor_parallel_size: leave one of them out"
        raise SpecError(msg)


def show_solve(result: Json) -> None:
    """The answer in a line, what binds, and both sides as a table."""
    if result["target"] == REPLICAS:
        show_fleet(result)
        return
    console = tables.new_console()
    if result["fits"]:
        console.print(f"[bold green]{result['target']} = {_shown(result['value'])}[/]", end="  ")
        console.print(f"{result['goal']} that fits, {result['model']}, bound by", end=" ")
        console.print(result["binding"])
    else:
        console.print(f"[bold red]NO {result['target']} FITS[/]  {result['model']}")
    console.print(result["reason"])
    sides = [result["at_value"], result["beyond"], (result["shortfall"] or {}).get("nearest")]
    console.print(_sides([side for side in sides if side is not None]))
    if result["shortfall"] and result["shortfall"]["fixes"]:
        console.print(fix_table(result["shortfall"]["fixes"]))
    if result["command"]:
        console.print(result["command"], style="cyan", soft_wrap=True)
    tables.show_notes(console, result)


def _shown(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)


def _sides(sides: list[Json]) -> "Table":
    columns = [(_shown(side["value"]), "right") for side in sides]
    table = tables.new_table("On either side", ("", "left"), *columns)
    rows: dict[str, Callable[[Json], str]] = {
        "verdict": lambda s: s["verdict"] or "refused",
        "devices": lambda s: f"{s['num_gpus']} x {s['gpu']}",
        "tensor x pipeline": lambda s: (
            f"{s['tensor_parallel_size']} x {s['pipeline_parallel_size']}"
        ),
        "max_model_len": lambda s: f"{s['max_model_len']:,}",
        "requests that fit": lambda s: f"{s['max_requests']:,} of {s['concurrent_requests']:,}",
        "cache needed": lambda s: format_gib(s["needed_bytes"]),
        "cache there is": lambda s: format_gib(max(0, s["available_bytes"])),
        "blocks": lambda s: f"{s['num_gpu_blocks']:,}",
    }
    for label, cell in rows.items():
        known = ("verdict", "devices", "tensor x pipeline")
        cells = [cell(s) if s["verdict"] or label in known else "" for s in sides]
        table.add_row(label, *cells)
    return table
