"""Engines side by side as a terminal table."""

from typing import Any

from kvsim.cli import tables
from kvsim.units import format_bytes, format_gib

Json = dict[str, Any]


def show_compare(result: Json) -> None:
    """A row per engine, then why those that refuse do."""
    console = tables.new_console()
    count = result["num_gpus"]
    where = result["gpu"] if count == 1 else f"{count} x {result['gpu']}"
    table = tables.new_table(
        f"{result['model']} on {where}: requests of {result['num_tokens']:,} tokens, "
        f"{result['kv_cache_dtype']} cache",
        ("engine", "left"),
        ("per token", "right"),
        ("fixed", "right"),
        ("request", "right"),
        ("cache", "right"),
        ("requests", "right"),
    )
    for row in result["engines"]:
        table.add_row(row["engine"], *_figures(row))
    console.print(table)
    everywhere = [row["engine"] for row in result["engines"] if not row["per_rank"]]
    if count > 1 and everywhere:
        console.print(f"per device; {' and '.join(everywhere)} over all devices", style="dim")
    for row in result["engines"]:
        version = f" {row['engine_version']}" if row["engine_version"] else ""
        if row["refusal"]:
            console.print(f"{row['engine']}{version}: {row['refusal']}", style="yellow")


def _figures(row: Json) -> list[str]:
    """One engine's cells; empty where a figure is not known."""
    sizes = [row[name] for name in ("bytes_per_token", "fixed_bytes", "request_bytes")]
    cells = ["" if size is None else format_bytes(size) for size in sizes]
    if row["max_requests"] is None:
        return [*cells, "", ""]
    best, low, high = (row["max_requests"][end] for end in ("best", "low", "high"))
    spread = "" if low == high else f" ({low:,}-{high:,})"
    return [
        *cells,
        format_gib(row["cache_bytes"]["best"]),
        f"{best:,}{spread}",
    ]
