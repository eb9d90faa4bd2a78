"""What the GPU's driver and torch's environment say: version, other processes, settings."""

import os
import subprocess
from dataclasses import dataclass

NVIDIA_SMI = (
    *("nvidia-smi", "--query-compute-apps=gpu_uuid,pid,used_memory"),
    "--format=csv,noheader",
)
ALLOCATOR_VARIABLES = ("PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF")
SMI_TIMEOUT_S = 20
MIB = 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class Others:
    """What was taken of a device before this run, and by how many other processes.

    `count` is None where the driver's tool does not name this process among the others, as in a
    container: `used_bytes` then includes this process's own context.
    """

    used_bytes: int
    count: int | None

    @property
    def line(self) -> str:
        """One line for the report."""
        if self.count is None:
            who = "this process's context among them, other processes: not known"
        else:
            who = f"other processes: {self.count}"
        return f"{self.used_bytes:,} bytes are taken before this run, {who}"


def driver_version() -> str | None:
    """The NVIDIA driver's version; None without its tool."""
    query = ("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader")
    lines = _lines(query)
    return lines[0] if lines else None


def allocator_settings() -> str | None:
    """What torch's allocator was told, such as expandable_segments:True; None for nothing."""
    return next((os.environ[name] for name in ALLOCATOR_VARIABLES if os.environ.get(name)), None)


def others_of(taken_bytes: int, *, uuid: str | None) -> Others:
    """What of a device's taken memory is others', by the processes that the tool lists."""
    rows = [line.split(", ") for line in _lines(NVIDIA_SMI) or ()]
    here = {row[1]: row[2] for row in rows if len(row) == 3 and uuid in (None, row[0])}
    own = str(os.getpid())
    sizes = [size.split()[0] for pid, size in here.items() if pid != own]
    if own not in here or not all(size.isdigit() for size in sizes):
        return Others(used_bytes=taken_bytes, count=None)
    return Others(used_bytes=sum(map(int, sizes)) * MIB, count=len(sizes))


def _lines(command: tuple[str, ...]) -> list[str] | None:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=True, timeout=SMI_TIMEOUT_S
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return [line.strip() for line in done.stdout.splitlines() if line.strip()]
