"""`kvsim explain`: a start-up log's figures, what makes them up, and what to change."""

import argparse
import sys
from typing import TYPE_CHECKING, Any

from kvsim import api
from kvsim.cli import tables
from kvsim.cli.flags import InputFile, OutputFile
from kvsim.errors import SpecError
from kvsim.io.calibration import write_calibration
from kvsim.io.metrics_page import read_metrics
from kvsim.io.traces import read_trace
from kvsim.units import format_bytes

if TYPE_CHECKING:
    from rich.table import Table

Json = dict[str, Any]

STANDARD_INPUT = "-"
PRINTED = "printed"
SHOWN_NOT_UNDERSTOOD = 10
TITLES = {"bytes": format_bytes, "tokens": "{:,}".format, "blocks": "{:,}".format}


def add_explain(parser: argparse.ArgumentParser) -> None:
    """The flags of `kvsim explain`."""
    parser.add_argument(
        "log", type=InputFile, metavar="LOG", help="a start-up log, or - for what is piped in"
    )
    parser.add_argument(
        "--model",
        metavar="MODEL",
        help="what was served, where the catalogue lacks the log's name: a config.json, .gguf, "
        "folder, catalogue name or hub id",
    )
    parser.add_argument("--gpu", metavar="GPU", help="the device, see `kvsim gpus`")
    parser.add_argument(
        "--metrics",
        type=InputFile,
        metavar="URL",
        help="the running server's metrics page, or a file of it",
    )
    parser.add_argument(
        "--trace",
        type=InputFile,
        metavar="FILE",
        help="with --metrics: what was asked, for the hits it allows",
    )
    parser.add_argument(
        "--write-calibration",
        type=OutputFile,
        metavar="FILE",
        help="write the measured memory for `kvsim plan --calibration FILE`",
    )


def run_explain(args: argparse.Namespace) -> Json:
    """`kvsim explain`: what the log says and why.

    Raises:
        SpecError: for a trace without metrics, or a calibration that the log has no figure for.
    """
    if args.trace is not None and args.metrics is None:
        msg = f"trace={args.trace[:80]} is compared with --metrics: give both"
        raise SpecError(msg)
    if args.log == STANDARD_INPUT:
        args.piped = sys.stdin.buffer.read()
    source = getattr(args, "piped", args.log)
    allowed = None
    if args.trace is not None:
        allowed = api.summarize_workload(read_trace(args.trace)).prefix.token_rate
    explained = api.explain_log(
        source,
        model=None if args.model is None else api.load_model(args.model),
        accelerator=None if args.gpu is None else api.accelerator(args.gpu),
        metrics=None if args.metrics is None else read_metrics(args.metrics),
        allowed_hit_rate=allowed,
    )
    if args.write_calibration is not None:
        if explained.calibration is None:
            msg = f"log={args.log[:80]} prints no memory that a calibration could hold"
            raise SpecError(msg)
        write_calibration(args.write_calibration, explained.calibration)
    return explained.as_dict()


def show_explain(result: Json) -> None:
    """What was read, the checks part by part, advice, and what was not understood."""
    console = tables.new_console()
    version = f" {result['version']}" if result["version"] else ""
    console.print(f"[bold]{result['engine']}{version}[/]  {result['outcome']}", end="  ")
    named = result["model"]
    console.print(f"{named['named'] or 'no model named'}", end="", markup=False)
    taken = named["taken_as"]
    console.print(f" (as {taken})" if taken and taken != named["named"] else "")
    console.print(_read_table(result))
    for check in result["reconciliation"]:
        console.print(_check_table(check))
        if check["note"]:
            console.print(f"  {check['note']}", style="dim")
    for each in result["advice"]:
        console.print(f"[bold]{each['knob']}[/]: {each['change']}", end=", ")
        console.print(each["why"])
    if result["server"] is not None:
        _show_server(console, result["server"])
    for line in (*result["asks"], *result["not_checked"]):
        console.print(f"- {line}", style="dim", markup=False)
    for line in result["not_understood"][:SHOWN_NOT_UNDERSTOOD]:
        console.print(f"not understood: {line}", style="dim", markup=False)


def _read_table(result: Json) -> "Table":
    table = tables.new_table("What the log says", ("", "left"), ("", "left"), ("line", "right"))
    for part in ("settings", "measured"):
        for name, value in result[part].items():
            text = str(value)
            shown = text if len(text) <= 60 else f"{text[:57]}..."
            table.add_row(name, shown, str(result["lines"].get(name, "")))
        table.add_section()
    return table


def _check_table(check: Json) -> "Table":
    told = TITLES[check["unit"]]
    table = tables.new_table(
        f"{check['name']}: {'explained' if check['explained'] else 'NOT EXPLAINED'}",
        ("", "left"),
        (check["unit"], "right"),
        ("low to high", "right"),
        ("", "left"),
    )
    for part in (check["whole"], *check["parts"]):
        source = PRINTED if part["source"] == PRINTED else "predicted"
        table.add_row(part["name"], told(part["best"]), _spread(part, told), source)
    rest = check["remainder"]
    table.add_row("left over", told(rest["best"]), _spread(rest, told), "")
    return table


def _spread(part: Json, told: Any) -> str:  # noqa: ANN401 - a formatter
    if part["low"] == part["high"]:
        return ""
    return f"{told(part['low'])} to {told(part['high'])}"


def _show_server(console: Any, server: Json) -> None:  # noqa: ANN401 - rich is loaded late
    figures = {name: value for name, value in server.items() if name != "findings"}
    shown = ", ".join(
        f"{name.replace('_', ' ')} {value:.3g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in figures.items()
        if value is not None
    )
    console.print(f"running: {shown}")
    for finding in server["findings"]:
        console.print(f"- {finding}")
