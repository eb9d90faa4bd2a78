"""One mutant against the tests that can notice it, in a copy of the tree."""

import os
import resource
import shutil
import subprocess
import sys
import time
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path

import pytest

from tests.mutation.mutants import Mutant
from tests.mutation.reach import ROOT, Reach
from tests.mutation.wait import Verdict, child_outcome

FIRST_S = 4.0
"""The quickest tests, by the seconds they took: most mutants die here."""
THEN_S = 10.0
"""And the rest of those that reach the line, where the mutant lived."""
PATIENCE = 6
"""A run may take this many times what its tests took, and a start of 60 s."""
MEMORY_BYTES = 12 << 30
MOST_TESTS = 60
"""In one go: beyond so many, finding them takes longer than running them."""
OWN = {"kvsim", "tests", "validation", "app"}
ALWAYS = ("tests/test_style.py",)
"""Tests that read the source, and so reach no line."""


class Failures:
    """A pytest plugin that writes down which tests failed."""

    def __init__(self, record: Path):
        self._record = record

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Errors of a fixture are failures too."""
        if report.failed:
            with self._record.open("a", encoding="utf-8") as file:
                file.write(report.nodeid + "\n")


class Bench:
    """A copy of the tree in which one mutant at a time lives."""

    def __init__(self, folder: Path):
        self.root = folder
        self.reach = Reach()
        self._broken: set[str] = set()
        self._sound: set[str] = set()
        command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        for name in names.stdout.split("\0"):
            if not (ROOT / name).is_file():
                continue
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target)

    def tests(self, mutant: Mutant) -> Sequence[Sequence[str]]:
        """Tests in parts, each to run if the mutant lives so far: near and quick ones first."""
        stem = Path(mutant.path).stem
        folder = Path(mutant.path).parts[1]

        def order(test: str) -> tuple[bool, float]:
            near = stem in test or f"tests/{folder}/" in test or mutant.path in test
            return not near, self.reach.seconds[test]

        chosen = sorted(self.reach.of(mutant.path, mutant.line), key=order)
        first = self._within(chosen, FIRST_S)
        importer = self.reach.importer(mutant.path)
        always = (*ALWAYS, importer) if importer else ALWAYS
        return always, first, self._within(chosen[len(first) :], THEN_S)

    def _within(self, tests: Sequence[str], limit_s: float) -> Sequence[str]:
        """As many tests from the front as end in time, at least one."""
        ends_s = [*accumulate(self.reach.seconds[test] for test in tests)]
        return tests[: min(MOST_TESTS, max(1, bisect_right(ends_s, limit_s)))]

    def tried(self, mutant: Mutant) -> Verdict:
        """The verdict on a mutant; the copy is whole again afterwards."""
        started_s = time.monotonic()
        outcome, count = "survived", 0
        for part in self.tests(mutant):
            tests = [test for test in part if test not in self._broken]
            outcome, count = self._outcome(mutant, tests), count + len(tests)
            if outcome != "survived":
                break
        seconds = round(time.monotonic() - started_s, 1)
        return Verdict(outcome=outcome, num_tests=count, seconds=seconds)

    def _outcome(self, mutant: Mutant, tests: Sequence[str]) -> str:
        """What these tests make of a mutant; one that fails without it too is left out."""
        if not tests:
            return "survived"
        outcome = self._run_with(mutant, tests)
        if outcome != "killed":
            return outcome
        killers = self._killers() or tests  # none is named where nothing could be collected
        if self._sound.issuperset(killers) or self._run(killers) == "survived":
            self._sound.update(killers)
            return outcome
        self._broken.update(killers)
        return self._outcome(mutant, [test for test in tests if test not in self._broken])

    def _run_with(self, mutant: Mutant, tests: Sequence[str]) -> str:
        file = self.root / mutant.path
        file.write_text(mutant.code(file.read_text(encoding="utf-8")) or "", encoding="utf-8")
        try:
            return self._run(tests)
        finally:
            shutil.copy2(ROOT / mutant.path, file)  # its old time too, so that old bytecode holds

    def _run(self, tests: Sequence[str]) -> str:
        """Survived if all pass; a child runs them, so that nothing stays imported."""
        limit_s = 60 + PATIENCE * sum(self.reach.seconds.get(test, 1.0) for test in tests)
        return child_outcome(lambda: self._in_child(tests), limit_s)

    def _killers(self) -> Sequence[str]:
        return (self.root / "failed").read_text(encoding="utf-8").splitlines()

    def _in_child(self, tests: Sequence[str]) -> int:
        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_BYTES, MEMORY_BYTES))
        os.chdir(self.root)
        os.environ["PYTHONPATH"] = str(self.root)
        sys.path[:] = [str(self.root), *(p for p in sys.path if p not in ("", str(ROOT)))]
        for name in [n for n in sys.modules if n.split(".")[0] in OWN]:
            del sys.modules[name]
        log = os.open(self.root / "log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(log, 1)
        os.dup2(log, 2)
        options = ["-q", "-p", "no:cacheprovider", "-p", "tests.mutation.quick"]
        options += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]  # imported before
        options += ["--hypothesis-profile=mutation", "-x"]
        (self.root / "failed").write_text("", encoding="utf-8")
        return int(pytest.main([*options, *tests], plugins=[Failures(self.root / "failed")]))
