"""`python -m tests.installs`: the wheel in empty environments, offline, with each extra.

Builds the wheel, gathers what it needs in a wheelhouse (the one step that uses a package index),
makes an empty environment for each Python and extra, installs from the wheelhouse alone, and uses
it as a new user would, in a folder that is no checkout. With `--suite` the tests that need neither
torch nor a browser run there too. `--record` writes docs/installs.md.
"""

import argparse
import datetime as dt
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from tests.app.server import START_S, free_port, is_healthy
from tests.processes import descendants

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/installs.md"
RECORD = ROOT / "benchmarks/installs.json"
SHOWN = ("numpy", "numba", "polars", "streamlit", "plotly", "torch", "transformers", "ray")
EXTRAS = ("", "app", "ray", "validation")
SUITE_EXTRAS = ("hypothesis", "jsonschema", "pytest", "safetensors")
SUITE = ("tests/analytic", "tests/cli", "tests/engines", "tests/io", "tests/planner", "tests/sim")
SUITE += ("tests/specs", "tests/test_dtypes.py", "tests/test_published.py", "tests/test_traps.py")
SUITES = {"": SUITE, "app": ("tests/app",)}
PLAN = ("plan", "llama-3.1-8b", "--gpu", "h100", "--json")
SIMULATE = ("simulate", "llama-3.1-8b", "--gpu", "h100", "--num-requests", "50", "--json")
SWEEP = ("sweep", "--grid=model=gpt2,llama-3.1-8b", "--grid=gpu=h100", "--grid=max_model_len=512")
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


def expect(name, done, *, code=0, holds=""):
    """A check's outcome in a line: None if it is as expected."""
    text = done.stdout + done.stderr
    if done.returncode == code and holds in text:
        return None
    return f"{name}: exit {done.returncode}, expected {code} and {holds!r}: {text[-500:]}"


def check_base(environment):
    """What works without any extra; what needs one says which."""
    python = environment.python
    where = environment.run(python, "-c", "import kvsim; print(kvsim.__file__)")
    yield expect("import kvsim", where, holds=str(environment.folder))
    yield expect("kvsim plan", environment.kvsim(*PLAN), holds='"fits": true')
    module = environment.run(python, "-m", "kvsim", *PLAN)
    yield expect("python -m kvsim plan", module, holds='"fits": true')
    yield expect("kvsim simulate", environment.kvsim(*SIMULATE), holds='"scheduler": "compiled"')
    yield expect("kvsim sweep", environment.kvsim(*SWEEP))
    golden = next(environment.folder.glob("lib/python*/site-packages/kvsim/_bundled"))
    configs = golden / "validation/golden/configs"
    recorded = environment.kvsim("validate", "recorded", "configs", configs)
    yield expect("kvsim validate recorded", recorded, holds="exact")
    if environment.extra != "app":
        yield expect("kvsim app", environment.kvsim("app"), code=4, holds="kvsim[app]")
    if environment.extra != "validation":
        live = environment.kvsim(
            "validate", "live", "transformers", "--config", configs / "gpt2.json"
        )
        yield expect("kvsim validate live", live, code=4, holds="kvsim[validation]")
    if environment.extra != "ray":
        ray = environment.kvsim(*SWEEP, "--backend", "ray")
        yield expect("kvsim sweep --backend ray", ray, code=4, holds="kvsim[ray]")


def check_app(environment):
    """The page answers, and nothing is left when it stops."""
    port = free_port()
    with (environment.folder / "log").open("wb") as log:
        server = subprocess.Popen(
            [environment.folder / "bin/kvsim", "app", "--port", str(port)],
            cwd=environment.folder,
            env={"PATH": os.environ["PATH"], "HOME": str(environment.folder)},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        deadline_s = time.monotonic() + START_S
        while not is_healthy(port) and time.monotonic() < deadline_s and server.poll() is None:
            time.sleep(0.2)
        yield None if is_healthy(port) else (environment.folder / "log").read_text()[-500:]
        left = descendants(server.pid)
    finally:
        server.terminate()
        server.wait(timeout=60)
    left = {pid for pid in left if Path(f"/proc/{pid}").exists()}
    yield f"kvsim app left processes {left}" if left else None


def check_validation(environment):
    """Real cached generation, with random weights."""
    config = environment.folder / "config.json"
    config.write_text(json.dumps(TINY))
    live = environment.kvsim("validate", "live", "transformers", "--config", config)
    yield expect("kvsim validate live transformers", live, holds="exact")


def check_ray(environment):
    """No cluster: one line, not a traceback."""
    none = environment.kvsim(*SWEEP, "--backend", "ray", "--address", "127.0.0.1:1")
    yield expect("kvsim sweep --backend ray", none, code=2, holds="kvsim: ")


HEAD = """\
# Installations that were tried

`python -m tests.installs --python PATH --record` builds the wheel, gathers a wheelhouse, installs
from it without a package index into an empty environment, and uses it in a folder that is no
checkout: `import kvsim`, `kvsim plan`, `python -m kvsim`, a compiled simulation, a sweep, the
recorded validation, and what each extra adds. What needs an extra that is missing must exit with 4
and name it. The versions are the newest that fit together on that day, but for what `--with` asked
for: that is in brackets. With `--suite` the tests that need neither torch nor a browser run there
too.

Seen on {machine}.

| date | Python | extra | wheelhouse | versions | checks | suite |
| --- | --- | --- | ---: | --- | ---: | --- |"""

CHECKS = {"app": check_app, "validation": check_validation, "ray": check_ray}
TINY = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "hidden_size": 64,
    "intermediate_size": 128,
    "vocab_size": 256,
    "max_position_embeddings": 512,
    "torch_dtype": "float32",
}


def run_suite(environment):
    """The tests that need neither torch nor a browser, on these versions."""
    command = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "not browser and not engine")
    done = environment.run(environment.python, *command, *SUITES[environment.extra], cwd=ROOT)
    lines = done.stdout.strip().splitlines() or [done.stderr[-500:]]
    failed = [line for line in lines if line.startswith(("FAILED", "ERROR"))]
    return lines[-1], failed


def try_one(python, extra, *, wheel, suite, asked):
    """One environment from nothing to its checks."""
    more = (*asked, *(SUITE_EXTRAS if suite else ()))
    with tempfile.TemporaryDirectory() as folder:
        house = Path(folder, "wheelhouse")
        gather(python, wheel, extra, house, more=more)
        num_bytes = sum(path.stat().st_size for path in house.iterdir())
        environment = make(python, extra, house, Path(folder, "environment"), more=more)
        checks = [*check_base(environment), *CHECKS.get(extra, lambda _: ())(environment)]
        row = {
            "date": dt.datetime.now(tz=dt.UTC).date().isoformat(),
            "python": environment.run(environment.python, "-V").stdout.split()[-1],
            "extra": extra,
            "asked": list(asked),
            "wheelhouse_bytes": num_bytes,
            "versions": environment.versions,
            "num_checks": len(checks),
            "failures": [check for check in checks if check],
        }
        if suite and extra in SUITES:
            row["suite"], row["suite_failures"] = run_suite(environment)
        return row


def failed(row):
    """What did not go as it should, in lines."""
    return [*row["failures"], *row.get("suite_failures", ())]


def shown_versions(row):
    """What was installed there, and in brackets what was asked for in place of the newest."""
    versions = ", ".join(f"{name} {version}" for name, version in row["versions"].items())
    asked = ", ".join(row.get("asked", ()))
    return f"{versions} ({asked})" if asked else versions


def page(record):
    """docs/installs.md of a record."""
    rows = [
        f"| {row['date']} | {row['python']} | {row['extra'] or 'none'} "
        f"| {row['wheelhouse_bytes'] / 1e6:.0f} MB | "
        f"{shown_versions(row)} | "
        f"{row['num_checks'] - len(row['failures'])} of {row['num_checks']} | "
        f"{row.get('suite', 'not run')} |"
        for row in record["rows"]
    ]
    failures = [f"- {line}" for row in record["rows"] for line in failed(row)]
    lines = [HEAD.format(**record), *rows, *(["", *failures] if failures else [])]
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(prog="python -m tests.installs", description=__doc__)
    parser.add_argument("--python", nargs="+", default=[sys.executable], metavar="PATH")
    parser.add_argument("--extra", nargs="+", default=list(EXTRAS), choices=EXTRAS)
    parser.add_argument(
        "--with",
        dest="asked",
        nargs="+",
        default=[],
        metavar="REQUIREMENT",
        help="in place of the newest: torch==2.13.0 takes the CPU build of an index that has one",
    )
    parser.add_argument("--suite", action="store_true", help="run the tests there too")
    parser.add_argument("--record", action="store_true", help="add the rows to docs/installs.md")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        wheel = build(Path(folder))
        rows = []
        for python in args.python:
            for extra in args.extra:
                row = try_one(python, extra, wheel=wheel, suite=args.suite, asked=args.asked)
                print(json.dumps(row), flush=True)
                rows.append(row)
    if args.record:
        record(rows)
    return 1 if any(failed(row) for row in rows) else 0


def record(rows):
    """Keep the rows, in place of earlier ones of the same Python and extra."""
    kept = json.loads(RECORD.read_text())["rows"] if RECORD.exists() else []
    new = {(row["python"], row["extra"]) for row in rows}
    rows = [*(row for row in kept if (row["python"], row["extra"]) not in new), *rows]
    kept = {
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "rows": sorted(rows, key=lambda row: (row["python"], row["extra"])),
    }
    RECORD.write_text(json.dumps(kept, indent=1) + "\n")
    PAGE.write_text(page(kept))


if __name__ == "__main__":
    sys.exit(main())
