"""What each command calls, and how its result is shown."""

import argparse
from collections.abc import Callable
from dataclasses import dataclass

from kvsim import api
from kvsim.cli import flags, parser, tables
from kvsim.cli.app import start_app
from kvsim.cli.deployments import deployment_from
from kvsim.cli.doctor import examine
from kvsim.cli.engine_flags import engine_settings
from kvsim.cli.engine_plan_table import show_engine_plan
from kvsim.cli.validate import start_validation
from kvsim.io.catalog import search_accelerators, search_models
from kvsim.io.report import accelerator_row, model_row
from kvsim.specs.engine import EngineName, Vllm
from kvsim.specs.llama_cpp import LlamaCpp, Ollama
from kvsim.specs.transformers import Transformers

Json = dict[str, object]


@dataclass(frozen=True, slots=True)
class Command:
    """A command's function, and the table it prints without `--json`."""

    run: Callable[[argparse.Namespace], Json | None]
    show: Callable[[Json], None]


SEQUENCES = frozenset(("batch_size",))
"""`--batch-size` of `kvsim kv` counts sequences; llama.cpp's flag of this name counts tokens."""


def run_kv(args: argparse.Namespace) -> Json:
    """`kvsim kv`: a model's cache as a breakdown."""
    model = api.load_model(args.model)
    engine = args.engine
    if engine == EngineName.VLLM:
        engine = flags.from_args(Vllm, args)
    elif engine == EngineName.TRANSFORMERS:
        engine = flags.from_args(Transformers, args)
    elif engine == EngineName.LLAMA_CPP:
        engine = flags.from_args(LlamaCpp, args, skip=SEQUENCES)
    elif engine == EngineName.OLLAMA:
        engine = flags.from_args(Ollama, args)
    result = api.cache_bytes(
        model,
        num_tokens=args.num_tokens,
        batch_size=args.batch_size,
        engine=engine,
        kv_cache_dtype=args.kv_cache_dtype,
        dtype=args.dtype,
        tensor_parallel_size=args.tensor_parallel_size,
        num_encoder_tokens=args.num_encoder_tokens,
    )
    formula = api.cache_formula(
        model,
        kv_cache_dtype=args.kv_cache_dtype,
        tensor_parallel_size=args.tensor_parallel_size,
    )
    explained: Json = {}
    if args.explain:
        groups = api.explain_cache(
            model,
            num_tokens=args.num_tokens,
            kv_cache_dtype=args.kv_cache_dtype,
            dtype=args.dtype,
            tensor_parallel_size=args.tensor_parallel_size,
            num_encoder_tokens=args.num_encoder_tokens,
        )
        explained = {"explanation": [group.as_dict() for group in groups]}
    return result.as_dict() | {"formula": [line.text for line in formula]} | explained


def run_plan(args: argparse.Namespace) -> Json:
    """`kvsim plan`: whether a deployment fits, and what it holds."""
    settings = engine_settings(args)
    deployment = deployment_from(args, any_engine=True)
    requests = args.concurrent_requests
    if settings is not None:
        return api.plan_engine(deployment, settings, concurrent_requests=requests).as_dict()
    return api.plan(deployment, concurrent_requests=requests).as_dict()


def show_plan(result: Json) -> None:
    """A plan's table: vLLM's has blocks, the others' has devices."""
    (show_engine_plan if "devices" in result else tables.show_plan)(result)


def run_models(args: argparse.Namespace) -> Json:
    """`kvsim models`: the catalogue's models."""
    return {"models": [model_row(model) for model in search_models(args.text)]}


def run_gpus(args: argparse.Namespace) -> Json:
    """`kvsim gpus`: the catalogue's devices."""
    return {"gpus": [accelerator_row(device) for device in search_accelerators(args.text)]}


def run_doctor(args: argparse.Namespace) -> Json:  # noqa: ARG001
    """`kvsim doctor`: what this machine has."""
    return examine()


def run_app(args: argparse.Namespace) -> None:
    """`kvsim app`: replaces this process by the web server."""
    start_app(port=args.port)


def run_validate(args: argparse.Namespace) -> None:
    """`kvsim validate`: replaces this process by `python -m validation`."""
    start_validation(args.arguments)


def run_completion(args: argparse.Namespace) -> None:
    """`kvsim completion`: a script that the shell evaluates."""
    import shtab  # noqa: PLC0415 - only this command needs it

    print(shtab.complete(parser.build_parser(), shell=args.shell))


LATER = (
    "frontier",
    "solve",
    "retention",
    "search",
    "sweep",
    "workload",
    "calibrate",
    "waste",
    "claims",
    "explain",
)
"""Commands with a module of their own, which holds `run_` and `show_` functions of their name."""

COMMANDS = {
    "kv": Command(run_kv, tables.show_kv),
    "plan": Command(run_plan, show_plan),
    "compare": Command(
        flags.later("compare", "run_compare"), flags.later("compare_table", "show_compare")
    ),
    **{
        name: Command(flags.later(name, f"run_{name}"), flags.later(name, f"show_{name}"))
        for name in LATER
    },
    "simulate": Command(
        flags.later("simulate", "run_simulate"), flags.later("simulate_table", "show_simulate")
    ),
    "models": Command(run_models, tables.show_models),
    "gpus": Command(run_gpus, tables.show_gpus),
    "doctor": Command(run_doctor, tables.show_doctor),
    "app": Command(run_app, tables.show_nothing),
    "validate": Command(run_validate, tables.show_nothing),
    "completion": Command(run_completion, tables.show_nothing),
}
