"""Solution: the extreme value of one quantity that still fits, and the plans on either side."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from kvsim.analytic.capacity import Cause
from kvsim.errors import KvsimError
from kvsim.message import Message
from kvsim.planner.advise import Fix
from kvsim.planner.answer import plain
from kvsim.planner.plan import Evaluation
from kvsim.specs.deployment import Deployment
from kvsim.units import format_bytes

Json = dict[str, object]
Value = int | float | str


class Target(StrEnum):
    """Quantities that can be asked for; each is the name of the field or flag that it fills."""

    MAX_MODEL_LEN = "max_model_len"
    MAX_NUM_SEQS = "max_num_seqs"
    NUM_GPUS = "num_gpus"
    ACCELERATOR = "accelerator"
    TENSOR_PARALLEL_SIZE = "tensor_parallel_size"
    KV_CACHE_DTYPE = "kv_cache_dtype"
    QUANTIZATION = "quantization"
    GPU_MEMORY_UTILIZATION = "gpu_memory_utilization"
    NUM_GPU_BLOCKS = "num_gpu_blocks"
    OFFLOAD_BYTES = "offload_bytes"


class Binding(StrEnum):
    """What keeps the next value from fitting."""

    CACHE = "kv cache memory"
    WEIGHTS = "weights and overheads"  # they alone pass the budget
    FREE_MEMORY = "free memory"  # less is free at start than the engine asks for
    HOST_MEMORY = "host memory"  # what is offloaded passes the machine's
    HOST_TIER = "host tier"  # it keeps too little
    RULE = "engine rule"  # the model or the engine refuses it
    END = "end of the range"  # there is no next value


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One value tried: its plan, or the error with which the model or the engine refuses it."""

    value: Value
    deployment: Deployment
    evaluation: Evaluation | None
    error: KvsimError | None
    lack: str | None = None  # what a plan that fits still lacks

    @property
    def fits(self) -> bool:
        """Whether what is asked fits with this value."""
        return self.lack is None and self._plan_fits

    @property
    def _plan_fits(self) -> bool:
        return self.evaluation is not None and self.evaluation.fit.verdict.fits

    @property
    def missing_bytes(self) -> int:
        """What lacks of the cache on one device; 0 where it fits or nothing is known."""
        return 0 if self.evaluation is None else self.evaluation.fit.missing_bytes

    @property
    def binding(self) -> Binding:
        """What keeps this value from fitting."""
        if self.evaluation is None:
            return Binding.RULE
        if self._plan_fits:
            return Binding.HOST_TIER
        causes = self.evaluation.fit.causes
        if Cause.NOT_FREE in causes:
            return Binding.FREE_MEMORY
        if causes == (Cause.HOST_MEMORY,):
            return Binding.HOST_MEMORY
        return Binding.WEIGHTS if Cause.NO_CACHE in causes else Binding.CACHE

    @property
    def reason(self) -> str:
        """Why it does not fit, in words."""
        if self.evaluation is None:
            return "" if self.error is None else self.error.words
        if self.lack is not None and self._plan_fits:
            return self.lack
        fit = self.evaluation.fit
        lack = (_missing(fit.missing_bytes),) if fit.missing_bytes else ()
        return Message.of_all((*fit.reasons, *lack)) if fit.reasons or lack else ""

    def as_dict(self) -> Json:
        """The plan's summary; figures are null where the engine refuses."""
        e = self.evaluation
        parallel = self.deployment.parallel
        summary: Json = {
            "value": self.value,
            "fits": self.fits,
            "refusal": self.lack if self.error is None else str(self.error),
            "gpu": self.deployment.accelerator.name,
            "num_gpus": parallel.num_ranks,
            "tensor_parallel_size": parallel.tensor_parallel_size,
            "pipeline_parallel_size": parallel.pipeline_parallel_size,
        }
        return summary | {name: None if e is None else read(e) for name, read in FIGURES.items()}


def _missing(num_bytes: int) -> Message:
    return Message("{missing} of cache missing", missing=format_bytes(num_bytes))


FIGURES: dict[str, Callable[[Evaluation], object]] = {
    "verdict": lambda e: str(e.fit.verdict),
    "reasons": lambda e: list(e.fit.reasons),
    "max_model_len": lambda e: e.resolved.max_model_len,
    "max_num_seqs": lambda e: e.resolved.max_num_seqs,
    "concurrent_requests": lambda e: e.concurrent_requests,
    "needed_bytes": lambda e: e.fit.needed_bytes,
    "available_bytes": lambda e: e.fit.available_bytes,
    "missing_bytes": lambda e: e.fit.missing_bytes,
    "num_gpu_blocks": lambda e: e.capacity.best.num_gpu_blocks,
    "block_size": lambda e: e.capacity.best.block_size,
    "kv_cache_tokens": lambda e: e.capacity.best.kv_cache_tokens,
    "max_requests": lambda e: e.fit.max_requests,
    "max_concurrency": lambda e: e.capacity.best.max_concurrency,
}
"""What a summary says of a plan, under the plan's own names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortfall:
    """What would have to give where no value fits: the nearest one, what lacks, what would help.

    `fixes` are single changes to the plan at that value after which it fits.
    """

    nearest: Side
    fixes: tuple[Fix, ...]

    @property
    def text(self) -> str:
        """The shortfall in one sentence."""
        return Message(
            "no value fits, and with {value} still not: {reason}",
            value=self.nearest.value,
            reason=self.nearest.reason,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Solution:
    """The extreme value that fits, what binds it, and the plans on either side of the edge.

    `at_value` is None where nothing fits: then `shortfall` says what lacks. `beyond` is None
    where there is no next value.
    """

    target: Target
    goal: str  # "largest", "smallest", ...
    at_value: Side | None
    beyond: Side | None
    shortfall: Shortfall | None
    notes: tuple[str, ...]
    command: str | None

    @property
    def value(self) -> Value | None:
        """The extreme value that still fits; None: none does."""
        return None if self.at_value is None else self.at_value.value

    @property
    def binding(self) -> Binding:
        """What keeps the next value from fitting."""
        side = self.beyond if self.shortfall is None else self.shortfall.nearest
        return Binding.END if side is None else side.binding

    @property
    def reason(self) -> str:
        """What binds, in words."""
        if self.shortfall is not None:
            return self.shortfall.text
        if self.beyond is None:
            return Message("{value} is the {goal} there is", value=self.value, goal=self.goal)
        return Message(
            "{value} does not fit: {reason}", value=self.beyond.value, reason=self.beyond.reason
        )

    def as_dict(self) -> Json:
        """The answer as plain values."""
        lack = self.shortfall
        shown = self.at_value or (lack and lack.nearest)
        e = shown and shown.evaluation
        return {
            "engine": str(e.engine) if e else None,
            "engine_version": e.resolved.engine_version if e else None,
            "model": shown.deployment.model.name if shown else None,
            "target": str(self.target),
            "goal": self.goal,
            "fits": self.at_value is not None,
            "value": self.value,
            "binding": str(self.binding),
            "reason": self.reason,
            "at_value": self.at_value and self.at_value.as_dict(),
            "beyond": self.beyond and self.beyond.as_dict(),
            "shortfall": lack and _shortfall(lack),
            "command": self.command,
            "notes": list(self.notes),
            "not_modeled": list(e.not_modeled) if e else [],
        }


def _shortfall(lack: Shortfall) -> Json:
    return {
        "nearest": lack.nearest.as_dict(),
        "missing_bytes": lack.nearest.missing_bytes,
        "text": lack.text,
        "fixes": [plain(fix) for fix in lack.fixes],
    }
