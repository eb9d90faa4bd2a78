"""`python -m validation live vllm`: a real vLLM's start and load against their prediction."""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from validation.live.provenance import provenance
from validation.live.rung import Status
from validation.live.server import ServerError
from validation.live.subject import read_config
from validation.live.vllm_attached import attach, device_of
from validation.live.vllm_case import Case, Outcome
from validation.live.vllm_interpreter import probe
from validation.live.vllm_load import Load
from validation.live.vllm_models import ENGINE_MODELS, Settings, find
from validation.live.vllm_predicted import parse_setting
from validation.live.vllm_run import Setup, run

SCHEMA_VERSION = 1
EXIT_EXACT, EXIT_WRONG = 0, 3
START_S = 600.0


def main(argv: Sequence[str]) -> int:
    """Start each model, or look at a running server, and report.

    Returns:
        0 if everything is as predicted, else 3.
    """
    args = parse(argv)
    outcomes = []
    try:
        facts, found = look(args)
        for outcome in found:
            outcomes.append(outcome)
            print(line(outcome), file=sys.stderr if args.json else sys.stdout, flush=True)
    except ServerError as error:
        print("\n".join(error.log), file=sys.stderr)
        raise
    record = {
        "schema_version": SCHEMA_VERSION,
        "kind": "live-vllm",
        "provenance": provenance(backend="vllm", arguments=argv, seed=args.seed, **facts),
        **{str(status): count(outcomes, status) for status in Status},
        "starts": [outcome.as_dict() for outcome in outcomes],
    }
    if args.output:
        args.output.write_text(json.dumps(record, indent=1) + "\n", "utf-8")
    if args.json:
        print(json.dumps(record))
    else:
        summarize(record, outcomes)
    return EXIT_WRONG if count(outcomes, Status.WRONG) else EXIT_EXACT


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """The flags."""
    parser = argparse.ArgumentParser(prog="validation live vllm", description=__doc__)
    which = parser.add_mutually_exclusive_group()
    names = ", ".join(model.name for model in ENGINE_MODELS)
    which.add_argument("--models", nargs="+", metavar="NAME", help=f"tiny models: {names}")
    which.add_argument("--config", type=Path, help="config.json: weights that hold nothing")
    which.add_argument("--model", help="a folder or a hub's id: its own weights")
    parser.add_argument("--attach", metavar="URL", help="read a running server of --model; only")
    parser.add_argument("--python", default=sys.executable, help="the Python that has vLLM")
    parser.add_argument(
        "--set", nargs="+", default=[], metavar="NAME=VALUE", help="settings, as kvsim.Vllm's"
    )
    parser.add_argument("--gpu", help="the GPU's name in kvsim's catalogue, if torch's is not")
    parser.add_argument("--no-load", action="store_true", help="start only")
    parser.add_argument("--start-timeout-s", type=float, default=START_S)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, help="write the record here")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    args = parser.parse_args(argv)
    if args.attach and not (args.model or args.config):
        parser.error("argument --attach: needs --model or --config, to predict from")
    return args


def look(args: argparse.Namespace) -> tuple[dict[str, Any], Iterator[Outcome]]:
    """Device and versions, for the record; and the outcomes, each when it is asked for."""
    if args.attach:
        found = attach(args.attach, own_case(args, given(args)), gpu=args.gpu)
        return {"device": device_of(args.gpu), "versions": found.versions}, iter([found.outcome])
    interpreter = probe(args.python)
    setup = Setup(
        interpreter=interpreter,
        accelerator=interpreter.accelerator(args.gpu),
        seed=args.seed,
        start_timeout_s=args.start_timeout_s,
        has_weights=bool(args.model),
    )
    facts = {
        "device": interpreter.describe(),
        "versions": {"vllm": interpreter.vllm, "torch": interpreter.torch},
    }
    return facts, (run(case, setup) for case in cases(args))


def given(args: argparse.Namespace) -> Settings:
    """Settings of the command line."""
    return dict(parse_setting(text) for text in args.set)


def cases(args: argparse.Namespace) -> Iterator[Case]:
    """What is to be started; settings that were given come before a model's own."""
    if args.model or args.config:
        yield own_case(args, given(args))
        return
    for model in [find(name) for name in args.models or ()] or ENGINE_MODELS:
        yield Case(
            name=model.name,
            mechanism=model.mechanism,
            settings={"enforce_eager": True, "dtype": "bfloat16", **model.settings, **given(args)},
            config=model.config,
            load=None if args.no_load else model.load,
        )


def own_case(args: argparse.Namespace, settings: Settings) -> Case:
    """A user's model: of a folder's or a file's config, or by its id."""
    path = args.config or Path(args.model) / "config.json"
    config = None
    if args.config or path.is_file():
        config = read_config(path)
    return Case(
        name=args.config.name if args.config else args.model,
        mechanism="",
        settings=settings,
        config=config,
        load=None if args.no_load or args.attach else Load(),
    )


def count(outcomes: Sequence[Outcome], status: Status) -> int:
    """Servers that ended so."""
    return sum(outcome.status is status for outcome in outcomes)


def line(outcome: Outcome) -> str:
    """One server on one line."""
    measured = outcome.measured
    said = ""
    if measured:
        said = "  {num_blocks:,} blocks of {block_size}, {tokens:,} tokens, {max_concurrency}x"
    if "preemptions" in measured:
        said += "; peak {peak_blocks}, {prefix_hit_tokens:,} hits, {preemptions} preemptions"
    reason = f"  {outcome.reason}" if outcome.reason else ""
    return f"{outcome.case.name:<16} {outcome.status}{said.format(**measured)}{reason}"


def summarize(record: dict[str, Any], outcomes: Sequence[Outcome]) -> None:
    """What was measured on what, each figure that differs, and the count."""
    facts = record["provenance"]
    print(f"measured on {facts['device']['kind']}: {facts['device']['name']}, {facts['versions']}")
    for outcome in outcomes:
        for name in outcome.wrong:
            told = f"predicted {outcome.predicted[name]}, measured {outcome.measured[name]}"
            print(f"  {outcome.case.name} {name}: {told}")
    if number := count(outcomes, Status.REFUSED):
        print(f"{number} refused")
    measured = count(outcomes, Status.EXACT) + count(outcomes, Status.WRONG)
    print(f"{count(outcomes, Status.EXACT)} of {measured} exact")
