"""The catalogue: models and accelerators that kvsim knows by name, each with its source."""

import difflib
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib import resources
from typing import Any

from kvsim.errors import UnknownNameError
from kvsim.specs.hardware import Accelerator, Price, Provenance

MAX_NEAREST = 3
_MIN_CONTAINED = 3  # a shorter text is contained in too many names to be a hint
_MAX_COMPARED = 80  # characters of a name that are compared: difflib is quadratic


class ConfigProvenance(StrEnum):
    """Where a model's config values come from."""

    PUBLISHED = "published"  # read from a published file
    RECALLED = "recalled"  # from knowledge, to be confirmed


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogModel:
    """A model by name: what was published of it, and the config fields that decide its memory."""

    id: str
    name: str
    hub_id: str
    parameters: int  # all of them, as published
    released: str  # YYYY-MM or YYYY-MM-DD
    source: str
    provenance: ConfigProvenance
    config: Mapping[str, object]  # as in config.json


@cache
def catalog_models() -> tuple[CatalogModel, ...]:
    """Every model of the catalogue, in the file's order: by family, then by age."""
    return tuple(_model(row) for row in _read("models.toml")["models"])


@cache
def catalog_accelerators() -> tuple[Accelerator, ...]:
    """Every accelerator of the catalogue, in the file's order: by vendor, then by age."""
    return tuple(_accelerator(row) for row in _read("gpus.toml")["accelerators"])


def find_model(name: str) -> CatalogModel:
    """The model with this id, hub id or name; letter case, spaces and dashes don't matter.

    Raises:
        UnknownNameError: if the catalogue lacks it; it carries up to three near ids.

    Example:
        >>> find_model("meta-llama/Llama-3.1-8B").id
        'llama-3.1-8b'
    """
    by_name = _models_by_name()
    try:
        return by_name[_folded(name)]
    except KeyError:
        nearest = _nearest(name, {known: model.id for known, model in by_name.items()})
        raise UnknownNameError(what="model", name=name, nearest=nearest) from None


def find_accelerator(name: str) -> Accelerator:
    """The accelerator with this name or alias; letter case, spaces and dashes don't matter.

    Raises:
        UnknownNameError: if the catalogue lacks it; it carries up to three near names.

    Example:
        >>> find_accelerator("h100").name, find_accelerator("dgx spark").name
        ('H100-SXM5-80GB', 'GB10 (DGX Spark)')
    """
    by_name = _accelerators_by_name()
    try:
        return by_name[_folded(name)]
    except KeyError:
        nearest = _nearest(name, {known: device.name for known, device in by_name.items()})
        raise UnknownNameError(what="gpu", name=name, nearest=nearest) from None


def accelerator_aliases() -> dict[str, tuple[str, ...]]:
    """The other names of every accelerator, by its name."""
    return {row["name"]: tuple(row["aliases"]) for row in _read("gpus.toml")["accelerators"]}


def search_models(text: str) -> tuple[CatalogModel, ...]:
    """The models with `text` in their id, name, hub id, model type or date; all if it is empty."""
    wanted = _folded(text)
    return tuple(
        model
        for model in catalog_models()
        if _contains(
            wanted,
            [model.id, model.name, model.hub_id, model.released, str(model.config["model_type"])],
        )
    )


def search_accelerators(text: str) -> tuple[Accelerator, ...]:
    """The accelerators with `text` in a name, vendor or architecture; all if it is empty."""
    wanted, aliases = _folded(text), accelerator_aliases()
    return tuple(
        device
        for device in catalog_accelerators()
        if _contains(
            wanted, [device.name, *aliases[device.name], device.vendor, device.architecture]
        )
    )


@cache
def _models_by_name() -> dict[str, CatalogModel]:
    return {
        _folded(name): model
        for model in catalog_models()
        for name in (model.name, model.hub_id, model.id)
    }


@cache
def _accelerators_by_name() -> dict[str, Accelerator]:
    aliases = accelerator_aliases()
    return {
        _folded(name): device
        for device in catalog_accelerators()
        for name in (device.name, *aliases[device.name])
    }


def _contains(wanted: str, names: Iterable[str]) -> bool:
    return any(wanted in _folded(name) for name in names)


def _nearest(name: str, known: Mapping[str, str]) -> Sequence[str]:
    """What near names stand for: those that contain the name first, then those spelt alike."""
    wanted = _folded(name)[:_MAX_COMPARED]
    containing = [key for key in known if len(wanted) >= _MIN_CONTAINED and wanted in key]
    alike = difflib.get_close_matches(wanted, known, n=2 * MAX_NEAREST)
    return list(dict.fromkeys(known[key] for key in containing + alike))[:MAX_NEAREST]


def _folded(name: str) -> str:
    """A name as it is compared."""
    return name.casefold().replace("-", "").replace("_", "").replace(" ", "")


@cache
def _read(file_name: str) -> dict[str, Any]:
    return tomllib.loads((resources.files("kvsim.io") / "data" / file_name).read_text("utf-8"))


def _model(row: dict[str, Any]) -> CatalogModel:
    return CatalogModel(**row | {"provenance": ConfigProvenance(row["provenance"])})


def _accelerator(row: dict[str, Any]) -> Accelerator:
    fields = {key: value for key, value in row.items() if key not in {"aliases", "price"}}
    return Accelerator(
        **fields
        | {
            "torch_bytes": tuple(row.get("torch_bytes", ())),
            "price": Price(**row["price"]) if "price" in row else None,
            "memory_provenance": Provenance(row["memory_provenance"]),
        }
    )
