"""`python -m validation live transformers`: caches of transformers against their prediction."""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import kvsim
from validation.live import calibrate
from validation.live import device as devices
from validation.live.architectures import ARCHITECTURES, Architecture, find, load_rows, resized
from validation.live.extras import load
from validation.live.ladder import JUDGED_BYTES, Outcome, Rung, Status, climb
from validation.live.provenance import SCHEMA_VERSION, provenance
from validation.live.subject import Subject, from_config, from_name, read_config

EXIT_EXACT, EXIT_WRONG = 0, 3
PROMPTS, BATCHES, DECODED = (16, 48), (1, 3), 3
STATIC_SPARE = 8
"""Slots that a static cache has beyond prompt and decoded tokens."""

GROUP, RESIDUAL = 32, 2
"""Small enough that a few decode steps fill a quantised cache's residual."""

LEAST_DECODED = 2
"""After one step a window's storage is what it stays."""


def main(argv: Sequence[str]) -> int:
    """Climb the ladder and report.

    Returns:
        0 if every rung that was measured is as predicted, else 3.
    """
    args = parse(argv)
    torch = load("torch")
    if args.threads:
        torch.set_num_threads(args.threads)
    found = [devices.select(args.device, index=index) for index in args.device_index]
    if args.calibration and found[0].context_bytes() is None:
        msg = "calibration is of a GPU's memory, and this is a CPU"
        raise kvsim.UnsupportedError(msg)
    outcomes: list[Outcome] = []
    measured = [figures for device in found for figures in stand(args, device, outcomes)]
    record = {
        "schema_version": SCHEMA_VERSION,
        "kind": "live-transformers",
        "provenance": origin(found, args, argv),
        **{str(status): count(outcomes, status) for status in Status},
        "rungs": [outcome.as_dict() for outcome in outcomes],
    }
    if args.output:
        args.output.write_text(json.dumps(record, indent=1) + "\n", "utf-8")
    if measured:
        calibrate.write(args.calibration, measured[0], record["provenance"])
    if args.json:
        print(json.dumps(record))
    else:
        summarize(record, outcomes)
    return EXIT_WRONG if count(outcomes, Status.WRONG) else EXIT_EXACT


def stand(
    args: argparse.Namespace, device: devices.Device, outcomes: list[Outcome]
) -> Iterator[calibrate.Measured]:
    """Every rung on a device, added to the outcomes; the figures of a calibration if asked for."""
    index = device.describe().get("index")
    for subject, rungs in subjects(args, device.torch_name):
        for outcome in climb(subject, rungs, device, seed=args.seed):
            where = {} if index is None else {"device_index": int(str(index))}
            outcomes.append(replace(outcome, notes={**outcome.notes, **where}))
            print(line(outcome), file=sys.stderr if args.json else sys.stdout, flush=True)
        if args.calibration:
            tokens = args.step_tokens
            yield calibrate.measure(subject, device, step_tokens=tokens, seed=args.seed)


def origin(
    found: Sequence[devices.Device], args: argparse.Namespace, argv: Sequence[str]
) -> dict[str, Any]:
    """Where a record comes from: the first device is `device`, all of several are `devices`."""
    described = [device.describe() for device in found]
    others = [seen.line for device in found if (seen := device.others())]
    facts = provenance(
        backend="transformers", arguments=argv, device=described[0], seed=args.seed
    ) | {"dtype": args.dtype, "others": "; ".join(others) or None}
    return facts if len(found) == 1 else facts | {"devices": described}


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """The flags."""
    parser = argparse.ArgumentParser(
        prog="python -m validation live transformers", description=__doc__
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--config", type=Path, help="config.json: random weights, no download")
    which.add_argument("--model", help="a folder or a hub's id: its own weights")
    which.add_argument(
        "--census", nargs="*", metavar="ROW", help="recorded tiny configs; all: none"
    )
    parser.add_argument("--prompts", type=positive, nargs="+", default=list(PROMPTS))
    parser.add_argument("--batches", type=positive, nargs="+", default=list(BATCHES))
    parser.add_argument("--decoded", type=positive, default=DECODED, help="decode steps, >= 2")
    caches = [str(kind) for kind in kvsim.CacheImplementation]
    parser.add_argument("--caches", nargs="+", choices=caches, default=caches)
    parser.add_argument("--witness", action="store_true", help="add a large rung per census row")
    parser.add_argument("--dtype", choices=("bfloat16", "float16", "float32"), default="bfloat16")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--device-index", type=int, nargs="+", default=[0], help="one or more")
    parser.add_argument("--threads", type=positive, help="torch's threads")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, help="write the record here")
    parser.add_argument("--calibration", type=Path, help="write a CUDA device's figures here")
    parser.add_argument(
        "--step-tokens", type=positive, help="calibrate a step's activations, too: its tokens"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    args = parser.parse_args(argv)
    if args.decoded < LEAST_DECODED:
        parser.error(f"argument --decoded: {args.decoded} must be >= {LEAST_DECODED}")
    if args.step_tokens and not (args.model or args.config):
        parser.error("argument --step-tokens: needs --model or --config: activations are a model's")
    return args


def positive(text: str) -> int:
    """A whole number above 0."""
    value = int(text)
    if value < 1:
        msg = f"{value} must be >= 1"
        raise argparse.ArgumentTypeError(msg)
    return value


def subjects(args: argparse.Namespace, device: str) -> Iterator[tuple[Subject, list[Rung]]]:
    """Each model with its rungs; without a name the recorded architectures."""
    if args.model:
        yield from_name(args.model, dtype=args.dtype, device=device), list(rungs(args))
    elif args.config:
        config = read_config(args.config)
        subject = from_config(
            config, name=args.config.name, dtype=args.dtype, device=device, seed=args.seed
        )
        yield subject, list(rungs(args))
    else:
        rows = load_rows()
        for architecture in [find(name) for name in args.census or ()] or ARCHITECTURES:
            row = rows[architecture.row]
            subject = from_config(
                resized(row["config"]),
                name=architecture.row,
                dtype=args.dtype,
                device=device,
                seed=args.seed,
                cls=row["arch_class"],
            )
            yield subject, [*rungs(args), *witness(args, architecture)]


def rungs(args: argparse.Namespace) -> Iterator[Rung]:
    """Every cache class at every prompt and batch size, smallest first."""
    for name in args.caches:
        for prompt in args.prompts:
            for batch in args.batches:
                yield Rung(
                    cache=settings(name, prompt + args.decoded),
                    num_prompt_tokens=prompt,
                    num_decoded_tokens=args.decoded,
                    batch_size=batch,
                )


def witness(args: argparse.Namespace, architecture: Architecture) -> Iterator[Rung]:
    """A rung whose cache is large enough to be held against the allocator."""
    if args.witness:
        yield Rung(
            cache=kvsim.Transformers(),
            num_prompt_tokens=architecture.witness_prompt,
            num_decoded_tokens=args.decoded,
            batch_size=architecture.witness_batch,
        )


def settings(name: str, num_tokens: int) -> kvsim.Transformers:
    """The settings for a cache class."""
    kind = kvsim.CacheImplementation(name)
    length = num_tokens + STATIC_SPARE if kind is kvsim.CacheImplementation.STATIC else None
    return kvsim.Transformers(
        cache_implementation=kind,
        max_cache_len=length,
        q_group_size=GROUP,
        residual_length=RESIDUAL,
    )


def count(outcomes: Sequence[Outcome], status: Status) -> int:
    """Rungs that ended so."""
    return sum(outcome.status is status for outcome in outcomes)


def line(outcome: Outcome) -> str:
    """One rung on one line."""
    held = outcome.measured.get("decode_storage_bytes")
    size = "" if held is None else f"  {held:>12,} bytes"
    reason = f"  {outcome.reason}" if outcome.reason else ""
    return f"{outcome.subject:<26} {outcome.rung:<32} {outcome.status}{size}{reason}"


def summarize(record: dict[str, Any], outcomes: Sequence[Outcome]) -> None:
    """What was measured on what, and the count."""
    facts = record["provenance"]
    where = facts["device"]
    print(f"measured on {where['kind']}: {where['name']}, {facts['dtype']}, {facts['versions']}")
    if where["kind"] == "cpu":
        print("host memory, not VRAM: storages are the same on any device, an allocator is not")
    if facts["others"]:
        print(facts["others"])
    for kind, share in reserved_shares(outcomes).items():
        print(f"{kind} caches: up to {share:.2f} times as much is reserved as they hold")
    measured = count(outcomes, Status.EXACT) + count(outcomes, Status.WRONG)
    for status in (Status.SKIPPED, Status.REFUSED, Status.OUT_OF_MEMORY):
        if number := count(outcomes, status):
            print(f"{number} rungs {status}")
    print(f"{count(outcomes, Status.EXACT)} of {measured} exact")


def reserved_shares(outcomes: Sequence[Outcome]) -> dict[str, float]:
    """Memory that the allocator reserved while a cache grew, over the cache's; the most, by class.

    Of caches that are large enough for a segment's rounding not to show.
    """
    shares: dict[str, float] = {}
    for outcome in outcomes:
        held = outcome.measured.get("decode_storage_bytes", 0)
        reserved = outcome.notes.get("decode_reserved_bytes")
        if reserved is not None and held >= JUDGED_BYTES:
            kind = outcome.case["cache"]["cache_implementation"]
            shares[kind] = max(shares.get(kind, 0.0), reserved / held)
    return shares
