"""Catalogue entries as plain rows, for tables and JSON."""

from dataclasses import asdict

from kvsim.io.catalog import CatalogModel
from kvsim.specs.hardware import Accelerator

Json = dict[str, object]


def model_row(model: CatalogModel) -> Json:
    """What the catalogue says of a model, its config left out."""
    return {
        "id": model.id,
        "name": model.name,
        "hub_id": model.hub_id,
        "model_type": model.config["model_type"],
        "parameters": model.parameters,
        "released": model.released,
        "provenance": str(model.provenance),
        "source": model.source,
    }


def accelerator_row(device: Accelerator) -> Json:
    """What the catalogue says of a device, with the total that its runtime can see."""
    total = device.total_bytes
    row = asdict(device)
    row["torch_bytes"] = list(device.torch_bytes)
    row["memory_provenance"] = str(device.memory_provenance)
    visible = {"low": total.low, "best": total.best, "high": total.high, "source": total.source}
    return {**row, "total_bytes": visible}
