"""`kvsim claims`: what tutorials say of caches, put to one deployment."""

import argparse
from typing import Any

from kvsim import api
from kvsim.cli import tables
from kvsim.cli.flags import add_fields, from_args
from kvsim.specs.deployment import Deployment
from kvsim.specs.engine import Vllm
from kvsim.specs.parallel import Parallelism

Json = dict[str, Any]

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
        "model": deployment.model.name,
        "gpu": deployment.accelerator.name,
        "num_gpus": parallel.num_ranks,
        "concurrent_requests": args.concurrent_requests,
        "claims": [claim.as_dict() for claim in claims],
    }


def show_claims(result: Json) -> None:
    """A row per sentence."""
    console = tables.new_console()
    count = result["num_gpus"]
    where = result["gpu"] if count == 1 else f"{count} x {result['gpu']}"
    table = tables.new_table(
        f"{result['model']} on {where}", ("claim", "left"), ("verdict", "left"), ("figures", "left")
    )
    for row in result["claims"]:
        tokens = row["threshold_tokens"]
        verdict = row["verdict"] if tokens is None else f"{row['verdict']} {tokens:,} tokens"
        figures = ", ".join(f"{name} {value:,.4g}" for name, value in row["figures"].items())
        table.add_row(row["claim"], verdict, row["reason"] or figures)
    console.print(table)
