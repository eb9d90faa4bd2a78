"""Deployment: a model on accelerators under an engine's settings."""

from dataclasses import dataclass, field

from kvsim.errors import SpecError
from kvsim.message import Message
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
    `other_accelerators` are the devices of further ranks where they differ from the first.
    `weights_on_host_bytes` is what each accelerator's share of the weights leaves in host memory
    (`--cpu-offload-gb`, `--n-cpu-moe`), `cache_on_host_bytes` what the cache gets there.
    """

    model: ModelSpec
    accelerator: Accelerator
    engine: Vllm = field(default_factory=Vllm)
    parallel: Parallelism = field(default_factory=Parallelism)
    overheads: Overheads = field(default_factory=Overheads)
    free_bytes: int | None = None
    other_processes_bytes: int | None = None
    host_memory_bytes: int | None = None
    other_accelerators: tuple[Accelerator, ...] = ()
    weights_on_host_bytes: int = 0
    cache_on_host_bytes: int = 0

    def __post_init__(self) -> None:
        if self.free_bytes is not None and self.other_processes_bytes is not None:
            msg = Message(
                "free_memory={free_bytes} and other_processes={other_processes_bytes} say the "
                "same thing: give one of them",
                free_bytes=self.free_bytes,
                other_processes_bytes=self.other_processes_bytes,
            )
            raise SpecError(msg)
        for name in (
            *("free_bytes", "other_processes_bytes", "host_memory_bytes"),
            *("weights_on_host_bytes", "cache_on_host_bytes"),
        ):
            value = getattr(self, name)
            if value is not None and value < 0:
                msg = Message("{name}={value} must be >= 0", name=name, value=value)
                raise SpecError(msg)
        if len(self.other_accelerators) >= self.parallel.num_ranks:
            msg = Message(
                "other_accelerators={other_accelerators} must be fewer than the {num_ranks} ranks",
                other_accelerators=len(self.other_accelerators),
                num_ranks=self.parallel.num_ranks,
            )
            raise SpecError(msg)

    @property
    def accelerators(self) -> tuple[Accelerator, ...]:
        """The device of every rank; ranks that nobody described have the first's."""
        alike = self.parallel.num_ranks - len(self.other_accelerators)
        return (self.accelerator,) * alike + self.other_accelerators
