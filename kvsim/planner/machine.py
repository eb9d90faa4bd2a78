"""A deployment as a roofline: what its steps compute and read, and how long they take at least."""

from collections.abc import Callable
from dataclasses import dataclass

from kvsim.analytic.compute import CROSSOVER_LIMIT, Compute, Work, compute, ridge_point
from kvsim.dtypes import DType
from kvsim.engines.ideal import IdealLayout
from kvsim.errors import SpecError
from kvsim.planner.plan import Evaluation, deployment_cache_dtype, deployment_dtype


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """The ranks of one tensor-parallel group at work together.

    Source:
        Williams et al., Roofline, CACM 52(4), 2009.
    """

    evaluation: Evaluation

    @property
    def weights_bytes(self) -> int:
        """Weights over all ranks; pipeline stages are taken as alike."""
        parallel = self.evaluation.deployment.parallel
        ranks = parallel.tensor_parallel_size * parallel.pipeline_parallel_size
        return self.evaluation.tensor_bytes * ranks

    def cache_bytes(
        self, num_tokens: int, *, kv_dtype: DType | None = None, tensor_parallel_size: int = 1
    ) -> int:
        """What attention reads of one sequence on one of so many ranks, in a format or its own."""
        deployment = self.evaluation.deployment
        layout = IdealLayout(
            model=deployment.model,
            kv_dtype=kv_dtype or deployment_cache_dtype(deployment),
            dtype=deployment_dtype(deployment),
            tensor_parallel_size=tensor_parallel_size,
        )
        return layout.sequence(num_tokens).total_bytes

    def decode(self, num_tokens: int, batch_size: int) -> Work:
        """One step of so many sequences of that length."""
        return self._compute(num_tokens, batch_size).decode_step

    def prefill(self, num_tokens: int) -> Work:
        """One prompt."""
        return self._compute(num_tokens, 1).prefill

    def ridge(self) -> float:
        """Operations per byte where arithmetic and memory take equally long.

        Raises:
            SpecError: if the device's speeds are not known.
        """
        deployment = self.evaluation.deployment
        num_bytes = 1 if "fp8" in (deployment.engine.quantization or "") else 2
        return ridge_point(deployment.accelerator, num_bytes=num_bytes)

    def seconds(self, work: Work) -> float:
        """At least so long.

        Raises:
            SpecError: if the device's speeds are not known.
        """
        deployment = self.evaluation.deployment
        bandwidth = deployment.accelerator.memory_bandwidth_bytes_per_s
        if bandwidth is None:
            msg = f"gpu={deployment.accelerator.name}: its bytes per second are not known"
            raise SpecError(msg)
        ranks = deployment.parallel.tensor_parallel_size
        return max(work.bytes_moved, work.flops / self.ridge()) / (bandwidth * ranks)

    def _compute(self, num_tokens: int, batch_size: int) -> Compute:
        e = self.evaluation
        return compute(
            e.deployment.model,
            weights=e.weights,
            weights_bytes=self.weights_bytes,
            num_tokens=num_tokens,
            cache_bytes=self.cache_bytes(num_tokens),
            batch_size=batch_size,
        )


def first_where(holds: Callable[[int], bool], *, limit: int = CROSSOVER_LIMIT) -> int | None:
    """The smallest count of tokens from which something holds; None if not up to the limit."""
    if not holds(limit):
        return None
    low, high = 1, limit
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle + 1, high)
    return low
