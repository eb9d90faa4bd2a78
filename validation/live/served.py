"""Servers that were measured: how each compares, and the record of them."""

import argparse
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from validation.live.provenance import SCHEMA_VERSION, provenance
from validation.live.rung import Status
from validation.live.server import ServerError

EXIT_EXACT, EXIT_WRONG = 0, 3
START_S = 600.0

Figures = dict[str, Any]
"""Plain values by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One server's figures: `wrong` names those that are not as predicted.

    `case` is what the prediction is made from, `log` the lines that were read; `reason` says what
    is not exact, or was not seen.
    """

    name: str
    case: Mapping[str, Any]
    status: Status
    reason: str = ""
    wrong: tuple[str, ...] = ()
    predicted: Figures = field(default_factory=dict)
    measured: Figures = field(default_factory=dict)
    notes: Figures = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    log: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """The figures as plain values."""
        return asdict(self) | {"status": str(self.status)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a record says of where it comes from."""

    backend: str
    device: dict[str, object]
    versions: Mapping[str, str]
    seed: int = 0


def add_output(parser: argparse.ArgumentParser) -> None:
    """The flags of every backend that starts a server."""
    parser.add_argument("--start-timeout-s", type=float, default=START_S)
    parser.add_argument("--output", type=Path, help="write the record here")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def report(
    outcomes: Iterable[Outcome],
    facts: Facts,
    *,
    argv: Sequence[str],
    output: Path | None,
    as_json: bool,
) -> int:
    """Print each outcome when it is there, then the record; a failed start ends the run.

    Returns:
        0 if everything is as predicted, else 3.

    Raises:
        ServerError: if a server did not start, or ended; what was measured before it is written.
    """
    seen: list[Outcome] = []
    try:
        for outcome in outcomes:
            seen.append(outcome)
            print(line(outcome), file=sys.stderr if as_json else sys.stdout, flush=True)
    except ServerError as error:
        print("\n".join(error.log), file=sys.stderr)
        raise
    finally:
        record = record_of(seen, facts, argv)
        if output and seen:
            output.write_text(json.dumps(record, indent=1) + "\n", "utf-8")
    if as_json:
        print(json.dumps(record))
    else:
        summarize(record, seen)
    return EXIT_WRONG if count(seen, Status.WRONG) else EXIT_EXACT


def record_of(outcomes: Sequence[Outcome], facts: Facts, argv: Sequence[str]) -> dict[str, Any]:
    """The record of a run."""
    origin = provenance(
        backend=facts.backend,
        arguments=argv,
        device=facts.device,
        seed=facts.seed,
        versions=facts.versions,
    )
    return {
        "schema_version": SCHEMA_VERSION,
        "kind": f"live-{facts.backend}",
        "provenance": origin,
        **{str(status): count(outcomes, status) for status in Status},
        "starts": [outcome.as_dict() for outcome in outcomes],
    }


def count(outcomes: Sequence[Outcome], status: Status) -> int:
    """Servers that ended so."""
    return sum(outcome.status is status for outcome in outcomes)


def line(outcome: Outcome) -> str:
    """One server on one line."""
    said = "".join(f" {name}={value}" for name, value in outcome.measured.items())
    reason = f"  {outcome.reason}" if outcome.reason else ""
    return f"{outcome.name:<16} {outcome.status}{said}{reason}"


def summarize(record: Mapping[str, Any], outcomes: Sequence[Outcome]) -> None:
    """What was measured on what, each figure that differs, and the count."""
    facts = record["provenance"]
    print(f"measured on {facts['device']['kind']}: {facts['device']['name']}, {facts['versions']}")
    for outcome in outcomes:
        for name in outcome.wrong:
            told = f"predicted {outcome.predicted[name]}, measured {outcome.measured[name]}"
            print(f"  {outcome.name} {name}: {told}")
    if number := count(outcomes, Status.REFUSED):
        print(f"{number} refused")
    measured = count(outcomes, Status.EXACT) + count(outcomes, Status.WRONG)
    print(f"{count(outcomes, Status.EXACT)} of {measured} exact")
