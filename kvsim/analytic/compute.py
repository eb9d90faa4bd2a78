"""Operations and bytes of prefill and decode, with and without a cache, and what binds them."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from kvsim.analytic.weights import Part
from kvsim.errors import SpecError
from kvsim.message import Message
from kvsim.specs.hardware import Accelerator
from kvsim.specs.model import ModelSpec

CROSSOVER_LIMIT = 2**30  # tokens; no model is used past it


class Bound(StrEnum):
    """What limits a phase."""

    COMPUTE = "compute"
    BANDWIDTH = "bandwidth"
    CAPACITY = "capacity"


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What one phase computes and reads.

    `attention_flops` grows with context, `matmul_flops` does not; `state_flops` belongs to
    recurrent layers. Bytes are weights read once, and cache read or written.
    """

    matmul_flops: int
    attention_flops: int
    state_flops: int
    weights_read_bytes: int
    cache_bytes: int

    @property
    def flops(self) -> int:
        """Every floating-point operation."""
        return self.matmul_flops + self.attention_flops + self.state_flops

    @property
    def bytes_moved(self) -> int:
        """Every byte that must cross the memory bus."""
        return self.weights_read_bytes + self.cache_bytes

    @property
    def intensity(self) -> float:
        """Arithmetic intensity: operations per byte moved."""
        return self.flops / self.bytes_moved


@dataclass(frozen=True, slots=True, kw_only=True)
class Compute:
    """Work of a prompt and of the next token, with a cache and by recomputing everything.

    `crossover_tokens` is the context at which a cached step's attention costs as much as its
    matrix products; None if it never does.
    """

    prefill: Work
    decode_step: Work
    uncached_decode_step: Work
    crossover_tokens: int | None


def decode_total_flops(model: ModelSpec, *, num_prompt_tokens: int, num_output_tokens: int) -> int:
    """Operations of a whole cached answer: linear in the matrices, quadratic in attention.

    Raises:
        SpecError: if the weights are unknown.
    """
    stop = num_prompt_tokens + num_output_tokens
    steps = position_flops(model, num_prompt_tokens, stop).flops
    return steps + 2 * model.num_head_parameters * (num_output_tokens - 1)


def uncached_total_flops(
    model: ModelSpec, *, num_prompt_tokens: int, num_output_tokens: int
) -> int:
    """Operations of the same answer when every step recomputes all tokens before it.

    The matrices become quadratic and attention cubic in the length.

    Raises:
        SpecError: if the weights are unknown.
    """
    lengths = range(num_prompt_tokens + 1, num_prompt_tokens + num_output_tokens + 1)
    return sum(position_flops(model, 0, length).flops for length in lengths)


def compute(
    model: ModelSpec,
    *,
    weights: Sequence[Part],
    weights_bytes: int,
    num_tokens: int,
    cache_bytes: int,
    batch_size: int = 1,
) -> Compute:
    """Work of prefilling `num_tokens` and of one decode step after them.

    Args:
        model: the model; its weights must be known.
        weights: bytes by role on one rank; empty where only the total is known.
        weights_bytes: all weights (bytes, all ranks).
        num_tokens: context of each sequence (tokens, >= 1).
        cache_bytes: cache of one sequence at `num_tokens` (bytes, all ranks).
        batch_size: sequences that share a step.

    Raises:
        SpecError: if the weights are unknown.

    Source:
        Two operations per parameter and token, and per query-key pair two per element for the
        score and two for the value (Kaplan et al., arXiv 2001.08361, section 2.1).
    """
    step = position_flops(model, num_tokens - 1, num_tokens)
    whole = position_flops(model, 0, num_tokens)
    read_in_step = round(weights_bytes * read_share(model, weights, num_tokens=batch_size))
    tokens = batch_size * num_tokens
    read_in_prefill = round(weights_bytes * read_share(model, weights, num_tokens=tokens))
    cached = batch_size * cache_bytes
    return Compute(
        prefill=_work(whole, batch_size, read_in_prefill, cached),
        decode_step=_work(step, batch_size, read_in_step, cached),
        uncached_decode_step=_work(whole, batch_size, read_in_prefill, 0),
        crossover_tokens=crossover_tokens(model),
    )


def read_share(model: ModelSpec, weights: Sequence[Part], *, num_tokens: int) -> float:
    """Share of the weights' bytes that a step over `num_tokens` tokens reads.

    Tables that are only looked up are not read. Of E experts of which each token takes k, a
    step reads the expected number of distinct ones, E (1 - (1 - k / E)^n), routing being even.
    """
    touched: dict[str, float] = {}
    stored: dict[str, float] = {}
    for group in model.weights:
        untouched = (1 - group.active / group.num_params) ** num_tokens if group.active else 1.0
        stored[group.name] = stored.get(group.name, 0) + group.count * group.num_params
        share = group.count * group.num_params * (1 - untouched)
        touched[group.name] = touched.get(group.name, 0) + share
    if not weights:
        return sum(touched.values()) / sum(stored.values())
    total = sum(part.num_bytes for part in weights)
    read = sum(part.num_bytes * touched[part.name] / stored[part.name] for part in weights)
    return read / total


def bound(work: Work, accelerator: Accelerator, *, num_bytes: int) -> Bound:
    """Whether operations or memory traffic take longer on this device.

    Raises:
        SpecError: if the device's speed is not known.
    """
    ridge = ridge_point(accelerator, num_bytes=num_bytes)
    return Bound.COMPUTE if work.intensity >= ridge else Bound.BANDWIDTH


def ridge_point(accelerator: Accelerator, *, num_bytes: int) -> float:
    """Operations per byte at which compute and bandwidth take equally long.

    Source:
        Williams et al., Roofline, CACM 52(4), 2009.

    Raises:
        SpecError: if the device's speed or bandwidth is not known.
    """
    flops = accelerator.flops_per_s(num_bytes=num_bytes)
    bandwidth = accelerator.memory_bandwidth_bytes_per_s
    if flops is None or bandwidth is None:
        msg = Message(
            "gpu={name}: its operations or bytes per second are not known", name=accelerator.name
        )
        raise SpecError(msg)
    return flops / bandwidth


@dataclass(frozen=True, slots=True)
class PositionFlops:
    """Operations of some positions, by what they belong to."""

    matmul: int
    attention: int
    state: int

    @property
    def flops(self) -> int:
        """All of them."""
        return self.matmul + self.attention + self.state


def position_flops(model: ModelSpec, start: int, stop: int) -> PositionFlops:
    """Operations of one step over positions start .. stop - 1, all before them cached.

    The output head works on the last position only.
    """
    active, head = model.num_active_parameters, model.num_head_parameters
    if active is None:
        msg = Message(
            "weights are unknown, so operations are too: {why}", why=model.why_weights_are_unknown
        )
        raise SpecError(msg)
    attention = state = 0
    for group in model.layer_groups:
        for behaviour in group.layer:
            pair = behaviour.pair_flops()
            if pair:
                attention += group.count * pair * behaviour.attended_tokens(start, stop)
            state += group.count * behaviour.state_flops() * (stop - start)
    matmul = 2 * ((active - head) * (stop - start) + head)
    return PositionFlops(matmul, attention, state)


def _work(flops: PositionFlops, batch_size: int, weights: int, cache: int) -> Work:
    return Work(
        matmul_flops=flops.matmul * batch_size,
        attention_flops=flops.attention * batch_size,
        state_flops=flops.state * batch_size,
        weights_read_bytes=weights,
        cache_bytes=cache,
    )


def crossover_tokens(model: ModelSpec) -> int | None:
    """The smallest context at which one step's attention reaches its matrix products."""
    low, high = 1, CROSSOVER_LIMIT

    def reached(length: int) -> bool:
        step = position_flops(model, length - 1, length)
        return step.attention >= step.matmul

    if not reached(high):
        return None
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if reached(middle) else (middle + 1, high)
    return low
