"""The nearest single changes to a deployment: each tried, each with the number it gives."""

import dataclasses
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from kvsim.errors import KvsimError
from kvsim.planner.plan import Evaluation
from kvsim.specs.deployment import Deployment
from kvsim.specs.hardware import Accelerator

Evaluate = Callable[[Deployment, int], Evaluation]
"""Judges a deployment for so many concurrent requests."""

MAX_UTILIZATION = 0.98
"""Highest share of memory to advise: the driver and others need the rest."""

WEIGHT_FORMATS = ("fp8", "awq")
TENSOR_PARALLEL_SIZES = (2, 4, 8, 16)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One setting changed: what the deployment and the number of requests become."""

    setting: str
    value: str
    deployment: Deployment
    concurrent_requests: int
    cost: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Fix:
    """A single change after which the deployment fits, and what it then holds.

    `setting` is the engine's own flag name; `cost` says in words what the change gives up.
    """

    setting: str
    value: str
    max_requests: int
    max_concurrency: float
    kv_cache_tokens: int
    cost: str


def fixes(
    evaluation: Evaluation, evaluate: Evaluate, accelerators: Sequence[Accelerator]
) -> tuple[Fix, ...]:
    """Single changes that make the deployment fit, those that cost least first.

    Args:
        evaluation: the deployment that does not fit, or only just.
        evaluate: how a changed deployment is judged.
        accelerators: devices to consider in place of this one.
    """
    changes = (
        _utilization(evaluation),
        _num_seqs(evaluation),
        _cache_dtype(evaluation),
        _shorter_context(evaluation, evaluate),
        _fewer_requests(evaluation),
        _weights(evaluation),
        _tensor_parallel(evaluation),
        _larger_device(evaluation, accelerators),
    )
    found = (_first_that_fits(kind, evaluate) for kind in changes)
    return tuple(fix for fix in found if fix is not None)


def _first_that_fits(changes: Iterator[Change], evaluate: Evaluate) -> Fix | None:
    for change in changes:
        judged = _judged(change, evaluate)
        if judged is not None and judged.fit.verdict.fits:
            best = judged.capacity.best
            return Fix(
                setting=change.setting,
                value=change.value,
                max_requests=best.max_requests,
                max_concurrency=best.max_concurrency,
                kv_cache_tokens=best.kv_cache_tokens,
                cost=change.cost,
            )
    return None


def _judged(change: Change, evaluate: Evaluate) -> Evaluation | None:
    try:
        return evaluate(change.deployment, change.concurrent_requests)
    except KvsimError:  # the model or the engine cannot do it: no advice
        return None


def _engine_change(evaluation: Evaluation, setting: str, value: object, cost: str) -> Change:
    deployment = evaluation.deployment
    engine = dataclasses.replace(deployment.engine, **{setting: value})  # type: ignore[arg-type]
    return Change(
        setting=setting,
        value=str(value),
        deployment=dataclasses.replace(deployment, engine=engine),
        concurrent_requests=evaluation.concurrent_requests,
        cost=cost,
    )


def _utilization(evaluation: Evaluation) -> Iterator[Change]:
    """The smallest share that gives what lacks; or the largest that is free at start."""
    memory, fit = evaluation.budget, evaluation.fit
    asked = evaluation.deployment.engine.gpu_memory_utilization
    total = memory.total_bytes.best
    if memory.free_bytes.best < memory.usable_bytes.best:
        share = math.floor(memory.free_bytes.best / total * 100) / 100
    else:
        share = math.ceil((asked + fit.missing_bytes / total) * 100) / 100
    if share != asked and 0 < share <= MAX_UTILIZATION:
        cost = "leaves less for other processes" if share > asked else "a smaller cache"
        yield _engine_change(evaluation, "gpu_memory_utilization", share, cost)


def _num_seqs(evaluation: Evaluation) -> Iterator[Change]:
    """As many sequences as are asked for: the sampler is profiled with that many."""
    wanted = evaluation.fit.requests_per_replica
    if wanted < evaluation.resolved.max_num_seqs:
        cost = "no more requests than that in one step"
        yield _engine_change(evaluation, "max_num_seqs", wanted, cost)


def _cache_dtype(evaluation: Evaluation) -> Iterator[Change]:
    if evaluation.deployment.engine.kv_cache_dtype == "auto":
        cost = "cached values are rounded to 8 bits; measure your task"
        yield _engine_change(evaluation, "kv_cache_dtype", "fp8", cost)


def _shorter_context(evaluation: Evaluation, evaluate: Evaluate) -> Iterator[Change]:
    """The longest context that fits, by bisection over the same judgement."""
    if evaluation.deployment.engine.auto_max_model_len:
        return  # the engine has chosen it already
    low, high = 0, evaluation.resolved.max_model_len - 1

    def change(length: int) -> Change:
        cost = "longer requests are refused"
        return _engine_change(evaluation, "max_model_len", length, cost)

    while low < high:
        middle = (low + high + 1) // 2
        judged = _judged(change(middle), evaluate)
        fits = judged is not None and judged.fit.verdict.fits
        low, high = (middle, high) if fits else (low, middle - 1)
    if low:
        yield change(low)


def _fewer_requests(evaluation: Evaluation) -> Iterator[Change]:
    fitting = evaluation.fit.max_requests
    if 1 <= fitting < evaluation.concurrent_requests:
        yield Change(
            setting="concurrent_requests",
            value=str(fitting),
            deployment=evaluation.deployment,
            concurrent_requests=fitting,
            cost="the others wait in the queue",
        )


def _weights(evaluation: Evaluation) -> Iterator[Change]:
    deployment = evaluation.deployment
    stored = deployment.engine.quantization or deployment.model.quantization
    if stored is None and deployment.overheads.weights_bytes is None:
        for name in WEIGHT_FORMATS:
            cost = f"needs a checkpoint in {name}; measure your task"
            yield _engine_change(evaluation, "quantization", name, cost)


def _tensor_parallel(evaluation: Evaluation) -> Iterator[Change]:
    deployment = evaluation.deployment
    if deployment.overheads.weights_bytes is not None:
        return  # stated per accelerator: how it would divide is not known
    now = deployment.parallel.tensor_parallel_size
    for size in TENSOR_PARALLEL_SIZES:
        if size > now:
            parallel = dataclasses.replace(deployment.parallel, tensor_parallel_size=size)
            yield Change(
                setting="tensor_parallel_size",
                value=str(size),
                deployment=dataclasses.replace(deployment, parallel=parallel),
                concurrent_requests=evaluation.concurrent_requests,
                cost=f"{parallel.num_ranks} accelerators in place of "
                f"{deployment.parallel.num_ranks}",
            )


def _larger_device(evaluation: Evaluation, accelerators: Sequence[Accelerator]) -> Iterator[Change]:
    """Devices of the same vendor with more memory, the smallest first."""
    deployment = evaluation.deployment
    now = deployment.accelerator
    if deployment.free_bytes is not None or deployment.other_processes_bytes is not None:
        return  # what is free on another device is not known
    larger = [
        a
        for a in accelerators
        if a.vendor == now.vendor
        and a.reported_bytes is not None
        and a.total_bytes.best > now.total_bytes.best
    ]
    for device in sorted(larger, key=lambda a: a.total_bytes.best):
        yield Change(
            setting="gpu",
            value=device.name,
            deployment=dataclasses.replace(deployment, accelerator=device),
            concurrent_requests=evaluation.concurrent_requests,
            cost="another machine",
        )
