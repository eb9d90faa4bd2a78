"""Many mutants of function bodies against tests that stay collected: a fork for each."""

import functools
import json
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import FunctionType, ModuleType

import pytest
from _pytest.runner import runtestprotocol

from tests.mutation.mutants import Mutant
from tests.mutation.reach import ROOT
from tests.mutation.wait import Verdict, child_outcome

LONGEST_S = 8 * 3600


class Resident:
    """A pytest plugin that, in place of running the tests, tries mutants on them.

    In a fork the mutated file is compiled and the code of its functions replaced where they
    stand. What runs at import (constants, defaults, decorators) cannot be tried so, and what
    survives here may live on a value that a test computed when it was collected: both are left
    to the copy of the tree, as is what takes too long.
    """

    def __init__(self, tests: Mapping[Mutant, Sequence[str]], record: Path):
        self._tests = tests
        self._record = record
        self._killer = record.with_name("killer")
        self._items: dict[str, pytest.Item] = {}
        self._broken: set[str] = set()
        self._sound: set[str] = set()

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Take the collected tests, and run them for each mutant."""
        self._items = {item.nodeid: item for item in session.items}
        for number, (mutant, tests) in enumerate(self._tests.items()):
            started_s = time.monotonic()
            outcome, met = self._outcome(mutant, [t for t in tests if t in self._items])
            row = {
                "number": number,
                "outcome": outcome,
                "num_tests": met,
                "seconds": round(time.monotonic() - started_s, 1),
            }
            with self._record.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
        return True

    def _outcome(self, mutant: Mutant, tests: Sequence[str]) -> tuple[str, int]:
        """What becomes of a mutant; a test that fails without it too is left out from then on."""
        chosen = [test for test in tests if test not in self._broken]
        self._killer.unlink(missing_ok=True)
        outcome = child_outcome(lambda: self._trial(mutant, chosen))
        if not self._killer.exists():  # nothing failed, or the change is none of a function's
            return "survived", len(chosen)
        killer = self._killer.read_text(encoding="utf-8")
        if killer in self._sound or child_outcome(lambda: self._passes([killer])) == "survived":
            self._sound.add(killer)
            return outcome, 1 + chosen.index(killer)
        self._broken.add(killer)
        return self._outcome(mutant, tests)

    def _trial(self, mutant: Mutant, tests: Sequence[str]) -> int:
        name = mutant.path.removesuffix(".py").replace("/", ".")
        module = sys.modules.get(name)
        source = (ROOT / mutant.path).read_text(encoding="utf-8")
        if module is None or not replaced(module, mutant.code(source) or ""):
            return 0
        return self._passes(tests)

    def _passes(self, tests: Sequence[str]) -> int:
        """0 if all pass; else 1 at the first that does not, which is written down."""
        for test in tests:
            reports = runtestprotocol(self._items[test], log=False, nextitem=None)
            if any(report.failed for report in reports):
                self._killer.write_text(test, encoding="utf-8")
                return 1
        return 0


def replaced(module: ModuleType, source: str) -> bool:
    """Give a module's functions the code that they have in a changed source; whether any changed.

    Caches of the whole library are emptied.
    """
    other = {"__name__": module.__name__, "__file__": module.__file__}
    exec(compile(source, str(module.__file__), "exec"), other)
    old, new = dict(_functions(vars(module), module)), dict(_functions(other, module))
    changed = [
        name
        for name in old.keys() & new.keys()
        if old[name].__code__ != new[name].__code__
        and old[name].__code__.co_freevars == new[name].__code__.co_freevars
    ]
    for name in changed:
        old[name].__code__ = new[name].__code__
    for loaded in [m for n, m in sys.modules.items() if n.startswith("kvsim.")]:
        for value in vars(loaded).values():
            if hasattr(value, "cache_clear"):
                value.cache_clear()
    return bool(changed)


def _functions(
    names: Mapping[str, object], module: ModuleType, prefix: str = ""
) -> Iterator[tuple[str, FunctionType]]:
    """Functions and methods that a namespace defines, through the decorators that it uses."""
    for name, value in names.items():
        if isinstance(value, type) and value.__module__ == module.__name__ and not prefix:
            yield from _functions(vars(value), module, f"{name}.")
            continue
        inner = value
        if isinstance(inner, property):
            inner = inner.fget
        elif isinstance(inner, staticmethod | classmethod):
            inner = inner.__func__
        elif isinstance(inner, functools.cached_property):
            inner = inner.func
        inner = getattr(inner, "__wrapped__", inner)
        if isinstance(inner, FunctionType) and inner.__module__ == module.__name__:
            yield prefix + name, inner


def killed(tests: Mapping[Mutant, Sequence[str]], record: Path) -> Mapping[Mutant, Verdict]:
    """Mutants that the tests kill where they stand; `record` gets a line for each one tried."""
    child_outcome(lambda: _collected(tests, record), limit_s=LONGEST_S)
    lines = record.read_text(encoding="utf-8").splitlines() if record.exists() else []
    rows = [json.loads(line) for line in lines]
    mutants = [*tests]
    return {
        mutants[row.pop("number")]: Verdict(**row) for row in rows if row["outcome"] == "killed"
    }


def _collected(tests: Mapping[Mutant, Sequence[str]], record: Path) -> int:
    files = sorted({test.split("::")[0] for chosen in tests.values() for test in chosen})
    options = ["-q", "-s", "-p", "no:cacheprovider", "-p", "tests.mutation.quick"]
    options += ["-W", "ignore::pytest.PytestAssertRewriteWarning", "--hypothesis-profile=mutation"]
    os.chdir(ROOT)
    return int(pytest.main([*options, *files], plugins=[Resident(tests, record)]))
