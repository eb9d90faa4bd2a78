"""Memory of the GPUs of every pipeline stage: weights and layers differ, the rest is alike."""

from dataclasses import asdict, dataclass, replace

from kvsim.analytic.budget import Budget, on_device
from kvsim.analytic.memory_bar import MemoryBar, memory_bar
from kvsim.engines.vllm_why import StageWhy
from kvsim.planner.plan import Evaluation
from kvsim.specs.overheads import Interval

Json = dict[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class StageMemory:
    """The GPUs of stages that hold the same; `bar` is one of them at the likely estimates.

    `cache_bytes` is what the stage's own weights leave. The engine gives every stage as many
    blocks as the fullest has, so the others leave some of it unused.
    """

    stages: tuple[int, ...]
    num_gpus: int
    weights_bytes: Interval
    cache_bytes: Interval
    needed_bytes: int
    bar: MemoryBar

    def as_dict(self) -> Json:
        """The memory as plain values."""
        return {
            "stages": list(self.stages),
            "num_gpus": self.num_gpus,
            "weights_bytes": asdict(self.weights_bytes),
            "kv_cache_bytes": asdict(self.cache_bytes),
            "needed_bytes": self.needed_bytes,
        }


def stage_memories(evaluation: Evaluation, why: tuple[StageWhy, ...]) -> tuple[StageMemory, ...]:
    """One entry for each kind of stage, in the order of its first.

    Activation peak, graphs and what lies outside torch are taken alike on every stage.
    """
    alike: dict[tuple[Budget, int], list[int]] = {}
    for stage in why:
        key = (_budget(evaluation, stage.stage), _needed_bytes(evaluation, stage))
        alike.setdefault(key, []).append(stage.stage)
    parallel = evaluation.deployment.parallel
    gpus_per_stage = parallel.num_ranks // parallel.pipeline_parallel_size
    return tuple(
        StageMemory(
            stages=tuple(stages),
            num_gpus=len(stages) * gpus_per_stage,
            weights_bytes=budget.weights_bytes,
            cache_bytes=budget.kv_cache_bytes,
            needed_bytes=needed,
            bar=memory_bar(budget, needed_bytes=needed),
        )
        for (budget, needed), stages in alike.items()
    )


def _budget(evaluation: Evaluation, stage: int) -> Budget:
    """The budget with this stage's weights in place of the heaviest's."""
    heaviest = evaluation.budget
    if not evaluation.stage_weights:
        return heaviest
    weights = on_device(
        evaluation.stage_weights[stage], evaluation.deployment.weights_on_host_bytes
    )
    if evaluation.deployment.engine.kv_cache_memory_bytes is not None:
        return replace(heaviest, weights_bytes=weights)
    taken = weights + heaviest.activation_peak_bytes
    taken = taken + heaviest.non_torch_bytes + heaviest.cuda_graph_bytes
    return replace(heaviest, weights_bytes=weights, kv_cache_bytes=heaviest.usable_bytes - taken)


def _needed_bytes(evaluation: Evaluation, stage: StageWhy) -> int:
    """What the asked requests take on a stage: as many blocks as on every other."""
    pool = evaluation.capacity.best
    asked = evaluation.fit.requests_per_replica * pool.request_blocks + pool.reserved_blocks
    return asked * stage.block_bytes
