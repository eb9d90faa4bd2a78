"""Runs: a laid-out cache, settings and a workload in, a Simulation out."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from kvsim.engines.vllm_cache_config import VllmCacheConfig
from kvsim.engines.vllm_groups import group_layers
from kvsim.engines.vllm_layout import VllmLayout
from kvsim.engines.vllm_offload import vllm_offload
from kvsim.engines.vllm_spec_base import KVCacheSpec
from kvsim.errors import SpecError, UnsupportedError
from kvsim.sim.config import SchedulerConfig
from kvsim.sim.cover import SchedulerName
from kvsim.sim.moment import Observer
from kvsim.sim.offload import TierSizes
from kvsim.sim.request_arrays import RequestArrays
from kvsim.sim.serve import Served, Service, serve
from kvsim.sim.setup import EngineSetup
from kvsim.sim.simulation import Simulation
from kvsim.sim.step_times import ConstantStepTime
from kvsim.specs.engine import EngineName, ResolvedVllm, Vllm
from kvsim.specs.model import ModelSpec, Shard
from kvsim.specs.offload import Offload
from kvsim.specs.parallel import Parallelism
from kvsim.specs.speculative import DRAFTERS
from kvsim.specs.workload import Workload

if TYPE_CHECKING:
    from numpy.random import Generator


def simulate_schedule(
    layers: Sequence[KVCacheSpec],
    cache_config: VllmCacheConfig,
    config: SchedulerConfig,
    workload: Workload | RequestArrays,
    *,
    num_gpu_blocks: int,
    step_time_s: float = 1.0,
    generator: "Generator | None" = None,
    scheduler: str = SchedulerName.AUTO,
    keep_partial: bool = False,
    observe: Observer | None = None,
) -> Simulation:
    """What vLLM's scheduler does with layers, settings and requests, step by step.

    Args:
        layers: one spec per layer in registration order, as `vllm_layout` takes them.
        cache_config: settings that decide the layout; those that `config` has too must agree.
        config: settings that decide each step.
        workload: requests in order of arrival.
        num_gpu_blocks: blocks of the pool, the null block counted.
        step_time_s: seconds of every step; with 1, an arrival at second t is one before step t.
        generator: decides which drafts are right; None: none is.
        scheduler: "compiled" or "reference"; "auto" is the compiled twin where it covers the run.
        keep_partial: on Ctrl-C return what was done, in place of raising.
        observe: is shown every step, see `BlockMapRecorder`; the reference serves then.

    Raises:
        SpecError: for a request that the engine would refuse, or could never serve.
        UnsupportedError: for layers whose schedule is not known, or that stop the engine.

    Source:
        vLLM `EngineCore.step`, vllm/v1/engine/core.py, 0.32.0.

    Example:
        Three blocks of four tokens: the second request waits until the first is done.

        >>> from kvsim.engines.vllm_layer_spec import vllm_layer_spec
        >>> from kvsim.specs.workload import Request
        >>> layer = vllm_layer_spec("FullAttentionSpec", block_size=4, num_kv_heads=1,
        ...     head_size=8, dtype="bfloat16")
        >>> limits = {"max_model_len": 12, "max_num_batched_tokens": 16}
        >>> requests = (Request(num_prompt_tokens=7, num_output_tokens=3),) * 2
        >>> done = simulate_schedule([layer], VllmCacheConfig(**limits, block_size=4),
        ...     SchedulerConfig(**limits), Workload(requests=requests), num_gpu_blocks=4)
        >>> [(s.num_running, s.num_waiting, s.num_used_blocks) for s in done.steps]
        [(1, 1, 2), (1, 1, 2), (1, 1, 3), (1, 0, 2), (1, 0, 2), (1, 0, 3)]
    """
    setup = EngineSetup(
        groups=group_layers(layers, cache_config),
        cache_config=cache_config,
        config=config,
        num_gpu_blocks=num_gpu_blocks,
    )
    service = Service(
        step_time=ConstantStepTime(step_time_s),
        accept=accepting(config.acceptance_rate, generator),
        scheduler=SchedulerName(scheduler),
        keep_partial=keep_partial,
        observe=observe,
    )
    return simulate(setup, workload, service)


def simulate(
    setup: EngineSetup,
    workload: Workload | RequestArrays,
    service: Service,
    *,
    model: str | None = None,
    gpu: str | None = None,
    not_modeled: tuple[str, ...] = (),
) -> Simulation:
    """What the engine does with the requests, step by step.

    Raises:
        SpecError: for a request that the engine would refuse, or could never serve.
        UnsupportedError: if the compiled twin is asked for and does not cover the run.
    """
    served = serve(setup, workload, service)
    return simulation(
        setup,
        served,
        service,
        num_requests=num_answers(workload),
        model=model,
        gpu=gpu,
        not_modeled=not_modeled,
    )


def simulation(
    setup: EngineSetup,
    served: Served,
    service: Service,
    *,
    num_requests: int,
    model: str | None,
    gpu: str | None,
    not_modeled: tuple[str, ...],
) -> Simulation:
    """The figures of a run, with what it was a run of."""
    return Simulation(
        steps=served.run.steps,
        requests=served.run.requests,
        preemptions=served.run.preemptions,
        tiers=served.run.tiers,
        num_requests=num_requests,
        num_gpu_blocks=setup.num_gpu_blocks,
        num_free_blocks=served.run.num_free_blocks,
        block_size=setup.block_size,
        max_model_len=setup.config.max_model_len,
        step_time=service.step_time.source,
        is_calibrated=service.step_time.is_calibrated,
        engine=EngineName.VLLM,
        engine_version=setup.engine_version,
        model=model,
        gpu=gpu,
        interrupted=served.run.interrupted,
        scheduler=served.scheduler,
        scheduler_reason=served.reason,
        not_modeled=not_modeled,
    )


def num_answers(workload: Workload | RequestArrays) -> int:
    """Answers that a workload asks for."""
    if isinstance(workload, Workload):
        return sum(request.num_samples for request in workload)
    return len(workload)


def accepting(rate: float, generator: "Generator | None") -> Callable[[int], int]:
    """How many of so many drafts are right: each with chance `rate`, until one is wrong."""

    def accept(num_drafts: int) -> int:
        num_right = 0
        if generator is not None:
            while num_right < num_drafts and generator.random() < rate:
                num_right += 1
        return num_right

    return accept


def deployed_setup(
    layout: VllmLayout,
    settings: ResolvedVllm,
    engine: Vllm,
    *,
    acceptance_rate: float,
    watermark: float = 0.0,
    offload: Offload | None = None,
) -> EngineSetup:
    """An engine as it stands after its start: blocks from its layout, settings as resolved.

    Args:
        layout: what the engine made of its memory.
        settings: every default filled in.
        engine: what was asked, for the drafter.
        acceptance_rate: chance that a draft is accepted, if those before it were.
        watermark: share of the blocks that stays free when a request is admitted beside others.
        offload: speeds of the tiers below the device, where the engine has some.

    Raises:
        SpecError: for speeds of tiers that there are not.
        UnsupportedError: for an offload whose rules are not known.
    """
    method = engine.speculative_method
    drafts = settings.num_speculative_tokens
    config = SchedulerConfig(
        max_model_len=layout.config.max_model_len,
        max_num_seqs=settings.max_num_seqs,
        max_num_batched_tokens=settings.max_num_batched_tokens,
        enable_chunked_prefill=settings.enable_chunked_prefill,
        async_scheduling=settings.async_scheduling,
        enable_prefix_caching=settings.enable_prefix_caching,
        num_speculative_tokens=drafts,
        num_lookahead_tokens=drafts if method and DRAFTERS[method].adds_layers else 0,
        acceptance_rate=acceptance_rate,
        watermark=watermark,
    )
    return EngineSetup(
        groups=layout.groups,
        cache_config=layout.config,
        config=config,
        num_gpu_blocks=layout.num_blocks,
        engine_version=settings.engine_version,
        tiers=_tiers(layout, engine, offload or Offload()),
    )


def _tiers(layout: VllmLayout, engine: Vllm, offload: Offload) -> TierSizes | None:
    """Chunks of the host tier that the engine asks for, and of the disk behind it."""
    if not engine.kv_offloading_bytes:
        if offload != Offload():
            msg = "kv_offloading_size must be given where the speed of an offload is"
            raise SpecError(msg)
        return None
    if engine.speculative_method and DRAFTERS[engine.speculative_method].adds_layers:
        msg = f"kv_offloading_size with speculative_method={engine.speculative_method}: what is "
        raise UnsupportedError(msg + "stored of the drafter's layers is not modelled")
    held = vllm_offload(
        layout, size_bytes=engine.kv_offloading_bytes, engine_version=engine.engine_version
    )
    return TierSizes(
        num_host_chunks=held.num_chunks,
        num_disk_chunks=(offload.disk_bytes or 0) // held.chunk_bytes,
        chunk_bytes=held.chunk_bytes,
        copies=held.copies,
        links=offload,
    )


def offload_limits(engine: Vllm, offload: Offload | None) -> tuple[str, ...]:
    """What a run with tiers leaves out."""
    if not engine.kv_offloading_bytes:
        return ()
    links = offload or Offload()
    left_out = ["steps that wait until a block is stored before it is taken again"]
    if links.offload_bytes_per_s is None:
        left_out.append("the time of transfers to host memory: no rate of the link was given")
    if links.disk_bytes is not None:
        left_out.append("vLLM deletes no file of a disk tier; here the longest unused goes first")
    return tuple(left_out)


def limits(settings: ResolvedVllm, engine: Vllm, parallel: Parallelism) -> tuple[str, ...]:
    """What a run with these settings leaves out."""
    left_out = []
    if settings.num_speculative_tokens:
        left_out.append("which drafts are right: each is, by chance, at the stated rate")
    if engine.speculative_method and DRAFTERS[engine.speculative_method].adds_layers:
        left_out.append("the drafter's last cached block, which the engine drops from every hit")
    if parallel.pipeline_parallel_size > 1:
        left_out.append("pipeline stages that work on different steps at once")
    return tuple(left_out)


def replica_limits(model: ModelSpec, parallel: Parallelism) -> tuple[str, ...]:
    """What a run of several replicas leaves out."""
    if parallel.data_parallel_size == 1:
        return ()
    has_experts = any(group.shard is Shard.EXPERTS for group in model.weights)
    paced = "steps of replicas that wait for each other: experts are shared between them"
    return (paced,) if has_experts else ()
