"""The devices that are measured; every call to CUDA stands in one small class here."""

import ctypes
import gc
import platform
from pathlib import Path
from typing import Any, Protocol

import kvsim
from validation.live.driver import Others, allocator_settings, driver_version, others_of
from validation.live.extras import load

CUDA_GRAIN_BYTES = 512
"""Each tensor is rounded up to it: `kMinBlockSize`, torch c10/cuda/CUDACachingAllocator."""

KIB = 1024


class Device(Protocol):
    """What a ladder asks of a device; None stands for a figure that the device does not have."""

    torch_name: str
    grain_bytes: int  # each tensor is rounded up to this
    has_witness: bool  # whether `allocated_bytes` counts anything

    def describe(self) -> dict[str, object]:
        """Name, kind, driver and memory, for the record."""

    def wait(self) -> None:
        """Until what runs has finished."""

    def settle(self) -> None:
        """Finish what runs and give back what is not used."""

    def allocated_bytes(self) -> int:
        """Memory in use by tensors (CUDA), or by everything that malloc gave out (CPU)."""

    def reserved_bytes(self) -> int | None:
        """Memory that the allocator holds of the device."""

    def reset_peak(self) -> None:
        """Forget the highest allocation so far."""

    def peak_bytes(self) -> int | None:
        """Highest allocation since the reset."""

    def available_bytes(self) -> int:
        """Memory that a rung may still take."""

    def context_bytes(self) -> int | None:
        """Memory of the device that this process holds beside the allocator's."""

    def others(self) -> Others | None:
        """What was taken before this process started."""


class _Mallinfo2(ctypes.Structure):
    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            *("arena", "ordblks", "smblks", "hblks", "hblkhd"),
            *("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
        )
    ]


class Cpu:
    """The host: `mallinfo2` after `malloc_trim` is the witness; nothing here is VRAM."""

    torch_name = "cpu"
    grain_bytes = 1

    def __init__(self) -> None:
        self._libc: Any = None
        if platform.libc_ver()[0] == "glibc":
            self._libc = ctypes.CDLL("libc.so.6")
            if hasattr(self._libc, "mallinfo2"):
                self._libc.mallinfo2.restype = _Mallinfo2
            else:
                self._libc = None

    @property
    def has_witness(self) -> bool:
        """Whether this C library counts what it gave out."""
        return self._libc is not None

    def describe(self) -> dict[str, object]:
        """Kind, machine and memory."""
        return {
            "kind": "cpu",
            "name": cpu_name(),
            "machine": platform.machine(),
            "total_bytes": meminfo()["MemTotal"],
            "witness": "mallinfo2 after malloc_trim" if self.has_witness else None,
        }

    def wait(self) -> None:
        """A CPU's calls return when they are done."""

    def settle(self) -> None:
        """Collect, and trim what malloc holds free."""
        gc.collect()
        if self.has_witness:
            self._libc.malloc_trim(0)

    def allocated_bytes(self) -> int:
        """Bytes that malloc gave out, in arenas and by mmap; 0 where it does not count them."""
        if not self.has_witness:
            return 0
        counted = self._libc.mallinfo2()
        return int(counted.uordblks + counted.hblkhd)

    def reserved_bytes(self) -> int | None:
        """The heap as the kernel sees it is the footnote, not this."""
        return None

    def reset_peak(self) -> None:
        """Malloc keeps no peak."""

    def peak_bytes(self) -> int | None:
        """Malloc keeps no peak."""
        return None

    def available_bytes(self) -> int:
        """What the kernel would give without swapping."""
        return meminfo()["MemAvailable"]

    def context_bytes(self) -> int | None:
        """A CPU has no context."""
        return None

    def others(self) -> Others | None:
        """The kernel's figure of available memory has them in it already."""
        return None


class Cuda:
    """One CUDA device, through the functions of `torch.cuda`."""

    grain_bytes = CUDA_GRAIN_BYTES
    has_witness = True

    def __init__(self, cuda: Any, index: int = 0) -> None:  # noqa: ANN401 - torch.cuda
        self._cuda, self._index = cuda, index
        self.torch_name = f"cuda:{index}"
        free, self._total = cuda.mem_get_info(index)
        self._others = others_of(self._total - free, uuid=device_uuid(cuda, index))

    def describe(self) -> dict[str, object]:
        """Name, memory, versions and how many devices there are."""
        return {
            "kind": "cuda",
            "name": self._cuda.get_device_name(self._index),
            "index": self._index,
            "count": self._cuda.device_count(),
            "total_bytes": self._total,
            "driver": driver_version(),
            "allocator": allocator_settings(),
        }

    def wait(self) -> None:
        """Until the device has done what was asked of it."""
        self._cuda.synchronize(self._index)

    def settle(self) -> None:
        """Wait for the device, collect, give segments back."""
        self.wait()
        gc.collect()
        self._cuda.empty_cache()

    def allocated_bytes(self) -> int:
        """Tensors, each rounded up to 512 bytes."""
        return int(self._cuda.memory_allocated(self._index))

    def reserved_bytes(self) -> int | None:
        """Segments: 2 MiB for tensors up to 1 MiB, 20 MiB up to 10 MiB, else whole 2 MiB.

        A segment that no tensor is in stays reserved, so a cache that is copied to grow leaves
        segments behind that its next copy does not fit in. `expandable_segments` grows one range
        of addresses by pages instead; a cache that is allocated once leaves none.

        Source:
            torch c10/cuda/CUDACachingAllocator.cpp, `get_allocation_size`, 2.13.0.
        """
        return int(self._cuda.memory_reserved(self._index))

    def reset_peak(self) -> None:
        """Start a new peak after what runs has finished."""
        self._cuda.synchronize(self._index)
        self._cuda.reset_peak_memory_stats(self._index)

    def peak_bytes(self) -> int | None:
        """Highest allocation since the reset."""
        self._cuda.synchronize(self._index)
        return int(self._cuda.max_memory_allocated(self._index))

    def available_bytes(self) -> int:
        """Free on the device, and what the allocator holds unused."""
        free, _ = self._cuda.mem_get_info(self._index)
        return int(free) + int(self.reserved_bytes() or 0) - self.allocated_bytes()

    def context_bytes(self) -> int | None:
        """Taken of the device, less the allocator's segments and what other processes took.

        Where the driver's tool does not tell processes apart, the others' memory is in it.
        """
        free, total = self._cuda.mem_get_info(self._index)
        elsewhere = 0 if self._others.count is None else self._others.used_bytes
        return int(total - free) - int(self.reserved_bytes() or 0) - elsewhere

    def others(self) -> Others | None:
        """What was taken at the start, and the processes that the driver's tool lists."""
        return self._others


def select(name: str, *, index: int = 0) -> Device:
    """The device by name: auto takes CUDA where torch sees one.

    Raises:
        MissingExtraError: without torch.
        SpecError: for CUDA where torch sees no such device.
    """
    torch = load("torch")
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == "cpu" or (name == "auto" and not count):
        return Cpu()
    if index >= count:
        msg = f"device={name}: torch sees {count} CUDA devices"
        raise kvsim.SpecError(msg)
    return Cuda(torch.cuda, index)


def meminfo() -> dict[str, int]:
    """The kernel's memory figures in bytes."""
    rows = (line.split() for line in Path("/proc/meminfo").read_text("ascii").splitlines())
    return {row[0].rstrip(":"): int(row[1]) * KIB for row in rows}


def rss_bytes() -> int:
    """Resident memory of this process: a footnote, for freed pages may stay resident."""
    rows = (line.split() for line in Path("/proc/self/status").read_text("utf-8").splitlines())
    return next(int(row[1]) * KIB for row in rows if row[0] == "VmRSS:")


def cpu_name() -> str:
    """The processor's own name."""
    lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def device_uuid(cuda: Any, index: int) -> str | None:  # noqa: ANN401 - torch.cuda
    """How the driver's tool calls a device, whose own numbers may be others; None: not known."""
    found = getattr(cuda.get_device_properties(index), "uuid", None)
    return None if found is None else f"GPU-{found}"
