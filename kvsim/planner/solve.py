"""Inverse questions: the extreme value of one quantity with which a plan still fits."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from kvsim.errors import KvsimError, SpecError
from kvsim.planner import axes_devices, axes_engine
from kvsim.planner.advise import fixes
from kvsim.planner.axes import Axis, Question
from kvsim.planner.changes import Kinds
from kvsim.planner.solution import Shortfall, Side, Solution, Target, Value
from kvsim.specs.deployment import Deployment

AXES: dict[Target, Callable[[Question], Axis]] = {
    Target.MAX_MODEL_LEN: axes_engine.max_model_len,
    Target.MAX_NUM_SEQS: axes_engine.max_num_seqs,
    Target.NUM_GPUS: axes_devices.num_gpus,
    Target.ACCELERATOR: axes_devices.accelerator,
    Target.TENSOR_PARALLEL_SIZE: axes_devices.tensor_parallel_size,
    Target.KV_CACHE_DTYPE: axes_engine.kv_cache_dtype,
    Target.QUANTIZATION: axes_engine.quantization,
    Target.GPU_MEMORY_UTILIZATION: axes_engine.gpu_memory_utilization,
    Target.NUM_GPU_BLOCKS: axes_engine.num_gpu_blocks,
    Target.OFFLOAD_BYTES: axes_engine.offload_bytes,
}
"""How each quantity is asked for."""


def solve(target: str, question: Question, *, command: Callable[[Deployment], str]) -> Solution:
    """The extreme value that still fits, what binds it, and the plans on either side.

    Every value is judged as `plan` judges it: there is no formula of its own here.

    Args:
        target: the quantity.
        question: what is held fixed.
        command: the launch line of a deployment.

    Raises:
        SpecError: for an unknown quantity, one that what is held fixed decides, or settings
            that the engine refuses whatever the value.
        UnsupportedError: for a layout that is not known, whatever the value.
    """
    axis = AXES[_target(target)](question)
    trial = _Trial(axis, question)
    index = trial.edge()
    at_value = None if index is None else trial.side(axis.values[index])
    beyond = None if not index else trial.side(axis.values[index - 1])
    return Solution(
        target=axis.target,
        goal=axis.goal,
        at_value=at_value,
        beyond=beyond,
        shortfall=trial.shortfall() if at_value is None else None,
        notes=axis.notes,
        command=None if at_value is None else command(at_value.deployment),
    )


def _target(text: str) -> Target:
    if text not in list(Target):
        msg = f"target={text[:40]} must be one of {', '.join(Target)}"
        raise SpecError(msg)
    return Target(text)


@dataclass(frozen=True, slots=True)
class _Trial:
    """The values of an axis, judged."""

    axis: Axis
    question: Question

    def side(self, value: Value) -> Side:
        """A value's plan: of its scenarios the first that fits, else the nearest to fitting."""
        tried = []
        for scenario in self.axis.scenarios(value):
            deployment = scenario.deployment
            try:
                judged = self.question.judge(deployment, scenario.concurrent_requests)
                lack = self.axis.lack(judged)
            except KvsimError as error:
                tried.append(Side(value=value, deployment=deployment, evaluation=None, error=error))
                continue
            tried.append(
                Side(value=value, deployment=deployment, evaluation=judged, error=None, lack=lack)
            )
            if tried[-1].fits:
                break
        return tried[-1] if tried[-1].fits else _nearest(tried)

    def edge(self) -> int | None:
        """The index of the first value that fits; None: none does."""
        values = self.axis.values
        if not self.axis.is_ordered:
            fitting = (i for i, value in enumerate(values) if self.side(value).fits)
            return next(fitting, None)
        low, high = 0, len(values)
        while low < high:
            middle = (low + high) // 2
            if self.side(values[middle]).fits:
                high = middle
            else:
                low = middle + 1
        return low if low < len(values) else None

    def shortfall(self) -> Shortfall:
        """The value that comes nearest to fitting, and what would help there.

        Raises:
            KvsimError: where the engine refuses every value: then it refuses the rest.
        """
        values = self.axis.values
        nearest = _nearest(
            [self.side(v) for v in (values[-1:] if self.axis.is_ordered else values)]
        )
        if nearest.evaluation is None:
            raise nearest.error or SpecError(f"{self.axis.target}: there is no value to try")
        q = self.question
        kinds = Kinds(nearest.evaluation, q.judge, q.accelerators)
        return Shortfall(nearest=nearest, fixes=fixes(kinds))


def _nearest(sides: Sequence[Side]) -> Side:
    """Of values that do not fit the one that lacks least; one with a plan before one without."""
    return min(sides, key=lambda s: (s.evaluation is None, s.missing_bytes))
