"""`python -m validation live quantisation`: what storing keys and values in fewer bits costs.

A tiny model is trained for a bounded time on sequences that repeat, so that its predictions hang
on what it cached; then each format's round trip goes between the model and its cache. Divergence
and agreement are against the same model with a bfloat16 cache.
"""

import argparse
import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import kvsim
from validation.live import device as devices
from validation.live.caches import new_cache
from validation.live.extras import load
from validation.live.provenance import SCHEMA_VERSION, provenance
from validation.live.subject import Subject, cache_word, from_config, from_name

CONFIG = {
    "model_type": "llama",
    "hidden_size": 128,
    "intermediate_size": 256,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "vocab_size": 64,
    "max_position_embeddings": 256,
    "dtype": "float32",
}
LENGTH, PERIOD = 96, 24
"""Tokens of a sequence, and after how many it repeats itself."""

BATCH, EVALUATED = 32, 32  # sequences of a training step, and of the evaluation
LEARNING_RATE = 3e-3
GROUP = 32  # values that share a scale and a zero point
TRAIN_SECONDS = 40.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """A way to store: float formats by torch's name, integers by their bits."""

    name: str
    float_name: str | None = None
    bits: int | None = None


FORMATS = (
    Format(name="bfloat16"),
    Format(name="fp8_e4m3", float_name="float8_e4m3fn"),
    Format(name="fp8_e5m2", float_name="float8_e5m2"),
    Format(name="int8", bits=8),
    Format(name="int4", bits=4),
    Format(name="int2", bits=2),
)


def main(argv: Sequence[str]) -> int:
    """Train or load, measure every format, report; always 0."""
    args = parse(argv)
    torch = load("torch")
    if args.threads:
        torch.set_num_threads(args.threads)
    device = devices.select(args.device)
    subject, trained = subject_of(args, device.torch_name)
    ids = sequences(subject, EVALUATED, args.seed + 1)
    reference = predictions(subject, ids, FORMATS[0])
    rows = [cost(subject, ids, reference, stored) for stored in FORMATS]
    facts = provenance(
        backend="quantisation", arguments=argv, device=device.describe(), seed=args.seed
    )
    record = {
        "schema_version": SCHEMA_VERSION,
        "kind": "quantisation",
        "provenance": facts | {"dtype": "bfloat16"},
        "training": trained,
        "formats": rows,
    }
    if args.output:
        args.output.write_text(json.dumps(record, indent=1) + "\n", "utf-8")
    if args.json:
        print(json.dumps(record))
    else:
        show(record)
    return 0


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """The flags."""
    parser = argparse.ArgumentParser(
        prog="python -m validation live quantisation", description=__doc__
    )
    parser.add_argument("--model", help="a folder or a hub's id, in place of the trained one")
    parser.add_argument("--train-seconds", type=float, default=TRAIN_SECONDS)
    parser.add_argument("--train-steps", type=int, help="stop after so many steps, too")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--json", action="store_true")
    return parser.parse_args(argv)


def subject_of(args: argparse.Namespace, device: str) -> tuple[Subject, dict[str, Any]]:
    """The user's model, or the trained one, in bfloat16; and how it was trained."""
    if args.model:
        return from_name(args.model, dtype="bfloat16", device=device), {}
    built = from_config(CONFIG, name="trained", dtype="float32", device=device, seed=args.seed)
    trained = train(built, seconds=args.train_seconds, steps=args.train_steps, seed=args.seed)
    model = built.model.to(load("torch").bfloat16).eval()
    spec = kvsim.load_model(CONFIG | {"dtype": "bfloat16"})
    subject = Subject(name="trained", model=model, spec=spec, device=device, dtype="bfloat16")
    return subject, trained


def sequences(subject: Subject, count: int, seed: int) -> Any:  # noqa: ANN401 - a tensor
    """Random ids that repeat with a period, int64, shape (count, LENGTH)."""
    period = subject.prompt(PERIOD, count, seed)
    return period.repeat(1, LENGTH // PERIOD)


def train(subject: Subject, *, seconds: float, steps: int | None, seed: int) -> dict[str, Any]:
    """Next-token training until the time or the steps are over."""
    torch = load("torch")
    model = subject.model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE)
    start, done, loss = time.perf_counter(), 0, float("nan")
    while time.perf_counter() - start < seconds and (steps is None or done < steps):
        ids = sequences(subject, BATCH, seed + 1000 + done)
        out = model(input_ids=ids, labels=ids, use_cache=False)
        optimizer.zero_grad()
        out.loss.backward()
        optimizer.step()
        loss = float(out.loss)
        done += 1
    return {"steps": done, "loss": loss, "seconds": time.perf_counter() - start}


def predictions(subject: Subject, ids: Any, stored: Format) -> Any:  # noqa: ANN401 - tensors
    """Log-probabilities of every next token, float32, with the cache in a format."""
    torch = load("torch")
    cache = new_cache(subject, kvsim.Transformers())
    update = cache.update

    def stores(keys: Any, values: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        return update(round_trip(keys, stored), round_trip(values, stored), *args, **kwargs)

    cache.update = stores
    taken = {cache_word(subject.model): cache}
    with torch.no_grad():
        logits = subject.model(input_ids=ids, **taken, use_cache=True).logits
    return torch.log_softmax(logits.float(), dim=-1)


def round_trip(tensor: Any, stored: Format) -> Any:  # noqa: ANN401 - a tensor
    """The values as the format gives them back.

    Integers have a scale and a zero point per group of values that lie together.
    """
    torch = load("torch")
    if stored.float_name:
        return tensor.to(getattr(torch, stored.float_name)).to(tensor.dtype)
    if stored.bits is None:
        return tensor
    groups = tensor.float().reshape(-1, GROUP)
    low, high = groups.amin(1, keepdim=True), groups.amax(1, keepdim=True)
    levels = 2**stored.bits - 1
    scale = ((high - low) / levels).clamp(min=torch.finfo(torch.float32).tiny)
    levels_of = ((groups - low) / scale).round()
    return (levels_of * scale + low).reshape(tensor.shape).to(tensor.dtype)


def cost(subject: Subject, ids: Any, reference: Any, stored: Format) -> dict[str, Any]:  # noqa: ANN401
    """Divergence and agreement with the reference, and the bytes of one sequence."""
    torch = load("torch")
    found = predictions(subject, ids, stored)
    divergence = torch.nn.functional.kl_div(found, reference, log_target=True, reduction="none")
    agree = (found.argmax(-1) == reference.argmax(-1)).float()
    target = ids[:, PERIOD + 1 :]
    hits = (found[:, PERIOD:-1].argmax(-1) == target).float()
    held, whole = (stored_bytes(subject, ids.shape[1], one) for one in (stored, FORMATS[0]))
    return {
        "format": stored.name,
        "kl_divergence_nats": max(0.0, float(divergence.sum(-1).mean())),
        "top1_agreement": float(agree.mean()),
        "repeated_token_accuracy": float(hits.mean()),
        "cache_bytes": held,
        "saved": 1 - held / whole,
    }


def stored_bytes(subject: Subject, num_tokens: int, stored: Format) -> int:
    """What kvsim says one sequence takes in the format; integers as a QuantizedCache packs them."""
    if stored.bits is None:
        name = stored.name if stored.float_name else "auto"
        found = kvsim.cache_bytes(subject.spec, num_tokens=num_tokens, kv_cache_dtype=name)
        return found.total_bytes
    settings = kvsim.Transformers(
        cache_implementation=kvsim.CacheImplementation.QUANTIZED,
        backend=kvsim.QuantizedBackend.HQQ,
        nbits=stored.bits,
        q_group_size=GROUP,
        num_decoded_tokens=0,
    )
    return kvsim.cache_bytes(subject.spec, num_tokens=num_tokens, engine=settings).total_bytes


def show(record: Mapping[str, Any]) -> None:
    """A table, a format a line."""
    training = record["training"]
    if training:
        sys.stdout.write(f"trained {training['steps']} steps, loss {training['loss']:.3f}\n")
    for row in record["formats"]:
        sys.stdout.write(
            f"{row['format']:<10} {row['cache_bytes']:>10,} bytes, {row['saved']:>6.1%} saved"
            f"  KL {row['kl_divergence_nats']:.2e} nats  top-1 {row['top1_agreement']:.2%}"
            f"  right {row['repeated_token_accuracy']:.2%}\n"
        )
