"""`python -m tests.documentation` writes what commands in the guides print, and the reference."""

import contextlib
import dataclasses
import inspect
import io
import os
import re
import shlex
import sys
from pathlib import Path

import kvsim
from kvsim.cli import main
from kvsim.cli.parser import build_parser

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
COLUMNS = "96"
EXAMPLE = re.compile(r"```console\n\$ kvsim ([^\n]+)\n(.*?)```", re.DOTALL)
QUALIFIED = re.compile(r"\b(?:kvsim|collections|os)(?:\.\w+)*\.(\w+)")
OBJECT = re.compile(r"<[^=,]* at 0x[0-9a-f]+>")
"""A default that is a function prints its address, which differs from run to run."""
SPEED = re.compile(r"^ *simulated requests per CPU second.*\n", re.MULTILINE)
"""The one line that differs from run to run."""


def pages() -> list[Path]:
    """Every page with examples, the READMEs first."""
    found = [ROOT / "README.md", ROOT / "README.zh.md", *sorted(DOCS.rglob("*.md"))]
    return [path for path in found if EXAMPLE.search(path.read_text())]


def printed(command: str) -> str:
    """What a command prints on a terminal of 96 columns; `| head -3` keeps three lines."""
    command, _, wanted = command.partition(" | head -")
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        main(shlex.split(command))
    lines = out.getvalue().splitlines()[: int(wanted) if wanted else None]
    return SPEED.sub("", "\n".join(line.rstrip() for line in lines) + "\n")


def with_outputs(text: str) -> str:
    """A page with every example's output as it is now."""
    return EXAMPLE.sub(lambda m: f"```console\n$ kvsim {m[1]}\n{printed(m[1])}```", text)


def cli_reference() -> str:
    """Every command's help."""
    parser = build_parser()
    (commands,) = [a for a in parser._actions if a.dest == "command"]
    parts = ["# Commands\n", "Generated from the command line itself.\n"]
    for name, sub in commands.choices.items():
        parts += [f"## kvsim {name}\n", f"```text\n{sub.format_help().rstrip()}\n```\n"]
    return "\n".join(parts)


def library_reference() -> str:
    """Every public name: what it is, in its own docstring's words."""
    parts = ["# Library\n", "Every name of `kvsim`, in its docstring's words.\n"]
    for name in sorted(kvsim.__all__, key=str.lower):
        parts += [f"## {name}\n", *_described(name, getattr(kvsim, name))]
    return "\n".join(parts)


def _described(name: str, value: object) -> list[str]:
    if not callable(value):
        return [f"`{value!r}`\n"]
    lines = (inspect.getdoc(value) or "").splitlines()
    if inspect.isclass(value) and dataclasses.is_dataclass(value):
        fields = ", ".join(f.name for f in dataclasses.fields(value) if not f.name.startswith("_"))
        return ["\n".join(_markdown(lines)), f"\nFields: {fields}.\n" if fields else ""]
    if inspect.isclass(value):
        return ["\n".join(_markdown(lines)) + "\n"]
    signature = _signature(value)
    return [f"```text\n{name}{signature}\n```\n", "\n".join(_markdown(lines)) + "\n"]


def _signature(value: object) -> str:
    """A signature without modules and addresses."""
    return OBJECT.sub("...", QUALIFIED.sub(r"\1", str(inspect.signature(value))))


def _markdown(lines: list[str]) -> list[str]:
    """A docstring as Markdown: sections in bold, what is indented as text."""
    text: list[str] = []
    for line in lines:
        if re.fullmatch(r"(Args|Returns|Raises|Source|Example|Yields):", line):
            text += ["", f"**{line[:-1]}**", ""]
        else:
            text.append(line)
    return [line if not line.startswith("<") else "\\" + line for line in text]


REFERENCE = {
    DOCS / "reference/cli.md": cli_reference,
    DOCS / "reference/library.md": library_reference,
}


def headings(text: str) -> list[str]:
    """The levels of a page's headings, in order."""
    outside = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    return [match[1] for match in re.finditer(r"^(#+) ", outside, re.MULTILINE)]


def commands(text: str) -> list[str]:
    """What a page's examples run, in order, remarks left out; code counts too."""
    lines = re.findall(r"^(?:\$|>>>|\.\.\.) .+$", text, re.MULTILINE)
    return [re.sub(r"\s+# .*", "", line) for line in lines]


if __name__ == "__main__":
    os.environ["COLUMNS"] = COLUMNS
    for page, write in REFERENCE.items():
        page.write_text(write())
    for page in pages():
        page.write_text(with_outputs(page.read_text()))
    sys.exit(0)
