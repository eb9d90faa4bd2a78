"""One deployment's answer: budget, capacity, verdict, work, and the changes that would help."""

from dataclasses import dataclass, replace

from kvsim.analytic.allocation import beside_tensors
from kvsim.analytic.budget import Budget, budget, loaded_stages_bytes, on_device
from kvsim.analytic.capacity import Capacity, Fit, capacity, fit
from kvsim.analytic.compute import Bound, Compute, bound, compute, ridge_point
from kvsim.analytic.device_memory import total_bytes
from kvsim.analytic.host_memory import HostMemory, host_memory
from kvsim.analytic.overhead import overhead_bytes
from kvsim.analytic.weights import Part, resolve_quantization, weights_bytes
from kvsim.dtypes import DType, cache_dtype, model_dtype
from kvsim.engines.vllm import VllmCacheLayout, resolved_layout
from kvsim.engines.vllm_offload import OffloadCapacity, vllm_offload
from kvsim.engines.vllm_why import StageWhy, explain_stages
from kvsim.errors import KvsimError, SpecError
from kvsim.specs.attention import CrossAttention
from kvsim.specs.deployment import Deployment
from kvsim.specs.engine import EngineName, ResolvedVllm, resolve_vllm
from kvsim.specs.model import ModelSpec
from kvsim.specs.overheads import Interval, OverheadModel, exact


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """What one deployment gives, without advice: what every fix is judged by."""

    engine: EngineName
    deployment: Deployment
    resolved: ResolvedVllm
    concurrent_requests: int
    weights: tuple[Part, ...]  # empty where the user stated their bytes
    stage_weights: tuple[Interval, ...]  # on a rank of every stage; empty where they were stated
    budget: Budget
    layout: VllmCacheLayout
    capacity: Capacity
    fit: Fit
    not_modeled: tuple[str, ...]

    @property
    def tensor_bytes(self) -> int:
        """What a step reads of the weights: the tensors on a rank of the heaviest stage.

        What loading takes beside them is not read; all of it is where the user stated one figure.
        """
        if not self.weights:
            return self.budget.weights_bytes.best
        held = sum(part.num_bytes for part in self.weights)
        return max(0, held - self.deployment.weights_on_host_bytes)

    @property
    def why(self) -> tuple[StageWhy, ...]:
        """What rounding, padding, copies and the null block each cost, per pipeline stage."""
        return explain_stages(self.layout, max(0, self.budget.kv_cache_bytes.best))

    @property
    def offload(self) -> OffloadCapacity | None:
        """What the host tier of a replica holds; None without one, or if it would not start."""
        size = self.deployment.engine.kv_offloading_bytes
        if not size or self.capacity.best.refusal is not None:
            return None
        layout = self.layout.cache.start(self.budget.kv_cache_bytes.best)
        return vllm_offload(layout, size_bytes=size, engine_version=self.resolved.engine_version)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Started:
    """What an engine finds before it lays a cache out."""

    deployment: Deployment  # the encoder's length among it
    resolved: ResolvedVllm  # before the layers had their say
    stage_weights: tuple[Interval, ...]
    parts: tuple[Part, ...]
    left_out: tuple[str, ...]
    budget: Budget


@dataclass(frozen=True, slots=True)
class Judge:
    """Judges deployments by the overheads of one engine."""

    overheads: OverheadModel

    def __call__(self, deployment: Deployment, concurrent_requests: int) -> Evaluation:
        """The whole judgement.

        Raises:
            KvsimError: for what no real system can have, or a layout that is not known.
        """
        return evaluate(deployment, self.overheads, concurrent_requests=concurrent_requests)

    def weights_take_all(self, deployment: Deployment) -> bool:
        """Whether weights alone take as much as there is, so that no other setting helps."""
        if deployment.engine.kv_cache_memory_bytes is not None:
            return False
        try:
            loaded, *_ = _weights(deployment, self.overheads)
            weights = on_device(loaded, deployment.weights_on_host_bytes)
            return weights.best >= total_bytes(deployment).best
        except KvsimError:
            return False

    def fitting(self, deployment: Deployment, concurrent_requests: int) -> Evaluation | None:
        """The judgement where what is asked fits; searches ask for it many times.

        No cache is laid out where the weights leave it no memory.
        """
        if self.weights_take_all(deployment):
            return None
        try:
            started = _started(deployment, self.overheads)
            if not started.budget.leaves_cache:
                return None
            evaluation = _evaluated(started, concurrent_requests)
        except KvsimError:
            return None
        return evaluation if evaluation.fit.verdict.fits else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """A phase's bound on this device, and how far its intensity is from the ridge point."""

    bound: Bound
    intensity: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ComputeAnswer:
    """Work per phase at the longest length, and what binds it; None where speeds are unknown."""

    compute: Compute
    ridge_point: float | None
    prefill: Phase | None
    decode: Phase | None  # at as many requests as run at once; capacity where none more fits


def evaluate(
    deployment: Deployment, overheads: OverheadModel, *, concurrent_requests: int
) -> Evaluation:
    """Budget, capacity and verdict of one deployment.

    Raises:
        SpecError: for settings that no real system can have.
        UnsupportedError: for a layout that is not known.
    """
    return _evaluated(_started(deployment, overheads), concurrent_requests)


def _started(deployment: Deployment, overheads: OverheadModel) -> _Started:
    model = deployment.model
    resolved = resolve_vllm(
        deployment.engine,
        model=model,
        accelerator=deployment.accelerator,
        parallel=deployment.parallel,
    )
    if model.num_encoder_tokens is None and _attends_to_an_encoder(model):
        # the engine charges cross attention for as many encoder tokens as a step can hold
        told = model.with_encoder_tokens(resolved.max_num_batched_tokens)
        deployment = replace(deployment, model=told)
    weights, stage_weights, parts, left_out = _weights(deployment, overheads)
    memory = budget(
        deployment, weights=weights, overheads=overhead_bytes(deployment, resolved, overheads)
    )
    return _Started(
        deployment=deployment,
        resolved=resolved,
        stage_weights=stage_weights,
        parts=parts,
        left_out=left_out,
        budget=memory,
    )


def _evaluated(started: _Started, concurrent_requests: int) -> Evaluation:
    deployment, memory = started.deployment, started.budget
    model, engine, parallel = deployment.model, deployment.engine, deployment.parallel
    layout = resolved_layout(
        model, engine, started.resolved, parallel, accelerator=deployment.accelerator
    )
    settings = _fitted(layout, memory) if engine.auto_max_model_len else layout.settings
    held = capacity(layout, model, memory, max_model_len=settings.max_model_len)
    return Evaluation(
        engine=layout.engine,
        deployment=deployment,
        resolved=settings,
        concurrent_requests=concurrent_requests,
        weights=started.parts,
        stage_weights=started.stage_weights,
        budget=memory,
        layout=layout,
        capacity=held,
        fit=fit(
            held,
            memory,
            concurrent_requests=concurrent_requests,
            replicas=parallel.data_parallel_size,
            host=_host(deployment),
        ),
        not_modeled=(*model.not_modeled, *started.left_out, *layout.not_modeled),
    )


def _host(deployment: Deployment) -> HostMemory | None:
    """The machine's memory, where it is stated and not the device's own."""
    if deployment.host_memory_bytes is None or deployment.accelerator.unified_memory:
        return None
    return host_memory(deployment)


def _attends_to_an_encoder(model: ModelSpec) -> bool:
    return any(isinstance(b, CrossAttention) for group in model.layer_groups for b in group.layer)


def _fitted(layout: VllmCacheLayout, memory: Budget) -> ResolvedVllm:
    """The settings with the length that the engine makes of `max_model_len=-1`."""
    pool = layout.pool(memory.kv_cache_bytes.best)
    return replace(layout.settings, max_model_len=pool.max_model_len)


def deployment_dtype(deployment: Deployment) -> DType:
    """The format of weights and activations."""
    asked = deployment.engine.dtype
    return deployment.model.dtype if asked == "auto" else model_dtype(asked)


def deployment_cache_dtype(deployment: Deployment) -> DType:
    """The format of the cache: the weights' quantisation never implies it."""
    asked = deployment.engine.kv_cache_dtype
    return deployment_dtype(deployment) if asked == "auto" else cache_dtype(asked)


def _weights(
    deployment: Deployment, overheads: OverheadModel
) -> tuple[Interval, tuple[Interval, ...], tuple[Part, ...], tuple[str, ...]]:
    """On a rank of the heaviest stage, of every stage, by role, and what was left out."""
    stated = deployment.overheads.weights_bytes
    if stated is not None:
        return stated, (), (), ()
    if deployment.engine.kv_cache_memory_bytes is not None and not deployment.model.weights:
        return exact(0, "unknown"), (), (), ("weights: the config does not determine them",)
    model, parallel = deployment.model, deployment.parallel
    quantization = resolve_quantization(deployment.engine.quantization, model)
    dtype = deployment_dtype(deployment)
    weights = weights_bytes(model, parallel=parallel, dtype=dtype, quantization=quantization)
    is_cuda = deployment.accelerator.vendor == "NVIDIA"
    beside = beside_tensors(
        model,
        parallel=parallel,
        dtype=dtype,
        quantization=quantization,
        is_eager_cuda=deployment.engine.enforce_eager and is_cuda,
    )
    stages = loaded_stages_bytes(weights, overheads, beside)
    return stages[weights.stage], stages, weights.parts, ()


def work(evaluation: Evaluation) -> ComputeAnswer | None:
    """What the phases compute and read at the longest length; None where weights are unknown."""
    deployment = evaluation.deployment
    if not deployment.model.weights:
        return None
    held, resolved = evaluation.capacity, evaluation.resolved
    running = max(1, min(held.best.max_requests, resolved.max_num_seqs))
    one = _compute(evaluation, batch_size=1)
    many = _compute(evaluation, batch_size=running).decode_step
    num_bytes = 1 if "fp8" in (deployment.engine.quantization or "") else 2
    accelerator = deployment.accelerator
    try:
        ridge = ridge_point(accelerator, num_bytes=num_bytes)
    except SpecError:
        return ComputeAnswer(compute=one, ridge_point=None, prefill=None, decode=None)
    binds = bound(many, accelerator, num_bytes=num_bytes)
    if binds is Bound.BANDWIDTH and running < resolved.max_num_seqs:
        binds = Bound.CAPACITY  # memory, not the setting, keeps the batch from growing
    return ComputeAnswer(
        compute=one,
        ridge_point=ridge,
        prefill=Phase(
            bound=bound(one.prefill, accelerator, num_bytes=num_bytes),
            intensity=one.prefill.intensity,
        ),
        decode=Phase(bound=binds, intensity=many.intensity),
    )


def _compute(evaluation: Evaluation, *, batch_size: int) -> Compute:
    deployment = evaluation.deployment
    parallel = deployment.parallel  # stages are taken as alike, each as large as the largest
    ranks = parallel.tensor_parallel_size * parallel.pipeline_parallel_size
    return compute(
        deployment.model,
        weights=evaluation.weights,
        weights_bytes=evaluation.tensor_bytes * ranks,
        num_tokens=evaluation.resolved.max_model_len,
        cache_bytes=evaluation.capacity.request.total_bytes * ranks,
        batch_size=batch_size,
    )
