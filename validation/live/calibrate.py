"""A GPU's measured memory as the file that `kvsim plan --calibration` reads."""

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import kvsim
from validation.live.caches import new_cache
from validation.live.device import Device
from validation.live.extras import load
from validation.live.storages import holdings
from validation.live.subject import Generation, Subject


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One device's bytes beside weights and cache.

    `workspace_bytes` stays allocated after a step though no weight and no cache holds it, as the
    workspaces of matrix products; `activation_peak_bytes` is a step's of `step_tokens` tokens.
    """

    total_bytes: int
    context_bytes: int
    workspace_bytes: int
    activation_peak_bytes: int | None = None
    step_tokens: int | None = None


def workspace_bytes(subject: Subject, device: Device) -> int:
    """What a device holds between steps beside a model's weights."""
    device.settle()
    tensors = [*subject.model.parameters(), *subject.model.buffers()]
    return device.allocated_bytes() - holdings(tensors).rounded_bytes(device.grain_bytes)


def activation_peak_bytes(subject: Subject, device: Device, *, num_tokens: int, seed: int) -> int:
    """The most that a step of so many prompt tokens takes beside weights and cache.

    Logits are of the last token only, as where an engine samples.

    Raises:
        UnsupportedError: if the device's memory does not suffice.
    """
    ids = subject.prompt(num_tokens, 1, seed)
    generation = Generation(subject, new_cache(subject, kvsim.Transformers()))
    device.settle()
    base = device.allocated_bytes()
    device.reset_peak()
    try:
        generation.prefill(ids, **last_logits(subject.model))
    except load("torch").OutOfMemoryError as error:
        msg = f"step_tokens={num_tokens}: {str(error).splitlines()[0]}"
        raise kvsim.UnsupportedError(msg) from None
    peak = device.peak_bytes() or 0
    held = holdings(generation.cache).rounded_bytes(device.grain_bytes)
    return peak - base - held


def last_logits(model: Any) -> dict[str, int]:  # noqa: ANN401 - a transformers model
    """What tells a model to compute the last token's logits alone; nothing where it cannot."""
    taken = inspect.signature(type(model).forward).parameters
    return {"logits_to_keep": 1} if "logits_to_keep" in taken else {}


def measure(subject: Subject, device: Device, *, step_tokens: int | None, seed: int) -> Measured:
    """A GPU's figures after a model has run on it.

    Raises:
        UnsupportedError: if the memory does not suffice for the step.
    """
    peak = None
    if step_tokens is not None:
        peak = activation_peak_bytes(subject, device, num_tokens=step_tokens, seed=seed)
    workspace = workspace_bytes(subject, device)
    return Measured(
        total_bytes=int(str(device.describe()["total_bytes"])),
        context_bytes=int(device.context_bytes() or 0),
        workspace_bytes=workspace,
        activation_peak_bytes=peak,
        step_tokens=step_tokens,
    )


def write(path: Path, measured: Measured, provenance: Mapping[str, Any]) -> None:
    """The calibration file; context and workspace are one figure in a plan.

    Raises:
        FileError: if it cannot be written.
    """
    source = f"live transformers on {provenance['device']['name']}"
    figures = {
        "total_bytes": measured.total_bytes,
        "non_torch_bytes": measured.context_bytes + measured.workspace_bytes,
        "activation_peak_bytes": measured.activation_peak_bytes,
    }
    parts = {
        "source": source,
        "context_bytes": measured.context_bytes,
        "workspace_bytes": measured.workspace_bytes,
        "step_tokens": measured.step_tokens,
    }
    exact = {name: kvsim.exact(v, source) for name, v in figures.items() if v is not None}
    kvsim.write_calibration(
        path,
        kvsim.Calibration(
            provenance={**provenance, **parts},
            overheads=kvsim.Overheads(**exact),
            tensor_parallel_size=1,
            pipeline_parallel_size=1,
        ),
    )
