"""Axes of devices: how many, how they split the model, and which."""

from collections.abc import Iterator
from dataclasses import replace

from kvsim.errors import KvsimError
from kvsim.planner.axes import Axis, Question, Scenario, refuse, refuse_stated_weights
from kvsim.planner.solution import Target, Value

MAX_FACTOR = 256
"""Times the stated degrees that accelerators are multiplied by, at most."""


def num_gpus(q: Question) -> Axis:
    """Fewest accelerators: multiples of the stated degrees, split into tensor ranks and stages."""
    refuse_stated_weights(q)
    base = q.deployment.parallel

    def scenarios(value: Value) -> Iterator[Scenario]:
        """Every split of the further factor into tensor and pipeline parallelism."""
        factor = int(value) // base.num_ranks
        most = q.deployment.model.num_layers // base.pipeline_parallel_size
        for stages in (n for n in range(1, min(factor, most) + 1) if factor % n == 0):
            yield q.with_deployment(
                parallel=replace(
                    base,
                    tensor_parallel_size=base.tensor_parallel_size * (factor // stages),
                    pipeline_parallel_size=base.pipeline_parallel_size * stages,
                )
            )

    return Axis(
        target=Target.NUM_GPUS,
        goal="smallest",
        values=range(base.num_ranks, base.num_ranks * MAX_FACTOR + 1, base.num_ranks),
        scenarios=scenarios,
        is_ordered=False,
        notes=("devices split layers where heads divide, else stages of layers",),
    )


def tensor_parallel_size(q: Question) -> Axis:
    """Smallest degree of those that the model can be split by."""
    refuse_stated_weights(q)

    def scenarios(value: Value) -> Iterator[Scenario]:
        parallel = replace(q.deployment.parallel, tensor_parallel_size=int(value))
        yield q.with_deployment(parallel=parallel)

    step = q.deployment.parallel.decode_context_parallel_size  # divides the degree
    return Axis(
        target=Target.TENSOR_PARALLEL_SIZE,
        goal="smallest",
        values=tuple(n for n in range(step, MAX_FACTOR + 1, step) if _divides(q, n)) or (step,),
        scenarios=scenarios,
        is_ordered=False,
        notes=("degrees that the model's heads do not allow are left out",),
    )


def _divides(q: Question, degree: int) -> bool:
    """Whether the engine takes the degree at all, whatever memory there is."""
    parallel = replace(q.deployment.parallel, tensor_parallel_size=degree)
    try:
        q.judge(replace(q.deployment, parallel=parallel), q.requests)
    except KvsimError:
        return False
    return True


def accelerator(q: Question) -> Axis:
    """The device with the least memory, of those that there are."""
    stated = q.deployment.free_bytes is not None or q.deployment.other_processes_bytes is not None
    refuse(stated, "free_memory and other_processes are of one device: leave them out")
    refuse(q.deployment.other_accelerators, "other_accelerators must be alike: leave them out")
    devices = sorted(
        (a for a in q.accelerators if a.reported_bytes is not None or a.torch_bytes),
        key=lambda a: (a.total_bytes.best, a.name),
    )
    refuse(not devices, "accelerators must name at least one device whose memory is known")
    by_name = {device.name: device for device in devices}

    def scenarios(value: Value) -> Iterator[Scenario]:
        yield q.with_deployment(accelerator=by_name[str(value)])

    return Axis(
        target=Target.ACCELERATOR,
        goal="device with the least memory",
        values=tuple(by_name),
        scenarios=scenarios,
        is_ordered=False,
        notes=("devices without a reading of their memory are left out",),
    )
