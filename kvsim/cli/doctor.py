"""What this machine has: driver, devices, versions, extras. Reads, changes nothing."""

import importlib.metadata
import os
import platform
import shutil
import subprocess

from kvsim import __version__

QUERY_TIMEOUT_S = 20
EXTRAS = {
    "base": ("numpy", "numba", "polars", "rich", "joblib", "huggingface_hub", "gguf"),
    "app": ("streamlit", "plotly"),
    "validation": ("torch", "transformers"),
    "ray": ("ray",),
}
_NVIDIA_FIELDS = ("name", "driver_version", "memory.total", "memory.used", "memory.free")


def examine() -> dict[str, object]:
    """The machine as plain values; devices are those that the driver's tool lists."""
    driver, devices = _nvidia()
    return {
        "kvsim": __version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "cpus": os.cpu_count(),
        "host_memory_bytes": _host_memory_bytes(),
        "driver": driver,
        "devices": devices,
        "extras": {
            extra: {package: _version(package) for package in packages}
            for extra, packages in EXTRAS.items()
        },
    }


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _host_memory_bytes() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # not on this system
        return None


def _nvidia() -> tuple[str | None, list[dict[str, object]]]:
    """Driver version and devices as nvidia-smi prints them; nothing where it is absent."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return None, []
    query = [tool, f"--query-gpu={','.join(_NVIDIA_FIELDS)}", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(
            query, capture_output=True, text=True, timeout=QUERY_TIMEOUT_S, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None, []
    rows = [[cell.strip() for cell in line.split(",")] for line in done.stdout.splitlines()]
    rows = [row for row in rows if len(row) == len(_NVIDIA_FIELDS)]
    devices: list[dict[str, object]] = [
        {"name": name, "total_mib": _mib(total), "used_mib": _mib(used), "free_mib": _mib(free)}
        for name, _, total, used, free in rows
    ]
    return (rows[0][1] if rows else None), devices


def _mib(text: str) -> int | None:
    """MiB, or None where the tool prints N/A, as on unified memory."""
    return int(text) if text.isdecimal() else None
