"""Empty environments with the wheel, made without a package index from a wheelhouse."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
SHOWN = ("numpy", "numba", "polars", "streamlit", "plotly", "torch", "transformers", "ray")
RUNS_S = 1800


@dataclass(frozen=True, kw_only=True)
class Environment:
    """An empty environment with the wheel, and one extra or none."""

    folder: Path
    extra: str

    @property
    def python(self):
        return self.folder / "bin/python"

    def run(self, *command, cwd=None):
        """A command of this environment, where no checkout is; what it printed and its status."""
        kept = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
        return subprocess.run(
            [str(part) for part in command],
            cwd=cwd or self.folder,
            env=kept | {"HOME": str(self.folder)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=RUNS_S,
        )

    def kvsim(self, *arguments):
        return self.run(self.folder / "bin/kvsim", *arguments)

    @property
    def versions(self):
        listed = self.run(self.python, "-m", "pip", "list", "--format=json").stdout
        found = {row["name"].lower(): row["version"] for row in json.loads(listed)}
        return {name: found[name] for name in SHOWN if name in found}


def build(folder):
    """The wheel of this checkout."""
    command = [sys.executable, "-m", "build", "--wheel", "--outdir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    return wheel


def gather(python, wheel, extra, wheelhouse, *, more=()):
    """All that the wheel needs with an extra, as wheels; the newest that fit together."""
    wanted = [f"{wheel}[{extra}]" if extra else str(wheel), *more]
    command = [python, "-m", "pip", "download", "--quiet", "--dest", str(wheelhouse)]
    done = subprocess.run(
        [*command, "--only-binary=:all:", *wanted], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(done.stderr)


def make(python, extra, wheelhouse, folder, *, more=()):
    """The environment, installed from the wheelhouse alone."""
    subprocess.run([python, "-m", "venv", str(folder)], check=True)
    environment = Environment(folder=folder, extra=extra)
    offline = ("-m", "pip", "install", "--quiet", "--no-index", "--find-links", wheelhouse)
    done = environment.run(
        environment.python, *offline, f"kvsim[{extra}]" if extra else "kvsim", *more
    )
    if done.returncode:
        raise RuntimeError(done.stderr)
    return environment
