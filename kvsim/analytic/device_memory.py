"""Memory that an engine finds on a device: in all, and free before it starts."""

from dataclasses import dataclass

from kvsim.errors import SpecError
from kvsim.message import Message
from kvsim.specs.deployment import Deployment
from kvsim.specs.hardware import Accelerator
from kvsim.specs.overheads import Interval, exact
from kvsim.units import GiB


@dataclass(frozen=True, slots=True)
class UnifiedShare:
    """Share of a machine's memory that a device without memory of its own may use."""

    low: float
    best: float
    high: float
    source: str


UNIFIED_SHARES = {
    "Apple": UnifiedShare(
        2 / 3, 0.75, 0.9, "macOS: 2/3 of RAM by default, 3/4 from 64 GB on; the limit is a setting"
    ),
    "RDNA3.5 APU": UnifiedShare(
        0.5, 0.75, 0.97, "Linux: half of RAM by default (GTT), 96 of 128 GB as BIOS carve-out"
    ),
}
"""By vendor or architecture, where no reading of the device is known.

Source: ggml_metal's recommendedMaxWorkingSetSize in a start-up log (M1 Pro 16 GB: 2/3 exactly);
amdgpu's default `gttsize`; the others recalled.
"""

SYSTEM_BYTES = (2 * GiB, 4 * GiB, 10 * GiB)
"""Least, usual and most that a system takes of memory that it shares with the device.

Source: free memory of DGX Spark logs, 111 of 121.7 GiB where nothing else ran; recalled else.
"""


def total_bytes(deployment: Deployment) -> Interval:
    """What the runtime can see on the rank that sees least; the engine's share is of this.

    Ranks of one engine have equally many blocks, so the smallest device decides. A measured total
    comes before the catalogue's.
    """
    if deployment.overheads.total_bytes is not None:
        return deployment.overheads.total_bytes
    totals = [_device_bytes(device, deployment) for device in deployment.accelerators]
    least = min(totals, key=lambda t: t.best)
    return Interval(
        min(t.low for t in totals), least.best, min(t.high for t in totals), least.source
    )


def _device_bytes(device: Accelerator, deployment: Deployment) -> Interval:
    """One device's memory; where it is the machine's, no more than there is."""
    total, host = device.total_bytes, deployment.host_memory_bytes
    if not device.unified_memory:
        return total
    if device.reported_bytes is None and not device.torch_bytes:
        share = UNIFIED_SHARES.get(device.vendor) or UNIFIED_SHARES.get(device.architecture)
        if share is not None:
            ram = device.nominal_bytes if host is None else host
            low, best, high = (round(ram * s) for s in (share.low, share.best, share.high))
            return Interval(low, best, high, share.source)
    if host is None:
        return total
    source = f"{total.source}, bounded by host_memory"
    return Interval(min(total.low, host), min(total.best, host), min(total.high, host), source)


def free_on_devices(deployment: Deployment) -> tuple[Interval, ...]:
    """What is free on every rank's device when the engine starts.

    Raises:
        SpecError: if more is said to be free, or taken, than there is.
    """
    return tuple(
        free_bytes(deployment, _device_bytes(device, deployment))
        for device in deployment.accelerators
    )


def free_bytes(deployment: Deployment, total: Interval) -> Interval:
    """What the engine finds free when it starts.

    Raises:
        SpecError: if more is said to be free, or taken, than there is.
    """
    if deployment.free_bytes is not None:
        if deployment.free_bytes > total.high:
            msg = Message(
                "free_memory={free_bytes} must be <= total memory, {high}",
                free_bytes=deployment.free_bytes,
                high=total.high,
            )
            raise SpecError(msg)
        return exact(deployment.free_bytes, "stated by the user")
    if deployment.other_processes_bytes is not None:
        held = deployment.other_processes_bytes
        if held > total.high:
            msg = Message(
                "other_processes={held} must be <= total memory, {high}", held=held, high=total.high
            )
            raise SpecError(msg)
        return total - exact(held, "stated by the user")
    if deployment.accelerator.unified_memory:
        return total - Interval(*SYSTEM_BYTES, "what a system keeps of memory that it shares")
    return total
