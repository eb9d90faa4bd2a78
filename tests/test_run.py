"""`./run` explains itself and refuses what it can't do in one line; nothing is installed here."""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture
def checkout(tmp_path):
    """A copy of the script and of what it reads, without a .venv, and a PATH of few tools."""
    for name in ("run", "pyproject.toml", "requirements.txt"):
        shutil.copy(ROOT / name, tmp_path)
    tools = tmp_path / "tools"
    tools.mkdir()
    for tool in ("bash", "cat", "cksum", "cp", "dirname", "env", "grep", "mkdir", "rm", "sleep"):
        (tools / tool).symlink_to(shutil.which(tool))
    return tmp_path


def environment_of(checkout, **more):
    return {"PATH": str(checkout / "tools"), **more}


def run(checkout, *args, **more):
    return subprocess.run(
        [checkout / "run", *args],
        env=environment_of(checkout, **more),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def add_tool(checkout, name, script):
    path = checkout / "tools" / name
    path.write_text(f"#!/usr/bin/env bash\n{script}\n")
    path.chmod(0o755)


def add_python(checkout, install):
    """A stand-in for Python: makes a .venv with itself in it, and "installs" by this script."""
    add_tool(
        checkout,
        "python3",
        f"""case $* in
          -c*version_info*) echo 3.11.7 ;;
          -m\\ venv*) mkdir -p $3/bin; cp $0 $3/bin/python; echo $3 >$3/bin/activate ;;
          *install*) {install} ;;
          -m*) echo "started: $*" ;;
        esac""",
    )


@pytest.mark.parametrize("args", [[], ["help"], ["-h"], ["--help"]])
def test_explains_itself(checkout, args):
    """A newcomer types `./run` first."""
    result = run(checkout, *args)
    assert result.returncode == 0
    assert "./run app [--port N]" in result.stdout
    assert "./run test [PYTEST ARGS]" in result.stdout
    assert "./run bench [NAME...]" in result.stdout
    assert "./run screenshots [PAGE...]" in result.stdout


@pytest.mark.parametrize(
    ("args", "word"),
    [
        (["tests"], "'tests'"),
        (["app", "--prot", "9000"], "--prot"),
        (["app", "9000"], "9000"),
        (["app", "--port", "0"], "--port=0"),
        (["app", "--port=65536"], "--port=65536"),
        (["app", "--port", "-1"], "--port=-1"),
        (["app", "--port", "99999999999999999999"], "--port=9"),
        (["app", "--port", ""], "--port="),
    ],
)
def test_refuses_what_it_does_not_know(checkout, args, word):
    """A mistyped command must not start minutes of set-up."""
    result = run(checkout, *args)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.count("\n") == 1
    assert word in result.stderr
    assert not (checkout / ".venv").exists()


@pytest.mark.parametrize("command", ["app", "test", "setup"])
def test_old_python_gives_one_clear_line(checkout, command):
    """Whoever has an old Python should read so, not a failure from inside pip."""
    add_tool(checkout, "python3", "echo 3.9.18")
    result = run(checkout, command)
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1] == (
        "run: Python 3.11 or newer is needed (python3 is 3.9.18)"
    )
    assert not (checkout / ".venv").exists()


def test_absent_python_gives_one_clear_line(checkout):
    """No Python at all is the same problem."""
    result = run(checkout, "app")
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1] == (
        "run: Python 3.11 or newer is needed (no python3 on the PATH)"
    )


def test_takes_a_newer_python_beside_an_old_one(checkout):
    """Debian's python3 may be old while python3.12 is there."""
    add_tool(checkout, "python3", "echo 3.10.12")
    add_tool(checkout, "python3.12", "[ $1 = -c ] && echo 3.12.1 || { echo $@; exit 1; }")
    result = run(checkout, "app")
    assert "could not make .venv with python3.12" in result.stderr


def test_failed_set_up_leaves_no_mark(checkout):
    """A set-up that broke off must run again, and what pip said must be seen."""
    add_python(checkout, install="echo no such release >&2; exit 1")
    for _ in range(2):
        result = run(checkout, "app")
        assert result.returncode == 1
        assert "no such release" in result.stderr


def test_interrupted_set_up_stops_its_installer(checkout):
    """Ctrl-C must end pip too, and leave no mark that says all is installed."""
    add_python(checkout, install=f"echo $$ >{checkout}/pid; sleep 60")
    with subprocess.Popen(
        [checkout / "run", "app"], env=environment_of(checkout), stderr=subprocess.PIPE, text=True
    ) as process:
        while not (checkout / "pid").exists() or not (checkout / "pid").read_text():
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "stopped before the set-up was done" in errors
    with pytest.raises(ProcessLookupError):
        os.kill(int((checkout / "pid").read_text()), 0)
    add_python(checkout, install="echo installed")
    shutil.copy(checkout / "tools" / "python3", checkout / ".venv" / "bin" / "python")
    assert "installed" in run(checkout, "app").stdout


def test_second_start_sets_nothing_up(checkout):
    """What is set up starts at once, with the arguments given; a changed pin is installed."""
    add_python(checkout, install="echo installed")
    assert run(checkout, "app", "--port", "9000").stdout == (
        "installed\nstarted: -m kvsim app --port 9000\n"
    )
    assert run(checkout, "app", "--port=9001").stdout == "started: -m kvsim app --port=9001\n"
    with (checkout / "requirements.txt").open("a") as file:
        file.write("# changed\n")
    assert run(checkout, "app").stdout == "installed\nstarted: -m kvsim app\n"


def test_set_up_for_tests_serves_the_app_too(checkout):
    """The tests' set is the whole set, so that the app then starts at once."""
    add_python(checkout, install="echo installed")
    assert run(checkout, "test", "-k", "plan").stdout == (
        "installed\ninstalled\nstarted: -m pytest -m not slow"
        " --numprocesses=auto --maxprocesses=4 --dist=loadfile -k plan\n"
    )
    assert run(checkout, "app").stdout == "started: -m kvsim app\n"


def test_moved_checkout_is_set_up_again(checkout):
    """Scripts in .venv hold the old place in their first line."""
    add_python(checkout, install="echo installed")
    (checkout / "old").mkdir()
    for name in ("run", "pyproject.toml", "requirements.txt"):
        shutil.copy(checkout / name, checkout / "old")
    (checkout / "old" / "tools").symlink_to(checkout / "tools")
    run(checkout / "old", "app")
    (checkout / "old").rename(checkout / "new")
    assert run(checkout / "new", "app").stdout == "installed\nstarted: -m kvsim app\n"
    assert run(checkout / "new", "app").stdout == "started: -m kvsim app\n"


def test_set_up_whose_python_is_gone_is_made_again(checkout):
    """An upgrade of the system takes the Python away that .venv points to."""
    add_python(checkout, install="echo installed")
    run(checkout, "app")
    (checkout / ".venv" / "bin" / "python").unlink()
    assert run(checkout, "app").stdout == "installed\nstarted: -m kvsim app\n"


def test_absent_chromium_fails_in_ci(checkout):
    """Where browser tests must run, a skip would pass for a success."""
    result = run(checkout, "test", CI="true")
    assert result.returncode == 1
    assert "apt-get install chromium fonts-noto-cjk" in result.stderr
    assert not (checkout / ".venv").exists()


def test_no_picture_without_chromium(checkout):
    """The command has nothing to do without a browser, and sets nothing up."""
    result = run(checkout, "screenshots")
    assert result.returncode == 1
    assert "apt-get install chromium fonts-noto-cjk" in result.stderr
    assert not (checkout / ".venv").exists()


def test_absent_chromium_is_said_elsewhere(checkout):
    """Without a browser the rest of the suite still runs."""
    result = run(checkout, "test")
    assert "browser tests are skipped" in result.stderr.splitlines()[0]
