"""Flags from dataclass fields, and dataclasses from flags."""

import argparse
import dataclasses
import types
from collections.abc import Callable
from enum import StrEnum
from importlib import import_module
from typing import Any, NoReturn, TypeVar, get_args, get_origin

from kvsim.errors import SpecError
from kvsim.units import parse_bytes

T = TypeVar("T")

SHORT_FLAGS = {
    "tensor_parallel_size": "-tp",
    "pipeline_parallel_size": "-pp",
    "data_parallel_size": "-dp",
    "decode_context_parallel_size": "-dcp",
}


UNITS = {"_bytes": "SIZE", "_per_s": "N", "_s": "SECONDS", "_size": "GIB", "_ratio": "RATIO"}
"""What a flag counts, by how its field's name ends; a size that is no whole number is in GiB."""


class OneLineParser(argparse.ArgumentParser):
    """A parser whose errors are one line on stderr and exit status 2."""

    def error(self, message: str) -> NoReturn:
        """Print the command and what is wrong, without the usage."""
        self.exit(2, f"{self.prog}: {message}\n")


def later(module: str, name: str) -> Callable[[Any], Any]:
    """A function of a module that is imported when it is called: no command pays for another."""

    def call(given: object) -> object:
        return getattr(import_module(f"kvsim.cli.{module}"), name)(given)

    return call


def size(text: str) -> int:
    """A size in bytes from text such as 24GiB."""
    try:
        return parse_bytes(text)
    except SpecError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


class InputFile(str):
    """A flag's value that may name a file: what is in it decides the result, not its name."""

    __slots__ = ()


class OutputFile(str):
    """A flag's value that names a file to write."""

    __slots__ = ()


class LengthAction(argparse.Action):
    """A length, or what vLLM takes for "as long as memory allows": -1 or auto."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,  # noqa: ANN401 - argparse's signature
        option_string: str | None = None,
    ) -> None:
        """Set the length, or the flag that leaves it to the engine."""
        if values in ("-1", "auto"):
            namespace.auto_max_model_len = True
            return
        if not str(values).isascii() or not str(values).isdigit():
            parser.error(f"argument {option_string}: {values!r} is no length, -1 or auto")
        setattr(namespace, self.dest, int(values))


def add_model(parser: argparse.ArgumentParser) -> None:
    """The model that a command is about."""
    parser.add_argument(
        "model",
        metavar="MODEL",
        help="config.json, .gguf, a folder with either, a catalogue name or a hub id",
    )


def add_backend(parser: argparse.ArgumentParser) -> None:
    """Where many runs are computed."""
    parser.add_argument(
        "--backend",
        default="local",
        metavar="NAME",
        help="local, or ray: a running Ray cluster (default: local)",
    )
    parser.add_argument("--address", metavar="HOST:PORT", help="of the cluster (default: Ray's)")
    parser.add_argument(
        "--workers", type=int, metavar="N", help="processes on this machine (default: its cores)"
    )


def _one_of(kind: type[StrEnum]) -> Callable[[str], StrEnum]:
    """A value of these, or an error that lists them."""

    def parse(text: str) -> StrEnum:
        if text not in list(kind):
            msg = f"{text[:40]!r} must be one of {', '.join(kind)}"
            raise argparse.ArgumentTypeError(msg)
        return kind(text)

    return parse


def add_fields(parser: argparse._ActionsContainer, spec: type[Any], *, skip: set[str]) -> None:
    """One flag per dataclass field: name, type, default and help come from the field."""
    for f in dataclasses.fields(spec):
        if f.name in skip:
            continue
        flags = ["--" + f.name.replace("_", "-"), *filter(None, [SHORT_FLAGS.get(f.name)])]
        shown = "" if f.default in (None, False, ()) else f" (default: {f.default})"
        keywords: dict[str, Any] = {"default": f.default, "help": f.metadata["doc"] + shown}
        kind = _plain_type(f.type)
        if kind is bool and f.default is False:
            keywords["action"] = "store_true"
        elif kind is bool:
            keywords["action"] = argparse.BooleanOptionalAction
        elif get_origin(kind) is tuple:
            kind = get_args(kind)[0]
            keywords |= {"nargs": "*", "type": kind, "metavar": _metavar(f.name, kind)}
        elif f.name == "max_model_len":
            keywords |= {"action": LengthAction, "metavar": "N"}
        elif isinstance(kind, type) and issubclass(kind, StrEnum):
            keywords |= {"type": _one_of(kind), "choices": list(kind)}
        else:
            keywords["type"] = size if f.name.endswith("_bytes") else kind
            keywords["metavar"] = _metavar(f.name, kind)
        parser.add_argument(*flags, **keywords)


def from_args(spec: type[T], args: argparse.Namespace, *, skip: frozenset[str] = frozenset()) -> T:
    """Build the dataclass from what was parsed; fields whose flag was not given keep their default.

    `skip` names fields whose flag means something else in this command.
    """
    fields = dataclasses.fields(spec)  # type: ignore[arg-type]
    given = {f.name: getattr(args, f.name, None) for f in fields if f.name not in skip}
    return spec(
        **{
            name: tuple(value) if isinstance(value, list) else value
            for name, value in given.items()
            if value is not None
        }
    )


def _plain_type(annotation: object) -> Any:  # noqa: ANN401 - a type, for argparse to call
    """`int` of `int | None`."""
    if get_origin(annotation) is types.UnionType:
        return next(t for t in get_args(annotation) if t is not types.NoneType)
    return annotation


def _metavar(name: str, kind: object) -> str:
    for ending, unit in UNITS.items():
        if name.endswith(ending) and not (ending == "_size" and kind is int):
            return unit
    if "tokens" in name:
        return "N"
    return {int: "N", float: "SHARE"}.get(kind, "NAME") if isinstance(kind, type) else "NAME"
