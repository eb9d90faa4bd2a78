"""`kvsim waste`: what reserving loses against paging, published or on a trace."""

import argparse
from dataclasses import replace
from typing import Any

from kvsim import api
from kvsim.cli import tables
from kvsim.cli.flags import InputFile, add_fields, from_args, size
from kvsim.cli.progress import progress
from kvsim.errors import SpecError
from kvsim.io.traces import read_trace
from kvsim.specs.deployment import Deployment
from kvsim.specs.engine import EngineName, Vllm
from kvsim.specs.paging_study import EVERY_SECOND, BatchTime
from kvsim.specs.small_chat import SmallChat
from kvsim.specs.workload import Workload

Json = dict[str, Any]

DEFAULT_REQUESTS = 3000
CHAT_REQUESTS = 24
MOST_FRAMES = 300
RESERVATIONS = ("static", "orca-max", "orca-pow2", "orca-oracle")
PARTS = ("used", "reserved", "internal", "external", "free")
LEGEND = (
    "used: holds tokens; reserved: for tokens to come; internal: never used; "
    "external: holes and rounding; free: not needed"
)
NOT_MODELED = (
    "prefixes that requests share, but by paged-cache",
    "prompts that take longer than a step",
)


# long: a list of flags
def add_waste(parser: argparse.ArgumentParser) -> None:
    """The flags of `kvsim waste`."""
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "--paper", action="store_true", help="the PagedAttention paper's figures 2 and 13"
    )
    what.add_argument("--trace", type=InputFile, metavar="FILE", help="a trace in any known format")
    what.add_argument(
        "--chat", action="store_true", help="a few short talks with a shared system prompt"
    )
    add_fields(parser, SmallChat, skip={"max_tokens"})
    parser.add_argument(
        "--frames",
        type=int,
        nargs="?",
        const=MOST_FRAMES,
        metavar="N",
        help=f"with --json: both pools over time, in at most N frames (default: {MOST_FRAMES})",
    )
    parser.add_argument(
        "--reservation",
        choices=RESERVATIONS,
        default=RESERVATIONS[1],
        help="what the pool beside the paged one reserves in --frames (default: orca-max)",
    )
    parser.add_argument(
        "--skip-bad", action="store_true", help="count malformed lines, do not stop at them"
    )
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="of --paper's and --chat's lengths"
    )
    for flag, doc in (
        (
            "--num-requests",
            f"of each workload (default: {DEFAULT_REQUESTS}, of --chat {CHAT_REQUESTS})",
        ),
        ("--kv-cache-tokens", "tokens that the pool holds (default: eight longest sequences)"),
        ("--max-model-len", "what a static cache reserves (default: the next power of two)"),
        ("--block-size", "tokens per block (default: 16)"),
    ):
        parser.add_argument(flag, type=int, metavar="N", help=doc)
    parser.add_argument("--model", metavar="MODEL", help="with --gpu: the pool that it leaves")
    parser.add_argument("--gpu", metavar="GPU", help="device, see `kvsim gpus`")
    parser.add_argument(
        "--kv-cache-memory-bytes", type=size, metavar="SIZE", help="with --model and --gpu: of it"
    )
    parser.add_argument(
        "--step-time-s", type=float, metavar="S", help="seconds of every step, whatever its batch"
    )


def run_waste(args: argparse.Namespace) -> Json:
    """Published and simulated waste, or that of a trace or of a chat."""
    default = CHAT_REQUESTS if args.chat else DEFAULT_REQUESTS
    num_requests = default if args.num_requests is None else args.num_requests
    if num_requests < 1:
        msg = f"num_requests={num_requests} must be >= 1"
        raise SpecError(msg)
    engine = {"engine": str(EngineName.VLLM), "engine_version": Vllm().engine_version}
    if args.paper:
        if args.frames is not None:
            msg = f"frames={args.frames} are of --trace or --chat, not of --paper"
            raise SpecError(msg)
        study = api.waste_study(seed=args.seed, num_requests=num_requests)
        return engine | study.as_dict()
    return engine | _of_workload(args, num_requests)


def _of_workload(args: argparse.Namespace, num_requests: int) -> Json:
    """The waste of a trace or of a chat, and both pools over time where frames are asked for."""
    workload = _workload(args, num_requests)
    setting: Json = {
        "num_slots": _pool_tokens(args),
        "max_model_len": args.max_model_len or (SmallChat().max_tokens if args.chat else None),
        "block_size": args.block_size or 16,
        "batch_time": _batch_time(args),
    }
    report = api.waste(workload, **setting)
    ratio = report.paged_over_oracle
    result: Json = {
        "source": None,
        "reports": [report.as_dict()],
        "comparison": [],
        "sustained_over_oracle": {
            "simulated": ratio,
            "published_low": None,
            "published_high": None,
        },
        "notes": [],
        "not_modeled": list(NOT_MODELED),
    }
    if args.frames is not None:
        drawn = api.paging(
            workload, **setting, reservation=args.reservation, most_frames=args.frames
        )
        result["frames"] = drawn.as_dict()
    return result


def _workload(args: argparse.Namespace, num_requests: int) -> Workload:
    """The trace, or the chat."""
    if args.chat:
        chat = from_args(SmallChat, args)
        if args.max_model_len is not None:
            chat = replace(chat, max_tokens=args.max_model_len)
        return api.generate_workload(chat.traffic(), num_requests=num_requests, seed=args.seed)
    with progress("requests read", None) as on_progress:
        workload = read_trace(
            args.trace, skip_bad=args.skip_bad, limit=num_requests, on_progress=on_progress
        )
    if len(workload) == num_requests:
        workload = replace(workload, source=f"{workload.source}, first {num_requests} requests")
    return workload


def _pool_tokens(args: argparse.Namespace) -> int | None:
    """What was stated, or what a deployment leaves; None for neither."""
    if args.model is None and args.gpu is None:
        return None if args.kv_cache_tokens is None else int(args.kv_cache_tokens)
    if args.model is None or args.gpu is None or args.kv_cache_tokens is not None:
        msg = f"model={args.model} and gpu={args.gpu} must both be given, or kv_cache_tokens alone"
        raise SpecError(msg)
    engine = Vllm(
        max_model_len=args.max_model_len, kv_cache_memory_bytes=args.kv_cache_memory_bytes
    )
    deployment = Deployment(
        model=api.load_model(args.model), accelerator=api.accelerator(args.gpu), engine=engine
    )
    return int(api.plan(deployment).evaluation.capacity.best.kv_cache_tokens)


def _batch_time(args: argparse.Namespace) -> BatchTime | None:
    if args.step_time_s is None:
        return EVERY_SECOND if args.chat else None
    return BatchTime(base_s=args.step_time_s, per_request_s=0.0, source="stated by the user")


def show_waste(result: Json) -> None:
    """A table per workload; with the paper's figures, published beside simulated."""
    console = tables.new_console()
    for report in result["reports"]:
        setting = report["setting"]
        console.print(_methods(report))
        console.print(
            f"pool of {setting['num_slots']:,} tokens, longest length "
            f"{setting['max_model_len']:,}, blocks of {setting['block_size']}; "
            f"a step's time: {setting['batch_time']['source']}",
            style="dim",
        )
    console.print(f"{LEGEND}; req/s: the most that can be kept up", style="dim")
    if result["comparison"]:
        console.print(_comparison(result))
    ratio = result["sustained_over_oracle"]
    if ratio["simulated"] is not None:
        published = ""
        if ratio["published_low"] is not None:
            published = f" (published: {ratio['published_low']} to {ratio['published_high']})"
        console.print(
            f"paging sustains {ratio['simulated']:.2f} times the oracle's rate{published}"
        )
    if "frames" in result:
        console.print(_frames(result["frames"]))
    for note in result["notes"]:
        console.print(f"note: {note}")
    for left_out in result["not_modeled"]:
        console.print(f"not modelled: {left_out}", style="dim")


def _methods(report: Json) -> Any:  # noqa: ANN401 - rich is loaded where it is used
    columns = [(name, "right") for name in PARTS]
    table = tables.new_table(
        report["workload"],
        ("method", "left"),
        *columns,
        ("running", "right"),
        ("req/s", "right"),
    )
    table.pad_edge = False  # so that names stay whole on 80 columns
    for method in report["methods"]:
        rate = method["sustained_per_s"]
        table.add_row(
            method["method"],
            *(f"{method[name]:.1%}" for name in PARTS),
            f"{method['batch']:.2f}",
            "" if rate is None else f"{rate:.3f}",
        )
    return table


def _frames(drawn: Json) -> str:
    """What the frames show, in a line; they themselves are for --json."""
    total = len(drawn["requests"])
    return (
        f"paging with a prefix cache answered all {total} requests in "
        f"{drawn['paged']['num_steps']:,} steps with {drawn['num_preemptions']} preemptions, "
        f"{drawn['num_hit_tokens']:,} tokens found and {drawn['num_evicted']} blocks evicted; "
        f"{drawn['reservation']} had then answered {total - drawn['num_left']}"
    )


def _comparison(result: Json) -> Any:  # noqa: ANN401
    table = tables.new_table(
        f"Published and simulated ({result['source']})",
        ("workload", "left"),
        ("method", "left"),
        ("quantity", "left"),
        ("published", "right"),
        ("simulated", "right"),
        ("difference", "right"),
    )
    for cell in result["comparison"]:
        is_batch = cell["quantity"] == "batch"
        form = ".2f" if is_batch else ".1%"
        change = f"{cell['relative_difference']:+.1%}" if is_batch else f"{cell['difference']:+.1%}"
        table.add_row(
            cell["workload"],
            cell["method"],
            cell["quantity"],
            f"{cell['published']:{form}}",
            f"{cell['simulated']:{form}}",
            change if is_batch else change.replace("%", " points"),
        )
    return table
