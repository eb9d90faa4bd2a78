"""The command line's flags, each fed from the dataclass field that it fills."""

import argparse
import dataclasses
from collections.abc import Callable

from kvsim import __version__
from kvsim.cli.deployments import add_deployment
from kvsim.cli.engine_flags import add_engine_flags
from kvsim.cli.flags import OneLineParser, add_fields, add_model, later
from kvsim.specs.engine import EngineName, Vllm
from kvsim.specs.llama_cpp import LlamaCpp, Ollama
from kvsim.specs.parallel import Parallelism
from kvsim.specs.transformers import Transformers

LLAMA_FLAGS = {
    LlamaCpp: {
        "variant",
        "ctx_size",
        "parallel",
        "kv_unified",
        "ubatch_size",
        "cache_type_k",
        "cache_type_v",
        "flash_attn",
        "swa_full",
        "spec_draft_n_max",
        "mla",
    },
    Ollama: {"num_ctx", "num_parallel", "num_batch", "draft_num_predict"},
}
"""Flags of `kvsim kv` for engines on llama.cpp's layout; `--batch-size` is its own."""


def build_parser(only: str | None = None) -> argparse.ArgumentParser:
    """The whole command line; completion scripts are generated from it too.

    Args:
        only: the one command whose flags are wanted: all of them take longer than a plan.
    """
    parser = OneLineParser(
        prog="kvsim",
        description="How much memory a model's KV cache takes, and what a deployment holds.",
        epilog="Exit status: 0 fits, 2 bad input, 3 does not fit, 4 an extra is missing.",
    )
    parser.add_argument("--version", action="version", version=f"kvsim {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)

    def command(name: str, doc: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=doc, description=doc)
        if name not in ("app", "validate", "completion"):
            _add_forms(sub)
        return sub

    for name, doc, add in _COMMANDS:
        sub = command(name, doc)
        if only in (None, name):
            add(sub)
    return parser


def _add_forms(parser: argparse.ArgumentParser) -> None:
    """What to print in place of tables: the same object in one of three forms."""
    forms = parser.add_mutually_exclusive_group()
    for form, doc in (
        ("json", "print one JSON object"),
        ("csv", "print that object as CSV, a value a row"),
        ("markdown", "print that object as Markdown tables"),
    ):
        forms.add_argument(f"--{form}", dest="form", action="store_const", const=form, help=doc)


# long: a list of flags
def _add_kv(parser: argparse.ArgumentParser) -> None:
    add_model(parser)
    parser.add_argument(
        "--num-tokens", type=int, required=True, metavar="N", help="cached tokens per sequence"
    )
    parser.add_argument(
        "--batch-size", type=int, default=1, metavar="N", help="sequences (default: 1)"
    )
    parser.add_argument(
        "--engine",
        default=EngineName.IDEAL,
        metavar="ENGINE",
        help=f"whose layout: {', '.join(EngineName)} (default: ideal, live tokens only)",
    )
    parser.add_argument(
        "--num-encoder-tokens",
        type=int,
        metavar="N",
        help="encoder output cached by cross attention",
    )
    parser.add_argument(
        "--explain",
        action="store_true",
        help="show what each config field decided, and the formula with its numbers",
    )
    kept = {"kv_cache_dtype", "dtype", "block_size", "enable_prefix_caching", "engine_version"}
    add_fields(parser, Vllm, skip={f.name for f in dataclasses.fields(Vllm)} - kept)
    parser.set_defaults(engine_version=None)  # each engine has a newest version of its own
    add_fields(parser, Transformers, skip=set())
    for spec, flags in LLAMA_FLAGS.items():
        add_fields(parser, spec, skip={f.name for f in dataclasses.fields(spec)} - flags)
    add_fields(
        parser,
        Parallelism,
        skip={
            "pipeline_parallel_size",
            "data_parallel_size",
            "decode_context_parallel_size",
            "enable_expert_parallel",
        },
    )


def _add_plan(parser: argparse.ArgumentParser) -> None:
    add_model(parser)
    add_deployment(parser)
    parser.add_argument(
        "--concurrent-requests",
        type=int,
        default=1,
        metavar="N",
        help="requests of --max-model-len tokens that must fit at once (default: 1)",
    )
    parser.set_defaults(engine_version=None)  # each engine has a newest version of its own
    add_engine_flags(parser)


def _add_frontier(parser: argparse.ArgumentParser) -> None:
    add_model(parser)
    add_deployment(parser)
    later("frontier", "add_frontier")(parser)


def _add_solve(parser: argparse.ArgumentParser) -> None:
    add_model(parser)
    add_deployment(parser)
    later("solve", "add_solve")(parser)


def _add_retention(parser: argparse.ArgumentParser) -> None:
    add_model(parser)
    add_deployment(parser)
    later("retention", "add_retention")(parser)


def _add_search(parser: argparse.ArgumentParser) -> None:
    add_model(parser)
    later("search", "add_search")(parser)


def _add_text(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "text", nargs="?", default="", metavar="TEXT", help="part of a name, vendor or type"
    )


def _add_nothing(parser: argparse.ArgumentParser) -> None:
    """The command has no flags of its own."""


def _add_validate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "arguments",
        nargs=argparse.REMAINDER,
        metavar="...",
        help="recorded KIND PATH ..., or live BACKEND ...",
    )


def _add_app(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--port", type=int, default=8501, metavar="N", help="port on 127.0.0.1 (default: 8501)"
    )


def _add_completion(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", choices=["bash", "zsh"], help="the shell to write it for")


_COMMANDS: tuple[tuple[str, str, Callable[[argparse.ArgumentParser], None]], ...] = (
    ("kv", "bytes that the cache of a model takes", _add_kv),
    ("plan", "whether a deployment fits, what it holds, and what to change", _add_plan),
    ("frontier", "how many requests of each context fit", _add_frontier),
    ("solve", "the longest context, most users, fewest devices ... that fit", _add_solve),
    (
        "retention",
        "what keeping users' histories between turns takes in each tier, and saves",
        _add_retention,
    ),
    ("search", "devices and settings that keep a latency goal, and what they cost", _add_search),
    (
        "compare",
        "two to six scenarios side by side, and which setting makes the difference",
        later("compare", "add_compare"),
    ),
    (
        "simulate",
        "serve a trace or generated requests, step by step",
        later("simulate_flags", "add_simulate"),
    ),
    ("sweep", "a grid of plans or simulations as a table", later("sweep", "add_sweep")),
    (
        "workload",
        "list, generate, read, summarise or export requests",
        later("workload", "add_workload"),
    ),
    (
        "calibrate",
        "a step's seconds from benchmarks of a server",
        later("calibrate", "add_calibrate"),
    ),
    ("waste", "what reserving memory loses against paging it", later("waste", "add_waste")),
    (
        "claims",
        "what tutorials say of caches, put to one deployment",
        later("claims", "add_claims"),
    ),
    (
        "explain",
        "where an engine's start-up log says that memory went",
        later("explain", "add_explain"),
    ),
    ("models", "list or search the models of the catalogue", _add_text),
    ("gpus", "list or search the devices of the catalogue", _add_text),
    ("doctor", "driver, devices, versions and extras on this machine", _add_nothing),
    ("validate", "replay recorded measurements, or measure an engine here", _add_validate),
    ("app", "start the web app on 127.0.0.1", _add_app),
    ("completion", "print a completion script for a shell", _add_completion),
)
