"""An engine's settings from a command line: NAME=VALUE under kvsim's own names."""

from collections.abc import Iterable, Mapping
from dataclasses import fields
from types import NoneType, UnionType
from typing import get_args

import kvsim

Setting = bool | int | float | str
Settings = Mapping[str, Setting]
TRUTHS = {"true": True, "false": False}


def parse_settings(texts: Iterable[str], kind: type[kvsim.Vllm | kvsim.LlamaCpp]) -> Settings:
    """Settings of an engine, each in its field's own type.

    Raises:
        SpecError: for a name that kvsim does not know, or a value of another type.

    Example:
        >>> parse_settings(["block_size=32"], kvsim.Vllm)
        {'block_size': 32}
    """
    return dict(_parse(text, kind) for text in texts)


def _parse(text: str, kind: type[kvsim.Vllm | kvsim.LlamaCpp]) -> tuple[str, Setting]:
    name, _, value = text.partition("=")
    types = {field.name: _value_type(field.type) for field in fields(kind)}
    types = {known: one for known, one in types.items() if one is not None}
    if name not in types:
        msg = f"set={name} must be one of {', '.join(sorted(types))}"
        raise kvsim.SpecError(msg)
    to = types[name]
    try:
        return name, TRUTHS[value.lower()] if to is bool else to(value)
    except (KeyError, ValueError):
        msg = f"{name}={value} must be of type {to.__name__}"
        raise kvsim.SpecError(msg) from None


def _value_type(annotation: object) -> type | None:
    """What a field holds where it holds anything; None for more than one value."""
    if isinstance(annotation, UnionType):
        annotation = next(one for one in get_args(annotation) if one is not NoneType)
    return annotation if isinstance(annotation, type) else None


def flags(settings: Settings, *, unpassed: tuple[str, ...]) -> list[str]:
    """The settings as flags of a server, whose names are the same.

    Example:
        >>> flags({"block_size": 32, "enforce_eager": True}, unpassed=())
        ['--block-size', '32', '--enforce-eager']
    """
    given: list[str] = []
    for name, value in settings.items():
        flag = name.replace("_", "-")
        if name in unpassed:
            continue
        if isinstance(value, bool):
            given.append(f"--{flag}" if value else f"--no-{flag}")
        else:
            given += [f"--{flag}", str(value)]
    return given
