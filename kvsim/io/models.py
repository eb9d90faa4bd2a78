"""A model from what a user has: a config file, a folder, a dict, or a catalogue name."""

import json
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import NoReturn

from kvsim.errors import FileError, SpecError, UnknownNameError, UnsupportedError
from kvsim.io.catalog import find_model
from kvsim.io.hf_config import model_from_config
from kvsim.specs.model import ModelSpec
from kvsim.units import MiB, format_bytes

MAX_CONFIG_BYTES = 8 * MiB
"""Largest config.json read; the largest seen are 0.2 MiB."""

MAX_DEPTH = 64
"""Deepest nesting of a config; composite models reach 5."""


def read_model(source: str | PathLike[str] | Mapping[str, object]) -> ModelSpec:
    """The model that a config.json, a folder with one, a dict or a catalogue name describes.

    Raises:
        FileError: if a file cannot be read or is no JSON object.
        UnknownNameError: if a name is neither a file nor in the catalogue.
        SpecError: for a missing, impossible or contradictory field.
        UnsupportedError: for an architecture whose cache is not known.
    """
    if isinstance(source, Mapping):
        return model_from_config(source, name=str(source.get("_name_or_path") or "config"))
    path = Path(source)
    if _exists(path):
        return _from_path(path)
    if path.suffix in (".json", ".gguf") or isinstance(source, PathLike):
        msg = f"model={_short(source)}: no such file or folder"
        raise FileError(msg)
    try:
        entry = find_model(str(source))
    except UnknownNameError as error:
        raise UnknownNameError(what="model", name=_short(source), nearest=error.nearest) from None
    spec = model_from_config(entry.config, name=entry.id, is_complete=True)
    return spec.with_hub_id(entry.hub_id)


def parse_config(text: str, *, name: str = "config") -> Mapping[str, object]:
    """The object that a config.json's text holds.

    Raises:
        FileError: if it is too long, no JSON, no object, or holds a number that is none.
    """
    if len(text.encode("utf-8", "replace")) > MAX_CONFIG_BYTES:
        _too_large(name, len(text))
    try:
        values = json.loads(text, object_pairs_hook=_object, parse_constant=_constant)
    except SpecError as error:
        msg = f"{name}: {error}"
        raise FileError(msg) from None
    except RecursionError:
        msg = f"{name}: nested deeper than {MAX_DEPTH} levels"
        raise FileError(msg) from None
    except ValueError as error:
        msg = f"{name} is no valid JSON: {error}"
        raise FileError(msg) from None
    if not isinstance(values, dict):
        msg = f"{name} holds a {type(values).__name__}, a config is an object"
        raise FileError(msg)
    if _depth(values) > MAX_DEPTH:
        msg = f"{name}: nested deeper than {MAX_DEPTH} levels"
        raise FileError(msg)
    return values


def _from_path(path: Path) -> ModelSpec:
    name = path.name if path.is_dir() else path.stem
    if path.suffix == ".gguf":
        msg = f"model={_short(path)}: GGUF headers are not read yet, give the config.json"
        raise UnsupportedError(msg)
    if path.is_dir():
        folder, path = path, path / "config.json"
        if not path.is_file():
            msg = f"model={_short(folder)}: the folder holds no config.json"
            raise FileError(msg)
    elif path.stem == "config":
        name = path.resolve().parent.name or path.stem
    if not path.is_file():
        msg = f"model={_short(path)} is not a regular file"
        raise FileError(msg)
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_CONFIG_BYTES + 1)
    except OSError as error:
        msg = f"model={_short(path)} cannot be read: {error.strerror}"
        raise FileError(msg) from None
    if len(raw) > MAX_CONFIG_BYTES:
        _too_large(path.name, path.stat().st_size)
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        msg = f"{path.name} is no valid JSON: it is not text in UTF-8"
        raise FileError(msg) from None
    return model_from_config(parse_config(text, name=path.name), name=name)


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # too long for a path, or a null byte in it
        return False


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    values = dict(pairs)
    if len(values) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        msg = f"{twice[:40]} is stated twice"
        raise SpecError(msg)
    return values


def _constant(text: str) -> NoReturn:
    msg = f"{text} is no number"
    raise SpecError(msg)


def _depth(values: object) -> int:
    """Levels of nesting, counted without recursion."""
    level, depth = [values], 0
    while level:
        depth += 1
        level = [
            child
            for value in level
            if isinstance(value, dict | list)
            for child in (value.values() if isinstance(value, dict) else value)
        ]
        if depth > MAX_DEPTH:
            break
    return depth


def _too_large(name: str, num_bytes: int) -> NoReturn:
    limit = format_bytes(MAX_CONFIG_BYTES)
    msg = f"{name} has {format_bytes(num_bytes)}, a config.json must be <= {limit}"
    raise FileError(msg)


def _short(source: object) -> str:
    text = str(source)
    return text if len(text) <= 80 else f"{text[:77]}..."
