"""Bytes of a cache: a layout's answer for one sequence, times sequences and ranks."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from kvsim.dtypes import DType
from kvsim.engines.layout import LayerBytes, Layout
from kvsim.errors import SpecError
from kvsim.specs.attention import check_positive
from kvsim.specs.model import ModelSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheBytes:
    """Cache of a batch of equal sequences; unmarked figures are for one rank.

    The parts of `layers` sum to `total_bytes` to the byte. `bytes_per_token` is marginal: what
    one more token of one sequence adds at this length, block rounding averaged out.
    """

    model: str
    engine: str
    engine_version: str | None
    num_tokens: int
    batch_size: int
    tensor_parallel_size: int
    kv_cache_dtype: str
    layers: tuple[LayerBytes, ...]  # of the whole batch
    bytes_per_token: int
    notes: tuple[str, ...]
    not_modeled: tuple[str, ...]

    @property
    def kv_bytes(self) -> int:
        """The token-dependent cache."""
        return sum(layer.kv_bytes for layer in self.layers)

    @property
    def state_bytes(self) -> int:
        """Recurrent state, fixed per sequence."""
        return sum(layer.state_bytes for layer in self.layers)

    @property
    def total_bytes(self) -> int:
        """All of it, on one rank."""
        return self.kv_bytes + self.state_bytes

    @property
    def all_ranks_bytes(self) -> int:
        """All of it, on all ranks; replicated parts count on each."""
        return self.total_bytes * self.tensor_parallel_size

    def as_dict(self) -> dict[str, object]:
        """The breakdown as plain values; top-level bytes are one rank's."""
        per_rank = {
            "kv_bytes": self.kv_bytes,
            "state_bytes": self.state_bytes,
            "total_bytes": self.total_bytes,
            "bytes_per_token": self.bytes_per_token,
        }
        return {
            "engine": str(self.engine),
            "engine_version": self.engine_version,
            "model": self.model,
            "num_tokens": self.num_tokens,
            "batch_size": self.batch_size,
            "tensor_parallel_size": self.tensor_parallel_size,
            "kv_cache_dtype": self.kv_cache_dtype,
            **per_rank,
            "per_rank": per_rank,
            "all_ranks": {
                name: value * self.tensor_parallel_size for name, value in per_rank.items()
            },
            "layers": [
                {
                    "kind": layer.kind,
                    "count": layer.count,
                    "kv_bytes": layer.kv_bytes,
                    "state_bytes": layer.state_bytes,
                    "bytes": layer.total_bytes,
                    "share": layer.total_bytes / max(1, self.total_bytes),
                }
                for layer in self.layers
            ],
            "notes": list(self.notes),
            "not_modeled": list(self.not_modeled),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheCurve:
    """The cache of so many equal sequences over context lengths, on one rank.

    `crossing_tokens` is the shortest context whose cache reaches the threshold; None if no
    context up to the longest length does.
    """

    lengths: tuple[int, ...]
    total_bytes: tuple[int, ...]
    threshold_bytes: int | None
    crossing_tokens: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FormulaLine:
    """The cache of equal layers as a formula in n, the number of cached tokens."""

    kind: str
    count: int
    text: str


def cache_bytes(
    layout: Layout,
    *,
    model: ModelSpec,
    num_tokens: int,
    batch_size: int,
    kv_cache_dtype: str,
    ranks: int,
) -> CacheBytes:
    """The cache of `batch_size` sequences of `num_tokens` tokens under a layout.

    Raises:
        SpecError: if there is less than one token or sequence.
    """
    check_positive(num_tokens=num_tokens, batch_size=batch_size)
    sequence = layout.sequence(num_tokens)
    notes: tuple[str, ...] = ()
    longest = model.max_model_len
    if longest is not None and num_tokens > longest:
        notes = (f"num_tokens={num_tokens} is longer than the model's maximum of {longest}",)
    return CacheBytes(
        model=model.name,
        engine=layout.engine,
        engine_version=layout.engine_version,
        num_tokens=num_tokens,
        batch_size=batch_size,
        tensor_parallel_size=ranks,
        kv_cache_dtype=kv_cache_dtype,
        layers=tuple(
            LayerBytes(y.kind, y.count, y.kv_bytes * batch_size, y.state_bytes * batch_size)
            for y in sequence.layers
        ),
        bytes_per_token=sequence.marginal_bytes,
        notes=notes,
        not_modeled=layout.not_modeled,
    )


def context_lengths(longest: int) -> tuple[int, ...]:
    """Powers of two from 256 on, then the longest: points of a curve over context lengths.

    Raises:
        SpecError: if the longest is below 1.

    Example:
        >>> context_lengths(1500)
        (256, 512, 1024, 1500)
    """
    check_positive(longest=longest)
    powers = itertools.takewhile(lambda n: n < longest, (2**i for i in itertools.count(8)))
    return (*powers, longest)


def cache_curve(
    layout: Layout,
    *,
    lengths: Sequence[int],
    batch_size: int = 1,
    threshold_bytes: int | None = None,
) -> CacheCurve:
    """The cache at each length, and the shortest context at which it reaches the threshold.

    Raises:
        SpecError: if there are no lengths or sequences, or one is below 1.
    """
    if not lengths:
        msg = "lengths=() must hold at least one context length"
        raise SpecError(msg)
    check_positive(lengths=min(lengths), batch_size=batch_size)

    def total_bytes(length: int) -> int:
        return layout.sequence(length).total_bytes * batch_size

    crossing = None
    longest = max(lengths)
    if threshold_bytes is not None and total_bytes(longest) >= threshold_bytes:
        low, high = 1, longest
        while low < high:  # bytes never fall with length
            middle = (low + high) // 2
            if total_bytes(middle) >= threshold_bytes:
                high = middle
            else:
                low = middle + 1
        crossing = low
    return CacheCurve(
        lengths=tuple(lengths),
        total_bytes=tuple(total_bytes(n) for n in lengths),
        threshold_bytes=threshold_bytes,
        crossing_tokens=crossing,
    )


def cache_formula(
    model: ModelSpec, *, kv_dtype: DType, tensor_parallel_size: int
) -> tuple[FormulaLine, ...]:
    """One line per group of equal layers; layers without a cache are left out."""
    lines = []
    for group in model.layer_groups:
        terms = [
            behaviour.formula(kv_dtype, tensor_parallel_size=tensor_parallel_size)
            for behaviour in group.layer
        ]
        if terms:
            layers = "layer" if group.count == 1 else "layers"
            text = f"{group.count} {layers} x [{' + '.join(terms)}]"
            lines.append(FormulaLine(kind=group.kind, count=group.count, text=text))
    return tuple(lines)
