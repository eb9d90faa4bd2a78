"""Functions that say how long a step takes, with where that comes from."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Protocol

import numpy as np

from kvsim.analytic.compute import read_share
from kvsim.analytic.step_time import Roofline, Span, roofline
from kvsim.analytic.weights import Part
from kvsim.dtypes import DType
from kvsim.errors import SpecError
from kvsim.message import Message
from kvsim.sim.batch import Batch
from kvsim.sim.step_costs import CostForm, StepCosts
from kvsim.specs.deployment import Deployment
from kvsim.specs.efficiencies import Efficiencies
from kvsim.specs.engine import ResolvedVllm
from kvsim.specs.step_table import StepTable

DEFAULT_STEP_S = 0.025
"""Seconds of a step where no device is named: a round figure, not a measurement."""

STEPS_UNDER_WAY = 2
"""Most steps that compute tokens of which it is not known whether they are right."""

EXACT = 1e-12
"""Relative difference that rounding makes."""


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

    def costs(self, max_num_batched_tokens: int) -> StepCosts | None:
        """The same in numbers; None where it takes a look at each sequence."""
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

    def costs(self, max_num_batched_tokens: int) -> StepCosts:  # noqa: ARG002
        """The constant."""
        return StepCosts(form=CostForm.CONSTANT, base_s=self.step_s)


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
            return Message(
                "roofline of {device}, not calibrated: a lower bound", device=self.device
            )
        return Message(
            "roofline of {device} at {shares}, as measured by the user",
            device=self.device,
            shares=self.efficiencies.text,
        )

    @property
    def is_calibrated(self) -> bool:
        """Whether the user measured both efficiencies."""
        return self.efficiencies is not None and self.efficiencies.are_complete

    def __call__(self, batch: Batch, /) -> float:
        """What takes longer."""
        stops = ((request.num_computed_tokens, n) for request, n in batch.tokens.items())
        return self.roofline.seconds(Span(stop - n, stop) for stop, n in stops)

    def costs(self, max_num_batched_tokens: int) -> StepCosts | None:
        """In numbers where each token attends to all before it, and takes as much of the cache."""
        table = self.roofline
        lengths = np.arange(len(table.cache_bytes))
        pair_flops, context_bytes = table.attention_flops[1], table.cache_bytes[1]
        flops = pair_flops * (lengths * (lengths + 1) // 2)
        is_even = np.array_equal(table.cache_bytes, context_bytes * lengths)
        if not is_even or not np.allclose(table.attention_flops, flops, rtol=EXACT, atol=0):
            return None
        return StepCosts(
            form=CostForm.ROOFLINE,
            pair_flops=pair_flops,
            token_flops=table.token_flops,
            sample_flops=table.sample_flops,
            flops_per_s=table.flops_per_s,
            weights_bytes=table.weights_bytes,
            context_bytes=context_bytes,
            bytes_per_s=table.bytes_per_s,
            shares=self._shares(max_num_batched_tokens),
        )

    def _shares(self, max_num_batched_tokens: int) -> Sequence[float]:
        """Shares of the weights that steps read; those of dense models are all alike."""
        model, weights = self.roofline.model, self.roofline.weights
        ends = [read_share(model, weights, num_tokens=n) for n in (1, max_num_batched_tokens)]
        if ends[0] == ends[1]:  # more tokens never read less
            return [0.0] + [ends[0]] * max_num_batched_tokens
        numbers = range(max_num_batched_tokens + 1)
        return [read_share(model, weights, num_tokens=n) for n in numbers]


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

    def costs(self, max_num_batched_tokens: int) -> StepCosts:  # noqa: ARG002
        """The line."""
        return StepCosts(form=CostForm.LINE, **asdict(self.table.line))


def deployed_step_time(
    deployment: Deployment,
    longest_tokens: int,
    *,
    weights: Sequence[Part],
    rank_weights_bytes: int,
    kv_dtype: DType,
    dtype: DType,
    settings: ResolvedVllm,
    efficiencies: Efficiencies | None = None,
) -> RooflineStepTime:
    """The roofline of a deployment, for the lengths that its requests reach.

    Args:
        deployment: model, accelerator and degrees.
        longest_tokens: prompt and answer of the longest request; no more is tabulated.
        weights: bytes by role on one rank.
        rank_weights_bytes: bytes on the rank that holds most; stages work one after the other.
        kv_dtype: storage format of the cache.
        dtype: format of the model's own values.
        settings: how long contexts get, and how many tokens are drafted beyond them.
        efficiencies: shares of the stated speeds that were measured; None: the whole.

    Raises:
        SpecError: if the weights or the device's speeds are not known.
    """
    longest = longest_tokens + STEPS_UNDER_WAY * (1 + settings.num_speculative_tokens)
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
