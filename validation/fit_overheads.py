"""`python -m validation fit-overheads ROWS [--write]`: refit, show residuals, write the file."""

import argparse
import sys
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import kvsim
from validation.overhead_fit import (
    REFITTED_UNTIL,
    Evidence,
    evidence_of,
    fit,
    leave_one_out,
)
from validation.recorded.frame import RecordError, read_lines

OVERHEADS = Path(__file__).parents[1] / "kvsim/io/data/overheads.toml"
HEADER = """\
# Memory that an engine takes beside weights and cache, per accelerator.
# Rewritten by `python -m validation fit-overheads ROWS --write`: it refits vLLM up to 0.11 and
# keeps everything else. low and high are the spread that was seen, leave-one-out residuals
# where a source says so, never a confidence interval. A user's own measurement overrides all.
"""
DIGITS = 4
FEWEST_ROWS = 4  # two coefficients, and something left to be wrong about
LAST_REFITTED = "0.11.0"
ENDS = ("low", "best", "high")
FITTED = {
    "sampler_copies": ("sampler_copies", 1),
    "token_hidden_bytes": ("token_hidden_bytes", 1),
    "activation_floor_gib": ("activation_floor_bytes", kvsim.GiB),
    "non_torch_small_gib": ("non_torch_small_bytes", kvsim.GiB),
    "non_torch_gib": ("non_torch_bytes", kvsim.GiB),
    "weights_extra_gib": ("weights_extra_bytes", kvsim.GiB),
}
"""Keys of the file, the fields that they fill, and the unit between them."""

WEIGHTS = ("weights_extra_gib",)
"""What does not depend on the version: every era gets it."""


def main(argv: Sequence[str] | None = None) -> int:
    """Refit and print; with `--write` rewrite the shipped file.

    Returns:
        0.
    """
    parser = argparse.ArgumentParser(prog="python -m validation fit-overheads", description=__doc__)
    parser.add_argument("rows", type=Path, help="measured rows, models.json beside them")
    parser.add_argument("--write", action="store_true", help="rewrite the shipped coefficients")
    args = parser.parse_args(argv)
    evidence = evidence_of(read_lines(args.rows))
    if len(evidence.observations) < FEWEST_ROWS or len(evidence.loaded) < FEWEST_ROWS:
        msg = f"{args.rows.name} has fewer than {FEWEST_ROWS} rows that say what is fitted"
        raise RecordError(msg)
    fitted = fit(evidence, kvsim.overhead_model("vllm", LAST_REFITTED))
    sys.stdout.write("\n".join(residual_lines(evidence, fitted)) + "\n")
    if args.write:
        shipped = tomllib.loads(OVERHEADS.read_text("utf-8"))
        OVERHEADS.write_text(render(refitted(shipped, evidence)), "utf-8")
        sys.stdout.write(f"wrote {OVERHEADS.name}\n")
    return 0


def residual_lines(evidence: Evidence, fitted: kvsim.OverheadModel) -> list[str]:
    """The coefficients, and how far each row is from what the others predict for it."""
    seen = [o for o in evidence.observations if o.activation_gib is not None]
    lines = [
        f"activation peak = {fitted.sampler_copies.best:.3f} x max_num_seqs x vocabulary x 4 B"
        f" + {fitted.token_hidden_bytes.best:.3f} B x max_num_batched_tokens x hidden",
        f"loaded weights = derived + {fitted.weights_extra_bytes.best / kvsim.GiB:.4f} GiB",
        "",
        "activation peak, GiB, leave-one-out residual",
    ]
    lines += [f"{leave_one_out(seen, o):+8.3f}  {o.activation_gib:7.2f}  {o.id}" for o in seen]
    lines += ["", "loaded weights, GiB, less what is derived"]
    for row in evidence.loaded:
        rest = row.weights_gib - row.formula_gib
        lines.append(f"{rest:+8.4f}  {row.weights_gib:7.2f}  {row.id}")
    return lines


def refitted(shipped: Mapping[str, Any], evidence: Evidence) -> dict[str, Any]:
    """The file's content with the fitted coefficients in place."""
    eras = []
    for era in shipped["vllm"]:
        fitted = fit(evidence, kvsim.overhead_model("vllm", f"{era['since']}.0"))
        changed = {key: table(getattr(fitted, name), unit) for key, (name, unit) in FITTED.items()}
        changed["non_torch_tp_gib"] = [table(c, kvsim.GiB) for c in fitted.non_torch_tp_bytes]
        is_old = parse(era["since"]) < REFITTED_UNTIL
        eras.append({**era, **(changed if is_old else {key: changed[key] for key in WEIGHTS})})
    return {**shipped, "vllm": eras}


def parse(since: str) -> tuple[int, ...]:
    """A version of the file as numbers."""
    return tuple(int(part) for part in since.split("."))


def table(coefficient: kvsim.Coefficient, unit: int) -> dict[str, Any]:
    """A coefficient in the file's unit."""
    ends = {name: round(getattr(coefficient, name) / unit, DIGITS) for name in ENDS}
    return {**ends, "source": coefficient.source}


def render(content: Mapping[str, Any]) -> str:
    """The content as TOML: an array of tables per engine, coefficients inline."""
    lines = [HEADER]
    for engine, eras in content.items():
        for era in eras:
            lines.append(f"[[{key_text(engine)}]]")
            lines += [f"{key} = {value_text(value)}" for key, value in era.items()]
            lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def key_text(name: str) -> str:
    """A key, quoted where TOML would split it."""
    return value_text(name) if "." in name else name


def value_text(value: object) -> str:
    """A string, number, inline table or list of tables in TOML."""
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, Mapping):
        inner = ", ".join(f"{key} = {value_text(item)}" for key, item in value.items())
        return f"{{ {inner} }}"
    if isinstance(value, list):
        return "[\n" + "".join(f"  {value_text(item)},\n" for item in value) + "]"
    return repr(value)
