"""The public functions: they wire io, engines, analytic and plan together, and compute nothing."""

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import TYPE_CHECKING

from kvsim.analytic import cache
from kvsim.analytic.cache import CacheBytes, CacheCurve, FormulaLine
from kvsim.analytic.explanation import ExplainedGroup, explain_layers
from kvsim.dtypes import cache_dtype, model_dtype
from kvsim.engines.ideal import IdealLayout
from kvsim.engines.vllm_cache import vllm_cache
from kvsim.errors import SpecError
from kvsim.io.catalog import catalog_accelerators, find_accelerator
from kvsim.io.commands import vllm_serve
from kvsim.io.lengths import paging_study
from kvsim.io.models import read_model
from kvsim.io.overheads import engine_reserves, overhead_model
from kvsim.io.workloads import named_workload
from kvsim.planner import compare as side_by_side
from kvsim.planner.advise import Fix, fixes
from kvsim.planner.answer import Plan
from kvsim.planner.cache_layout import cache_layout
from kvsim.planner.compare import Comparison
from kvsim.planner.engine_memory import Facts
from kvsim.planner.layouts import PoolSettings
from kvsim.planner.plan import (
    Evaluation,
    deployment_cache_dtype,
    deployment_dtype,
    evaluate,
)
from kvsim.planner.waste import WasteReport, waste_setting
from kvsim.planner.waste import waste as measure_waste
from kvsim.planner.waste_study import WasteStudy
from kvsim.planner.waste_study import waste_study as run_study
from kvsim.planner.workload_summary import WorkloadSummary, summarize
from kvsim.sim.simulate import deployed_setup
from kvsim.sim.simulate import limits as simulation_limits
from kvsim.sim.simulate import simulate as run_simulation
from kvsim.sim.simulation import Simulation
from kvsim.sim.step_times import (
    DEFAULT_STEP_S,
    ConstantStepTime,
    StepTime,
    deployed_step_time,
)
from kvsim.specs.deployment import Deployment
from kvsim.specs.engine import EngineName, ResolvedVllm, Vllm
from kvsim.specs.hardware import Accelerator
from kvsim.specs.model import ModelSpec
from kvsim.specs.overheads import OverheadModel
from kvsim.specs.paging_study import BatchTime
from kvsim.specs.parallel import Parallelism
from kvsim.specs.traffic import Traffic
from kvsim.specs.transformers import Transformers
from kvsim.specs.workload import PoissonTraffic, Workload

if TYPE_CHECKING:
    from numpy.random import Generator


def load_model(source: str | PathLike[str] | Mapping[str, object]) -> ModelSpec:
    """The model that a file, a folder, a dict, a catalogue name or a hub's id describes.

    Files are a config.json, a GGUF file, or safetensors with their config beside them; with a
    header, `model.tensors` are the exact weights. A hub is asked for ids that the catalogue lacks
    alone: owner/name, or modelscope:owner/name.

    Raises:
        FileError: if a file cannot be read or is not what its name says, or a hub not reached.
        UnknownNameError: if a name is neither a file nor in the catalogue.
        SpecError: for a missing, impossible or contradictory field; the message names it.
        UnsupportedError: for an architecture whose cache is not known.

    Example:
        >>> load_model("llama-3.1-8b").num_kv_layers
        32
    """
    return read_model(source)


def accelerator(name: str) -> Accelerator:
    """The accelerator of that name or alias.

    Raises:
        UnknownNameError: if the catalogue lacks it; the message offers near names.

    Example:
        >>> accelerator("H100-SXM5-80GB").vendor
        'NVIDIA'
    """
    return find_accelerator(name)


def cache_bytes(
    model: ModelSpec,
    *,
    num_tokens: int,
    batch_size: int = 1,
    engine: str | Vllm | Transformers | PoolSettings = EngineName.IDEAL,
    kv_cache_dtype: str = "auto",
    dtype: str = "auto",
    tensor_parallel_size: int = 1,
    num_encoder_tokens: int | None = None,
) -> CacheBytes:
    """Bytes that the cache of equal sequences takes, as a breakdown on one rank.

    Args:
        model: what `load_model` returned.
        num_tokens: cached tokens of each sequence (>= 1).
        batch_size: sequences (>= 1).
        engine: whose layout: "ideal" counts live tokens only, "vllm" or `Vllm(...)` whole blocks,
            "transformers" or `Transformers(...)` what its cache classes hold.
        kv_cache_dtype: storage format of keys and values; "auto" is the model's.
        dtype: format of the model's own values; "auto" is the config's.
        tensor_parallel_size: ranks that share the heads.
        num_encoder_tokens: encoder output that cross attention caches, where the model does not
            fix it.

    Raises:
        SpecError: for an impossible size or format, or heads that do not divide.
        UnsupportedError: for a layout that is not known.

    Example:
        >>> cache_bytes(load_model("llama-3.1-8b"), num_tokens=8192).total_bytes
        1073741824
    """
    if num_encoder_tokens is not None:
        model = model.with_encoder_tokens(num_encoder_tokens)
    layout, kv_dtype = cache_layout(
        model,
        engine=engine,
        kv_cache_dtype=kv_cache_dtype,
        dtype=dtype,
        tensor_parallel_size=tensor_parallel_size,
    )
    return cache.cache_bytes(
        layout,
        model=model,
        num_tokens=num_tokens,
        batch_size=batch_size,
        kv_cache_dtype=kv_dtype.name,
        ranks=tensor_parallel_size,
    )


def cache_curve(
    model: ModelSpec,
    *,
    lengths: Sequence[int],
    batch_size: int = 1,
    engine: str | Vllm | PoolSettings = EngineName.IDEAL,
    kv_cache_dtype: str = "auto",
    tensor_parallel_size: int = 1,
    threshold_bytes: int | None = None,
) -> CacheCurve:
    """The cache of equal sequences over context lengths, and where it passes `threshold_bytes`.

    Raises:
        SpecError: for an impossible size or format.
    """
    layout, _ = cache_layout(
        model,
        engine=engine,
        kv_cache_dtype=kv_cache_dtype,
        dtype="auto",
        tensor_parallel_size=tensor_parallel_size,
    )
    return cache.cache_curve(
        layout, lengths=lengths, batch_size=batch_size, threshold_bytes=threshold_bytes
    )


def cache_formula(
    model: ModelSpec, *, kv_cache_dtype: str = "auto", tensor_parallel_size: int = 1
) -> tuple[FormulaLine, ...]:
    """The ideal layout's formula with this model's numbers, a line per group of equal layers.

    Example:
        >>> cache_formula(load_model("llama-3.1-8b"))[0].text
        '32 layers x [8 KV heads x (256 + 256) bytes x n]'
    """
    kv_dtype = model.dtype if kv_cache_dtype == "auto" else cache_dtype(kv_cache_dtype)
    return cache.cache_formula(model, kv_dtype=kv_dtype, tensor_parallel_size=tensor_parallel_size)


def explain_cache(
    model: ModelSpec,
    *,
    num_tokens: int,
    kv_cache_dtype: str = "auto",
    dtype: str = "auto",
    tensor_parallel_size: int = 1,
    num_encoder_tokens: int | None = None,
) -> tuple[ExplainedGroup, ...]:
    """Per group of equal layers the mechanism, the config's deciding fields, formula and bytes.

    Of one sequence in the ideal layout, on one rank; an engine rounds up from there.

    Raises:
        SpecError: for an impossible size or format, or heads that do not divide.

    Example:
        >>> group, = explain_cache(load_model("llama-3.1-8b"), num_tokens=8192)
        >>> group.formula, group.total_bytes
        ('32 layers x [8 KV heads x (256 + 256) bytes x 8192]', 1073741824)
    """
    if num_encoder_tokens is not None:
        model = model.with_encoder_tokens(num_encoder_tokens)
    own = model.dtype if dtype == "auto" else model_dtype(dtype)
    layout = IdealLayout(
        model=model,
        kv_dtype=own if kv_cache_dtype == "auto" else cache_dtype(kv_cache_dtype),
        dtype=own,
        tensor_parallel_size=tensor_parallel_size,
    )
    return explain_layers(layout, num_tokens=num_tokens)


def plan(
    deployment: Deployment,
    *,
    concurrent_requests: int = 1,
    accelerators: Sequence[Accelerator] | None = None,
    overheads: OverheadModel | None = None,
) -> Plan:
    """Budget, capacity and verdict of a deployment, and the changes that would make it fit.

    Args:
        deployment: model, accelerator, engine settings, parallelism.
        concurrent_requests: requests of `max_model_len` tokens that must fit at once.
        accelerators: devices to consider as a change; None means the catalogue's.
        overheads: coefficients of the engine's overheads; None means those shipped for its
            version.

    Raises:
        SpecError: for settings that no real system can have; the message names them.
        UnsupportedError: for a layout that is not known.

    Example:
        >>> h100 = accelerator("H100-SXM5-80GB")
        >>> plan(Deployment(model=load_model("llama-3.1-8b"), accelerator=h100)).fits
        True
    """
    coefficients = overheads or overhead_model(EngineName.VLLM, deployment.engine.engine_version)

    def judged(changed: Deployment, requests: int) -> Evaluation:
        return evaluate(changed, coefficients, concurrent_requests=requests)

    evaluation = judged(deployment, concurrent_requests)
    advice: tuple[Fix, ...] = ()
    if not evaluation.fit.verdict.fits:
        devices = catalog_accelerators() if accelerators is None else accelerators
        advice = fixes(evaluation, judged, devices)
    return Plan(evaluation=evaluation, fixes=advice, command=vllm_serve(deployment))


def compare(
    deployment: Deployment,
    *,
    engines: Sequence[str] | None = None,
    num_tokens: int | None = None,
) -> Comparison:
    """Every engine's bytes, capacity and concurrency for one model, device and length.

    Engines run under their own defaults; formats, degrees and memory are the deployment's. An
    engine that refuses says why; a figure whose rule is not known is None.

    Args:
        deployment: model, accelerator, parallelism; its engine settings are vLLM's.
        engines: names; None means all.
        num_tokens: tokens of each request; None means `max_model_len`.

    Raises:
        SpecError: for an unknown engine, or where no length is known.

    Example:
        >>> h100 = accelerator("H100-SXM5-80GB")
        >>> deployment = Deployment(model=load_model("llama-3.1-8b"), accelerator=h100)
        >>> [answer.cost.bytes_per_token for answer in compare(
        ...     deployment, engines=["vllm", "sglang"], num_tokens=8192).engines]
        [131072, 131072]
    """
    facts = Facts(
        overheads=overhead_model(EngineName.VLLM, deployment.engine.engine_version),
        reserves=engine_reserves(),
    )
    return side_by_side.compare(deployment, facts, engines=engines, num_tokens=num_tokens)


def poisson_workload(traffic: PoissonTraffic, *, seed: int = 0) -> Workload:
    """Requests that arrive independently of each other; one seed, one workload.

    Example:
        >>> from kvsim.specs.workload import PoissonTraffic
        >>> workload = poisson_workload(PoissonTraffic(num_requests=3, rate_per_s=1.0))
        >>> [r.num_prompt_tokens for r in workload]
        [1025, 974, 1128]
    """
    from kvsim.sim.workloads import poisson_workload  # noqa: PLC0415 - numpy, see _generator

    return poisson_workload(traffic, _generator(seed))


def generate_workload(
    traffic: str | Traffic,
    *,
    num_requests: int = 1000,
    seed: int = 0,
    arrivals: Mapping[str, object] | None = None,
) -> Workload:
    """Requests of a named workload, or of a description; one seed, one workload.

    Args:
        traffic: a name that `kvsim workload` lists, or a description.
        num_requests: requests, later turns of conversations among them.
        seed: of all that is by chance.
        arrivals: fields of the arrival process to change.

    Raises:
        UnknownNameError: for a name that there is not.
        SpecError: for an impossible number.

    Example:
        >>> chat = generate_workload("chat", num_requests=100)
        >>> chat == generate_workload("chat", num_requests=100), len(chat)
        (True, 100)
    """
    from kvsim.sim.traffic import generate  # noqa: PLC0415 - numpy, see _generator

    described = named_workload(traffic) if isinstance(traffic, str) else traffic
    changed = described.arriving(**(arrivals or {}))
    return generate(changed, _generator(seed), num_requests=num_requests)


def summarize_workload(
    workload: Workload, *, block_size: int = 16, capacities: Sequence[int] = ()
) -> WorkloadSummary:
    """Lengths, arrivals and what prompts share; what prefix caches of some sizes would find.

    Raises:
        SpecError: for a size below 1.
    """
    return summarize(workload, block_size=block_size, capacities=capacities)


def simulate(
    deployment: Deployment,
    workload: Workload,
    *,
    step_time_s: float | None = None,
    acceptance_rate: float = 0.0,
    seed: int = 0,
    keep_partial: bool = False,
    overheads: OverheadModel | None = None,
) -> Simulation:
    """What a deployment does with a workload, step by step: one replica of it.

    Args:
        deployment: model, accelerator, engine settings, parallelism.
        workload: requests in order of arrival.
        step_time_s: seconds of every step; None means the roofline of the device.
        acceptance_rate: chance that a drafted token is right, if those before it were.
        seed: of that chance.
        keep_partial: on Ctrl-C return what was done, in place of raising.
        overheads: coefficients of the engine's overheads; None means those shipped.

    Raises:
        CapacityError: if one request of `max_model_len` does not fit: the engine would not start.
        SpecError: for a request that the engine would refuse, or could never serve.
        UnsupportedError: for a layout or a schedule that is not known.

    Example:
        >>> h100 = accelerator("H100-SXM5-80GB")
        >>> deployment = Deployment(model=load_model("llama-3.1-8b"), accelerator=h100,
        ...     engine=Vllm(max_model_len=8192))
        >>> from kvsim.specs.workload import Request
        >>> requests = (Request(num_prompt_tokens=1000, num_output_tokens=10),) * 4
        >>> done = simulate(deployment, Workload(requests=requests))
        >>> len(done.requests), done.num_preemptions
        (4, 0)
    """
    coefficients = overheads or overhead_model(EngineName.VLLM, deployment.engine.engine_version)
    evaluation = evaluate(deployment, coefficients, concurrent_requests=1)
    model, engine = evaluation.deployment.model, deployment.engine
    cache = vllm_cache(
        model, engine, accelerator=deployment.accelerator, parallel=deployment.parallel
    )
    layout = cache.start(evaluation.budget.kv_cache_bytes.best)
    setup = deployed_setup(layout, cache.settings, engine, acceptance_rate=acceptance_rate)
    return run_simulation(
        setup,
        workload,
        _step_time(
            evaluation,
            workload,
            settings=cache.settings,
            step_time_s=step_time_s,
        ),
        generator=_generator(seed) if acceptance_rate else None,
        keep_partial=keep_partial,
        model=model.name,
        gpu=deployment.accelerator.name,
        not_modeled=(
            *evaluation.not_modeled,
            *simulation_limits(cache.settings, engine, deployment.parallel),
        ),
    )


def _generator(seed: int) -> "Generator":
    from numpy.random import PCG64, Generator  # noqa: PLC0415 - numpy costs what a plan costs

    return Generator(PCG64(seed))


def _step_time(
    evaluation: Evaluation,
    workload: Workload,
    *,
    settings: ResolvedVllm,
    step_time_s: float | None,
) -> StepTime:
    if step_time_s is not None:
        return ConstantStepTime(step_time_s)
    return deployed_step_time(
        evaluation.deployment,
        workload,
        weights=evaluation.weights,
        rank_weights_bytes=evaluation.budget.weights_bytes.best,
        kv_dtype=deployment_cache_dtype(evaluation.deployment),
        dtype=deployment_dtype(evaluation.deployment),
        settings=settings,
    )


def simulate_blocks(
    model: ModelSpec,
    workload: Workload,
    *,
    engine: Vllm,
    parallel: Parallelism | None = None,
    step_time_s: float = DEFAULT_STEP_S,
    acceptance_rate: float = 0.0,
    seed: int = 0,
    keep_partial: bool = False,
) -> Simulation:
    """What an engine with a stated number of blocks does with a workload; no device is needed.

    Args:
        model: what `load_model` returned.
        workload: requests in order of arrival.
        engine: settings; `num_gpu_blocks_override` says how many blocks there are.
        parallel: degrees that share the model; None means one rank.
        step_time_s: seconds of every step.
        acceptance_rate: chance that a drafted token is right, if those before it were.
        seed: of that chance.
        keep_partial: on Ctrl-C return what was done, in place of raising.

    Raises:
        CapacityError: if one request of `max_model_len` does not fit: the engine would not start.
        SpecError: without a number of blocks; for a request that could never be served.
        UnsupportedError: for a layout or a schedule that is not known.
    """
    if engine.num_gpu_blocks_override is None:
        msg = "num_gpu_blocks_override must be given where no device says how many blocks there are"
        raise SpecError(msg)
    cache = vllm_cache(model, engine, parallel=parallel)
    setup = deployed_setup(cache.start(0), cache.settings, engine, acceptance_rate=acceptance_rate)
    return run_simulation(
        setup,
        workload,
        ConstantStepTime(step_time_s),
        generator=_generator(seed) if acceptance_rate else None,
        keep_partial=keep_partial,
        model=model.name,
        not_modeled=(
            *model.not_modeled,
            *simulation_limits(cache.settings, engine, parallel or Parallelism()),
        ),
    )


def waste(
    workload: Workload,
    *,
    num_slots: int | None = None,
    max_model_len: int | None = None,
    block_size: int = 16,
    batch_time: BatchTime | None = None,
) -> WasteReport:
    """Where a pool goes under static, Orca's and paged allocation, and what rate each sustains.

    Args:
        workload: requests in order of arrival.
        num_slots: tokens that the pool holds; None means eight sequences of the longest length.
        max_model_len: what a static cache reserves; None means the next power of two.
        block_size: tokens per block where paging is used.
        batch_time: seconds of a step; None means what the PagedAttention paper's figures imply.

    Raises:
        SpecError: for an impossible setting, or a request that a method could never serve.

    Example:
        >>> from kvsim.specs.workload import Request
        >>> requests = (Request(num_prompt_tokens=100, num_output_tokens=100),) * 9
        >>> report = waste(Workload(requests=requests), num_slots=512)
        >>> [(m.method, round(m.batch, 1)) for m in report.methods][1::3]
        [('orca-max', 2.0), ('paged', 2.0)]
    """
    setting = waste_setting(
        workload,
        batch_time or paging_study().setting.batch_time,
        num_slots=num_slots,
        max_model_len=max_model_len,
        block_size=block_size,
    )
    return measure_waste(workload, setting)


def waste_study(*, seed: int = 0, num_requests: int = 3000) -> WasteStudy:
    """The PagedAttention paper's figures on waste and batch size, published and simulated.

    Args:
        seed: of lengths and arrivals.
        num_requests: of each of its workloads.
    """
    return run_study(paging_study(), _generator(seed), num_requests=num_requests)


__all__ = [
    "accelerator",
    "cache_bytes",
    "cache_curve",
    "cache_formula",
    "compare",
    "explain_cache",
    "generate_workload",
    "load_model",
    "plan",
    "poisson_workload",
    "simulate",
    "simulate_blocks",
    "summarize_workload",
    "waste",
    "waste_study",
]
