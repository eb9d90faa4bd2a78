"""`python -m validation live with-and-without`: the same greedy answer with a cache and without.

Both must give the same tokens; seconds and operations are fitted as powers of the length.
"""

import argparse
import json
import math
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import kvsim
from validation.live import device as devices
from validation.live.device import Device
from validation.live.extras import load
from validation.live.provenance import SCHEMA_VERSION, provenance
from validation.live.subject import Subject, cache_word, from_config, from_name, read_config

EXIT_SAME, EXIT_DIFFERENT = 0, 3
LENGTHS = (64, 128, 256, 512)
PROMPT = 16
MEGA = 1e6
CONFIG = {
    "model_type": "llama",
    "hidden_size": 256,
    "intermediate_size": 512,
    "num_hidden_layers": 4,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "vocab_size": 512,
    "max_position_embeddings": 2048,
    "tie_word_embeddings": True,
    "dtype": "float32",
}
"""Large enough that matrices cost more than calling them, small enough for a minute on a CPU."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One greedy answer: its tokens, and what it took; `counted_flops` is torch's own count.

    torch has no formula for the CPU's fused attention: there it counts the matrices alone, and
    `predicted_flops` is above it by what attention takes.
    """

    uses_cache: bool
    num_prompt_tokens: int
    num_output_tokens: int
    prefill_s: float
    decode_s: float
    predicted_flops: int
    counted_flops: int
    tokens: tuple[int, ...]

    @property
    def total_s(self) -> float:
        """Both phases."""
        return self.prefill_s + self.decode_s

    def as_dict(self) -> dict[str, Any]:
        """The figures as plain values, without the tokens."""
        figures = {name: value for name, value in asdict(self).items() if name != "tokens"}
        later = max(1, self.num_output_tokens - 1)
        return figures | {
            "total_s": self.total_s,
            "s_per_token": self.decode_s / later,
            "achieved_flops_per_s": self.counted_flops / self.total_s,
        }


def main(argv: Sequence[str]) -> int:
    """Answer at every length both ways and report.

    Returns:
        0 if both gave the same tokens at every length, else 3.
    """
    args = parse(argv)
    torch = load("torch")
    if args.threads:
        torch.set_num_threads(args.threads)
    device = devices.select(args.device)
    subject = subject_of(args, device.torch_name)
    pairs = [pair(subject, length, device, args.seed) for length in args.lengths]
    facts = provenance(
        backend="with-and-without", arguments=argv, device=device.describe(), seed=args.seed
    )
    threads = {"dtype": subject.dtype, "threads": torch.get_num_threads()}
    record = {"schema_version": SCHEMA_VERSION, "kind": "with-and-without"}
    record |= {"provenance": facts | threads, **summary(pairs)}
    if args.output:
        args.output.write_text(json.dumps(record, indent=1) + "\n", "utf-8")
    if args.json:
        print(json.dumps(record))
    else:
        show(record)
    return EXIT_SAME if record["identical_tokens"] else EXIT_DIFFERENT


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """The flags."""
    parser = argparse.ArgumentParser(
        prog="python -m validation live with-and-without", description=__doc__
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--config", type=Path, help="config.json: random weights")
    which.add_argument("--model", help="a folder or a hub's id")
    parser.add_argument("--lengths", type=int, nargs="+", default=list(LENGTHS))
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args(argv)
    if min(args.lengths) < 2:
        parser.error(f"argument --lengths: {min(args.lengths)} must be >= 2")
    return args


def subject_of(args: argparse.Namespace, device: str) -> Subject:
    """The user's model, or a small one of random weights."""
    if args.model:
        return from_name(args.model, dtype=args.dtype, device=device)
    config = read_config(args.config) if args.config else CONFIG
    return from_config(config, name="random", dtype=args.dtype, device=device, seed=args.seed)


def pair(subject: Subject, length: int, device: Device, seed: int) -> tuple[Answer, Answer]:
    """The same answer of `length` tokens with a cache and without."""
    ids = subject.prompt(PROMPT, 1, seed)
    return (
        answer(subject, ids, length, device, uses_cache=True),
        answer(subject, ids, length, device, uses_cache=False),
    )


def answer(
    subject: Subject,
    ids: Any,  # noqa: ANN401 - a tensor
    length: int,
    device: Device,
    *,
    uses_cache: bool,
) -> Answer:
    """One timed answer, and one whose operations are counted."""
    generate(subject, ids, 2, device, uses_cache=uses_cache)  # workspaces
    tokens, prefill_s, decode_s = generate(subject, ids, length, device, uses_cache=uses_cache)
    counter = load("torch.utils.flop_counter").FlopCounterMode(display=False)
    with counter:
        generate(subject, ids, length, device, uses_cache=uses_cache)
    predict = kvsim.decode_total_flops if uses_cache else kvsim.uncached_total_flops
    prompt = ids.shape[1]
    steps = length - 1  # the first token comes of the prompt
    if uses_cache:
        flops = predict(subject.spec, num_prompt_tokens=prompt, num_output_tokens=steps)
        flops += kvsim.uncached_total_flops(
            subject.spec, num_prompt_tokens=prompt - 1, num_output_tokens=1
        )
    else:
        flops = predict(subject.spec, num_prompt_tokens=prompt - 1, num_output_tokens=length)
    return Answer(
        uses_cache=uses_cache,
        num_prompt_tokens=prompt,
        num_output_tokens=length,
        prefill_s=prefill_s,
        decode_s=decode_s,
        predicted_flops=flops,
        counted_flops=counter.get_total_flops(),
        tokens=tokens,
    )


def generate(
    subject: Subject,
    ids: Any,  # noqa: ANN401 - a tensor
    length: int,
    device: Device,
    *,
    uses_cache: bool,
) -> tuple[tuple[int, ...], float, float]:
    """Tokens, seconds to the first, seconds of the others."""
    torch = load("torch")
    tokens, given, cache = [], ids, None
    word = cache_word(subject.model)
    stamps = [time.perf_counter()]
    with torch.no_grad():
        for _ in range(length):
            out = subject.model(
                input_ids=given, **{word: cache}, use_cache=uses_cache, logits_to_keep=1
            )
            token = out.logits[:, -1:].argmax(-1)
            cache = getattr(out, word) if uses_cache else None
            given = token if uses_cache else torch.cat([given, token], dim=1)
            tokens.append(token)
            if len(tokens) == 1:
                device.wait()
                stamps.append(time.perf_counter())
    device.wait()
    stamps.append(time.perf_counter())
    plain = tuple(int(token) for token in tokens)
    return plain, stamps[1] - stamps[0], stamps[2] - stamps[1]


def exponent(lengths: Sequence[float], values: Sequence[float]) -> float:
    """The power of the length that fits best: least squares on logarithms.

    Example:
        >>> round(exponent([1, 2, 4], [3, 12, 48]), 6)
        2.0
    """
    xs, ys = [math.log(x) for x in lengths], [math.log(y) for y in values]
    mean_x, mean_y = sum(xs) / len(xs), sum(ys) / len(ys)
    spread = sum((x - mean_x) ** 2 for x in xs)
    if not spread:
        msg = f"lengths={list(lengths)} must differ, or nothing can be fitted"
        raise kvsim.SpecError(msg)
    return sum((x - mean_x) * (y - mean_y) for x, y in zip(xs, ys, strict=True)) / spread


def summary(pairs: Sequence[tuple[Answer, Answer]]) -> dict[str, Any]:
    """Answers, whether tokens agree, and the fitted exponents of each way."""
    lengths = [cached.num_prompt_tokens + cached.num_output_tokens for cached, _ in pairs]
    fitted = {}
    if len(set(lengths)) > 1:
        for name, answers in zip(("cached", "uncached"), zip(*pairs, strict=True), strict=True):
            rows = [one.as_dict() for one in answers]
            fitted[name] = {
                figure: exponent(lengths, [row[figure] for row in rows])
                for figure in ("total_s", "s_per_token", "predicted_flops", "counted_flops")
            }
    return {
        "identical_tokens": all(cached.tokens == plain.tokens for cached, plain in pairs),
        "exponents": fitted,
        "answers": [one.as_dict() for both in pairs for one in both],
    }


def show(record: Mapping[str, Any]) -> None:
    """A table of answers, then the exponents."""
    where = record["provenance"]["device"]
    sys.stdout.write(f"measured on {where['kind']}: {where['name']}\n")
    for row in record["answers"]:
        way = "cached" if row["uses_cache"] else "uncached"
        sys.stdout.write(
            f"{way:<9} {row['num_output_tokens']:>6} tokens {row['total_s']:>9.3f} s"
            f" {row['s_per_token'] * 1000:>8.2f} ms/token"
            f" {row['predicted_flops'] / MEGA:>12,.1f} MFLOP predicted"
            f" {row['counted_flops'] / MEGA:>12,.1f} counted\n"
        )
    for way, fitted in record["exponents"].items():
        text = ", ".join(f"{name} ~ n^{power:.2f}" for name, power in fitted.items())
        sys.stdout.write(f"{way}: {text}\n")
    same = "identical" if record["identical_tokens"] else "DIFFERENT"
    sys.stdout.write(f"tokens: {same}\n")
