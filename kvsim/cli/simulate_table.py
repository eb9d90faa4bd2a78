"""A simulation's figures as terminal tables."""

from typing import Any

from kvsim.cli import tables
from kvsim.units import format_bytes, format_seconds

Json = dict[str, Any]

LATENCIES = (
    ("ttft_s", "time to first token"),
    ("queue_s", "of it, before it ran"),
    ("tpot_s", "time per later token"),
    ("itl_s", "time between two tokens"),
    ("e2e_s", "time to last token"),
)
WASTE = (
    ("used", "holds tokens"),
    ("reserved", "taken for tokens to come"),
    ("internal", "taken for tokens that never come"),
    ("external", "held by nobody"),
)


def show_simulate(result: Json) -> None:
    """What was done, where the blocks went, how long requests took."""
    console = tables.new_console()
    if result["interrupted"]:
        asked = f"{result['requests']:,} of {result['requests_asked']:,} requests"
        console.print(f"stopped after {asked}", style="bold yellow")
    where = f" on {result['gpu']}" if result["gpu"] else ""
    console.print(f"{result['model']}{where}, {result['engine']} {result['engine_version']}")
    console.print(f"{result['workload']}; {result['step_time']['source']}")
    console.print(_totals(result))
    if result["waste"] is not None:
        console.print(_waste(result))
    if result["tiers"]:
        console.print(_tiers(result))
    if result["ttft_s"] is not None:
        console.print(_latencies(result))
    if "replicas" in result:
        title = f"Each replica ({result['routing']})"
        console.print(_replicas(title, result["replicas"]))
    if "disaggregation" in result:
        _show_pools(console, result)
    if "over_seeds" in result:
        console.print(_over_seeds(result["over_seeds"]))
    if "goodput" in result:
        _show_goodput(console, result["goodput"])
    if result["scheduler_reason"] is not None:
        console.print(f"served step by step: {result['scheduler_reason']}", style="dim")
    for left_out in result["not_modeled"]:
        console.print(f"not modelled: {left_out}", style="dim")


def _over_seeds(spread: Json) -> Any:  # noqa: ANN401 - rich is loaded where it is used
    columns = [(name, "right") for name in ("mean", "p50", "p90", "p99")]
    title = f"Seconds over {len(spread['seeds'])} seeds, {spread['confidence']:.0%} intervals"
    table = tables.new_table(title, ("", "left"), *columns)
    for name, label in LATENCIES:
        cells = [spread["figures"].get(f"{name}.{column}") for column, _ in columns]
        if all(cells):
            shown = (f"{c['mean']:,.4f}\n{c['low']:,.4f} to {c['high']:,.4f}" for c in cells)
            table.add_row(label, *shown)
    return table


def _show_goodput(console: Any, goodput: Json) -> None:  # noqa: ANN401
    stated = {name: value for name, value in goodput.items() if name.startswith("slo_")}
    wanted = stated.pop("slo_share")
    limits = ", ".join(
        f"{name[4:-2].upper()} {format_seconds(value)}"
        for name, value in stated.items()
        if value is not None
    )
    verdict = "met" if goodput["met"] else "missed"
    console.print(
        f"goodput: {goodput['requests_per_s']:,.3f} requests per s; {goodput['share']:.2%} kept "
        f"{limits} ({wanted:.0%} must: {verdict})",
        style="bold green" if goodput["met"] else "bold red",
    )


def _totals(result: Json) -> Any:  # noqa: ANN401 - rich is loaded where it is used
    table = tables.new_table("What was done", ("", "left"), ("", "right"))
    cache, speed = result["prefix_cache"], result["simulated_requests_per_s"]
    one = " in a replica" if "routing" in result else ""
    rows = {
        "requests": f"{result['requests']:,}",
        "steps": f"{result['steps']:,}",
        "simulated time": f"{result['duration_s']:,.1f} s",
        "output tokens": f"{result['output_tokens']:,}",
        "preemptions": f"{result['preemptions']:,}",
        "tokens computed again": f"{result['recomputed_tokens']:,}",
        f"requests running{one}": f"{result['mean_running']:,.1f} on average, at most "
        f"{result['peak_running']:,}",
        f"requests waiting{one}": f"{result['mean_waiting']:,.1f} on average, at most "
        f"{result['peak_waiting']:,}",
        f"blocks held at most{one}": f"{result['peak_blocks']:,} of {result['num_gpu_blocks']:,}",
        "prompt tokens found cached": f"{cache['token_hit_rate']:.1%} of all tokens, "
        f"{cache['request_hit_rate']:.1%} of a request's",
        "simulated requests per CPU second": "" if speed is None else f"{speed:,.0f}",
    }
    for name, value in rows.items():
        table.add_row(name, value)
    return table


def _waste(result: Json) -> Any:  # noqa: ANN401
    table = tables.new_table("Where the blocks were", ("", "left"), ("share of time", "right"))
    for name, label in WASTE:
        table.add_row(label, f"{result['waste'][name]:.2%}")
    return table


def _tiers(result: Json) -> Any:  # noqa: ANN401
    table = tables.new_table(
        "Tiers below the device",
        ("", "left"),
        *((name, "right") for name in ("chunks", "tokens found", "loaded", "stored", "evicted")),
    )
    for tier in result["tiers"]:
        table.add_row(
            tier["name"],
            f"{tier['peak_chunks']:,} of {tier['capacity_chunks']:,}",
            f"{tier['hit_tokens']:,}",
            format_bytes(tier["loaded_bytes"]),
            format_bytes(tier["stored_bytes"]),
            f"{tier['evicted_chunks']:,}",
        )
    return table


def _show_pools(console: Any, result: Json) -> None:  # noqa: ANN401
    """Both pools, what moved between them, and what requests wait for."""
    pools, moved = result["disaggregation"], result["disaggregation"]["transfers"]
    console.print(_replicas(f"Prefill pool ({result['routing']})", pools["prefill"]))
    console.print(_replicas("Decode pool (least-loaded)", pools["decode"]))
    seconds = "" if moved["seconds"] is None else f", {moved['seconds']['mean']:,.4f} s each"
    console.print(
        f"{moved['num_transfers']:,} transfers, {format_bytes(moved['num_bytes'])}{seconds}"
    )
    waits = ", ".join(f"{name} {wait_s:,.4f} s" for name, wait_s in pools["waits_s"].items())
    binding = pools["binding"] or "nothing"
    console.print(f"a request waits for: {waits}; longest for [bold]{binding}[/]")
    if pools["second_token_s"] is not None:
        second = pools["second_token_s"]
        console.print(
            f"first token of the decode pool after {second['mean']:,.4f} s, "
            f"p99 {second['p99']:,.4f} s"
        )


def _replicas(title: str, replicas: list[Json]) -> Any:  # noqa: ANN401
    names = ("requests", "output tokens", "preempted", "blocks held", "found cached", "ttft p50, s")
    table = tables.new_table(title, ("", "right"), *((name, "right") for name in names))
    for i, one in enumerate(replicas):
        ttft = one["ttft_s"]
        table.add_row(
            str(i),
            f"{one['requests']:,}",
            f"{one['output_tokens']:,}",
            f"{one['preemptions']:,}",
            f"{one['mean_block_utilization']:.1%}",
            f"{one['prefix_cache']['token_hit_rate']:.1%}",
            "" if ttft is None else f"{ttft['p50']:,.4f}",
        )
    return table


def _latencies(result: Json) -> Any:  # noqa: ANN401
    columns = [(name, "right") for name in ("mean", "p50", "p90", "p99")]
    label = "" if result["step_time"]["calibrated"] else ", not calibrated"
    table = tables.new_table(f"Seconds{label}", ("", "left"), *columns)
    for name, label in LATENCIES:
        if result[name] is not None:
            table.add_row(label, *(f"{result[name][column]:,.4f}" for column, _ in columns))
    return table
