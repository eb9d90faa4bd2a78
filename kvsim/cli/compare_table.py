"""Scenarios side by side as terminal tables: figures, settings, and which makes the difference."""

from typing import Any

from kvsim.cli import tables
from kvsim.units import format_bytes, format_gib

Json = dict[str, Any]

SIZES, GIBS = ("bytes_per_token", "fixed_bytes"), ("weights_bytes", "cache_bytes", "request_bytes")
LABELS = {
    "num_gpus": "devices",
    "num_tokens": "request, tokens",
    "weights_bytes": "weights, GiB",
    "cache_bytes": "cache, GiB",
    "bytes_per_token": "per token",
    "fixed_bytes": "fixed",
    "request_bytes": "request, GiB",
    "capacity_tokens": "tokens",
    "max_requests": "requests",
    "longest_tokens": "longest",
    "low_usd_per_hour": "$/hour, low",
    "high_usd_per_hour": "$/hour, high",
}


def show_compare(result: Json) -> None:
    """A column per scenario; then a table per scenario of what each setting does."""
    console = tables.new_console()
    rows = result["scenarios"]
    for number, row in enumerate(rows, 1):
        mark = " (baseline)" if number == 1 else ""
        version = f" {row['engine_version']}" if row["engine_version"] else ""
        where = f"{row['model']} on {row['num_gpus']} x {row['gpu']}, {row['engine']}{version}"
        console.print(f"{number}  {row['name']}{mark}: {where}", soft_wrap=True)
    table = tables.new_table(
        "", ("", "left"), *((str(number), "right") for number in range(1, len(rows) + 1))
    )
    table.add_row("verdict", *(row["verdict"] or "unknown" for row in rows))
    for name, label in LABELS.items():
        if not name.endswith("usd_per_hour"):
            table.add_row(label, *(_cell(name, row[name]) for row in rows))
    table.add_row("$/month", *(_dollars(row["usd_per_month"]) for row in rows))
    console.print(table)
    for number, row in enumerate(rows, 1):
        if row["refusal"]:
            console.print(f"{number}  {row['refusal']}", style="yellow", soft_wrap=True)
    if not all(row["per_rank"] for row in rows) and any(row["num_gpus"] > 1 for row in rows):
        console.print("a token's and a request's bytes of llama.cpp and ollama: over all devices")
    for number, difference in enumerate(result["differences"], 2):
        _show_difference(console, number, difference)


def _show_difference(console: Any, number: int, difference: Json) -> None:  # noqa: ANN401
    """What each setting alone does; where one differs there is nothing to split."""
    settings = difference["settings"]
    if len(settings) == 1:
        return
    console.print(f"{number} against 1, and what each setting does alone", style="bold")
    for one in settings:
        console.print(f"  {one['setting']}: {one['baseline']} -> {one['value']}", soft_wrap=True)
    table = tables.new_table("", ("", "left"), ("together", "right"), ("of which", "left"))
    for figure in difference["figures"]:
        if figure["difference"] is not None:
            name = figure["figure"]
            total = _signed(name, figure["difference"])
            table.add_row(LABELS[name], total, ", ".join(_parts(figure)))
    console.print(table)
    for one in settings:
        if one["refusal"]:
            reason = f"{one['setting']}={one['value']} alone: {one['refusal']}"
            console.print(reason, style="dim", soft_wrap=True)


def _parts(figure: Json) -> list[str]:
    """The settings that change a figure, and what only takes effect together."""
    amounts = [(part["setting"], part["difference"]) for part in figure["parts"]]
    amounts.append(("interaction", figure["interaction"]))
    return [
        f"{name} {_signed(figure['figure'], amount)}" for name, amount in amounts if amount != 0
    ]


def _cell(name: str, value: Any) -> str:  # noqa: ANN401 - a plain figure, or one at three ends
    """A figure; of requests the ends of the estimate too, `--json` has those of all."""
    if value is None:
        return ""
    if not isinstance(value, dict):
        return _figure(name, value)
    best, low, high = (_figure(name, value[end]) for end in ("best", "low", "high"))
    return f"{best} ({low}-{high})" if low != high and name == "max_requests" else best


def _figure(name: str, value: float) -> str:
    if name in SIZES:
        return format_bytes(int(value))
    if name in GIBS:
        return format_gib(int(value)).removesuffix(" GiB")
    return f"{value:,.2f}" if name.endswith("usd_per_hour") else f"{value:,}"


def _signed(name: str, value: float | None) -> str:
    if value is None:
        return "unknown"
    return f"{'-' if value < 0 else '+'}{_figure(name, abs(value))}"


def _dollars(value: list[float] | None) -> str:
    if value is None:
        return ""
    low, high = (f"{end:.0f}" for end in value)
    return low if low == high else f"{low}-{high}"
