"""`kvsim retention`: what keeping histories between turns takes in each tier, and saves."""

import argparse
from typing import Any

from kvsim import api
from kvsim.cli import tables
from kvsim.cli.deployments import deployment_from
from kvsim.cli.flags import InputFile, add_fields, from_args
from kvsim.cli.fleet import price_from
from kvsim.cli.simulate import step_time_from
from kvsim.cli.traffic_flags import add_traffic, traffic_from
from kvsim.errors import SpecError
from kvsim.specs.efficiencies import Efficiencies
from kvsim.specs.offload import Offload
from kvsim.units import format_gib

Json = dict[str, Any]

TIERS = {
    "gpu": "on the device",
    "host": "in host memory",
    "disk": "on disk",
    "beyond": "without a place",
}
PRICED = ("gpu", "host", "disk")


def add_retention(parser: argparse.ArgumentParser) -> None:
    """The flags of `kvsim retention`, beside the deployment's."""
    parser.add_argument(
        "--window-s",
        required=True,
        metavar="S[,S...]",
        help="seconds for which a history is kept after its last use",
    )
    add_traffic(parser)
    add_fields(parser, Offload, skip=set())
    add_fields(parser, Efficiencies, skip=set())
    parser.add_argument(
        "--usd-per-gpu-hour", type=float, metavar="USD", help="price of an hour of one device"
    )
    parser.add_argument(
        "--prices", type=InputFile, metavar="FILE", help="prices of devices, TOML: name = USD"
    )
    for tier in ("host", "disk"):
        parser.add_argument(
            f"--{tier}-usd-per-gib-month",
            type=float,
            metavar="USD",
            help=f"price of {tier} space; none is known here",
        )
    parser.add_argument(
        "--step-time",
        type=InputFile,
        metavar="SECONDS|FILE",
        help="of every step, or a file of `kvsim calibrate`, instead of the device's roofline",
    )


def run_retention(args: argparse.Namespace) -> Json:
    """Each window's bytes by tier, what is found, and what it costs."""
    deployment = deployment_from(args)
    answer = api.retention(
        deployment,
        traffic_from(args),
        window_s=_windows(args.window_s),
        offload=from_args(Offload, args),
        price=price_from(args, deployment.accelerator.name),
        host_usd_per_gib_month=args.host_usd_per_gib_month,
        disk_usd_per_gib_month=args.disk_usd_per_gib_month,
        efficiencies=from_args(Efficiencies, args),
        **step_time_from(args.step_time),
    )
    return answer.as_dict()


def _windows(stated: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in stated.split(","))
    except ValueError:
        msg = f"window_s={stated[:40]} must be seconds, with commas between"
        raise SpecError(msg) from None


def show_retention(result: Json) -> None:
    """A table of windows by tier, one of what they save, and how a history comes back."""
    console = tables.new_console()
    console.print(f"{result['model']} on {result['gpu']}, {result['workload']}")
    left = format_gib(round(result["bytes_per_turn"]))
    console.print(
        f"{result['turns_per_s']:,.3f} turns per s leave {left} "
        f"each; {format_gib(result['gpu_free_bytes'])} of the device's cache are free on average"
    )
    console.print(_kept(result["windows"]))
    console.print(_found(result["windows"]))
    _show_transfer(console, result)
    tables.show_notes(console, result)


def _kept(windows: list[Json]) -> Any:  # noqa: ANN401 - rich is loaded where it is used
    table = _new_table("Idle histories", windows)
    table.add_row("seconds idle and kept", *(f"{row['idle_s']:,.1f}" for row in windows))
    _add_sizes(table, "kept, steady state", [row["steady_bytes"] for row in windows])
    for tier, label in TIERS.items():
        _add_sizes(table, f"  {label}", [row["tiers"][tier] for row in windows])
    _add_sizes(table, "this workload's mean", [row["mean_bytes"] for row in windows])
    _add_sizes(table, "this workload's peak", [row["peak_bytes"] for row in windows])
    return table


def _found(windows: list[Json]) -> Any:  # noqa: ANN401 - rich is loaded where it is used
    table = _new_table("What is found, and what a month costs", windows)
    kept = [row["with_answers"] for row in windows]
    for name, label in (
        ("token_rate", "of all prompt tokens"),
        ("request_rate", "of a request's, on average"),
        ("hit_requests", "requests that find any"),
    ):
        table.add_row(label, *(f"{reuse[name]:.1%}" for reuse in kept))
    alone = (f"{row['prompts']['token_rate']:.1%}" for row in windows)
    table.add_row("of all tokens, answers not kept", *alone)
    table.add_row("prompt tokens saved", *(f"{reuse['saved_tokens']:,}" for reuse in kept))
    for tier in PRICED:
        costs = [row["usd_per_month"][tier] for row in windows]
        if None not in costs:
            table.add_row(f"USD per month {TIERS[tier]}", *map(_usd, costs))
    return table


def _new_table(title: str, windows: list[Json]) -> Any:  # noqa: ANN401 - rich is loaded where it is used
    columns = [(f"{row['window_s']:,g} s", "right") for row in windows]
    return tables.new_table(title, ("window", "left"), *columns)


def _add_sizes(table: Any, label: str, sizes: list[float]) -> None:  # noqa: ANN401 - rich is loaded where it is used
    table.add_row(label, *(format_gib(round(num_bytes)) for num_bytes in sizes))


def _usd(ends: list[float]) -> str:
    low, high = (f"{end:,.0f}" for end in ends)
    return low if low == high else f"{low} to {high}"


def _show_transfer(console: Any, result: Json) -> None:  # noqa: ANN401 - rich is loaded where it is used
    moved, calibrated = result["transfer"], result["step_time"]["calibrated"]
    sources = (("host memory", moved["from_host_s"]), ("disk", moved["from_disk_s"]))
    parts = [f"{seconds:.3f} s from {name}" for name, seconds in sources if seconds is not None]
    parts.append(
        f"{moved['recompute_s']:.3f} s to compute again{'' if calibrated else ' (not calibrated)'}"
    )
    console.print(
        f"a history of {moved['num_tokens']:,} tokens, {format_gib(moved['num_bytes'])}: "
        f"{', '.join(parts)}"
    )
    console.print(f"step time: {result['step_time']['source']}", style="dim")
