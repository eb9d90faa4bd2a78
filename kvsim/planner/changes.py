"""Single changes to a deployment, kind by kind: what each sets, and what it gives up."""

import dataclasses
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from kvsim.planner.plan import Evaluation, Judge
from kvsim.specs.deployment import Deployment
from kvsim.specs.hardware import Accelerator

MAX_UTILIZATION = 0.98
"""Highest share of memory to advise: the driver and others need the rest."""

WEIGHT_FORMATS = ("fp8", "awq")
DEGREES = (2, 4, 8, 16)
RANKS = {
    "gpu_memory_utilization": 0,
    "max_num_seqs": 0,
    "max_num_batched_tokens": 1,
    "enforce_eager": 1,
    "kv_cache_dtype": 2,
    "max_model_len": 3,
    "concurrent_requests": 3,
    "quantization": 4,
    "tensor_parallel_size": 5,
    "pipeline_parallel_size": 5,
    "gpu": 6,
}
"""What kinds of changes cost, the cheapest first: settings, speed, the cache's precision, service,
the weights' precision, more devices, other devices."""

STEP_TOKENS = (4096, 2048)
"""Smaller steps to advise, tokens; below, prefill leaves a device idle."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One setting changed: what the deployment and the number of requests become."""

    setting: str
    value: str
    deployment: Deployment
    concurrent_requests: int
    cost: str


@dataclass(frozen=True, slots=True)
class Kind:
    """Changes of one setting, made when they are asked for: the devices never become fewer."""

    setting: str
    changes: Iterator[Change]


@dataclass(frozen=True, slots=True)
class Kinds:
    """Kinds of changes to one plan, those that cost least first; each kind's smallest first."""

    evaluation: Evaluation
    judge: Judge
    accelerators: Sequence[Accelerator]

    def to_fit(self) -> Iterator[Kind]:
        """Changes that may make what is asked fit."""
        e = self.evaluation
        if not self.judge.weights_take_all(e.deployment):
            yield Kind("gpu_memory_utilization", _utilization(e))
            yield Kind("max_num_seqs", _num_seqs(e, e.fit.requests_per_replica))
            yield from self._other_settings()
            yield Kind("max_model_len", _shorter_context(e, self.judge))
            yield Kind("concurrent_requests", _fewer_requests(e))
        yield from self._weights_and_devices()

    def to_hold_more(self) -> Iterator[Kind]:
        """Changes that may make more requests of the same length fit."""
        e = self.evaluation
        yield self._most_utilization()
        yield Kind("max_num_seqs", _num_seqs(e, 2 * max(1, e.capacity.best.max_requests)))
        yield from self._other_settings()
        yield from self._weights_and_devices()

    def halves(self) -> Iterator[Change]:
        """Changes taken as far as they go, to be followed by a second one."""
        yield from self._most_utilization().changes
        for kind in (*self._other_settings(), *self._weights_and_devices()):
            yield from kind.changes

    def _most_utilization(self) -> Kind:
        return Kind("gpu_memory_utilization", _most_utilization(self.evaluation))

    def _other_settings(self) -> Iterator[Kind]:
        e = self.evaluation
        yield Kind("max_num_batched_tokens", _step_tokens(e))
        yield Kind("enforce_eager", _no_graphs(e))
        yield Kind("kv_cache_dtype", _cache_dtype(e))

    def _weights_and_devices(self) -> Iterator[Kind]:
        e = self.evaluation
        return weights_and_devices(e.deployment, e.concurrent_requests, self.accelerators)


def weights_and_devices(
    deployment: Deployment, concurrent_requests: int, accelerators: Sequence[Accelerator]
) -> Iterator[Kind]:
    """Changes that may help even where the weights take all memory: the only ones that do."""
    asked = deployment, concurrent_requests
    yield Kind("quantization", _weights(*asked))
    for degree in ("tensor_parallel_size", "pipeline_parallel_size"):
        yield Kind(degree, _degrees(*asked, degree))
    yield Kind("gpu", _larger_device(*asked, accelerators))


def _engine_change(evaluation: Evaluation, setting: str, value: object, cost: str) -> Change:
    asked = evaluation.deployment, evaluation.concurrent_requests
    return _other_engine(*asked, setting, value, cost)


def _other_engine(
    deployment: Deployment, concurrent_requests: int, setting: str, value: object, cost: str
) -> Change:
    engine = dataclasses.replace(deployment.engine, **{setting: value})  # type: ignore[arg-type]
    return Change(
        setting=setting,
        value=str(value).lower() if isinstance(value, bool) else str(value),
        deployment=dataclasses.replace(deployment, engine=engine),
        concurrent_requests=concurrent_requests,
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


def _most_utilization(evaluation: Evaluation) -> Iterator[Change]:
    """The largest share that is free at start and leaves the driver its own."""
    memory = evaluation.budget
    free = math.floor(memory.free_bytes.best / memory.total_bytes.best * 100) / 100
    share = min(MAX_UTILIZATION, free)
    if share > evaluation.deployment.engine.gpu_memory_utilization:
        cost = "leaves less for other processes"
        yield _engine_change(evaluation, "gpu_memory_utilization", share, cost)


def _num_seqs(evaluation: Evaluation, wanted: int) -> Iterator[Change]:
    """No more sequences than wanted: the sampler is profiled with that many."""
    if wanted < evaluation.resolved.max_num_seqs:
        cost = "no more requests than that in one step"
        yield _engine_change(evaluation, "max_num_seqs", wanted, cost)


def _step_tokens(evaluation: Evaluation) -> Iterator[Change]:
    """Smaller steps: hidden states are profiled with that many tokens."""
    for tokens in STEP_TOKENS:
        if tokens < evaluation.resolved.max_num_batched_tokens:
            cost = "long prompts take more steps"
            yield _engine_change(evaluation, "max_num_batched_tokens", tokens, cost)


def _no_graphs(evaluation: Evaluation) -> Iterator[Change]:
    if not evaluation.deployment.engine.enforce_eager and evaluation.budget.cuda_graph_bytes.best:
        yield _engine_change(evaluation, "enforce_eager", True, "decode is slower")  # noqa: FBT003


def _cache_dtype(evaluation: Evaluation) -> Iterator[Change]:
    if evaluation.deployment.engine.kv_cache_dtype == "auto":
        cost = "cached values are rounded to 8 bits; measure your task"
        yield _engine_change(evaluation, "kv_cache_dtype", "fp8", cost)


def _shorter_context(evaluation: Evaluation, judge: Judge) -> Iterator[Change]:
    """The longest context that fits, by bisection over the same judgement."""
    if evaluation.deployment.engine.auto_max_model_len:
        return  # the engine has chosen it already
    low, high = 1, evaluation.resolved.max_model_len - 1

    def change(length: int) -> Change:
        cost = "longer requests are refused"
        return _engine_change(evaluation, "max_model_len", length, cost)

    def fits(length: int) -> bool:
        tried = change(length)
        return judge.fitting(tried.deployment, tried.concurrent_requests) is not None

    if high < low or not fits(low):
        return
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(middle) else (low, middle - 1)
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


def _weights(deployment: Deployment, concurrent_requests: int) -> Iterator[Change]:
    stored = deployment.engine.quantization or deployment.model.quantization
    if stored is None and deployment.overheads.weights_bytes is None:
        for name in WEIGHT_FORMATS:
            cost = f"needs a checkpoint in {name}; measure your task"
            yield _other_engine(deployment, concurrent_requests, "quantization", name, cost)


def _degrees(deployment: Deployment, concurrent_requests: int, degree: str) -> Iterator[Change]:
    """More ranks, or more stages."""
    if deployment.overheads.weights_bytes is not None:
        return  # stated per accelerator: how it would divide is not known
    now = getattr(deployment.parallel, degree)
    for size in DEGREES:
        if size > now:
            degrees: dict[str, Any] = {degree: size}
            parallel = dataclasses.replace(deployment.parallel, **degrees)
            yield Change(
                setting=degree,
                value=str(size),
                deployment=dataclasses.replace(deployment, parallel=parallel),
                concurrent_requests=concurrent_requests,
                cost=f"{parallel.num_ranks} accelerators in place of "
                f"{deployment.parallel.num_ranks}",
            )


def _larger_device(
    deployment: Deployment, concurrent_requests: int, accelerators: Sequence[Accelerator]
) -> Iterator[Change]:
    """Devices of the same vendor with more memory, the smallest first."""
    now = deployment.accelerator
    if deployment.free_bytes is not None or deployment.other_processes_bytes is not None:
        return  # what is free on another device is not known
    larger = [
        a
        for a in accelerators
        if a.vendor == now.vendor
        and a.reported_bytes is not None
        and a.total_bytes.low > now.total_bytes.high  # for sure
    ]
    for device in sorted(larger, key=lambda a: a.total_bytes.best):
        yield Change(
            setting="gpu",
            value=device.name,
            deployment=dataclasses.replace(deployment, accelerator=device),
            concurrent_requests=concurrent_requests,
            cost="another machine",
        )
