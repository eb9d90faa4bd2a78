"""`kvsim solve --for replicas`: how many keep the latency limits at a rate, and their price."""

import argparse
from dataclasses import fields
from typing import Any

from kvsim import api
from kvsim.cli import tables
from kvsim.cli.deployments import deployment_from
from kvsim.cli.flags import InputFile, add_fields, from_args
from kvsim.cli.simulate import step_time_from
from kvsim.cli.traffic_flags import add_traffic, traffic_from
from kvsim.errors import SpecError
from kvsim.io.prices import read_prices, stated_price
from kvsim.specs.efficiencies import Efficiencies
from kvsim.specs.hardware import Price
from kvsim.specs.limits import ServiceLimits
from kvsim.specs.routing import Routing
from kvsim.units import format_gib

Json = dict[str, Any]

REPLICAS = "replicas"
FLEET_FLAGS = (
    *("workload", "trace", "rate_per_s", "num_requests", "seed", "spare", "step_time"),
    *("usd_per_gpu_hour", "prices", "retention_s", "most_replicas", "slo_ttft_s", "slo_tpot_s"),
    *("slo_itl_s", "slo_e2e_s", "compute_efficiency", "bandwidth_efficiency"),
    *(f.name for f in fields(Routing)),
)
MOST_REPLICAS = 64


def add_fleet(parser: argparse.ArgumentParser) -> None:
    """The flags that `--for replicas` takes on top."""
    add_traffic(parser)
    add_fields(parser, ServiceLimits, skip=set())
    add_fields(parser, Routing, skip=set())
    parser.set_defaults(**dict.fromkeys((f.name for f in fields(Routing)), None))
    add_fields(parser, Efficiencies, skip=set())
    parser.add_argument("--spare", type=int, metavar="N", help="replicas on top (default: 0)")
    parser.add_argument(
        "--usd-per-gpu-hour", type=float, metavar="USD", help="price of an hour of one device"
    )
    parser.add_argument(
        "--prices", type=InputFile, metavar="FILE", help="prices of devices, TOML: name = USD"
    )
    parser.add_argument(
        "--retention-s",
        type=float,
        metavar="SECONDS",
        help="keep every cache so long: host and disk tier (--host-memory: of one machine)",
    )
    parser.add_argument(
        "--step-time",
        type=InputFile,
        metavar="SECONDS|FILE",
        help="of every step, or a file of `kvsim calibrate`, instead of the device's roofline",
    )
    parser.add_argument(
        "--most-replicas", type=int, metavar="N", help=f"where to stop (default: {MOST_REPLICAS})"
    )


def refuse_fleet_flags(args: argparse.Namespace) -> None:
    """SpecError for flags of `--for replicas` where something else is asked for."""
    for name in FLEET_FLAGS:
        if getattr(args, name) is not None:
            msg = f"{name}={getattr(args, name)} is of --for {REPLICAS}, not of {args.target}"
            raise SpecError(msg)


def run_fleet(args: argparse.Namespace) -> Json:
    """The fewest replicas, the run with one fewer, and what they cost."""
    if args.concurrent_requests is not None:
        msg = f"concurrent_requests={args.concurrent_requests}: the traffic says how many come"
        raise SpecError(msg)
    deployment = deployment_from(args)
    answer = api.size_fleet(
        deployment,
        traffic_from(args),
        from_args(ServiceLimits, args),
        routing=from_args(Routing, args),
        spare=args.spare or 0,
        price=price_from(args, deployment.accelerator.name),
        retention_s=args.retention_s,
        most_replicas=MOST_REPLICAS if args.most_replicas is None else args.most_replicas,
        efficiencies=from_args(Efficiencies, args),
        **step_time_from(args.step_time),
    )
    return answer.as_dict()


def price_from(args: argparse.Namespace, device: str) -> Price | None:
    """The price that a flag or a file states; None: the catalogue's."""
    if args.usd_per_gpu_hour is not None:
        if args.prices is not None:
            msg = "usd_per_gpu_hour and prices say the same thing: give one of them"
            raise SpecError(msg)
        return stated_price(args.usd_per_gpu_hour)
    return None if args.prices is None else read_prices(args.prices).get(device)


def show_fleet(result: Json) -> None:
    """Replicas and spares, both sides of the edge, what they cost and retain."""
    console = tables.new_console()
    where = f"{result['model']} on {result['gpu']}"
    if result["fits"]:
        spare = f" and {result['spare']} spare" if result["spare"] else ""
        console.print(f"[bold green]replicas = {result['value']:,}{spare}[/]  {where}", end=", ")
        console.print(f"{result['num_gpus']:,} devices")
    else:
        console.print(f"[bold red]NO NUMBER OF REPLICAS KEEPS THE LIMITS[/]  {where}")
    console.print(result["reason"])
    console.print(_runs(result))
    if result["cost"]:
        _show_cost(console, result["cost"])
    if result["retention"]:
        kept = result["retention"]
        console.print(
            f"keeping caches for {kept['window_s']:g} s takes {format_gib(kept['total_bytes'])}: "
            f"{format_gib(kept['host_bytes'])} in host memory, "
            f"{format_gib(kept['disk_bytes'])} on disk"
        )
    console.print(f"step time: {result['step_time']['source']}", style="dim")
    console.print(result["command"], style="cyan", soft_wrap=True)
    tables.show_notes(console, result)


def _runs(result: Json) -> Any:  # noqa: ANN401 - rich is loaded where it is used
    runs = [run for run in (result["at_value"], result["beyond"]) if run is not None]
    columns = [(f"{run['replicas']:,} replicas", "right") for run in runs]
    table = tables.new_table("On either side", ("", "left"), *columns)
    table.add_row("kept the limits", *(f"{run['share']:.2%}" for run in runs))
    for name in ("ttft_s", "tpot_s", "e2e_s"):
        if runs[0][name] is not None:
            limit = result["limits"][f"slo_{name}"]
            label = f"{name}, p99" if limit is None else f"{name}, p99 (limit {limit:g})"
            table.add_row(label, *(f"{run[name]['p99']:.4f}" for run in runs))
    table.add_row("output tokens per second", *(f"{r['output_tokens_per_s']:,.0f}" for r in runs))
    table.add_row("preemptions", *(f"{run['preemptions']:,}" for run in runs))
    return table


def _show_cost(console: Any, cost: Json) -> None:  # noqa: ANN401 - rich is loaded where it is used
    def shown(ends: list[float], digits: int) -> str:
        low, high = (f"{end:,.{digits}f}" for end in ends)
        return low if low == high else f"{low} to {high}"

    console.print(f"USD per month: {shown(cost['usd_per_month'], 0)}", end="")
    if cost["usd_per_million_tokens"]:
        console.print(f", per million tokens: {shown(cost['usd_per_million_tokens'], 3)}", end="")
    when = f", {cost['price_date']}" if cost["price_date"] else ""
    console.print(
        f" ({shown(cost['usd_per_gpu_hour'], 2)} per device hour: {cost['price_source']}{when})"
    )
