"""`python -m tests.limits_page` writes docs/limits.md: what is read of every outside input."""

import json
from pathlib import Path

from app.desk import MAX_RUN_S, MAX_RUNS, MAX_WAITING
from app.job import MAX_STEPS
from app.traffic import MAX_REQUESTS, MAX_TOKENS
from app.worker import MEMORY_BYTES
from kvsim.io import limits
from kvsim.units import KiB, MiB

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/limits.md"
FUZZ = ROOT / "tests/fuzz/results.json"

REFUSED = "refused, one line, exit 2"
ROWS = (
    ("config.json (file, hub, ModelScope)", "bytes", limits.MAX_CONFIG_BYTES, REFUSED),
    ("", "nesting", limits.MAX_CONFIG_DEPTH, REFUSED),
    ("", "layers", limits.MAX_CONFIG_LAYERS, REFUSED),
    ("", "any whole number", limits.MAX_CONFIG_SIZE, REFUSED),
    ("GGUF header", "bytes", limits.MAX_GGUF_HEADER_BYTES, REFUSED),
    ("", "metadata keys; tensors", limits.MAX_GGUF_ENTRIES, REFUSED),
    ("", "values of an array", limits.MAX_GGUF_ARRAY, REFUSED),
    ("", "strings of all arrays", limits.MAX_GGUF_STRINGS, REFUSED),
    ("", "bytes of a name", limits.MAX_GGUF_NAME_BYTES, REFUSED),
    ("", "files of a split model", limits.MAX_GGUF_PARTS, REFUSED),
    ("", "tensor bytes, without the file", limits.MAX_GGUF_TENSOR_BYTES, REFUSED),
    ("safetensors header", "bytes", limits.MAX_SAFETENSORS_HEADER_BYTES, REFUSED),
    ("", "tensors", limits.MAX_SAFETENSORS_TENSORS, REFUSED),
    ("safetensors index", "bytes", limits.MAX_SAFETENSORS_INDEX_BYTES, REFUSED),
    ("trace (.csv, .jsonl, .parquet, .gz)", "bytes, requests", None, "streamed, no limit"),
    ("", "tokens of a prompt or answer", limits.MAX_REQUEST_TOKENS, "refused with its line number"),
    ("", "characters of a line", limits.MAX_TRACE_LINE, "refused with its line number"),
    ("engine log", "bytes", limits.MAX_LOG_BYTES, REFUSED),
    ("", "characters of a line", limits.MAX_LOG_LINE, "the rest of the line is not read"),
    ("launch line", "letters", limits.MAX_LAUNCH_LETTERS, REFUSED),
    ("", "words", limits.MAX_LAUNCH_WORDS, "the rest is not read"),
    ("/metrics page", "bytes", limits.MAX_METRICS_BYTES, REFUSED),
    ("", "any count", limits.MAX_COUNT, REFUSED),
    ("benchmark result", "bytes", limits.MAX_BENCH_BYTES, REFUSED),
    ("", "requests", limits.MAX_BENCH_REQUESTS, REFUSED),
    ("", "any number", limits.MAX_BENCH_NUMBER, REFUSED),
    ("step table", "bytes", limits.MAX_STEP_TABLE_BYTES, REFUSED),
    ("sweep file, scenario file, price list", "bytes", limits.MAX_TOML_BYTES, REFUSED),
    ("calibration file", "bytes", limits.MAX_CALIBRATION_BYTES, REFUSED),
    ("upload in the web app", "bytes", MiB, "refused in the page"),
    ("run of page Simulate", "requests", MAX_REQUESTS, "the first ones of a trace are served"),
    ("", "tokens of prompts and answers", MAX_TOKENS, "refused in the page"),
    ("", "steps", MAX_STEPS, "refused in the page"),
    ("", "seconds", MAX_RUN_S, "stopped, said in the page"),
    ("", "bytes of memory", MEMORY_BYTES, "stopped, said in the page"),
    ("", "runs at once; those that wait", MAX_RUNS, f"{MAX_WAITING} wait, more are refused"),
    ("state of a streamed run, table of a sweep", "whole, of that run", None, REFUSED),
    ("value in a link", "what it may be", None, "said in the page, the default is used"),
)

HEAD = """\
# Limits

What people paste comes from anywhere. Every reader ends in a result or in one error that names
field, value and rule; nothing read is executed, no file name in an input is opened, and control
characters in what an error quotes are written out. The limits are constants in
`kvsim/io/limits.py`.

"""


def page() -> str:
    """The page as it should be."""
    rows = [
        f"| {name} | {limit} | {'' if value is None else shown(value, limit)} | {past} |"
        for name, limit, value, past in ROWS
    ]
    table = ["| input | limit | value | past it |", "| --- | --- | ---: | --- |", *rows]
    return HEAD + "\n".join(table) + "\n\n" + fuzzed()


def shown(value: int, limit: str) -> str:
    """A size in binary units, a count with commas."""
    if limit.startswith("bytes") and value % KiB == 0:
        return f"{value // MiB} MiB" if value % MiB == 0 else f"{value // KiB} KiB"
    return f"{value:,}"


def fuzzed() -> str:
    """What the last long run tried and found."""
    run = json.loads(FUZZ.read_text())
    rows = [
        f"| {name} | {row['cases']:,} | {row['finds']} | {row['slowest_s']:.2f} |"
        for name, row in run["parsers"].items()
    ]
    return "\n".join(
        [
            "## Tried with hostile input",
            "",
            "Valid inputs with bytes flipped, cut, repeated and spliced, and values that break",
            f"readers, each reader for at least as long as `{run['command']}`",
            f"says, {run['date']}, Python {run['python']}. A short run is part of the tests, and",
            "every find stays in `tests/fuzz/corpus/`.",
            "",
            "| reader | inputs | unsafe | slowest, CPU s |",
            "| --- | ---: | ---: | ---: |",
            *rows,
            "",
        ]
    )


if __name__ == "__main__":
    PAGE.write_text(page())
