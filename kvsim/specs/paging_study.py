"""What was published on the waste of reserving against paging, and in which setting."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from kvsim.errors import SpecError
from kvsim.specs.attention import check_positive
from kvsim.specs.lengths import Lengths


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchTime:
    """Seconds of a step: a base, and as much for each running request."""

    base_s: float
    per_request_s: float
    source: str

    def __post_init__(self) -> None:
        if not (self.base_s > 0 and self.per_request_s >= 0):
            msg = (
                f"base_s={self.base_s:g} must be > 0 and per_request_s={self.per_request_s:g} >= 0"
            )
            raise SpecError(msg)

    def seconds(self, num_running: int) -> float:
        """Seconds of a step with so many running requests."""
        return self.base_s + self.per_request_s * num_running


EVERY_SECOND = BatchTime(base_s=1.0, per_request_s=0.0, source="a second for every step")
"""Steps as a clock: what happens when is told in steps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WasteSetting:
    """A pool of slots, each of one token, and how it is served."""

    num_slots: int
    max_model_len: int
    block_size: int
    batch_time: BatchTime

    def __post_init__(self) -> None:
        check_positive(
            num_slots=self.num_slots,
            max_model_len=self.max_model_len,
            block_size=self.block_size,
        )
        if self.num_slots < self.max_model_len:
            msg = f"num_slots={self.num_slots} must be >= max_model_len={self.max_model_len}"
            raise SpecError(msg)


@dataclass(frozen=True, slots=True, kw_only=True)
class StudiedWorkload:
    """Requests of one of the paper's data sets, and what the paper measured with them.

    `batch` is the mean number of running requests by method; `shares` the parts of the memory
    by method and part.
    """

    name: str
    rate_per_s: float
    prompt_mean: float
    output_mean: float
    prompt_shape: Lengths
    output_shape: Lengths
    batch: Mapping[str, float]
    shares: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class PagingStudy:
    """The paper's setting, workloads and figures."""

    source: str
    setting: WasteSetting
    workloads: tuple[StudiedWorkload, ...]
    sustained_low: float  # paging over the oracle, as a ratio of request rates
    sustained_high: float
