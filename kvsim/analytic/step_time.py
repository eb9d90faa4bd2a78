"""Seconds of a step from the roofline: whatever takes longer, operations or memory traffic."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from kvsim.analytic.compute import read_share
from kvsim.analytic.weights import Part
from kvsim.dtypes import DType
from kvsim.errors import SpecError
from kvsim.message import Message
from kvsim.specs.hardware import Accelerator
from kvsim.specs.model import ModelSpec


class Span(NamedTuple):
    """Positions of one sequence that a step computes: `start` .. `stop` - 1."""

    start: int
    stop: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Roofline:
    """What steps cost on one rank; the ranks of a tensor-parallel group work at once.

    It is a lower bound: kernels, launches and communication take what efficiencies below 1 say.

    Source:
        Williams et al., Roofline, CACM 52(4), 2009.
    """

    model: ModelSpec
    weights: Sequence[Part]  # bytes by role, for the share that a step reads
    weights_bytes: int  # over all stages of one tensor-parallel rank
    token_flops: float  # matrix products and states of one token
    sample_flops: float  # the output head on one position
    attention_flops: Sequence[float]  # entry p: of all positions before p
    cache_bytes: Sequence[int]  # entry n: what a sequence of n tokens reads
    flops_per_s: float
    bytes_per_s: float

    def seconds(self, spans: Iterable[Span]) -> float:
        """Seconds of a step that computes these spans, one for each sequence."""
        num_tokens = num_spans = num_cache_bytes = 0
        flops = 0.0
        for start, stop in spans:
            num_spans += 1
            num_tokens += stop - start
            flops += self.attention_flops[stop] - self.attention_flops[start]
            num_cache_bytes += self.cache_bytes[stop]
        if not num_tokens:
            return 0.0
        flops += self.token_flops * num_tokens + self.sample_flops * num_spans
        share = read_share(self.model, self.weights, num_tokens=num_tokens)
        num_bytes = self.weights_bytes * share + num_cache_bytes
        return max(flops / self.flops_per_s, num_bytes / self.bytes_per_s)


# long: reasons with their values, a value a line
def roofline(
    model: ModelSpec,
    accelerator: Accelerator,
    *,
    weights: Sequence[Part],
    weights_bytes: int,
    kv_dtype: DType,
    dtype: DType,
    max_tokens: int,
    tensor_parallel_size: int = 1,
    compute_efficiency: float = 1.0,
    bandwidth_efficiency: float = 1.0,
) -> Roofline:
    """The roofline of a model on a device, for sequences of up to `max_tokens` tokens.

    Args:
        model: its weights must be known.
        accelerator: its speeds must be known.
        weights: bytes by role on one rank; empty where only the total is known.
        weights_bytes: over all pipeline stages of one tensor-parallel rank.
        kv_dtype: storage format of the cache.
        dtype: format of the model's own values; narrow weights use narrow operations.
        max_tokens: longest sequence.
        tensor_parallel_size: ranks that share every layer.
        compute_efficiency: share of the stated operations per second that was measured.
        bandwidth_efficiency: share of the stated bytes per second that was measured.

    Raises:
        SpecError: if the weights or the device's speeds are not known.
    """
    active, head = model.num_active_parameters, model.num_head_parameters
    if active is None:
        msg = Message(
            "step_time_s must be given: the weights are unknown ({why})",
            why=model.why_weights_are_unknown,
        )
        raise SpecError(msg)
    flops = accelerator.flops_per_s(num_bytes=dtype.group_bytes if dtype.group_elems == 1 else 2)
    bandwidth = accelerator.memory_bandwidth_bytes_per_s
    if flops is None or bandwidth is None:
        msg = Message(
            "step_time_s must be given: the speeds of gpu={name} are not known",
            name=accelerator.name,
        )
        raise SpecError(msg)
    ranks = tensor_parallel_size
    return Roofline(
        model=model,
        weights=weights,
        weights_bytes=weights_bytes,
        token_flops=(2 * (active - head) + _state_flops(model)) / ranks,
        sample_flops=2 * head / ranks,
        attention_flops=[flops / ranks for flops in _attention_table(model, max_tokens)],
        cache_bytes=_cache_table(
            model, max_tokens, kv_dtype=kv_dtype, dtype=dtype, ranks=tensor_parallel_size
        ),
        flops_per_s=flops * compute_efficiency,
        bytes_per_s=bandwidth * bandwidth_efficiency,
    )


def _state_flops(model: ModelSpec) -> int:
    return sum(g.count * b.state_flops() for g in model.layer_groups for b in g.layer)


KEPT_TABLES = 16
"""Tables that are kept: those of one model differ in formats and degrees alone."""


@lru_cache(maxsize=KEPT_TABLES)
def _attention_table(model: ModelSpec, max_tokens: int) -> Sequence[float]:
    return [_attention_flops(model, n) for n in range(max_tokens + 1)]


@lru_cache(maxsize=KEPT_TABLES)
def _cache_table(
    model: ModelSpec, max_tokens: int, *, kv_dtype: DType, dtype: DType, ranks: int
) -> Sequence[int]:
    lengths = range(max_tokens + 1)
    return [_cache_bytes(model, n, kv_dtype=kv_dtype, dtype=dtype, ranks=ranks) for n in lengths]


def _attention_flops(model: ModelSpec, num_tokens: int) -> float:
    """Operations of scores and values over all positions of a sequence."""
    return float(
        sum(
            group.count * pair * behaviour.attended_tokens(0, num_tokens)
            for group in model.layer_groups
            for behaviour in group.layer
            if (pair := behaviour.pair_flops())
        )
    )


def _cache_bytes(
    model: ModelSpec, num_tokens: int, *, kv_dtype: DType, dtype: DType, ranks: int
) -> int:
    """Live cache of a sequence on one rank."""
    total = 0
    for group in model.layer_groups:
        for behaviour in group.layer:
            live = behaviour.live_tokens(num_tokens)
            per_token = behaviour.token_bytes(kv_dtype, tensor_parallel_size=ranks)
            state = behaviour.state_bytes(dtype, tensor_parallel_size=ranks)
            total += group.count * (live * per_token + state)
    return total
