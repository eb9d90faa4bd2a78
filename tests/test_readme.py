"""What the README shows is what the commands print."""

import re
from pathlib import Path

import pytest

from kvsim.cli import main

README = (Path(__file__).parents[1] / "README.md").read_text()
EXAMPLES = re.findall(r"```console\n\$ kvsim ([^\n]+)\n(.*?)```", README, flags=re.DOTALL)


@pytest.mark.parametrize(("command", "shown"), EXAMPLES, ids=[e[0].split()[0] for e in EXAMPLES])
def test_examples_print_what_is_shown(command, shown, capsys, monkeypatch):
    """
    An example that a reader types gives the same lines.
    """
    monkeypatch.setenv("COLUMNS", "96")
    main(command.split())
    printed = [line.rstrip() for line in capsys.readouterr().out.splitlines()]

    assert printed == shown.splitlines()


def test_first_screen_shows_the_commands_and_an_example():
    """
    The two commands and a plan come before anything else.
    """
    assert README.index("./run app") < README.index("./run test") < README.index("$ kvsim plan")
    assert "$ kvsim plan" in "\n".join(README.splitlines()[:25])
    assert EXAMPLES
