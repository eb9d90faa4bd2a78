"""`python -m tests.fuzz`: hostile input for every reader, for as long as one likes."""

import argparse
import hashlib
import json
import platform
import random
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from tests.fuzz.mutate import mutated
from tests.fuzz.parsers import CORPUS, Parser, parsers
from tests.fuzz.run import tried

RESULTS = Path(__file__).parent / "results.json"


def main() -> int:
    """Run, keep what was found, and record the result.

    Returns:
        0 if nothing was found, else 1.
    """
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="PARSER", help="all, or some of these")
    parser.add_argument("--seconds", type=float, default=120, help="of each (default: 120)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--record", action="store_true", help=f"write {RESULTS.name}")
    args = parser.parse_args()
    rows = {}
    for name in args.names or parsers():
        rows[name] = run(parsers()[name], seconds=args.seconds, seed=args.seed)
        print(f"{name:18} {rows[name]['cases']:>8,} cases, {rows[name]['finds']} finds")
    if args.record:
        before = json.loads(RESULTS.read_text())["parsers"] if RESULTS.exists() else {}
        about = {
            "command": f"python -m tests.fuzz --seconds {args.seconds:g} --seed {args.seed}",
            "date": datetime.now(UTC).date().isoformat(),
            "python": platform.python_version(),
            "machine": platform.machine(),
        }
        RESULTS.write_text(json.dumps({**about, "parsers": before | rows}, indent=1) + "\n")
    return 1 if any(row["finds"] for row in rows.values()) else 0


def run(parser: Parser, *, seconds: float, seed: int) -> dict[str, float]:
    """Hostile inputs for one reader until time is up; finds are kept in the corpus."""
    rng, cases, finds = random.Random(seed), 0, 0
    slowest_s = 0.0
    end_s = time.monotonic() + seconds
    with tempfile.TemporaryDirectory() as folder:
        while time.monotonic() < end_s:
            content = mutated(rng.choice(parser.seeds), parser.seeds, rng)
            started_s = time.process_time()
            outcome = tried(parser, content, Path(folder))
            slowest_s = max(slowest_s, time.process_time() - started_s)
            cases += 1
            if not outcome.is_safe:
                finds += 1
                _keep(parser, content, outcome.what)
    return {"cases": cases, "finds": finds, "slowest_s": round(slowest_s, 3)}


def _keep(parser: Parser, content: bytes, what: str) -> None:
    folder = CORPUS / parser.name
    folder.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256(content).hexdigest()[:16]
    (folder / digest).write_bytes(content)
    print(f"{parser.name}/{digest}: {what[:300]}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
