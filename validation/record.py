"""`python -m validation record FILE`: check a live record and add it to the records."""

import argparse
import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import kvsim
from validation.accuracy import GOLDEN
from validation.live.provenance import REQUIRED, SCHEMA_VERSION

LIVE = GOLDEN / "live"
KINDS = {
    "live-transformers": ("rungs",),
    "with-and-without": ("answers", "exponents", "identical_tokens"),
    "quantisation": ("formats",),
    "live-vllm": ("starts",),
    "live-llama.cpp": ("starts",),
}
"""Kinds of live records, and what each must hold."""

ROWS = {
    "rungs": ("subject", "rung", "case", "status", "predicted", "measured"),
    "starts": ("case", "status", "predicted", "measured"),
}
"""Lists of a record, and what each of their entries must hold."""

NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")


def main(argv: Sequence[str] | None = None) -> int:
    """Check and copy; refuses to overwrite.

    Returns:
        0.

    Raises:
        FileError: for a file that is no record, or a name that is taken.
    """
    parser = argparse.ArgumentParser(prog="python -m validation record", description=__doc__)
    parser.add_argument("file", type=Path, help="what `validation live ... --output` wrote")
    parser.add_argument("--name", required=True, help="such as rtx-4090: small letters, digits, -")
    parser.add_argument("--folder", type=Path, default=LIVE, help="where records are kept")
    args = parser.parse_args(argv)
    record = read(args.file)
    if not NAME.fullmatch(args.name):
        msg = f"name={args.name} must be small letters, digits, - and _"
        raise kvsim.SpecError(msg)
    target = args.folder / f"{args.name}.json"
    if target.exists():
        msg = f"{target.name} is there already: a record is never overwritten"
        raise kvsim.FileError(msg)
    target.write_text(json.dumps(record, indent=1) + "\n", "utf-8")
    sys.stdout.write(f"recorded {target.name}: {record['kind']}\n")
    return 0


def read(path: Path) -> dict[str, Any]:
    """A live record that is complete.

    Raises:
        FileError: if it cannot be read or lacks something; the message names it.
    """
    try:
        record = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        msg = f"{path.name}: {error}"
        raise kvsim.FileError(msg) from None
    if problem := problem_of(record):
        msg = f"{path.name}: {problem}"
        raise kvsim.FileError(msg)
    return dict(record)


def problem_of(record: object) -> str | None:
    """What is wrong with a record; None if nothing is."""
    if not isinstance(record, Mapping):
        return "not an object"
    if record.get("schema_version") != SCHEMA_VERSION:
        return f"schema_version={record.get('schema_version')} must be {SCHEMA_VERSION}"
    kind = record.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        return f"kind={kind} must be one of {', '.join(KINDS)}"
    facts = record.get("provenance")
    if not isinstance(facts, Mapping):
        return "provenance is missing: who measured what, on which machine"
    missing = [f"provenance.{name}" for name in REQUIRED if not facts.get(name) and name != "seed"]
    missing += [] if isinstance(facts.get("seed"), int) else ["provenance.seed"]
    missing += [name for name in KINDS[kind] if name not in record]
    if missing:
        return f"{', '.join(missing)} must be given"
    return _lacking_rows(record)


def _lacking_rows(record: Mapping[str, Any]) -> str | None:
    for rows, needed in ROWS.items():
        for number, row in enumerate(record.get(rows, [])):
            lacking = [name for name in needed if not isinstance(row, Mapping) or name not in row]
            if lacking:
                return f"{rows}[{number}] lacks {', '.join(lacking)}"
    return None
