"""The layer table of the design holds, and each check of it notices a violation."""

import ast
import subprocess
import sys

import pytest

import kvsim
from tests.layers import (
    FOREIGN,
    HEAVY,
    ROOT,
    adapter_violations,
    branch_violations,
    conduct_violations,
    eager_violations,
    import_violations,
    parse,
    sources,
)

PUBLIC = frozenset(getattr(kvsim, "__all__", ()))
LIBRARY_CHECKS = [import_violations, conduct_violations, branch_violations]


@pytest.mark.parametrize("path", sources("kvsim"))
@pytest.mark.parametrize("check", LIBRARY_CHECKS, ids=lambda check: check.__name__)
def test_library_keeps_its_layers(path, check):
    """A module that reaches past its layer can't be read, tested or replaced alone."""
    assert list(check(path, parse(path))) == []


@pytest.mark.parametrize("path", sources("app", "validation"))
def test_adapters_use_public_names_only(path):
    """What the app and the validation need, any user can import."""
    violations = [*adapter_violations(path, parse(path), public=PUBLIC)]
    violations += branch_violations(path, parse(path))
    assert violations == []


@pytest.mark.parametrize("path", sources("kvsim"))
def test_heavy_packages_are_imported_where_used(path):
    """numba alone costs a second; who asks for a formula must not pay it."""
    assert list(eager_violations(path, parse(path))) == []


def test_import_loads_no_heavy_package():
    """What the reading of the source can't see (a lazy export that is not) shows here."""
    modules = [f"kvsim.{m}" for m in ("api", "cli") if (ROOT / "kvsim" / f"{m}.py").exists()]
    code = f"import sys, {', '.join(['kvsim', *modules])}; print(*sys.modules)"
    result = subprocess.run(  # a fresh interpreter: this one has them all
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    loaded = {name.split(".")[0] for name in result.stdout.split()}
    assert loaded & (HEAVY | FOREIGN) == set()


def test_every_public_name_exists():
    """`__all__` is a promise; a lazy export breaks it silently."""
    assert [name for name in PUBLIC if not hasattr(kvsim, name)] == []


def only_kv_is_public(path, tree):
    return adapter_violations(path, tree, public={"kv"})


VIOLATIONS = [
    # errors, units, dtypes
    (import_violations, "kvsim/errors.py", "import kvsim.specs.model"),
    (import_violations, "kvsim/units.py", "import numpy as np"),
    (import_violations, "kvsim/dtypes.py", "from kvsim.specs import model"),
    # specs
    (import_violations, "kvsim/specs/model.py", "import numpy"),
    (import_violations, "kvsim/specs/model.py", "from pathlib import Path"),
    (import_violations, "kvsim/specs/model.py", "def f():\n    import time"),
    (import_violations, "kvsim/specs/model.py", "import random"),
    (import_violations, "kvsim/specs/model.py", "import urllib.request"),
    (import_violations, "kvsim/specs/model.py", "from kvsim.engines import ideal"),
    (conduct_violations, "kvsim/specs/model.py", "def f(p):\n    return open(p)"),
    # engines, analytic
    (import_violations, "kvsim/engines/vllm.py", "from kvsim.sim.engine import Engine"),
    (import_violations, "kvsim/engines/vllm.py", "from kvsim.analytic import weights"),
    (import_violations, "kvsim/analytic/budget.py", "from kvsim import sim"),
    (import_violations, "kvsim/analytic/overhead.py", "import tomllib"),
    (import_violations, "kvsim/analytic/overhead.py", "from importlib import resources"),
    (import_violations, "kvsim/analytic/overhead.py", "import polars"),
    (conduct_violations, "kvsim/analytic/overhead.py", "facts = open('facts.toml')"),
    # sim
    (import_violations, "kvsim/sim/engine.py", "from kvsim.io import traces"),
    (import_violations, "kvsim/sim/engine.py", "import kvsim.planner.sweep"),
    (import_violations, "kvsim/sim/engine.py", "from time import perf_counter"),
    (import_violations, "kvsim/sim/workloads.py", "import random"),
    (conduct_violations, "kvsim/sim/workloads.py", "np.random.seed(0)"),
    (conduct_violations, "kvsim/sim/workloads.py", "rng = np.random.default_rng()"),
    (conduct_violations, "kvsim/sim/workloads.py", "from numpy.random import default_rng"),
    (import_violations, "kvsim/sim/engine.py", "def f():\n    import polars"),
    (import_violations, "kvsim/sim/engine.py", "def f():\n    from numba import njit"),
    (import_violations, "kvsim/sim/metrics.py", "def f():\n    import rich"),
    (import_violations, "kvsim/planner/sweep.py", "def f():\n    import polars"),
    (import_violations, "kvsim/planner/sweep_run.py", "def f():\n    import ray"),
    # plan, io
    (import_violations, "kvsim/planner/sweep.py", "from kvsim.io.catalog import load"),
    (import_violations, "kvsim/planner/sweep.py", "from kvsim.api import plan"),
    (import_violations, "kvsim/io/report.py", "from kvsim.engines.vllm import layout"),
    (import_violations, "kvsim/io/report.py", "from kvsim.analytic import budget"),
    (import_violations, "kvsim/io/report.py", "from kvsim.sim import metrics"),
    (import_violations, "kvsim/io/report.py", "from kvsim.plan import solve"),
    # api, cli
    (import_violations, "kvsim/api.py", "from kvsim.cli import main"),
    (import_violations, "kvsim/api.py", "import json"),
    (conduct_violations, "kvsim/api.py", "print('done')"),
    (conduct_violations, "kvsim/api.py", "total = layers * heads"),
    (import_violations, "kvsim/cli.py", "from kvsim.analytic.budget import budget"),
    (import_violations, "kvsim/cli.py", "from kvsim.dtypes import BF16"),
    (import_violations, "kvsim/cli.py", "from kvsim import plan"),
    (conduct_violations, "kvsim/cli.py", "free = total // block_bytes"),
    (conduct_violations, "kvsim/cli.py", "total *= 2"),
    # anywhere in the library
    (import_violations, "kvsim/io/hub.py", "def f():\n    import torch"),
    (import_violations, "kvsim/io/hub.py", "import transformers.models"),
    (import_violations, "kvsim/io/traces.py", "import pandas as pd"),
    (import_violations, "kvsim/cli.py", "from streamlit.web import cli"),
    (import_violations, "kvsim/engines/vllm.py", "from vllm.config import CacheConfig"),
    (import_violations, "kvsim/io/hub.py", "import kvsim"),
    (import_violations, "kvsim/io/hub.py", "from ..specs import model"),
    (import_violations, "kvsim/io/hub.py", "import app.forms"),
    (import_violations, "kvsim/helpers.py", ""),
    (eager_violations, "kvsim/api.py", "import numba"),
    (eager_violations, "kvsim/api.py", "try:\n    from rich import table\nexcept E:\n    pass"),
    (eager_violations, "kvsim/sim/tables.py", "import polars as pl"),
    (eager_violations, "kvsim/sim/_kernels/loop.py", "import polars as pl"),
    (eager_violations, "kvsim/io/traces.py", "class A:\n    import polars as pl"),
    (eager_violations, "kvsim/__init__.py", "from kvsim.api import plan"),
    (branch_violations, "kvsim/engines/vllm.py", "if model_type == 'llama':\n    pass"),
    (branch_violations, "kvsim/api.py", "x = config['model_type'] in KINDS"),
    (
        branch_violations,
        "kvsim/api.py",
        "match m.model_type.lower():\n    case 'llama':\n        0",
    ),
    (branch_violations, "app/forms.py", "x = c.get('architecture') != 'mamba'"),
    (branch_violations, "kvsim/api.py", "if engine == 'vllm':\n    pass"),
    (branch_violations, "kvsim/cli.py", "x = engine in ('sglang', 'ollama')"),
    (branch_violations, "kvsim/planner/solve.py", "match e:\n    case 'ollama' | 'x':\n        0"),
    # app, validation
    (only_kv_is_public, "app/forms.py", "from kvsim.analytic import budget"),
    (only_kv_is_public, "app/forms.py", "import kvsim.units"),
    (only_kv_is_public, "app/forms.py", "from kvsim import secret"),
    (only_kv_is_public, "app/forms.py", "import kvsim\nkvsim.secret()"),
    (only_kv_is_public, "app/forms.py", "import kvsim as kv\nkv.units.GiB"),
    (only_kv_is_public, "app/forms.py", "from validation import report"),
    (only_kv_is_public, "app/forms.py", "def f():\n    import torch"),
    (only_kv_is_public, "validation/report.py", "import app"),
    (only_kv_is_public, "validation/report.py", "import streamlit as st"),
]


@pytest.mark.parametrize(("check", "path", "code"), VIOLATIONS)
def test_check_notices_a_violation(check, path, code):
    """A check that can't fail guards nothing."""
    assert list(check(path, ast.parse(code))) != []


PERMITTED = [
    (import_violations, "kvsim/specs/model.py", "import math\nfrom kvsim.dtypes import BF16"),
    (import_violations, "kvsim/analytic/capacity.py", "from kvsim.engines import ideal"),
    (import_violations, "kvsim/sim/_kernels.py", "import numba\nimport numpy as np"),
    (import_violations, "kvsim/sim/tables.py", "def f():\n    import polars"),
    (import_violations, "kvsim/sim/simulation.py", "if TYPE_CHECKING:\n    import polars"),
    (eager_violations, "kvsim/sim/_kernels/compiling.py", "import numba"),
    (import_violations, "kvsim/io/traces.py", "from pathlib import Path\nimport polars"),
    (import_violations, "kvsim/cli.py", "from kvsim import api\nfrom kvsim.io import report"),
    (import_violations, "kvsim/__main__.py", "import sys\nfrom kvsim.cli import main"),
    (conduct_violations, "kvsim/sim/workloads.py", "def f(rng: np.random.Generator): ..."),
    (conduct_violations, "kvsim/sim/metrics.py", "half = total / 2"),
    (conduct_violations, "kvsim/cli.py", "line = '-' * width"),
    (eager_violations, "kvsim/api.py", "def f():\n    import numba"),
    (eager_violations, "kvsim/api.py", "if TYPE_CHECKING:\n    import polars"),
    (eager_violations, "kvsim/__init__.py", "if TYPE_CHECKING:\n    from kvsim.api import plan"),
    (branch_violations, "kvsim/io/hf_config.py", "x = config['model_type'] == 'gpt2'"),
    (branch_violations, "kvsim/engines/vllm.py", "x = engine == 'vllm'"),
    (branch_violations, "kvsim/api.py", "'As vllm does.'\nengine = 'vllm'"),
    (only_kv_is_public, "app/main.py", "import kvsim, plotly\nfrom app import forms\nkvsim.kv"),
    (only_kv_is_public, "validation/live/vllm.py", "import torch\nfrom validation import report"),
]


@pytest.mark.parametrize(("check", "path", "code"), PERMITTED)
def test_check_permits_what_the_design_permits(check, path, code):
    """A check that cries wolf gets switched off."""
    assert list(check(path, ast.parse(code))) == []
