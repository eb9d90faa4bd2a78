"""`kvsim plan` under an engine that is not vLLM, as terminal tables."""

from typing import TYPE_CHECKING, Any

from kvsim.cli import tables
from kvsim.cli.advice_table import fix_table
from kvsim.units import format_bytes, format_gib

if TYPE_CHECKING:
    from rich.table import Table

Json = dict[str, Any]


def show_engine_plan(result: Json) -> None:
    """Verdict, every device's memory, what it holds, host memory, fixes, launch command."""
    console = tables.new_console()
    tables.show_verdict(console, result)
    console.print(_devices(result))
    console.print(_capacity(result))
    if result["host"]["parts"]:
        console.print(_host(result["host"]))
    if result["fixes"]:
        console.print(fix_table(result["fixes"]))
    console.print(result["command"], style="cyan", soft_wrap=True, markup=False, highlight=False)
    tables.show_notes(console, result)


def _devices(result: Json) -> "Table":
    """Parts in rows, devices in columns; alike devices once."""
    devices = result["devices"]
    engine = f"{result['engine']} {result['engine_version'] or ''}".strip()
    names = [""] if len(devices) == 1 else [f"device {i}" for i in range(len(devices))]
    table = tables.new_table(
        f"Memory of {'one' if len(devices) == 1 else 'every'} device ({engine})",
        ("", "left"),
        *((name, "right") for name in names),
        ("low to high", "right"),
    )

    def row(label: str, parts: list[Json], style: str | None = None) -> None:
        cells = [format_gib(part["best"]) for part in parts]
        table.add_row(label, *cells, _spread(parts[0]), style=style)

    row("free at start", [device["free_bytes"] for device in devices])
    for index, part in enumerate(devices[0]["parts"]):
        row(f"- {part['name']}", [device["parts"][index] for device in devices])
    row("= left for the cache", [device["kv_cache_bytes"] for device in devices], "bold")
    needed = [format_gib(device["needed_bytes"]) for device in devices]
    table.add_row("asked of it", *needed, "")
    return table


def _spread(part: Json) -> str:
    low, high = part["low"], part["high"]
    if low == high:
        return ""
    return f"{format_gib(low).removesuffix(' GiB')} to {format_gib(high).removesuffix(' GiB')}"


def _capacity(result: Json) -> "Table":
    held = result["capacity"]
    length = result["settings"]["max_model_len"]
    table = tables.new_table(
        "What it holds", ("", "left"), ("likely", "right"), ("low to high", "right")
    )
    for label, name in (
        (f"requests of {length:,} tokens at once", "max_requests"),
        ("tokens", "kv_cache_tokens"),
    ):
        ends = held[name]
        spread = "" if ends["low"] == ends["high"] else f"{ends['low']:,} to {ends['high']:,}"
        table.add_row(label, f"{ends['best']:,}", spread)
    asked = f"longest request, {result['concurrent_requests']} at once, tokens"
    table.add_row(asked, f"{held['longest_model_len']:,}", "")
    where = "rank" if held["per_rank"] else "all devices"
    table.add_row(f"a request takes, {where}", format_bytes(held["request_bytes"]), "")
    table.add_row(f"one more token, {where}", format_bytes(held["bytes_per_token"]), "")
    return table


def _host(host: Json) -> "Table":
    table = tables.new_table("Host memory", ("", "left"), ("bytes", "right"))
    for part in host["parts"]:
        table.add_row(part["name"], format_bytes(part["best"]))
    if host["left_bytes"] is not None:
        table.add_row("left for saved prompts and others", format_gib(host["left_bytes"]["best"]))
    return table
