"""The Python that has vLLM: another one than this, as a rule."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

import kvsim
from validation.live.device import Cpu
from validation.live.driver import driver_version
from validation.live.vllm_predicted import CPU

PROBE_S = 120
PROBE = """
import importlib.metadata as metadata, importlib.util as util, json, platform, runpy, pathlib
spec = util.find_spec("vllm")
found = {"python": platform.python_version(), "vllm": None}
if spec is not None and spec.origin:
    stated = pathlib.Path(spec.origin).with_name("_version.py")
    found["vllm"] = runpy.run_path(str(stated))["__version__"] if stated.is_file() else "unknown"
    import torch
    found["torch"] = torch.__version__
    if torch.cuda.is_available():
        found["device"] = torch.cuda.get_device_name(0)
        found["total_bytes"] = torch.cuda.mem_get_info(0)[1]
print(json.dumps(found))
"""
"""Without importing vLLM itself, which takes ten times as long."""


class MissingVllmError(kvsim.MissingExtraError):
    """No vLLM: it is no extra of kvsim's, because its build depends on the device."""

    def __init__(self, python: str) -> None:
        super().__init__(package="vllm", extra="validation")
        self.args = (f"vllm is not installed for {python}: name one that has it by --python PATH",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Interpreter:
    """A Python with a vLLM, and the device that its torch sees; None: the CPU."""

    path: str
    python: str
    vllm: str
    torch: str
    device: str | None = None
    total_bytes: int | None = None

    def describe(self) -> dict[str, object]:
        """The device, for the record."""
        if self.device is None:
            return Cpu().describe()
        return {
            "kind": "cuda",
            "name": self.device,
            "total_bytes": self.total_bytes,
            "driver": driver_version(),
        }

    def accelerator(self, name: str | None) -> kvsim.Accelerator:
        """What decides the engine's defaults: the catalogue's entry of a GPU by its name."""
        if self.device is None:
            return CPU
        return kvsim.accelerator(name or self.device)


def probe(path: str) -> Interpreter:
    """What a Python says of its vLLM and torch.

    Raises:
        FileError: if it is none, or its torch does not load.
        MissingExtraError: if it has no vLLM.
    """
    name = Path(path).name
    try:
        done = subprocess.run(
            [path, "-c", PROBE], capture_output=True, text=True, timeout=PROBE_S, check=True
        )
        found = json.loads(done.stdout.splitlines()[-1])
    except (OSError, subprocess.SubprocessError, ValueError, IndexError) as error:
        said = getattr(error, "stderr", None) or str(error)
        msg = f"python={name}: {said.strip().splitlines()[-1]}"
        raise kvsim.FileError(msg) from None
    if found["vllm"] is None:
        raise MissingVllmError(name)
    return Interpreter(path=path, **found)
