"""Prices of devices from a TOML file: what the user pays, in place of the catalogue's."""

from collections.abc import Mapping
from os import PathLike
from typing import Any

from kvsim.errors import SpecError
from kvsim.io.bounded import read_toml
from kvsim.io.catalog import find_accelerator
from kvsim.io.limits import MAX_TOML_BYTES
from kvsim.specs.hardware import Price

ENDS = ("low_usd_per_hour", "high_usd_per_hour")
FIELDS = {*ENDS, "date", "source"}


def stated_price(usd_per_hour: float) -> Price:
    """A price that the user vouches for.

    Raises:
        SpecError: for one that is not above 0.
    """
    return Price(
        low_usd_per_hour=_positive(usd_per_hour, "usd_per_gpu_hour"),
        high_usd_per_hour=usd_per_hour,
        date="",
        source="stated by the user",
    )


def read_prices(path: str | PathLike[str]) -> Mapping[str, Price]:
    """Prices of an hour by device: a number, or a table with low, high, date and source.

    Raises:
        FileError: if the file cannot be read or is no TOML.
        SpecError: for an unknown device, or a price that is none.
    """
    rows = read_toml(path, most_bytes=MAX_TOML_BYTES, what="price list")
    return {find_accelerator(name).name: _price(name, row) for name, row in rows.items()}


def _price(name: str, row: Any) -> Price:  # noqa: ANN401 - whatever the file says
    if isinstance(row, int | float):
        return stated_price(row)
    if not isinstance(row, dict) or not set(ENDS) <= set(row):
        msg = f"prices: {name} must be a number, or have low_usd_per_hour and high_usd_per_hour"
        raise SpecError(msg)
    if unknown := set(row) - FIELDS:
        msg = f"prices: {name} has no field {min(unknown)}: it has {', '.join(sorted(FIELDS))}"
        raise SpecError(msg)
    low, high = (_positive(row[end], f"{name}.{end}") for end in ENDS)
    if low > high:
        msg = f"prices: {name}.low_usd_per_hour={low:g} must be <= high_usd_per_hour={high:g}"
        raise SpecError(msg)
    return Price(
        low_usd_per_hour=low,
        high_usd_per_hour=high,
        date=str(row.get("date", "")),
        source=str(row.get("source", "stated by the user")),
    )


def _positive(value: Any, name: str) -> float:  # noqa: ANN401 - whatever the file says
    if isinstance(value, bool) or not isinstance(value, int | float):
        msg = f"{name}={str(value)[:40]} must be a number"
        raise SpecError(msg)
    if not 0 < value < float("inf"):
        msg = f"{name}={value:g} must be > 0"
        raise SpecError(msg)
    return float(value)
