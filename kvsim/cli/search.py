"""`kvsim search`: devices and settings that keep a latency goal, and what they cost."""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from math import prod
from typing import Any

from kvsim import api
from kvsim.cli import tables
from kvsim.cli.flags import (
    SHORT_FLAGS,
    InputFile,
    OutputFile,
    add_backend,
    add_fields,
    from_args,
)
from kvsim.cli.progress import progress
from kvsim.cli.traffic_flags import DEFAULT_REQUESTS, add_traffic
from kvsim.errors import SpecError
from kvsim.io.catalog import catalog_accelerators
from kvsim.io.prices import read_prices
from kvsim.io.traces import read_trace
from kvsim.specs.efficiencies import Efficiencies
from kvsim.specs.hardware import Accelerator
from kvsim.specs.limits import ServiceLimits
from kvsim.specs.search import searched_settings
from kvsim.specs.sweep_fields import find_field, parsed_value
from kvsim.specs.workload import Workload

Json = dict[str, Any]

ALL = "all"


def add_search(parser: argparse.ArgumentParser) -> None:
    """The flags of `kvsim search`."""
    parser.add_argument(
        "--gpus",
        required=True,
        metavar="GPU,...",
        help=f"devices, see `kvsim gpus`; {ALL}: those whose price is known",
    )
    add_traffic(parser)
    parser.add_argument(
        "--seeds",
        type=int,
        metavar="N",
        help="runs of each member of the front, for confidence intervals (default: 3)",
    )
    add_fields(parser, ServiceLimits, skip=set())
    add_fields(parser, Efficiencies, skip=set())
    parser.add_argument(
        "--spare", type=int, default=0, metavar="N", help="replicas on top (default: 0)"
    )
    parser.add_argument(
        "--prices", type=InputFile, metavar="FILE", help="prices of devices, TOML: name = USD"
    )
    for name, doc in searched_settings().items():
        flags = ["--" + name.replace("_", "-"), *filter(None, [SHORT_FLAGS.get(name)])]
        parser.add_argument(*flags, dest=name, metavar="VALUE,...", help=doc)
    _add_running(parser)


def _add_running(parser: argparse.ArgumentParser) -> None:
    """Where it runs, and what is kept."""
    parser.add_argument(
        "--resume",
        type=OutputFile,
        metavar="FILE",
        help="keep what is done beside this .parquet file, and go on from what is there",
    )
    add_backend(parser)


def run_search(args: argparse.Namespace) -> Json:
    """The front, every candidate, and what would have to give; with a progress bar."""
    catalogue = _catalogue(args)
    settings = _settings(args)
    total = prod([len(catalogue), *(len(values) for values in settings.values())])
    with progress("candidates", total) as on_progress:
        result = api.search(
            api.load_model(args.model),
            _workload(args),
            from_args(ServiceLimits, args),
            catalogue,
            settings=settings,
            rate_per_s=args.rate_per_s,
            spare=args.spare,
            num_requests=DEFAULT_REQUESTS if args.num_requests is None else args.num_requests,
            seed=args.seed or 0,
            num_seeds=args.seeds,
            efficiencies=from_args(Efficiencies, args),
            backend=args.backend,
            address=args.address,
            num_workers=args.workers,
            resume=args.resume,
            keep_partial=True,
            on_progress=on_progress,
        )
    return result.as_dict()


def _catalogue(args: argparse.Namespace) -> Sequence[Accelerator]:
    """The devices that were named, at the user's prices where there are some."""
    names = [name for name in args.gpus.split(",") if name]
    devices = [api.accelerator(name) for name in names if name != ALL]
    if ALL in names:
        if devices:
            msg = f"gpus={args.gpus[:60]}: {ALL} and names of devices exclude each other"
            raise SpecError(msg)
        devices = [device for device in catalog_accelerators() if device.price is not None]
    prices = {} if args.prices is None else read_prices(args.prices)
    return [replace(d, price=prices.get(d.name, d.price)) for d in devices]


def _settings(args: argparse.Namespace) -> dict[str, list[object]]:
    """Every setting that was given, with its values."""
    found: dict[str, list[object]] = {}
    for name in searched_settings():
        text = getattr(args, name)
        if text is not None:
            field = find_field(name, simulate=True)
            found[name] = [parsed_value(field, value) for value in text.split(",") if value]
    return found


def _workload(args: argparse.Namespace) -> str | Workload:
    """The name of the workload, or the requests of a trace."""
    if (args.trace is None) == (args.workload is None):
        msg = "one of --workload NAME and --trace FILE must be given"
        raise SpecError(msg)
    if args.trace is None:
        return str(args.workload)
    for name in ("num_requests", "seed", "seeds"):
        if getattr(args, name) is not None:
            msg = f"{name}={getattr(args, name)} is of generated requests: leave it or trace out"
            raise SpecError(msg)
    return read_trace(args.trace)


def show_search(result: Json) -> None:
    """The front as a table, what became of the others, and what would have to give."""
    console = tables.new_console()
    goal = ", ".join(f"{k} {v:g}" for k, v in result["limits"].items() if v is not None)
    console.print(f"[bold]{result['model']}[/]  {result['workload']}  {goal}")
    if result["interrupted"]:
        console.print("stopped: what was done is shown", style="bold yellow")
    if result["front"]:
        console.print(_front(result))
        for member in result["front"]:
            console.print(
                f"{member['candidate']}: {member['command']}", style="cyan", soft_wrap=True
            )
    else:
        console.print("[bold red]NO CANDIDATE KEEPS THE GOAL[/]")
    counts = ", ".join(f"{count:,} {name}" for name, count in result["outcomes"].items())
    console.print(f"{len(result['candidates']):,} candidates: {counts}; {result['runs']:,} runs")
    if result["shortfall"]:
        console.print(result["shortfall"]["text"])
    console.print(f"step time: {result['step_time']['source']}", style="dim")
    tables.show_notes(console, result)


def _front(result: Json) -> Any:  # noqa: ANN401 - rich is loaded where it is used
    first, *others = (one["settings"] for one in result["candidates"])
    varied = [n for n in first if n != "gpu" and any(one[n] != first[n] for one in others)]
    cost, _, latency = result["ranked_by"]
    percentile = latency.partition(".")[2]
    table = tables.new_table(
        "The front, the cheapest first",
        ("", "right"),
        ("each replica", "left"),
        ("replicas", "right"),
        ({"usd_per_month": "USD/\nmonth"}.get(cost, "USD/M\ntokens"), "right"),
        ("req/s", "right"),
        ("tok/s", "right"),
        (f"e2e\n{percentile} s", "right"),
    )
    for one in result["front"]:
        settings = [f"{n.replace('_', ' ')} {one['settings'][n]}" for n in varied]
        table.add_row(
            str(one["candidate"]),
            "\n".join([f"{one['gpus_per_replica']} x {one['settings']['gpu']}", *settings]),
            "" if one["replicas"] is None else f"{one['replicas']:,}",
            _ends(one[cost], 0 if cost == "usd_per_month" else 3),
            f"{one['capacity_per_s']:.2f}",
            f"{one['output_tokens_per_s']:,.0f}",
            f"{one['e2e_s'][percentile]:.2f}",
        )
    return table


def _ends(ends: list[float], digits: int) -> str:
    low, high = (f"{end:,.{digits}f}" for end in ends)
    return low if low == high else f"{low}-{high}"
