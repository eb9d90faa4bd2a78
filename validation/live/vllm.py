"""`python -m validation live vllm`: a real vLLM's start and load against their prediction."""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import kvsim
from validation.live.served import Facts, Outcome, add_output, report
from validation.live.settings import parse_settings
from validation.live.subject import read_config
from validation.live.vllm_attached import attach, device_of
from validation.live.vllm_case import Case
from validation.live.vllm_interpreter import probe
from validation.live.vllm_load import Load
from validation.live.vllm_models import ENGINE_MODELS, find
from validation.live.vllm_run import Setup, run

BACKEND = "vllm"


def main(argv: Sequence[str]) -> int:
    """Start each model, or look at a running server, and report.

    Returns:
        0 if everything is as predicted, else 3.
    """
    args = parse(argv)
    facts, outcomes = look(args)
    return report(outcomes, facts, argv=argv, output=args.output, as_json=args.json)


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """The flags."""
    parser = argparse.ArgumentParser(prog="python -m validation live vllm", description=__doc__)
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
    parser.add_argument("--seed", type=int, default=0)
    add_output(parser)
    args = parser.parse_args(argv)
    if args.attach and not (args.model or args.config):
        parser.error("argument --attach: needs --model or --config, to predict from")
    return args


def look(args: argparse.Namespace) -> tuple[Facts, Iterator[Outcome]]:
    """Where the record comes from, and the outcomes, each when it is asked for."""
    if args.attach:
        found = attach(args.attach, own_case(args), gpu=args.gpu)
        facts = Facts(backend=BACKEND, device=device_of(args.gpu), versions=found.versions)
        return facts, iter([found.outcome])
    interpreter = probe(args.python)
    setup = Setup(
        interpreter=interpreter,
        accelerator=interpreter.accelerator(args.gpu),
        seed=args.seed,
        start_timeout_s=args.start_timeout_s,
        has_weights=bool(args.model),
    )
    facts = Facts(
        backend=BACKEND,
        device=interpreter.describe(),
        versions={"vllm": interpreter.vllm, "torch": interpreter.torch},
        seed=args.seed,
    )
    found = list(cases(args, on_cpu=interpreter.device is None))
    return facts, (run(case, setup) for case in found)


def cases(args: argparse.Namespace, *, on_cpu: bool) -> Iterator[Case]:
    """What is to be started; settings that were given come before a model's own."""
    if args.model or args.config:
        yield own_case(args)
        return
    given = parse_settings(args.set, kvsim.Vllm)
    for model in [find(name) for name in args.models or ()] or ENGINE_MODELS:
        yield Case(
            name=model.name,
            mechanism=model.mechanism,
            settings={"enforce_eager": True, "dtype": "bfloat16", **model.settings, **given},
            config=model.config,
            load=None if args.no_load or (on_cpu and not model.runs_on_cpu) else model.load,
        )


def own_case(args: argparse.Namespace) -> Case:
    """A user's model: of a folder's or a file's config, or by its id."""
    path = args.config or Path(args.model) / "config.json"
    config = None
    if args.config or path.is_file():
        config = read_config(path)
    return Case(
        name=args.config.name if args.config else args.model,
        mechanism="",
        settings=parse_settings(args.set, kvsim.Vllm),
        config=config,
        load=None if args.no_load or args.attach else Load(),
    )
