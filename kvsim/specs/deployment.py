"""Deployment: a model on accelerators under an engine's settings."""

from dataclasses import dataclass, field

from kvsim.errors import SpecError
from kvsim.specs.engine import Vllm
from kvsim.specs.hardware import Accelerator
from kvsim.specs.model import ModelSpec
from kvsim.specs.overheads import Overheads
from kvsim.specs.parallel import Parallelism


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """Everything that decides how much cache there is.

    `free_bytes` is what the driver shows as free on each accelerator before the engine starts
    (None: all of it), `other_processes_bytes` what others hold there; give at most one of them.
    `host_memory_bytes` is the machine's RAM; on unified-memory devices it bounds the device.
    """

    model: ModelSpec
    accelerator: Accelerator
    engine: Vllm = field(default_factory=Vllm)
    parallel: Parallelism = field(default_factory=Parallelism)
    overheads: Overheads = field(default_factory=Overheads)
    free_bytes: int | None = None
    other_processes_bytes: int | None = None
    host_memory_bytes: int | None = None

    def __post_init__(self) -> None:
        if self.free_bytes is not None and self.other_processes_bytes is not None:
            msg = (
                f"free_memory={self.free_bytes} and other_processes="
                f"{self.other_processes_bytes} say the same thing: give one of them"
            )
            raise SpecError(msg)
        for name in ("free_bytes", "other_processes_bytes", "host_memory_bytes"):
            value = getattr(self, name)
            if value is not None and value < 0:
                msg = f"{name}={value} must be >= 0"
                raise SpecError(msg)
