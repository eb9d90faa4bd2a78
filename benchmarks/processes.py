"""What another process has used and holds, as Linux counts it."""

import resource
import time
from pathlib import Path


def cpu_s(pid):
    """CPU seconds of a process so far, its children left out."""
    return time.clock_gettime((~pid) << 3 | 2)  # clock_getcpuclockid(3)


def resident_bytes(pid):
    """Memory that a process holds now."""
    pages = int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[1])
    return pages * resource.getpagesize()
