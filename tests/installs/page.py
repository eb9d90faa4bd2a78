"""The record of installations that were tried, and the page that shows it."""

import json
import os
import platform

from tests.installs.environment import ROOT

PAGE = ROOT / "docs/installs.md"
RECORD = ROOT / "tests/installs/results.json"

HEAD = """\
# Installations that were tried

`python -m tests.installs --python PATH --record` builds the wheel, gathers a wheelhouse, installs
from it without a package index into an empty environment, and uses it in a folder that is no
checkout: `import kvsim`, `kvsim plan`, `python -m kvsim`, a compiled simulation, a sweep, the
recorded validation, and what each extra adds. What needs an extra that is missing must exit with 4
and name it. The versions are the newest that fit together on that day, but for what `--with` asked
for: that is in brackets. With `--suite` the tests that need neither torch nor a browser run there
too, but for the slow ones.

Seen on {machine}.

| date | Python | extra | wheelhouse | versions | checks | suite |
| --- | --- | --- | ---: | --- | ---: | --- |"""


def failed(row):
    """What did not go as it should, in lines."""
    return [*row["failures"], *row.get("suite_failures", ())]


def shown_versions(row):
    """What was installed there, and in brackets what was asked for in place of the newest."""
    versions = ", ".join(f"{name} {version}" for name, version in row["versions"].items())
    asked = ", ".join(row.get("asked", ()))
    return f"{versions} ({asked})" if asked else versions


def page(record):
    """docs/installs.md of a record."""
    rows = [
        f"| {row['date']} | {row['python']} | {row['extra'] or 'none'} "
        f"| {row['wheelhouse_bytes'] / 1e6:.0f} MB | "
        f"{shown_versions(row)} | "
        f"{row['num_checks'] - len(row['failures'])} of {row['num_checks']} | "
        f"{row.get('suite', 'not run')} |"
        for row in record["rows"]
    ]
    failures = [f"- {line}" for row in record["rows"] for line in failed(row)]
    lines = [HEAD.format(**record), *rows, *(["", *failures] if failures else [])]
    return "\n".join(lines) + "\n"


def record(rows):
    """Keep the rows, in place of earlier ones of the same Python and extra."""
    kept = json.loads(RECORD.read_text())["rows"] if RECORD.exists() else []
    new = {(row["python"], row["extra"]) for row in rows}
    rows = [*(row for row in kept if (row["python"], row["extra"]) not in new), *rows]
    kept = {
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "rows": sorted(rows, key=lambda row: (row["python"], row["extra"])),
    }
    RECORD.write_text(json.dumps(kept, indent=1) + "\n")
    PAGE.write_text(page(kept))
