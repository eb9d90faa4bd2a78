"""`python -m tests.mutation`: do the tests notice when the formulas change?

Needs to know which test reaches which line: measure coverage first, as CONTRIBUTING.md says.
"""

import argparse
import difflib
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import hypothesis  # noqa: F401 - children start faster where what they import is there
import numba  # noqa: F401

from tests.mutation.mutants import Mutant, sample
from tests.mutation.reach import ROOT
from tests.mutation.resident import killed
from tests.mutation.results import PAGE, RESULTS, page
from tests.mutation.trial import Bench
from tests.mutation.wait import Verdict


def main() -> int:
    """Try a sample of mutants, and record what became of each; 0."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("--sample", type=int, default=400, help="mutants (default: 400)")
    parser.add_argument("--seed", type=int, default=0, help="of the draw (default: 0)")
    parser.add_argument("--results", type=Path, default=RESULTS, help="file; what it has is kept")
    parser.add_argument("--again", action="store_true", help="try survivors of the file again")
    args = parser.parse_args()
    chosen = sample(ROOT, size=args.sample, seed=args.seed)
    done = _done(args.results, again=args.again)
    left = [mutant for mutant in chosen if _name(mutant) not in done]
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder) / "tree")
        tests = {mutant: [t for part in bench.tests(mutant) for t in part] for mutant in left}
        for mutant, verdict in killed(tests, Path(folder) / "killed").items():
            done[_name(mutant)] = _row(mutant, verdict)
        _write(args.results, chosen, done, seed=args.seed)
        left = [mutant for mutant in left if _name(mutant) not in done]
        print(f"{len(tests) - len(left)} of {len(tests)} killed where they stand", flush=True)
        for mutant in left:
            done[_name(mutant)] = _row(mutant, bench.tried(mutant))
            print(json.dumps(done[_name(mutant)]), flush=True)
            _write(args.results, chosen, done, seed=args.seed)
    if args.results == RESULTS:
        PAGE.write_text(page(), encoding="utf-8")
    return 0


def _done(path: Path, *, again: bool) -> dict[str, dict[str, object]]:
    rows = json.loads(path.read_text())["mutants"] if path.exists() else []
    return {row["name"]: row for row in rows if not (again and row["outcome"] == "survived")}


def _name(mutant: Mutant) -> str:
    return f"{mutant.path}:{mutant.line}:{mutant.column} {mutant.operator} {mutant.occurrence}"


def _row(mutant: Mutant, verdict: Verdict) -> dict[str, object]:
    source = (ROOT / mutant.path).read_text(encoding="utf-8")
    before, after = changed(source, mutant.code(source) or "")
    return {
        "name": _name(mutant),
        "before": before,
        "after": after,
        **asdict(verdict),
    }


def changed(before: str, after: str) -> tuple[str, str]:
    """What the change took out and what it put in, without blank lines."""
    lines = [*difflib.ndiff(before.splitlines(), after.splitlines())]
    parts = ([line[2:].strip() for line in lines if line.startswith(sign)] for sign in "-+")
    old, new = (" ".join(filter(None, part)) for part in parts)
    return old, new


def _write(
    path: Path, chosen: Sequence[Mutant], done: dict[str, dict[str, object]], *, seed: int
) -> None:
    rows = [done[_name(mutant)] for mutant in chosen if _name(mutant) in done]
    about = {
        "command": f"python -m tests.mutation --sample {len(chosen)} --seed {seed}",
        "date": datetime.now(UTC).date().isoformat(),
        "python": platform.python_version(),
        "revision": _revision(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
    }
    path.write_text(json.dumps({**about, "mutants": rows}, indent=1) + "\n", encoding="utf-8")


def _revision() -> str:
    command = ["git", "rev-parse", "--short", "HEAD"]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
