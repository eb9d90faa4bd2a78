"""The ladder: a cache's prediction against what it really takes, rung by rung."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import kvsim
from validation.live.appends import meter_of
from validation.live.caches import missing_package, new_cache, self_cache
from validation.live.device import Device, rss_bytes
from validation.live.extras import load
from validation.live.predicted import predict
from validation.live.rung import Outcome, Rung, Status
from validation.live.storages import Holdings, holdings
from validation.live.subject import Generation, Subject

JUDGED_BYTES = 8 * 2**20
"""Caches from here on are held against the allocator; below, its own rounding shows."""

TOLERANCE = 0.005
"""Share by which what the allocator gave out may differ from the prediction."""

LOGITS_COPIES = 3
"""Copies of a prompt's float32 logits that a step may need beside its cache; a guard, no claim."""

FLOAT32_BYTES = 4
PHASES = ("prefill", "decode")


def climb(
    subject: Subject, rungs: Sequence[Rung], device: Device, *, seed: int
) -> Iterator[Outcome]:
    """Every rung's outcome; after memory ran out, larger rungs of that kind are skipped."""
    last_good = ""
    for rung in rungs:
        outcome = stand_on(subject, rung, device, seed=seed)
        if outcome.status is Status.OUT_OF_MEMORY:
            reason = f"{outcome.reason}; the last good rung: {last_good or 'none'}"
            yield replace(outcome, reason=reason)
            return
        if outcome.status is Status.EXACT:
            last_good = rung.name
        yield outcome


def stand_on(subject: Subject, rung: Rung, device: Device, *, seed: int) -> Outcome:
    """One rung: predicted first, then measured twice, for memory and for the append."""
    torch = load("torch")

    def ended(status: Status, reason: str) -> Outcome:
        return Outcome(
            subject=subject.name,
            rung=rung.name,
            case=rung.as_dict(),
            status=status,
            reason=reason,
        )

    if package := missing_package(rung.cache):
        return ended(Status.SKIPPED, f"{package} is not installed")
    try:
        predicted = predict(
            subject.spec,
            rung,
            dtype=subject.dtype,
            is_encoder_decoder=subject.is_encoder_decoder,
        )
    except kvsim.KvsimError as error:
        return ended(Status.REFUSED, str(error))
    needed, available = guard_bytes(subject, rung, predicted), device.available_bytes()
    if needed > available:
        return ended(Status.SKIPPED, f"needs {needed:,} bytes, {available:,} are available")
    try:
        return measure(subject, rung, device, predicted, seed=seed)
    except (torch.OutOfMemoryError, MemoryError) as error:
        reason = str(error)
    except RuntimeError as error:  # the CPU's allocator has no error of its own
        if "allocate memory" not in str(error):
            raise
        reason = str(error)
    device.settle()
    return ended(Status.OUT_OF_MEMORY, reason.splitlines()[0] if reason else "out of memory")


def guard_bytes(subject: Subject, rung: Rung, predicted: dict[str, int]) -> int:
    """What a rung may need at most: its cache twice, and the logits of its prompt."""
    vocabulary = subject.config.get_text_config(decoder=True).vocab_size
    logits = rung.batch_size * rung.num_prompt_tokens * vocabulary * FLOAT32_BYTES
    return 2 * max(predicted.values()) + LOGITS_COPIES * logits


def measure(
    subject: Subject, rung: Rung, device: Device, predicted: dict[str, int], *, seed: int
) -> Outcome:
    """A warm-up, a generation for memory and time, and one for the append."""
    ids = subject.prompt(rung.num_prompt_tokens, rung.batch_size, seed)
    warm = Generation(subject, new_cache(subject, rung.cache))  # workspaces exist from here on
    for phase in PHASES:
        advance(warm, ids, rung, phase, device)
    del warm
    device.settle()
    base, reserved = device.allocated_bytes(), device.reserved_bytes() or 0
    generation = Generation(subject, new_cache(subject, rung.cache))
    measured: dict[str, int] = {}
    seconds: dict[str, float] = {}
    notes: dict[str, int] = {}
    for phase in PHASES:
        device.reset_peak()
        seconds[phase] = advance(generation, ids, rung, phase, device)
        held = holdings(generation.cache)
        measured[f"{phase}_live_bytes"] = held.live_bytes
        measured[f"{phase}_storage_bytes"] = held.storage_bytes
        notes |= allocator_notes(
            phase, generation, held, device=device, base=base, reserved=reserved
        )
    notes["rss_bytes"] = rss_bytes()
    del generation
    if "append_transient_bytes" in predicted:
        measured["append_transient_bytes"] = transient(subject, rung, device, ids)
    wrong = differing(predicted, measured | notes, device)
    return Outcome(
        subject=subject.name,
        rung=rung.name,
        case=rung.as_dict(),
        status=Status.WRONG if wrong else Status.EXACT,
        predicted=predicted,
        measured=measured,
        seconds=seconds,
        notes=notes,
        reason=f"differs in {', '.join(wrong)}" if wrong else "",
    )


def advance(
    generation: Generation,
    ids: Any,  # noqa: ANN401 - a tensor
    rung: Rung,
    phase: str,
    device: Device,
) -> float:
    """Seconds of one phase."""
    device.wait()
    start = time.perf_counter()
    if phase == "prefill":
        generation.prefill(ids)
    else:
        for _ in range(rung.num_decoded_tokens):
            generation.decode()
    device.wait()
    return time.perf_counter() - start


def allocator_notes(
    phase: str,
    generation: Generation,
    held: Holdings,
    *,
    device: Device,
    base: int,
    reserved: int,
) -> dict[str, int]:
    """What the allocator says, less what a generation keeps beside its cache."""
    peak, before = device.peak_bytes(), device.reserved_bytes()
    device.settle()
    beside = holdings([generation.encoder_output]).rounded_bytes(device.grain_bytes)
    notes = {
        f"{phase}_growth_bytes": device.allocated_bytes() - base - beside,
        f"{phase}_rounded_bytes": held.rounded_bytes(device.grain_bytes),
    }
    if peak is not None:
        notes[f"{phase}_peak_bytes"] = peak - base
    if before is not None:
        notes[f"{phase}_reserved_bytes"] = before - reserved
        notes[f"{phase}_reserved_growth_bytes"] = (device.reserved_bytes() or 0) - reserved
    return notes


def transient(subject: Subject, rung: Rung, device: Device, ids: Any) -> int:  # noqa: ANN401
    """The most that appending one token took for a moment in the last decode step."""
    meter = meter_of(device)
    with meter.opened():
        generation = Generation(subject, new_cache(subject, rung.cache))
        generation.prefill(ids)
        for _ in range(rung.num_decoded_tokens - 1):
            generation.decode()
        own = self_cache(generation.cache)
        own.update = meter.watch(own.update)
        generation.decode()
        del own.update
    return max(meter.transients, default=0)


def differing(predicted: dict[str, int], measured: dict[str, int], device: Device) -> list[str]:
    """Names of the figures that are not as predicted; the allocator's within its bound."""
    wrong = [
        name
        for name, value in predicted.items()
        if abs(measured[name] - value) > slack_bytes(name, device)
    ]
    for phase in PHASES:
        storage, growth = predicted[f"{phase}_storage_bytes"], measured[f"{phase}_growth_bytes"]
        if judges(storage, device) and abs(growth - storage) > TOLERANCE * storage:
            wrong.append(f"{phase}_growth_bytes")
    return wrong


def judges(storage: int, device: Device) -> bool:
    """Whether a cache is large enough for the allocator to bear witness, and is counted at all."""
    return storage >= JUDGED_BYTES and device.has_witness


def slack_bytes(name: str, device: Device) -> int:
    """Rounding that a figure of the allocator's may show: two tensors', for keys and values."""
    if name.startswith("append") and device.grain_bytes > 1:
        return 2 * device.grain_bytes
    return 0
