"""`kvsim claims`: what tutorials say of caches, put to one deployment."""

import argparse
from typing import Any

from kvsim import api
from kvsim.cli import tables
from kvsim.cli.flags import add_fields, from_args
from kvsim.specs.deployment import Deployment
from kvsim.specs.engine import EngineName, Vllm
from kvsim.specs.parallel import Parallelism
from kvsim.units import format_bytes

Json = dict[str, Any]

STYLES = {"true": "bold green", "false": "bold red"}

COUNTS = (
    ("--concurrent-requests", 1, "requests of --max-model-len tokens at once"),
    ("--num-prompt-tokens", 16, "prompt of the answer whose cost is followed"),
    ("--num-output-tokens", 512, "tokens of that answer"),
)


def add_claims(parser: argparse.ArgumentParser) -> None:
    """The flags of `kvsim claims`."""
    parser.add_argument("model", metavar="MODEL", help="as for `kvsim plan`")
    parser.add_argument("--gpu", required=True, metavar="GPU", help="device, see `kvsim gpus`")
    parser.add_argument("--num-gpus", type=int, metavar="N", help="devices")
    for flag, default, doc in COUNTS:
        parser.add_argument(
            flag, type=int, default=default, metavar="N", help=f"{doc} (default: {default})"
        )
    add_fields(parser, Vllm, skip=set())
    add_fields(parser, Parallelism, skip=set())


def run_claims(args: argparse.Namespace) -> Json:
    """Each sentence with its verdict and figures."""
    parallel = from_args(Parallelism, args)
    if args.num_gpus is not None:
        parallel = parallel.over(args.num_gpus)
    deployment = Deployment(
        model=api.load_model(args.model),
        accelerator=api.accelerator(args.gpu),
        engine=from_args(Vllm, args),
        parallel=parallel,
    )
    claims = api.check_claims(
        deployment,
        concurrent_requests=args.concurrent_requests,
        num_prompt_tokens=args.num_prompt_tokens,
        num_output_tokens=args.num_output_tokens,
    )
    return {
        "engine": str(EngineName.VLLM),
        "engine_version": deployment.engine.engine_version,
        "model": deployment.model.name,
        "gpu": deployment.accelerator.name,
        "num_gpus": parallel.num_ranks,
        "concurrent_requests": args.concurrent_requests,
        "claims": [claim.as_dict() for claim in claims],
    }


def show_claims(result: Json) -> None:
    """Each sentence after its verdict, its figures below."""
    console = tables.new_console()
    count = result["num_gpus"]
    where = result["gpu"] if count == 1 else f"{count} x {result['gpu']}"
    console.print(f"{result['model']} on {where}", style="bold")
    for row in result["claims"]:
        tokens = row["threshold_tokens"]
        verdict = row["verdict"] if tokens is None else f"{row['verdict']} {tokens:,} tokens"
        style = STYLES.get(row["verdict"].split()[0], "bold yellow")
        console.print(f"[{style}]{verdict.upper()}[/]  {row['claim']}")
        figures = "; ".join(_figure(name, value) for name, value in row["figures"].items())
        console.print(f"  {row['reason'] or figures}", style="dim")


def _figure(name: str, value: float) -> str:
    """A figure with its unit, which its name ends with."""
    words = name.replace("_", " ")
    if name.endswith("_bytes"):
        return f"{words.removesuffix(' bytes')} {format_bytes(round(value))}"
    if name.endswith("_per_s"):
        return f"{words.removesuffix(' per s')} {value:,.1f} a second"
    if name.endswith("_s"):
        return f"{words.removesuffix(' s')} {value:,.3g} s"
    if name.endswith("_ratio"):
        return f"{words.removesuffix(' ratio')} {value:,.3g} times"
    if name.endswith(("_share", "_agreement")) or name.startswith("saved_at"):
        return f"{words} {value:.1%}"
    return f"{words} {value:,}" if isinstance(value, int) else f"{words} {value:,.3g}"
