"""A cache's bytes at many lengths and batch sizes at once: the same formulas over arrays."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from kvsim.engines.ideal import IdealLayout
from kvsim.engines.layout import Layout
from kvsim.engines.sglang import SglangLayout
from kvsim.engines.tensorrt_llm import TensorrtLlmLayout
from kvsim.engines.vllm import VllmCacheLayout
from kvsim.errors import KvsimError, SpecError

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]

LARGEST = 2**62
"""Figures above are refused: int64 holds twice as much, and the scalar functions any."""

ELEMENTWISE = (IdealLayout, SglangLayout, TensorrtLlmLayout, VllmCacheLayout)
"""Layouts whose bytes are arithmetic in the length; the others are asked once per length."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CacheGrid:
    """Cache of equal sequences over formats, ranks, lengths and batch sizes, on one rank.

    Arrays have the axes (kv_cache_dtypes, tensor_parallel_sizes, num_tokens, batch_sizes); where
    `answered` is false they hold 0, and `refusals` say why by the first two axes' indices and that
    of the first length.
    """

    engine: str
    engine_versions: tuple[str | None, ...]
    kv_cache_dtypes: tuple[str, ...]
    tensor_parallel_sizes: tuple[int, ...]
    num_tokens: Ints
    batch_sizes: Ints
    kv_bytes: Ints
    state_bytes: Ints
    answered: Bools  # without the last axis
    refusals: Mapping[tuple[int, int, int], str]
    not_modeled: tuple[str, ...]

    @property
    def total_bytes(self) -> Ints:
        """Token-dependent and fixed bytes together."""
        return self.kv_bytes + self.state_bytes


@dataclass(frozen=True, slots=True, eq=False)
class SequenceGrid:
    """What one sequence holds at each length, int64 or bool, shape (num_lengths,)."""

    kv_bytes: Ints
    state_bytes: Ints
    answered: Bools
    refusals: Mapping[int, str]  # by the index of the first length with that reason


def whole_numbers(name: str, values: Sequence[int] | Ints) -> Ints:
    """The values as int64, shape (len(values),).

    Raises:
        SpecError: if there are none, or one is no whole number of at least 1.
    """
    array = np.asarray(values)
    if array.ndim != 1 or not array.size:
        msg = f"{name} must hold at least one value"
        raise SpecError(msg)
    if not np.issubdtype(array.dtype, np.integer) or array.min() < 1:
        msg = f"{name} must hold whole numbers >= 1"
        raise SpecError(msg)
    if array.max() > LARGEST:
        msg = f"{name}={array.max()} must be <= {LARGEST}"
        raise SpecError(msg)
    return array.astype(np.int64)


def sequence_grid(layout: Layout, lengths: Ints) -> SequenceGrid:
    """What one sequence of each length holds under a layout.

    Args:
        layout: one that answers by arithmetic is asked once for all lengths.
        lengths: int64, shape (num_lengths,), each >= 1.

    Raises:
        SpecError: for a figure that int64 does not hold.

    Example:
        >>> from kvsim.api import load_model
        >>> model = load_model("llama-3.1-8b")
        >>> layout = IdealLayout(model=model, kv_dtype=model.dtype, dtype=model.dtype)
        >>> sequence_grid(layout, np.array([1, 8192])).kv_bytes.tolist()
        [131072, 1073741824]
    """
    if not isinstance(layout, ELEMENTWISE):
        return _one_by_one(layout, lengths)
    try:
        check_fits("cache bytes", layout.sequence(int(lengths.max())).total_bytes)
    except KvsimError as error:
        if isinstance(error, TooLargeError):
            raise
        return refused(lengths, str(error))
    held = layout.sequence(elementwise(lengths))
    return SequenceGrid(
        kv_bytes=spread(held.kv_bytes, lengths),
        state_bytes=spread(held.state_bytes, lengths),
        answered=np.ones(lengths.shape, np.bool_),
        refusals={},
    )


class TooLargeError(SpecError):
    """A figure that int64 does not hold."""


def check_fits(name: str, value: int) -> None:
    """TooLargeError for a figure that int64 may not hold."""
    if value > LARGEST:
        msg = f"{name}={value} must be <= {LARGEST} in a grid"
        raise TooLargeError(msg)


def elementwise(lengths: Ints) -> int:
    """Lengths as the formulas take them: these are arithmetic alone, so an array goes through."""
    return cast("int", lengths)


def spread(value: int | Ints, lengths: Ints) -> Ints:
    """A figure at each length, also where it is the same at all."""
    return np.broadcast_to(np.asarray(value, np.int64), lengths.shape)


def refused(lengths: Ints, reason: str) -> SequenceGrid:
    """No length answered, all for one reason."""
    zeros = np.zeros(lengths.shape, np.int64)
    return SequenceGrid(zeros, zeros, np.zeros(lengths.shape, np.bool_), {0: reason})


def _one_by_one(layout: Layout, lengths: Ints) -> SequenceGrid:
    distinct, places = np.unique(lengths, return_inverse=True)
    figures = np.zeros((2, distinct.size), np.int64)
    answered = np.ones(distinct.size, np.bool_)
    reasons: dict[int, str] = {}
    for i, length in enumerate(distinct.tolist()):
        try:
            held = layout.sequence(length)
        except KvsimError as error:
            answered[i] = False
            reasons[i] = str(error)
            continue
        check_fits("cache bytes", held.total_bytes)
        figures[:, i] = held.kv_bytes, held.state_bytes
    first = {int(np.argmax(places == i)): reason for i, reason in reasons.items()}
    kv, state = figures[:, places]
    return SequenceGrid(kv, state, answered[places], first)
