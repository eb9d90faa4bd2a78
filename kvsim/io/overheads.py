"""Reads the shipped overhead coefficients (`data/overheads.toml`) into specs."""

import functools
import tomllib
from importlib import resources
from typing import Any

from kvsim.specs.engine import parse_version
from kvsim.specs.overheads import Coefficient, EngineReserve, OverheadModel
from kvsim.units import GiB


@functools.cache
def overhead_models(engine: str) -> tuple[OverheadModel, ...]:
    """Coefficients of an engine's overheads, oldest version first; empty for an unknown engine."""
    return tuple(sorted((_model(row) for row in _tables().get(engine, [])), key=lambda m: m.since))


def overhead_model(engine: str, version: str) -> OverheadModel:
    """The coefficients that apply to an engine's version: the newest not younger than it."""
    wanted = parse_version(version)
    models = overhead_models(engine)
    return [m for m in models if m.since <= wanted][-1]


@functools.cache
def engine_reserves() -> dict[str, EngineReserve]:
    """What engines that size their cache by free memory find taken, by the engine's name."""
    reserves = {}
    for engine, rows in _tables().items():
        row = rows[-1]
        if "before_load_gib" in row:
            reserves[engine] = EngineReserve(
                before_load_bytes=_coefficient(row["before_load_gib"], row["source"], GiB),
                beside_weights_bytes=_coefficient(row["beside_weights_gib"], row["source"], GiB),
            )
    return reserves


def _tables() -> dict[str, list[dict[str, Any]]]:
    text = resources.files("kvsim.io").joinpath("data/overheads.toml").read_text("utf-8")
    return tomllib.loads(text)


def _coefficient(value: dict[str, Any], source: str, unit: int) -> Coefficient:
    return Coefficient(
        low=value["low"] * unit,
        best=value["best"] * unit,
        high=value["high"] * unit,
        source=value.get("source", source),
    )


def _model(row: dict[str, Any]) -> OverheadModel:
    def coefficient(value: dict[str, Any], unit: int = 1) -> Coefficient:
        return _coefficient(value, row["source"], unit)

    graphs = row.get("graph_gib")
    return OverheadModel(
        since=parse_version(row["since"]),
        sampler_copies=coefficient(row["sampler_copies"]),
        token_hidden_bytes=coefficient(row["token_hidden_bytes"]),
        activation_floor_bytes=coefficient(row["activation_floor_gib"], GiB),
        multimodal_activation_bytes=coefficient(row["multimodal_activation_gib"], GiB),
        graph_bytes=None if graphs is None else coefficient(graphs, GiB),
        non_torch_small_bytes=coefficient(row["non_torch_small_gib"], GiB),
        non_torch_bytes=coefficient(row["non_torch_gib"], GiB),
        non_torch_tp_bytes=tuple(coefficient(c, GiB) for c in row["non_torch_tp_gib"]),
        weights_extra_bytes=coefficient(row["weights_extra_gib"], GiB),
    )
