"""What to change, as terminal tables."""

from typing import TYPE_CHECKING, Any

from kvsim.cli import tables

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

Json = dict[str, Any]


def show_advice(console: "Console", result: Json) -> None:
    """Single changes that make it fit, else two; where it fits, those that hold more."""
    if result["fixes"]:
        console.print(fix_table(result["fixes"]))
    if result["pair"]:
        _show_pair(console, result["pair"])
    if result["more_users"]:
        console.print(fix_table(result["more_users"], "Single changes that fit more requests"))


def fix_table(fixes: list[Json], title: str = "Single changes that make it fit") -> "Table":
    """Changes, what each brings and what it costs."""
    table = tables.new_table(
        title, ("change", "left"), ("what it brings", "left"), ("what it costs", "left")
    )
    for fix in fixes:
        table.add_row(f"{fix['setting']}={fix['value']}", fix["effect"], fix["cost"])
    return table


def _show_pair(console: "Console", pair: Json) -> None:
    first, then = pair["first"], pair["then"]
    console.print("No single change makes it fit; two do:")
    console.print(f"- {first['setting']}={first['value']}: {first['cost']}")
    console.print(f"- {then['setting']}={then['value']}: {then['cost']}; {then['effect']}")
