"""Host memory: what an engine keeps there, and whether the machine has it."""

from dataclasses import dataclass

from kvsim.analytic.device_memory import SYSTEM_BYTES
from kvsim.analytic.weights import Part
from kvsim.errors import SpecError
from kvsim.specs.deployment import Deployment
from kvsim.specs.overheads import Interval, exact


@dataclass(frozen=True, slots=True, kw_only=True)
class HostMemory:
    """A machine's RAM and what is asked of it; all accelerators of the machine together."""

    total_bytes: int
    system_bytes: Interval
    parts: tuple[Part, ...]

    @property
    def asked_bytes(self) -> int:
        """All parts."""
        return sum(part.num_bytes for part in self.parts)

    @property
    def left_bytes(self) -> Interval:
        """What stays; negative where the machine does not have it."""
        return exact(self.total_bytes - self.asked_bytes, "host_memory") - self.system_bytes

    @property
    def fits(self) -> bool:
        """Whether it is enough at the likely estimate."""
        return self.left_bytes.best >= 0


def host_memory(deployment: Deployment) -> HostMemory:
    """What a deployment keeps in host memory: offloaded weights and cache, and shared devices.

    On unified memory everything that the device holds is host memory too; that is its own
    budget, and is not counted again here.

    Raises:
        SpecError: if the machine's RAM is not stated.
    """
    if deployment.host_memory_bytes is None:
        msg = "host_memory must be given: what the machine has is not known"
        raise SpecError(msg)
    ranks = deployment.parallel.num_ranks
    asked = {
        "offloaded weights": deployment.weights_on_host_bytes * ranks,
        "offloaded cache": deployment.cache_on_host_bytes
        + deployment.engine.kv_offloading_bytes * deployment.parallel.data_parallel_size,
    }
    return HostMemory(
        total_bytes=deployment.host_memory_bytes,
        system_bytes=Interval(*SYSTEM_BYTES, "what a system takes"),
        parts=tuple(Part(name, num_bytes) for name, num_bytes in asked.items() if num_bytes),
    )
