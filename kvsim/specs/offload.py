"""Offload: the tiers below a device's cache, and the links to them."""

from dataclasses import dataclass

from kvsim.errors import SpecError
from kvsim.specs.attention import check_positive
from kvsim.specs.option import option


@dataclass(frozen=True, slots=True, kw_only=True)
class Offload:
    """How fast the tiers below the device are, and how large the disk tier is.

    The host tier's size is the engine's `kv_offloading_size`. A link carries one transfer after
    the other, each direction for itself. Without a rate, transfers take no time.
    """

    offload_bytes_per_s: float | None = option(
        None, "bytes per second between one device and host memory; default: transfers are free"
    )
    offload_latency_s: float = option(0.0, "seconds before a transfer's first byte arrives")
    disk_bytes: int | None = option(None, "disk for the cache of a replica, behind host memory")
    disk_bytes_per_s: float | None = option(
        None, "bytes per second between a replica's host memory and disk; default: free"
    )
    disk_latency_s: float = option(0.0, "seconds before the disk's first byte arrives")

    def __post_init__(self) -> None:
        if self.disk_bytes is not None:
            check_positive(disk_bytes=self.disk_bytes)
        for name in ("offload_bytes_per_s", "disk_bytes_per_s"):
            rate = getattr(self, name)
            if rate is not None and not rate > 0:
                msg = f"{name}={rate:g} must be > 0"
                raise SpecError(msg)
        for name in ("offload_latency_s", "disk_latency_s"):
            if not getattr(self, name) >= 0:
                msg = f"{name}={getattr(self, name):g} must be >= 0"
                raise SpecError(msg)
        is_told = self.disk_bytes_per_s is not None or self.disk_latency_s
        if self.disk_bytes is None and is_told:
            msg = "disk_bytes must be given where the disk's speed is"
            raise SpecError(msg)
