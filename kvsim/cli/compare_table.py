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
        ("tokens", "right"),
        ("requests", "right"),
    )
    for row in result["engines"]:
        table.add_row(row["engine"], *_figures(row))
    console.print(table)
    for row in result["engines"]:
        version = f" {row['engine_version']}" if row["engine_version"] else ""
        if row["refusal"]:
            console.print(f"{row['engine']}{version}: {row['refusal']}", style="yellow")


def _figures(row: Json) -> list[str]:
    """One engine's cells; empty where a figure is not known."""
    sizes = [row[name] for name in ("bytes_per_token", "fixed_bytes", "request_bytes")]
    cells = ["" if size is None else format_bytes(size) for size in sizes]
    if row["max_requests"] is None:
        return [*cells, "", "", ""]
    requests = row["max_requests"]
    return [
        *cells,
        format_gib(row["cache_bytes"]["best"]),
        f"{row['capacity_tokens']['best']:,}",
        f"{requests['best']:,} ({requests['low']:,} to {requests['high']:,})",
    ]
