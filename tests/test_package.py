"""What a wheel and a source archive hold, and that the wheel works where nothing else is."""

import json
import os
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DATA = {"models.toml", "gpus.toml", "overheads.toml", "workloads.toml"}


@pytest.fixture(scope="module")
def archives(tmp_path_factory):
    """The built archives, by their ending."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    return {path.suffix: path for path in folder.iterdir()}


@pytest.fixture(scope="module")
def installed(archives, tmp_path_factory):
    """A Python that has the wheel; its dependencies are those of the Python that runs the tests."""
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder, system_site_packages=False, with_pip=False)
    (site,) = folder.glob("lib/python*/site-packages")
    with zipfile.ZipFile(archives[".whl"]) as wheel:
        wheel.extractall(site)
    others = [p for p in sys.path if p.endswith("site-packages")]
    (site / "dependencies.pth").write_text("\n".join(others))
    return folder / "bin/python"


def run(python, *arguments, cwd):
    """A command in a folder that is no checkout."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    return subprocess.run(
        [python, *arguments], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )


def test_a_wheel_adds_one_name(archives):
    """
    Nothing but kvsim lands among other packages, and its data travel with it.
    """
    with zipfile.ZipFile(archives[".whl"]) as wheel:
        names = wheel.namelist()

    assert {name.split("/")[0].split("-")[0] for name in names} == {"kvsim"}
    assert {Path(name).name for name in names if name.startswith("kvsim/io/data/")} >= DATA
    assert {"kvsim/py.typed", "kvsim/_bundled/app/main.py"} <= set(names)
    assert "kvsim/_bundled/validation/__main__.py" in names
    assert not [name for name in names if "/tests/" in name or name.endswith(".pyc")]


def test_a_source_archive_can_be_tested(archives):
    """
    Who packages kvsim elsewhere gets the tests and what they need.
    """
    with tarfile.open(archives[".gz"]) as archive:
        names = {name.split("/", 1)[-1] for name in archive.getnames()}

    assert {"README.md", "LICENSE", "pyproject.toml", "run", "tests/test_api.py"} <= names
    assert "validation/golden/configs/llama-3.1-8b.json" in names


def test_the_wheel_plans_in_another_folder(installed, tmp_path):
    """
    `python -m kvsim` from a folder that is no checkout.
    """
    plan = run(
        installed, *("-m", "kvsim", "plan", "llama-3.1-8b", "--gpu", "h100", "--json"), cwd=tmp_path
    )
    where = run(installed, "-c", "import kvsim; print(kvsim.__file__)", cwd=tmp_path)

    assert plan.returncode == 0, plan.stderr
    assert json.loads(plan.stdout)["fits"]
    assert str(installed.parents[1]) in where.stdout


def test_the_wheel_validates_in_another_folder(installed, tmp_path):
    """
    The recorded cases travel with it.
    """
    (golden,) = installed.parents[1].glob(
        "lib/python*/site-packages/kvsim/_bundled/validation/golden/configs"
    )
    checked = run(
        installed, "-m", "kvsim", "validate", "recorded", "configs", str(golden), cwd=tmp_path
    )

    assert checked.returncode == 0, checked.stderr
    assert "23 of 23 exact" in checked.stdout
