"""What an installed kvsim must do, with each extra and without; each check is None or a line."""

import json
import os
import subprocess
import time
from pathlib import Path

from tests.app.server import START_S, free_port, is_healthy
from tests.installs.environment import ROOT
from tests.processes import descendants

PLAN = ("plan", "llama-3.1-8b", "--gpu", "h100", "--json")
SIMULATE = ("simulate", "llama-3.1-8b", "--gpu", "h100", "--num-requests", "50", "--json")
SWEEP = ("sweep", "--grid=model=gpt2,llama-3.1-8b", "--grid=gpu=h100", "--grid=max_model_len=512")
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

SUITE_EXTRAS = ("hypothesis", "jsonschema", "pytest", "safetensors")
SUITE = ("tests/analytic", "tests/cli", "tests/engines", "tests/io", "tests/planner", "tests/sim")
SUITE += ("tests/specs", "tests/test_dtypes.py", "tests/test_published.py", "tests/test_traps.py")
SUITES = {"": SUITE, "app": ("tests/app",)}


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


CHECKS = {"app": check_app, "validation": check_validation, "ray": check_ray}


def run_suite(environment):
    """The tests that need neither torch nor a browser, on these versions."""
    command = (
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-m",
        "not browser and not engine and not slow",
    )
    done = environment.run(environment.python, *command, *SUITES[environment.extra], cwd=ROOT)
    lines = done.stdout.strip().splitlines() or [done.stderr[-500:]]
    failed = [line for line in lines if line.startswith(("FAILED", "ERROR"))]
    return lines[-1], failed
