"""`kvsim sweep`: a grid of plans or simulations as a table."""

import argparse
from typing import Any

from kvsim import api
from kvsim.cli import tables
from kvsim.cli.flags import InputFile, OutputFile, add_backend
from kvsim.cli.progress import progress
from kvsim.errors import SpecError
from kvsim.io.sweep_files import MODES, read_description, read_sweep_fields
from kvsim.specs.sweep import SweepGrid, sweep_grid
from kvsim.specs.sweep_fields import find_field, parsed_value

Json = dict[str, Any]

MOST_ROWS = 100
"""Rows that a terminal shows; `--output` and `--json` have all."""

SHOWN = {
    "plan": ("verdict", "num_gpu_blocks", "kv_cache_tokens", "max_concurrency", "max_requests"),
    "simulate": ("duration_s", "preemptions", "mean_block_utilization", "ttft_s_p50", "e2e_s_p90"),
}


def add_sweep(parser: argparse.ArgumentParser) -> None:
    """The flags of `kvsim sweep`."""
    parser.add_argument(
        "file",
        nargs="?",
        type=InputFile,
        metavar="FILE",
        help="a grid in TOML: mode, and a table grid of fields",
    )
    parser.add_argument(
        "--grid",
        action="append",
        default=[],
        metavar="FIELD=VALUE,...",
        help="values of a field: of a plan, with --simulate of a simulation, or of its workload",
    )
    parser.add_argument(
        "--simulate", action="store_true", help="serve a workload at each point, do not only plan"
    )
    parser.add_argument(
        "--output",
        type=OutputFile,
        metavar="FILE",
        help="the table, .parquet or .csv; rows are kept as they come",
    )
    parser.add_argument(
        "--resume", action="store_true", help="go on with the sweep whose --output this is"
    )
    add_backend(parser)


def run_sweep(args: argparse.Namespace) -> Json:
    """Every point of the grid, with a progress bar on a terminal."""
    grid = _grid(args)
    with progress("points", grid.num_points) as on_progress:
        table = api.sweep(
            grid,
            backend=args.backend,
            address=args.address,
            num_workers=args.workers,
            output=args.output,
            resume=args.resume,
            keep_partial=True,
            on_progress=on_progress,
        )
    return table.as_dict()


def _grid(args: argparse.Namespace) -> SweepGrid:
    """What the file says, then what the flags say; or what is to be resumed."""
    fields: dict[str, object] = {}
    simulate = args.simulate
    if args.file is not None:
        asked, fields = read_sweep_fields(args.file)
        simulate = simulate or asked
    elif args.resume and not args.grid:
        return _resumed(args.output)
    for text in args.grid:
        name, equals, values = text.partition("=")
        if not equals:
            msg = f"grid={text[:40]} must be FIELD=VALUE,..."
            raise SpecError(msg)
        field = find_field(name, simulate=simulate)
        fields[name] = [parsed_value(field, value) for value in values.split(",") if value]
    return sweep_grid(fields, simulate=simulate)


def _resumed(output: str | None) -> SweepGrid:
    held = None if output is None else read_description(output)
    if held is None:
        msg = f"output={output}: there is no sweep to resume"
        raise SpecError(msg)
    sweep = held["sweep"]
    return sweep_grid(sweep["grid"], simulate=MODES[sweep["mode"]])


def show_sweep(result: Json) -> None:
    """How it went, and the rows where no file holds them."""
    console = tables.new_console()
    done = result["computed"] + result["reused"]
    reused = f", {result['reused']:,} of them by an earlier run" if result["reused"] else ""
    console.print(f"{done:,} of {result['points']:,} points{reused}")
    if result["interrupted"]:
        console.print("stopped: --resume goes on where an --output was given", style="bold yellow")
    for refusal in result["refusals"][:MOST_ROWS]:
        console.print(f"{refusal['points']:,} refused: {refusal['reason']}", style="dim")
    if result["output"] is not None:
        where = result["output"] if not result["interrupted"] else f"{result['output']}.parts"
        console.print(f"written to {where}")
    if result["rows"]:
        console.print(_rows(result))
    for left_out in result["not_modeled"]:
        console.print(f"not modelled: {left_out}", style="dim")


def _rows(result: Json) -> Any:  # noqa: ANN401 - rich is loaded where it is used
    varied = [name for name, values in result["grid"].items() if len(values) > 1]
    names = [*varied, *SHOWN[result["mode"]]]
    rows = result["rows"][:MOST_ROWS]
    left = len(result["rows"]) - len(rows)
    title = f"{result['engine']} {result['engine_version']}"
    title += f", the first {MOST_ROWS} rows, {left:,} more with --json or --output" if left else ""
    table = tables.new_table(title, *((name.replace("_", " "), "right") for name in names))
    for row in rows:
        table.add_row(*(_text(row[name]) for name in names))
    return table


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:,.4g}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
