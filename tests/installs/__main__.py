"""`python -m tests.installs`: the wheel in empty environments, offline, with each extra.

Builds the wheel, gathers what it needs in a wheelhouse (the one step that uses a package index),
makes an empty environment for each Python and extra, installs from the wheelhouse alone, and uses
it as a new user would, in a folder that is no checkout. With `--suite` the tests that need neither
torch nor a browser run there too, but for the slow ones. `--record` writes docs/installs.md.
"""

import argparse
import datetime as dt
import json
import sys
import tempfile
from pathlib import Path

from tests.installs.checks import CHECKS, SUITE_EXTRAS, SUITES, check_base, run_suite
from tests.installs.environment import build, gather, make
from tests.installs.page import failed, record

EXTRAS = ("", "app", "ray", "validation")


def try_one(python, extra, *, wheel, suite, asked):
    """One environment from nothing to its checks."""
    more = (*asked, *(SUITE_EXTRAS if suite else ()))
    with tempfile.TemporaryDirectory() as folder:
        house = Path(folder, "wheelhouse")
        gather(python, wheel, extra, house, more=more)
        num_bytes = sum(path.stat().st_size for path in house.iterdir())
        environment = make(python, extra, house, Path(folder, "environment"), more=more)
        checks = [*check_base(environment), *CHECKS.get(extra, lambda _: ())(environment)]
        row = {
            "date": dt.datetime.now(tz=dt.UTC).date().isoformat(),
            "python": environment.run(environment.python, "-V").stdout.split()[-1],
            "extra": extra,
            "asked": list(asked),
            "wheelhouse_bytes": num_bytes,
            "versions": environment.versions,
            "num_checks": len(checks),
            "failures": [check for check in checks if check],
        }
        if suite and extra in SUITES:
            row["suite"], row["suite_failures"] = run_suite(environment)
        return row


def main():
    parser = argparse.ArgumentParser(prog="python -m tests.installs", description=__doc__)
    parser.add_argument("--python", nargs="+", default=[sys.executable], metavar="PATH")
    parser.add_argument("--extra", nargs="+", default=list(EXTRAS), choices=EXTRAS)
    parser.add_argument(
        "--with",
        dest="asked",
        nargs="+",
        default=[],
        metavar="REQUIREMENT",
        help="in place of the newest: torch==2.13.0 takes the CPU build of an index that has one",
    )
    parser.add_argument("--suite", action="store_true", help="run the tests there too")
    parser.add_argument("--record", action="store_true", help="add the rows to docs/installs.md")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        wheel = build(Path(folder))
        rows = []
        for python in args.python:
            for extra in args.extra:
                row = try_one(python, extra, wheel=wheel, suite=args.suite, asked=args.asked)
                print(json.dumps(row), flush=True)
                rows.append(row)
    if args.record:
        record(rows)
    return 1 if any(failed(row) for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
