"""Which lines each test reaches and how long it takes: a pytest plugin, and what it left."""

import ast
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path

import coverage
import pytest

ROOT = Path(__file__).parents[2]
SECONDS = ROOT / "build/test-seconds.json"
COVERAGE = ROOT / ".coverage"
seconds: dict[str, float] = {}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item):
    """Lines that run from here to the next test are this test's."""
    measuring = coverage.Coverage.current()
    if measuring is not None:
        measuring.switch_context(item.nodeid)
    return (yield)


def pytest_runtest_logreport(report):
    """Set-up, call and take-down of a test that passed, in seconds."""
    if report.outcome == "passed":
        seconds[report.nodeid] = seconds.get(report.nodeid, 0.0) + report.duration


def pytest_sessionfinish():
    """Keep the times beside the coverage data; those of earlier runs stay."""
    SECONDS.parent.mkdir(exist_ok=True)
    before = json.loads(SECONDS.read_text()) if SECONDS.exists() else {}
    SECONDS.write_text(json.dumps(before | seconds, indent=1), encoding="utf-8")


class Reach:
    """Tests by the lines that they reach."""

    def __init__(self):
        self._data = coverage.CoverageData(str(COVERAGE))
        self._data.read()
        self.seconds: Mapping[str, float] = json.loads(SECONDS.read_text())

    @cache  # noqa: B019 - lives as long as the run
    def by_line(self, path: str) -> Mapping[int, frozenset[str]]:
        """The tests that reach each line of a file."""
        found = self._data.contexts_by_lineno(str(ROOT / path))
        known = self.seconds.keys()  # those that passed
        return {line: frozenset(known & set(tests)) for line, tests in found.items()}

    def of(self, path: str, line: int) -> frozenset[str]:
        """Tests that can notice a change of this line.

        A line in a function: those that run it. A line that runs at import, as a constant or a
        field's default: those that run a line which names what it defines.
        """
        reached = self.by_line(path)
        lines, names = _statement(path, line)
        own = [reached.get(n, frozenset()) for n in lines]
        return frozenset().union(*own, *(self._naming(name) for name in names))

    @cache  # noqa: B019 - lives as long as the run
    def importer(self, path: str) -> str | None:
        """The quickest test that runs a line of the file: it fails where none can be imported."""
        tests = frozenset().union(*self.by_line(path).values())
        return min(tests, key=self.seconds.__getitem__, default=None)

    @cache  # noqa: B019 - lives as long as the run
    def _naming(self, name: str) -> frozenset[str]:
        word = re.compile(rf"\b{re.escape(name)}\b")
        found = [
            self.by_line(path).get(number, frozenset())
            for path, text in _texts()
            for number, content in enumerate(text, 1)
            if word.search(content)
        ]
        return frozenset().union(*found)


@cache
def _texts() -> Sequence[tuple[str, Sequence[str]]]:
    files = sorted((ROOT / "kvsim").rglob("*.py"))
    return [(str(f.relative_to(ROOT)), f.read_text(encoding="utf-8").splitlines()) for f in files]


def _statement(path: str, line: int) -> tuple[Sequence[int], Sequence[str]]:
    """The lines that run with this one, and the names it defines where it runs at import."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    within = [*_enclosing(tree, line)]
    inner = within[-1]
    functions = [n for n in within if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
    if functions and inner is not functions[-1]:
        return range(_first(inner), _header_end(inner) + 1), ()
    if isinstance(inner, ast.FunctionDef | ast.ClassDef):  # a decorator or a default
        return range(_first(inner), inner.end_lineno + 1), (inner.name,)
    names = [n for n in ast.walk(inner) if isinstance(n, ast.Name)]
    targets = [n.id for n in names if isinstance(n.ctx, ast.Store)]
    owner = [] if targets else [n.name for n in within if isinstance(n, ast.ClassDef)]
    return range(_first(inner), inner.end_lineno + 1), [*targets, *owner]


def _enclosing(node: ast.AST, line: int) -> Iterator[ast.stmt]:
    for child in ast.iter_child_nodes(node):
        if hasattr(child, "end_lineno") and _first(child) <= line <= child.end_lineno:
            if isinstance(child, ast.stmt):
                yield child
            yield from _enclosing(child, line)


def _first(node: ast.AST) -> int:
    return min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", ()))])


def _header_end(node: ast.stmt) -> int:
    """The last line of a statement without the block that it opens."""
    body = getattr(node, "body", None)
    return body[0].lineno if body else node.end_lineno
