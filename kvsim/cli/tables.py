"""Results as terminal tables. Everything shown is in the JSON object that `--json` prints."""

from typing import TYPE_CHECKING, Any

from kvsim.cli.why import why_rows
from kvsim.units import format_bytes, format_gib, format_si

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

Json = dict[str, Any]

BUDGET_ROWS = (
    ("total_bytes", "device memory"),
    ("usable_bytes", "engine may use"),
    ("weights_bytes", "- weights"),
    ("activation_peak_bytes", "- activation peak"),
    ("non_torch_bytes", "- outside torch"),
    ("cuda_graph_bytes", "- CUDA graphs"),
    ("kv_cache_bytes", "= KV cache"),
)
VERDICT_STYLES = {"fits": "bold green", "tight": "bold yellow", "does not fit": "bold red"}


def show_nothing(result: Json) -> None:
    """For commands that print by themselves."""


def show_kv(result: Json) -> None:
    """A model's cache: a row per group of layers, the total, and the formula."""
    console = new_console()
    what = f"{result['batch_size']} x {result['num_tokens']:,} tokens"
    version = f" {result['engine_version']}" if result["engine_version"] else ""
    table = new_table(
        f"{result['model']}: cache of {what}, {result['kv_cache_dtype']}, "
        f"{result['engine']}{version} layout",
        ("layers", "right"),
        ("kind", "left"),
        ("KV cache", "right"),
        ("state", "right"),
        ("share", "right"),
    )
    total = result["total_bytes"]
    for layer in result["layers"]:
        table.add_row(
            str(layer["count"]),
            layer["kind"],
            format_bytes(layer["kv_bytes"]),
            format_bytes(layer["state_bytes"]) if layer["state_bytes"] else "",
            f"{layer['share']:.1%}",
        )
    table.add_section()
    state = format_bytes(result["state_bytes"]) if result["state_bytes"] else ""
    table.add_row("", "per rank", format_bytes(result["kv_bytes"]), state, "100.0%")
    console.print(table)
    console.print(f"total: {format_bytes(total)} ({total:,} bytes) on each rank")
    if result["tensor_parallel_size"] > 1:
        everywhere = format_bytes(result["all_ranks"]["total_bytes"])
        console.print(f"all {result['tensor_parallel_size']} ranks: {everywhere}")
    console.print(f"one more token of one sequence: {format_bytes(result['bytes_per_token'])}")
    for line in result["formula"]:
        console.print(f"formula: {line}", style="dim")
    for group in result.get("explanation", ()):
        _show_explained(console, group)
    show_notes(console, result)


def _show_explained(console: "Console", group: Json) -> None:
    """What decided one group of layers, and what its formula comes to."""
    console.print(f"layers {group['layers']}: {group['mechanism']}", style="bold")
    for field, value in group["fields"].items():
        console.print(f"  {field} = {value}")
    total = group["bytes"]
    console.print(f"  {group['formula']} = {total:,} bytes ({format_bytes(total)})")


def show_plan(result: Json) -> None:
    """A plan: verdict, budget, capacity, fixes, launch command."""
    console = new_console()
    show_verdict(console, result)
    console.print(_budget_table(result))
    console.print(_capacity_table(result))
    console.print(_why_table(result))
    if result["offload"] is not None:
        from kvsim.cli.offload_table import offload_table  # noqa: PLC0415 - it imports this

        console.print(offload_table(result))
    if result["compute"] is not None:
        _show_compute(console, result["compute"])
    from kvsim.cli.advice_table import show_advice  # noqa: PLC0415 - it imports this

    show_advice(console, result)
    for engine, line in result["commands"].items():
        shown = "cyan" if engine == result["engine"] else "dim"
        console.print(line, style=shown, soft_wrap=True, markup=False, highlight=False)
    show_notes(console, result)


def show_verdict(console: "Console", result: Json) -> None:
    """Whether it fits, what it needs and has, and why not."""
    style = VERDICT_STYLES[result["verdict"]]
    verdict = result["verdict"].upper()
    asked = result["settings"]["max_model_len"]
    console.print(f"[{style}]{verdict}[/]  {result['model']} on {_devices(result)}, ", end="")
    console.print(f"{result['concurrent_requests']} x {asked:,} tokens at once")
    have, need = result["available_bytes"], result["needed_bytes"]
    held = format_gib(have) if have > 0 else "none"
    console.print(f"needs {format_gib(need)} of cache, has {held}", end="")
    missing = result["missing_bytes"]
    console.print(f", {format_gib(missing)} missing" if missing else "")
    for reason in result["reasons"]:
        console.print(f"- {reason}")


def _devices(result: Json) -> str:
    count = result["num_gpus"]
    return result["gpu"] if count == 1 else f"{count} x {result['gpu']}"


def _budget_table(result: Json) -> "Table":
    engine = f"{result['engine']} {result['engine_version']}"
    table = new_table(
        f"Memory of one device ({engine})",
        ("", "left"),
        ("likely", "right"),
        ("low to high", "right"),
        ("source", "left"),
    )
    for name, label in BUDGET_ROWS:
        part = result["budget"][name]
        exact = part["low"] == part["high"]
        spread = "" if exact else _spread(part["low"], part["high"])
        bold = "bold" if name == "kv_cache_bytes" else None
        table.add_row(label, format_gib(part["best"]), spread, part["source"], style=bold)
    return table


def _spread(low: int, high: int) -> str:
    """A range in GiB, the unit once."""
    return f"{format_gib(low).removesuffix(' GiB')} to {format_gib(high).removesuffix(' GiB')}"


def _capacity_table(result: Json) -> "Table":
    held = result["capacity"]
    table = new_table(
        "What the cache holds", ("", "left"), ("likely", "right"), ("low to high", "right")
    )

    def row(label: str, name: str, form: str = ",") -> None:
        low, high = held["low"][name], held["high"][name]
        spread = "" if low == high else f"{low:{form}} to {high:{form}}"
        table.add_row(label, f"{held[name]:{form}}", spread)

    row("blocks", "num_gpu_blocks")
    row("tokens per block", "block_size")
    row("GPU KV cache size, tokens", "kv_cache_tokens")
    length = result["settings"]["max_model_len"]
    row(f"maximum concurrency at {length:,} tokens", "max_concurrency", ",.2f")
    row("longest max_model_len that starts", "longest_model_len")
    fixed, slope = held["fixed_bytes_per_request"], held["bytes_per_token"]
    cost = f"{format_bytes(slope)} per token"
    if fixed:
        cost = f"{format_bytes(fixed)} + {cost}"
    table.add_row("a request takes", cost, "")
    return table


def _why_table(result: Json) -> "Table":
    why = why_rows(result["why"])
    table = new_table(
        "Where the cache goes", ("", "left"), *((stage, "right") for stage in why.stages)
    )
    for row in why.rows:
        table.add_row(*row)
    return table


def _show_compute(console: "Console", compute: Json) -> None:
    if compute["ridge_point_flops_per_byte"] is not None:
        console.print(
            f"prefill is bound by {compute['prefill_bound']}, "
            f"decode at full concurrency by {compute['decode_bound']} "
            f"({compute['decode_intensity_at_capacity']:,.1f} operations per byte, "
            f"the device's ridge point is {compute['ridge_point_flops_per_byte']:,.0f})"
        )
    if compute["crossover_tokens"] is not None:
        console.print(
            "a decode step's attention costs as much as its matrix products at "
            f"{compute['crossover_tokens']:,} tokens"
        )


def show_notes(console: "Console", result: Json) -> None:
    """What is worth a remark, and what the figures leave out."""
    for note in result.get("notes", ()):
        console.print(f"note: {note}", style="yellow")
    for left_out in result["not_modeled"]:
        console.print(f"not modelled: {left_out}", style="dim")


def show_models(result: Json) -> None:
    """The catalogue's models."""
    table = new_table(
        f"{len(result['models'])} models",
        ("id", "left"),
        ("parameters", "right"),
        ("released", "left"),
        ("model type", "left"),
        ("hub id", "left"),
        ("values", "left"),
    )
    for row in result["models"]:
        table.add_row(
            row["id"],
            format_si(row["parameters"]),
            row["released"],
            row["model_type"],
            row["hub_id"],
            row["provenance"],
        )
    new_console().print(table)


def show_gpus(result: Json) -> None:
    """The catalogue's devices."""
    table = new_table(
        f"{len(result['gpus'])} devices",
        ("name", "left"),
        ("vendor", "left"),
        ("memory", "right"),
        ("bandwidth", "right"),
        ("bf16 dense", "right"),
        ("USD per hour", "right"),
        ("memory is", "left"),
    )
    for row in result["gpus"]:
        bandwidth, flops = row["memory_bandwidth_bytes_per_s"], row["bf16_flops_per_s"]
        price = row["price"]
        table.add_row(
            row["name"],
            row["vendor"],
            format_gib(row["total_bytes"]["best"]),
            "" if bandwidth is None else format_si(bandwidth, "B/s"),
            "" if flops is None else format_si(flops, "FLOP/s"),
            "" if price is None else f"{price['low_usd_per_hour']} to {price['high_usd_per_hour']}",
            row["memory_provenance"],
        )
    new_console().print(table)


def show_doctor(result: Json) -> None:
    """This machine."""
    console = new_console()
    memory = result["host_memory_bytes"]
    console.print(f"kvsim {result['kvsim']}, Python {result['python']}, {result['system']}")
    ram = "unknown RAM" if memory is None else f"{format_gib(memory)} RAM"
    console.print(f"{result['cpus']} CPUs, {ram}")
    console.print(f"driver: {result['driver'] or 'no NVIDIA driver found'}")
    for device in result["devices"]:
        console.print(
            f"device: {device['name']}, {device['total_mib']} MiB, {device['free_mib']} MiB free"
        )
    for extra, packages in result["extras"].items():
        missing = [name for name, version in packages.items() if version is None]
        have = ", ".join(f"{name} {version}" for name, version in packages.items() if version)
        state = "ready" if not missing else f"missing {', '.join(missing)}"
        console.print(f"{extra}: {state}" + (f" ({have})" if have else ""))


def new_console() -> "Console":
    """Where tables are printed."""
    from rich.console import Console  # noqa: PLC0415 - rich costs 50 ms, `--json` needs none

    return Console(highlight=False)


def new_table(title: str, *columns: tuple[str, Any]) -> "Table":
    """An empty table; columns are names with their side. Prose wraps, names and numbers do not."""
    from rich import box  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    table = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        show_header=any(name for name, _ in columns),
    )
    has_prose = any(justify == "left" for _, justify in columns[1:])
    for index, (name, justify) in enumerate(columns):
        whole = has_prose and (index == 0 or justify == "right")
        table.add_column(name, justify=justify, overflow="fold", no_wrap=whole)
    return table
