"""Functions that say how long a step takes, with where that comes from."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from kvsim.analytic.step_time import Roofline, Span, roofline
from kvsim.analytic.weights import Part
from kvsim.dtypes import DType
from kvsim.errors import SpecError
from kvsim.sim.batch import Batch
from kvsim.specs.deployment import Deployment
from kvsim.specs.efficiencies import Efficiencies
from kvsim.specs.engine import ResolvedVllm
from kvsim.specs.step_table import StepTable
from kvsim.specs.workload import Workload

DEFAULT_STEP_S = 0.025
"""Seconds of a step where no device is named: a round figure, not a measurement."""

STEPS_UNDER_WAY = 2
"""Most steps that compute tokens of which it is not known whether they are right."""


class StepTime(Protocol):
    """Seconds one step takes, and where the figure comes from."""

    @property
    def source(self) -> str:
        """Where the figure comes from, in words."""
        ...

    @property
    def is_calibrated(self) -> bool:
        """Whether it rests on measured steps, or on measured efficiencies."""
        ...

    def __call__(self, batch: Batch, /) -> float:
        """Seconds of the step that computes `batch`."""
        ...


@dataclass(frozen=True, slots=True)
class ConstantStepTime:
    """Every step takes as long, whatever it computes."""

    step_s: float = DEFAULT_STEP_S

    def __post_init__(self) -> None:
        if not self.step_s > 0:
            msg = f"step_time_s={self.step_s:g} must be > 0"
            raise SpecError(msg)

    @property
    def source(self) -> str:
        """The constant."""
        return f"constant {self.step_s:g} s per step, not calibrated"

    @property
    def is_calibrated(self) -> bool:
        """Never: a step's time depends on what it computes."""
        return False

    def __call__(self, batch: Batch, /) -> float:  # noqa: ARG002
        """The constant."""
        return self.step_s


@dataclass(frozen=True, slots=True)
class RooflineStepTime:
    """Each step takes what its operations or its memory traffic need at the device's speeds."""

    roofline: Roofline
    device: str
    efficiencies: Efficiencies | None = None

    @property
    def source(self) -> str:
        """The device, and what was measured of it, if anything was."""
        if self.efficiencies is None:
            return f"roofline of {self.device}, not calibrated: a lower bound"
        return f"roofline of {self.device} at {self.efficiencies.text}, as measured by the user"

    @property
    def is_calibrated(self) -> bool:
        """Whether the user measured both efficiencies."""
        return self.efficiencies is not None and self.efficiencies.are_complete

    def __call__(self, batch: Batch, /) -> float:
        """What takes longer."""
        stops = ((request.num_computed_tokens, n) for request, n in batch.tokens.items())
        return self.roofline.seconds(Span(stop - n, stop) for stop, n in stops)


@dataclass(frozen=True, slots=True)
class TableStepTime:
    """Each step takes what the line through measured steps says."""

    table: StepTable

    @property
    def source(self) -> str:
        """What was measured, and how far the line is from it."""
        off = self.table.residuals.mean_absolute
        return f"{self.table.source}; the line is off by {off:.1%} on average"

    @property
    def is_calibrated(self) -> bool:
        """Always: its points were measured."""
        return True

    def __call__(self, batch: Batch, /) -> float:
        """A step without tokens takes no time."""
        if not batch.tokens:
            return 0.0
        return self.table.line.seconds(
            num_requests=len(batch.tokens),
            num_tokens=batch.num_tokens,
            num_cached_tokens=sum(request.num_computed_tokens for request in batch.tokens),
        )


def deployed_step_time(
    deployment: Deployment,
    workload: Workload,
    *,
    weights: Sequence[Part],
    rank_weights_bytes: int,
    kv_dtype: DType,
    dtype: DType,
    settings: ResolvedVllm,
    efficiencies: Efficiencies | None = None,
) -> RooflineStepTime:
    """The roofline of a deployment, for the lengths that a workload reaches.

    Args:
        deployment: model, accelerator and degrees.
        workload: what its longest request needs is all that is tabulated.
        weights: bytes by role on one rank.
        rank_weights_bytes: bytes on the rank that holds most; stages work one after the other.
        kv_dtype: storage format of the cache.
        dtype: format of the model's own values.
        settings: how long contexts get, and how many tokens are drafted beyond them.
        efficiencies: shares of the stated speeds that were measured; None: the whole.

    Raises:
        SpecError: if the weights or the device's speeds are not known.
    """
    longest = max(r.num_prompt_tokens + r.num_output_tokens for r in workload)
    longest += STEPS_UNDER_WAY * (1 + settings.num_speculative_tokens)
    measured = efficiencies or Efficiencies()
    parallel, accelerator = deployment.parallel, deployment.accelerator
    table = roofline(
        deployment.model,
        accelerator,
        weights=weights,
        weights_bytes=rank_weights_bytes * parallel.pipeline_parallel_size,
        kv_dtype=kv_dtype,
        dtype=dtype,
        max_tokens=min(longest, settings.max_model_len),
        tensor_parallel_size=parallel.tensor_parallel_size,
        compute_efficiency=measured.compute_efficiency or 1.0,
        bandwidth_efficiency=measured.bandwidth_efficiency or 1.0,
    )
    return RooflineStepTime(table, accelerator.name, None if measured.are_absent else measured)
