"""Reads the shipped named workloads (`data/workloads.toml`)."""

import functools
import tomllib
from importlib import resources
from typing import Any

from kvsim.errors import UnknownNameError
from kvsim.io.lengths import fitted_trace
from kvsim.specs.lengths import Lengths, constant
from kvsim.specs.traffic import Arrivals, PrefixLevel, Traffic

LENGTHS = ("prompt_tokens", "output_tokens", "turn_tokens", "turn_output_tokens", "num_turns")


@functools.cache
def named_workloads() -> dict[str, Traffic]:
    """Every named workload, by name."""
    text = resources.files("kvsim.io").joinpath("data/workloads.toml").read_text("utf-8")
    return {name: _traffic(name, row) for name, row in tomllib.loads(text).items()}


def named_workload(name: str) -> Traffic:
    """The workload of that name.

    Raises:
        UnknownNameError: if there is none.

    Example:
        >>> named_workload("chat").arrivals.rate_per_s
        2.0
    """
    known = named_workloads()
    if name not in known:
        raise UnknownNameError(what="workload", name=name[:40], nearest=sorted(known))
    return known[name]


def _traffic(name: str, row: dict[str, Any]) -> Traffic:
    lengths: dict[str, Any] = {key: _lengths(row.pop(key)) for key in LENGTHS if key in row}
    tree = tuple(PrefixLevel(**level) for level in row.pop("prefix_tree", ()))
    arrivals = Arrivals(**row.pop("arrivals"))
    return Traffic(name=name, arrivals=arrivals, prefix_tree=tree, **lengths, **row)


def _lengths(given: str | dict[str, int]) -> Lengths:
    if isinstance(given, dict):
        return constant(given["constant"])
    trace, _, quantity = given.partition(".")
    return fitted_trace(trace).lengths[quantity]
