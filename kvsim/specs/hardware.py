"""Accelerator: one device as the driver and the runtime see it."""

from dataclasses import dataclass
from enum import StrEnum

from kvsim.errors import SpecError
from kvsim.specs.overheads import Interval

DRIVER_SPREAD = 0.003
"""Spread of torch's total over driver versions, as a share; seen in public start-up logs."""

DRIVER_RESERVE_BYTES = (round(0.75 * 2**30), round(0.47 * 2**30), 0)
"""Most, usual and least that torch sees less than the driver's tool prints.

From devices of which both are known: T4 0.26, L4 0.44, RTX 4090 0.47, H100 0.5, H200 0.6,
B200 0.7 GiB, AMD none.
"""

NOMINAL_LOW, NOMINAL_BEST = 0.9, 0.97
"""Visible share of a marketed size; T4 0.92 of 16 GiB, H100 0.99 of 80 GiB are the extremes."""


class Provenance(StrEnum):
    """How a fact was come by."""

    VERIFIED = "verified"  # seen in a public source, which is named
    RECALLED = "recalled"  # from knowledge, to be confirmed
    ANNOUNCED = "announced"  # a vendor's statement only


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """Price range of an hour of one device, in US dollars, with its date and source."""

    low_usd_per_hour: float
    high_usd_per_hour: float
    date: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Accelerator:
    """One device: memory in bytes, bandwidths in bytes per second, dense operations per second.

    `reported_bytes` is what the driver's tool prints, `torch_bytes` the totals that torch was
    seen to report (it varies with the driver by up to 0.3 %). Where neither is known,
    `nominal_bytes`, the marketed size, is all there is, and results are wide.
    """

    name: str
    vendor: str
    architecture: str
    nominal_bytes: int
    reported_bytes: int | None = None
    torch_bytes: tuple[int, ...] = ()
    memory_bandwidth_bytes_per_s: float | None = None
    bf16_flops_per_s: float | None = None
    fp8_flops_per_s: float | None = None
    fp16_flops_per_s: float | None = None
    link_bandwidth_bytes_per_s: float | None = None  # scale-up link, both directions summed
    unified_memory: bool = False  # the CPU's memory and the device's are one
    price: Price | None = None
    memory_provenance: Provenance = Provenance.RECALLED
    memory_source: str = ""
    performance_source: str = ""
    note: str = ""

    def __post_init__(self) -> None:
        if self.nominal_bytes < 1:
            msg = f"{self.name}: nominal_bytes={self.nominal_bytes} must be >= 1"
            raise SpecError(msg)

    @property
    def total_bytes(self) -> Interval:
        """Memory that the runtime can see: the engine's utilisation is a share of this."""
        if self.torch_bytes:
            best = sorted(self.torch_bytes)[len(self.torch_bytes) // 2]
            slack = round(best * DRIVER_SPREAD)
            low, high = min(self.torch_bytes) - slack, max(self.torch_bytes) + slack
            return Interval(low, best, high, "total that torch was seen to report")
        if self.reported_bytes is not None:
            low, best, high = (self.reported_bytes - reserve for reserve in DRIVER_RESERVE_BYTES)
            return Interval(low, best, high, "driver's figure less what the driver reserves")
        low = round(self.nominal_bytes * NOMINAL_LOW)
        best = round(self.nominal_bytes * NOMINAL_BEST)
        return Interval(low, best, self.nominal_bytes, "marketed size; no reading was found")

    def flops_per_s(self, *, num_bytes: int) -> float | None:
        """Dense operations per second for values of `num_bytes` bytes; None if not known."""
        if num_bytes == 1 and self.fp8_flops_per_s:
            return self.fp8_flops_per_s
        return self.bf16_flops_per_s or self.fp16_flops_per_s
