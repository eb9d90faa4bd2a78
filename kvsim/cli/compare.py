"""`kvsim compare`: two to six scenarios side by side."""

import argparse
import dataclasses
import itertools
import shlex
from collections.abc import Iterator, Sequence
from copy import copy
from pathlib import Path
from typing import Any

from kvsim import api
from kvsim.cli import flags
from kvsim.cli.deployments import add_on_device, deployment_from
from kvsim.cli.engine_flags import SETTINGS, add_engine_flags, engine_settings
from kvsim.errors import SpecError
from kvsim.io.commands import is_launch_line, parse_command
from kvsim.io.log_models import model_named
from kvsim.io.scenario_files import SUFFIX, read_scenario_rows
from kvsim.specs.engine import EngineName, Vllm
from kvsim.specs.parallel import Parallelism
from kvsim.specs.scenario import Scenario, command_scenario

Json = dict[str, Any]

ALL_ENGINES = "all"
ENGINES = (
    *(EngineName.VLLM, EngineName.SGLANG, EngineName.TENSORRT_LLM),
    *(EngineName.LLAMA_CPP, EngineName.OLLAMA, EngineName.TRANSFORMERS),
)
"""What `--engines all` means; `ideal`, the floor under them all, can be named."""


@dataclasses.dataclass(frozen=True, slots=True)
class Row:
    """One scenario as it was written: a plan's words, or an engine's launch line."""

    words: tuple[str, ...]
    name: str | None = None
    line: str | None = None


def add_compare(parser: argparse.ArgumentParser) -> None:
    """The flags of `kvsim compare`."""
    parser.add_argument(
        "scenarios",
        nargs="*",
        metavar="SCENARIO",
        help="a model; in quotes a model with flags of its own, or an engine's launch line; "
        "a .toml file of scenarios",
    )
    parser.add_argument(
        "--gpu", action="append", metavar="GPU", help="device, see `kvsim gpus`; repeat to compare"
    )
    parser.add_argument(
        "--vary",
        action="append",
        default=[],
        metavar="FLAG=VALUE,...",
        help="compare values of a flag below, as kv-cache-dtype=auto,fp8",
    )
    parser.add_argument(
        "--engines",
        metavar="NAMES",
        help=f"compare engines: all, or some of {','.join(EngineName)} "
        "(default: all where nothing else differs)",
    )
    parser.add_argument(
        "--model", metavar="MODEL", help="the model of launch lines, in their place"
    )
    parser.add_argument(
        "--num-tokens",
        type=int,
        metavar="N",
        help="tokens of each request in every scenario (default: its --max-model-len)",
    )
    _add_plan(parser)


def _add_plan(parser: argparse.ArgumentParser) -> None:
    add_on_device(parser)
    parser.add_argument(
        "--concurrent-requests",
        type=int,
        default=1,
        metavar="N",
        help="requests of that length that must fit at once (default: 1)",
    )
    parser.set_defaults(engine_version=None)  # each engine has a newest version of its own
    add_engine_flags(parser)


def run_compare(args: argparse.Namespace) -> Json:
    """Every scenario's figures, and what each setting that differs does to them."""
    rows = [row for text in args.scenarios for row in _rows(text)]
    varied = [_varied(text) for text in args.vary]
    if args.gpu:
        varied.insert(0, [["--gpu", name] for name in args.gpu])
    engines = args.engines
    if engines is None and _is_one(rows, varied):
        engines = ALL_ENGINES
    if engines is not None:
        names = ENGINES if engines == ALL_ENGINES else engines.split(",")
        varied.append([["--engine", name] for name in names])
    parser = flags.OneLineParser(prog="kvsim compare SCENARIO", add_help=False)
    parser.add_argument("model")
    parser.add_argument("--gpu")
    _add_plan(parser)
    scenarios = [
        _scenario(parser, args, row, [word for choice in chosen for word in choice])
        for row in rows or [Row(())]
        for chosen in itertools.product(*varied)
    ]
    return api.compare(scenarios, num_tokens=args.num_tokens).as_dict()


def _is_one(rows: Sequence[Row], varied: Sequence[Sequence[object]]) -> bool:
    """Whether one model on one device is all that is said: then engines are compared."""
    is_plan = len(rows) == 1 and rows[0].line is None
    return is_plan and all(len(axis) == 1 for axis in varied)


def _rows(text: str) -> Iterator[Row]:
    """The scenarios that one argument describes."""
    if text.endswith(SUFFIX):
        yield from (Row(_words(fields), name) for name, fields in read_scenario_rows(text))
        return
    if Path(text).exists():
        yield Row((text,))
        return
    if is_launch_line(text):
        yield Row((), line=text)
        return
    try:
        yield Row(tuple(shlex.split(text)))
    except ValueError as error:
        msg = f"scenario={text[:40]!r}: {error}"
        raise SpecError(msg) from None


def _words(fields: dict[str, Any]) -> tuple[str, ...]:
    """A scenario's fields as they would follow `kvsim plan`."""
    given = dict(fields)
    model = given.pop("model", None)
    words = () if model is None else (str(model),)
    return (*words, *(word for name, value in given.items() for word in _flag(name, value)))


def _flag(name: str, value: object) -> list[str]:
    flag = "--" + name.replace("_", "-")
    if value is True:
        return [flag]
    if value is False:
        return [f"--no-{flag.removeprefix('--')}"]
    return [flag, *(map(str, value) if isinstance(value, list) else [str(value)])]


def _varied(text: str) -> list[list[str]]:
    """The words of each value of a flag; a model's have no flag."""
    name, equals, values = text.lstrip("-").partition("=")
    if not equals or not values:
        msg = f"vary={text[:40]} must be FLAG=VALUE,..."
        raise SpecError(msg)
    switches = {"true": True, "false": False}
    each: list[Any] = [switches.get(value, value) for value in values.split(",")]
    if name == "model":
        return [[value] for value in each]
    return [_flag(name, value) for value in each]


def _scenario(
    parser: argparse.ArgumentParser,
    args: argparse.Namespace,
    row: Row,
    varied: list[str],
) -> Scenario:
    """One scenario: what is said of all, then its own words, then what is varied."""
    if row.line is not None:
        return _from_line(parser, args, row.line, varied)
    common = copy(args)
    common.gpu = None
    given = parser.parse_args([*row.words, *varied], namespace=common)
    if given.gpu is None:
        msg = f"gpu=None must be given for {given.model[:60]}: --gpu"
        raise SpecError(msg)
    deployment = deployment_from(given, any_engine=True)
    return Scenario(
        deployment=deployment,
        engine=given.engine,
        settings=engine_settings(given) if given.engine in (EngineName.VLLM, *SETTINGS) else None,
        concurrent_requests=given.concurrent_requests,
        name=row.name,
    )


def _from_line(
    parser: argparse.ArgumentParser,
    args: argparse.Namespace,
    line: str,
    varied: list[str],
) -> Scenario:
    """The scenario of a launch line; the command says the device, and what was measured.

    Raises:
        SpecError: for a line without a model or a device, or engine flags beside the line.
    """
    command = parse_command(line)
    model = args.model or command.model
    if model is None:
        msg = f"model=None must be on the line {line[:40]!r}, or given by --model"
        raise SpecError(msg)
    known = model_named(model)
    common = copy(args)
    common.gpu, common.engine = None, EngineName.VLLM
    given = parser.parse_args([known.id if known else model, *varied], namespace=common)
    if given.gpu is None:
        msg = f"gpu=None must be given for {command.engine}'s line: --gpu"
        raise SpecError(msg)
    _check_beside(given)
    scenario = command_scenario(command, deployment_from(given))
    return dataclasses.replace(scenario, concurrent_requests=given.concurrent_requests)


def _check_beside(given: argparse.Namespace) -> None:
    """SpecError for a flag of an engine, or a degree, that belongs on the launch line."""
    for spec in (Vllm, Parallelism, *SETTINGS.values()):
        for field in dataclasses.fields(spec):
            value = getattr(given, field.name, None)
            default = list(field.default) if isinstance(field.default, tuple) else field.default
            if value is not None and value not in (default, field.default):
                msg = f"{field.name}={value!s:.40} must be on the launch line"
                raise SpecError(msg)
