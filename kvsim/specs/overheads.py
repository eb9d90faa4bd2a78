"""Interval and Overheads: figures that are estimated, with how sure they are and why."""

from collections.abc import Iterable
from dataclasses import dataclass

from kvsim.errors import SpecError


@dataclass(frozen=True, slots=True)
class Interval:
    """Bytes known to lie between `low` and `high`, most likely `best`; exact when all agree."""

    low: int
    best: int
    high: int
    source: str = "exact"

    def __post_init__(self) -> None:
        if not self.low <= self.best <= self.high:
            msg = f"interval low={self.low} best={self.best} high={self.high} must be ordered"
            raise SpecError(msg)

    @property
    def is_exact(self) -> bool:
        """Whether nothing is uncertain."""
        return self.low == self.high

    def __add__(self, other: "Interval") -> "Interval":
        """The sum, its ends assumed to coincide; its source is the parts'."""
        source = self.source if self.source == other.source else "sum of its parts"
        return Interval(
            self.low + other.low, self.best + other.best, self.high + other.high, source
        )

    def __sub__(self, other: "Interval") -> "Interval":
        """The difference: least when the other is most."""
        source = self.source if self.source == other.source else "difference of its parts"
        return Interval(
            self.low - other.high, self.best - other.best, self.high - other.low, source
        )


def exact(num_bytes: int, source: str = "exact") -> Interval:
    """An interval without width."""
    return Interval(num_bytes, num_bytes, num_bytes, source)


def total(parts: Iterable[Interval]) -> Interval:
    """The sum of intervals; nothing sums to an exact zero."""
    result = exact(0)
    for part in parts:
        result = result + part
    return result


@dataclass(frozen=True, slots=True, kw_only=True)
class Overheads:
    """What a user measured on their own machine, per accelerator; None where they did not.

    `total_bytes` is the memory that the runtime sees, in place of the catalogue's.
    """

    total_bytes: Interval | None = None
    weights_bytes: Interval | None = None
    activation_peak_bytes: Interval | None = None
    non_torch_bytes: Interval | None = None
    cuda_graph_bytes: Interval | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Coefficient:
    """An empirical number: its likely value, the spread that was seen, and where."""

    low: float
    best: float
    high: float
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OverheadModel:
    """Coefficients of an engine's memory overheads, for versions from `since` on.

    Units: `sampler_copies` counts copies of max_num_seqs x vocab float32 logits;
    `token_hidden_bytes` is bytes per batched token and hidden element; the rest are bytes.
    """

    since: tuple[int, int]
    sampler_copies: Coefficient
    token_hidden_bytes: Coefficient
    activation_floor_bytes: Coefficient
    multimodal_activation_bytes: Coefficient
    graph_bytes: Coefficient | None  # None: the engine does not subtract graphs
    non_torch_small_bytes: Coefficient  # one accelerator below 30 GiB
    non_torch_bytes: Coefficient  # one accelerator
    non_torch_tp_bytes: tuple[Coefficient, ...]  # tensor_parallel_size 2, and 4 or more
    weights_extra_bytes: Coefficient  # what a report is over what loading is derived to take


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineReserve:
    """What an engine finds taken where it sizes its cache by what is free, bytes per accelerator.

    `before_load_bytes` is gone when the engine first looks: the runtime's context and NCCL.
    """

    before_load_bytes: Coefficient
    beside_weights_bytes: Coefficient  # gone when it sizes the cache, weights not counted
