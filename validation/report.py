"""`python -m validation report`: every record and this machine's live run, as HTML and as JSON."""

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import kvsim
from validation.accuracy import GOLDEN, SOURCES
from validation.figures import page
from validation.live.architectures import ARCHITECTURES, CENSUS
from validation.live.extras import load
from validation.live.rung import Status
from validation.live_runs import backends, run_all
from validation.recorded import Case, Report, Verdict, run
from validation.recorded.frame import read_lines

SCHEMA_VERSION = 1
EXIT_EXACT, EXIT_WRONG = 0, 3
FILES = ("validation-report.html", "validation-report.json")
ENGINE_SOURCES = (
    ("vllm-specs", "vllm/specs.jsonl.gz"),
    ("vllm-engine", "vllm/engine.jsonl.gz"),
)
"""Records that the page on accuracy has in other words."""

FIGURES = ("total_bytes", "total_storage", "kv_bytes", "kv_cache_bytes", "page_size_bytes")
"""Names under which kinds of records hold bytes that are predicted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One prediction beside its measurement, in bytes."""

    kind: str
    mechanism: str
    name: str
    predicted: int
    measured: int

    @property
    def error(self) -> float:
        """Relative, signed."""
        return self.predicted / self.measured - 1


def main(argv: Sequence[str] | None = None) -> int:
    """Write both files.

    Returns:
        0 if no record and no live rung is wrong, else 3.
    """
    parser = argparse.ArgumentParser(prog="python -m validation report", description=__doc__)
    parser.add_argument("--output", type=Path, default=Path(), help="folder for the two files")
    parser.add_argument("--no-live", action="store_true", help="records only")
    parser.add_argument("--python", default=sys.executable, help="a Python that has vLLM")
    parser.add_argument("--llama-server", metavar="PATH", help="a llama-server, with --gguf")
    parser.add_argument("--gguf", metavar="FILE", help="the model that it loads")
    parser.add_argument("--add", type=Path, nargs="*", default=[], help="records of your own")
    args = parser.parse_args(argv)
    load("plotly")
    reports = [run(kind, GOLDEN / path) for kind, path in sources()]
    records = list(read_records([*sorted((GOLDEN / "live").glob("*.json")), *args.add]))
    unavailable: dict[str, str] = {}
    if not args.no_live:
        runs = backends(args.python, args.llama_server, args.gguf)
        if "llama.cpp" not in runs:
            unavailable["llama.cpp"] = "--llama-server and --gguf name a server and its model"
        records += run_all(runs, unavailable)
    content = summarize(reports, records, unavailable)
    args.output.mkdir(parents=True, exist_ok=True)
    texts = (page(content), json.dumps(content, indent=1) + "\n")
    for name, text in zip(FILES, texts, strict=True):
        (args.output / name).write_text(text, "utf-8")
        sys.stdout.write(f"wrote {name}\n")
    wrong = sum(row["wrong"] for row in content["records"])
    return EXIT_WRONG if wrong else EXIT_EXACT


def sources() -> Iterator[tuple[str, str]]:
    """Kinds and paths of the records that ship."""
    yield from ((kind, path) for kind, path, *_ in SOURCES)
    yield from ENGINE_SOURCES


def read_records(paths: Sequence[Path]) -> Iterator[dict[str, Any]]:
    """Live records from files.

    Raises:
        FileError: for a file that holds none.
    """
    for path in paths:
        try:
            record = json.loads(path.read_text("utf-8"))
            yield {"kind": record["kind"], "name": path.stem, **record}
        except (OSError, ValueError, KeyError, TypeError) as error:
            msg = f"{path.name}: not a record: {error}"
            raise kvsim.FileError(msg) from None


def summarize(
    reports: Sequence[Report], records: Sequence[Mapping[str, Any]], unavailable: Mapping[str, str]
) -> dict[str, Any]:
    """What both files hold."""
    mechanisms = census_mechanisms()
    points = [p for report in reports for p in recorded_points(report, mechanisms)]
    ladders = [record for record in records if record["kind"] == "live-transformers"]
    points += [p for record in ladders for p in live_points(record)]
    rows = [counts(report.kind, report) for report in reports]
    rows += [live_counts(record) for record in records if str(Status.EXACT) in record]
    return {
        "schema_version": SCHEMA_VERSION,
        "kind": "report",
        "kvsim": kvsim.__version__,
        "records": rows,
        "unavailable": dict(unavailable),
        "points": [asdict(point) | {"error": point.error} for point in points],
        "growth": [row for record in ladders[:1] for row in growth(record)],
        "live": [dict(r) for r in records if r["kind"] != "live-transformers"],
        "servers": [row for record in records for row in server_rows(record)],
        "provenance": {
            f"{record['kind']}: {record['name']}": record["provenance"] for record in records
        },
    }


def counts(name: str, report: Report) -> dict[str, Any]:
    """A row of the table of records."""
    return {"record": name, "total": report.total} | {str(v): report.count(v) for v in Verdict}


def live_counts(record: Mapping[str, Any]) -> dict[str, Any]:
    """The same row for a ladder or for servers: what was not run is skipped."""
    exact, wrong, refused = (record[s] for s in (Status.EXACT, Status.WRONG, Status.REFUSED))
    return {
        "record": f"{record['kind'].replace('-', ' ')}: {record['name']}",
        "total": exact + wrong + refused,
        "exact": exact,
        "within_rounding": 0,
        "wrong": wrong,
        "refused": refused,
        "skipped": record[Status.SKIPPED] + record[Status.OUT_OF_MEMORY],
    }


def server_rows(record: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """What servers said of their starts and loads: a row per counted figure."""
    for start in record.get("starts", []):
        for figure, measured in start["measured"].items():
            if is_positive(measured):
                yield {
                    "record": f"{record['kind'].replace('-', ' ')}: {record['name']}",
                    "model": start["name"],
                    "figure": figure,
                    "predicted": start["predicted"][figure],
                    "measured": measured,
                }


def census_mechanisms() -> dict[str, str]:
    """The census's own tags by `model_type/variant`."""
    return {
        f"{row['model_type']}/{row['variant']}": ", ".join(row["mechanism"])
        for row in read_lines(CENSUS)
    }


def recorded_points(report: Report, mechanisms: Mapping[str, str]) -> Iterator[Point]:
    """Bytes that were predicted and recorded, of one kind."""
    for case in report.cases:
        for figure in FIGURES:
            predicted, measured = case.predicted.get(figure), case.recorded.get(figure)
            if is_positive(predicted) and is_positive(measured):
                yield Point(
                    kind=report.kind,
                    mechanism=mechanism_of(case, report.kind, mechanisms),
                    name=f"{case.id} {figure}",
                    predicted=int(predicted),
                    measured=int(measured),
                )


def is_positive(value: object) -> bool:
    """Whether a value can stand on a logarithmic axis."""
    return isinstance(value, int | float) and not isinstance(value, bool) and value > 0


def mechanism_of(case: Case, kind: str, mechanisms: Mapping[str, str]) -> str:
    """The census's tag of a case's architecture; elsewhere the kind of record."""
    return mechanisms.get(case.id.split(" ")[0], kind)


def live_points(record: Mapping[str, Any]) -> Iterator[Point]:
    """Storages and appends of a ladder's measured rungs."""
    tags = {a.row: a.mechanism for a in ARCHITECTURES}
    for rung in record["rungs"]:
        for figure in ("decode_storage_bytes", "append_transient_bytes"):
            predicted, measured = rung["predicted"].get(figure), rung["measured"].get(figure)
            if predicted and measured:
                yield Point(
                    kind=f"live: {record['name']}",
                    mechanism=tags.get(rung["subject"], rung["subject"]),
                    name=f"{rung['subject']} {rung['rung']} {figure}",
                    predicted=predicted,
                    measured=measured,
                )


def growth(record: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Storage by context of one growing sequence, after each prefill and each decode."""
    for rung in record["rungs"]:
        case = rung["case"]
        kind = case["cache"]["cache_implementation"]
        if rung["measured"] and kind == "dynamic" and case["batch_size"] == 1:
            for phase, decoded in (("prefill", 0), ("decode", case["num_decoded_tokens"])):
                yield {
                    "subject": rung["subject"],
                    "phase": phase,
                    "num_tokens": case["num_prompt_tokens"] + decoded,
                    "predicted_bytes": rung["predicted"][f"{phase}_storage_bytes"],
                    "measured_bytes": rung["measured"][f"{phase}_storage_bytes"],
                }
