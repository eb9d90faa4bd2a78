"""A model from what a user has: a file, a folder, a dict, a catalogue name, or a hub's id."""

import json
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from os import PathLike
from pathlib import Path
from typing import NoReturn

from kvsim.errors import FileError, SpecError, UnknownNameError
from kvsim.io.catalog import find_model
from kvsim.io.gguf import read_gguf
from kvsim.io.gguf_models import model_from_gguf
from kvsim.io.hf_config import model_from_config
from kvsim.io.hub import MODELSCOPE, fetch_model, is_hub_id
from kvsim.io.limits import MAX_CONFIG_BYTES, MAX_CONFIG_DEPTH
from kvsim.io.safetensors import holds_safetensors, read_tensors
from kvsim.message import Message
from kvsim.specs.model import ModelSpec
from kvsim.units import format_bytes

SAFETENSORS_NAMES = (".safetensors", ".safetensors.index.json")
"""How the names of weights and of their index end."""

GGUF_KIND = "general.architecture"
"""The key that only a GGUF file's metadata have."""


def read_model(source: str | PathLike[str] | Mapping[str, object]) -> ModelSpec:
    """The model that a file, a folder, a dict, a catalogue name or a hub's id describes.

    A file is a config.json, a GGUF file, or safetensors with their config beside them; a dict is
    a config, or the metadata of a GGUF file.

    Raises:
        FileError: if a file cannot be read or is not what its name says, or a hub not reached.
        UnknownNameError: if a name is neither a file nor in the catalogue.
        SpecError: for a missing, impossible or contradictory field.
        UnsupportedError: for an architecture whose cache is not known.
    """
    if isinstance(source, Mapping):
        if GGUF_KIND in source:
            return model_from_gguf(source)
        name = source.get("_name_or_path")
        return model_from_config(source, name=name if isinstance(name, str) and name else "config")
    path = Path(source)
    if _exists(path):
        return _from_path(path)
    if path.suffix in (".json", ".gguf") or isinstance(source, PathLike):
        msg = f"model={_short(source)}: no such file or folder"
        raise FileError(msg)
    try:
        entry = find_model(str(source))
    except UnknownNameError as error:
        if is_hub_id(str(source)):
            return _from_hub(str(source))
        raise UnknownNameError(what="model", name=_short(source), nearest=error.nearest) from None
    return _of_catalog(entry.id)


@cache  # one object per model: layouts are remembered by it
def _of_catalog(model_id: str) -> ModelSpec:
    entry = find_model(model_id)
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
        msg = Message(
            "{name}: nested deeper than {max_config_depth} levels",
            name=name,
            max_config_depth=MAX_CONFIG_DEPTH,
        )
        raise FileError(msg) from None
    except ValueError as error:
        msg = Message("{name} is no valid JSON: {error}", name=name, error=error)
        raise FileError(msg) from None
    if not isinstance(values, dict):
        kind = type(values).__name__
        msg = Message("{name} holds a {kind}, a config is an object", name=name, kind=kind)
        raise FileError(msg)
    if _depth(values) > MAX_CONFIG_DEPTH:
        msg = Message(
            "{name}: nested deeper than {max_config_depth} levels",
            name=name,
            max_config_depth=MAX_CONFIG_DEPTH,
        )
        raise FileError(msg)
    return values


def _from_path(path: Path) -> ModelSpec:
    """The model of a file or folder, with the exact tensors where their headers are there."""
    if path.suffix == ".gguf":
        _check_regular(path)
        return read_gguf(path)
    name, weights = path.stem, None
    if path.is_dir():
        folder, path, name = path, path / "config.json", path.name
        if not path.is_file():
            return _from_weights_alone(folder)
        weights = folder if holds_safetensors(folder) else None
    elif path.name.endswith(SAFETENSORS_NAMES):
        weights, path = path, path.parent / "config.json"
        if not path.is_file():
            msg = f"model={_short(weights)}: there is no config.json beside it"
            raise FileError(msg)
    if path.stem == "config" and weights is None:
        name = path.resolve().parent.name or path.stem
    spec = model_from_config(parse_config(_text(path), name=path.name), name=name)
    return spec if weights is None else replace(spec, tensors=read_tensors(weights))


def _from_weights_alone(folder: Path) -> ModelSpec:
    """The model of a folder's only GGUF file, or of the first of a split one."""
    files = sorted(folder.glob("*.gguf"))
    firsts = [file for file in files if "-00001-of-" in file.name] or files
    if len(firsts) != 1:
        found = f"{len(files)} GGUF files: give one of them" if files else "no config.json"
        msg = f"model={_short(folder)}: the folder holds {found}"
        raise FileError(msg)
    return read_gguf(firsts[0])


def hub_model(name: str, *, anonymous: bool = False) -> ModelSpec:
    """The model of an id on a hub, never of a file of that name; only headers are fetched.

    Args:
        name: owner/name, or modelscope:owner/name.
        anonymous: show the hub no token, whatever this machine has one for.

    Raises:
        FileError: if the name is no id, or the hub has no such public model, or is not reached.
        SpecError: for a missing, impossible or contradictory field.
        UnsupportedError: for an architecture whose cache is not known.
    """
    if not is_hub_id(name):
        msg = Message("model={name} is no id of a hub: owner/name", name=_short(name))
        raise FileError(msg)
    return _from_hub(name, anonymous=anonymous)


def _from_hub(name: str, *, anonymous: bool = False) -> ModelSpec:
    """The model of an id that the catalogue lacks."""
    found = fetch_model(name, anonymous=anonymous)
    spec = model_from_config(parse_config(found.config_text, name="config.json"), name=name)
    return replace(spec.with_hub_id(name.removeprefix(MODELSCOPE)), tensors=found.tensors)


def _check_regular(path: Path) -> None:
    if not path.is_file():
        msg = f"model={_short(path)} is not a regular file"
        raise FileError(msg)


def _text(path: Path) -> str:
    """A config's text, bounded."""
    _check_regular(path)
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_CONFIG_BYTES + 1)
    except OSError as error:
        msg = f"model={_short(path)} cannot be read: {error.strerror}"
        raise FileError(msg) from None
    if len(raw) > MAX_CONFIG_BYTES:
        _too_large(path.name, path.stat().st_size)
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        msg = Message("{name} is no valid JSON: it is not text in UTF-8", name=path.name)
        raise FileError(msg) from None


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
        msg = Message("{twice} is stated twice", twice=twice[:40])
        raise SpecError(msg)
    return values


def _constant(text: str) -> NoReturn:
    msg = Message("{text} is no number", text=text)
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
        if depth > MAX_CONFIG_DEPTH:
            break
    return depth


def _too_large(name: str, num_bytes: int) -> NoReturn:
    limit = format_bytes(MAX_CONFIG_BYTES)
    msg = Message(
        "{name} has {num_bytes}, a config.json must be <= {limit}",
        name=name,
        num_bytes=format_bytes(num_bytes),
        limit=limit,
    )
    raise FileError(msg)


def _short(source: object) -> str:
    text = str(source)
    return text if len(text) <= 80 else f"{text[:77]}..."
