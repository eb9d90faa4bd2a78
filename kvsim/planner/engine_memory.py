"""What each engine makes of a device: memory for the cache, and the requests that it holds."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from kvsim.analytic.budget import loaded_weights_bytes, on_device
from kvsim.analytic.device_memory import free_bytes, total_bytes
from kvsim.analytic.weights import resolve_quantization, weights_bytes
from kvsim.engines.layout import Layout
from kvsim.engines.sglang import SglangLayout
from kvsim.engines.sglang_budget import (
    MULTIMODAL_CACHE_BYTES,
    chunked_prefill_size,
    mem_fraction_static,
)
from kvsim.engines.sglang_pools import sglang_pools
from kvsim.engines.tensorrt_llm import TensorrtLlmLayout
from kvsim.engines.tensorrt_llm_pools import tensorrt_llm_pools
from kvsim.errors import SpecError, UnsupportedError
from kvsim.message import Message
from kvsim.planner.plan import deployment_dtype, evaluate
from kvsim.specs.deployment import Deployment
from kvsim.specs.engine import EngineName
from kvsim.specs.latent import LatentAttention
from kvsim.specs.overheads import Coefficient, EngineReserve, Interval, OverheadModel, exact
from kvsim.specs.parallel import Parallelism


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known of overheads: vLLM's coefficients, and other engines' reserves by name."""

    overheads: OverheadModel
    reserves: Mapping[str, EngineReserve]


@dataclass(frozen=True, slots=True)
class Held:
    """What cache memory holds: tokens as the engine counts them, and requests at once."""

    tokens: int
    requests: int
    refusal: str | None = None  # the engine's reason, where it would not start


@dataclass(frozen=True, slots=True)
class MemoryPart:
    """What something other than the cache takes of a device's free memory."""

    name: str
    num_bytes: Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """An engine's cache memory, and what it holds at its least, likely and most.

    At the likely estimates, parts and cache add up to what is free when the engine starts.
    """

    free_bytes: Interval
    parts: tuple[MemoryPart, ...]
    cache_bytes: Interval
    low: Held
    best: Held
    high: Held
    is_per_rank: bool = True
    refusal: str | None = None
    left_out: tuple[str, ...] = ()


Hold = Callable[[int], Held]

WEIGHTS = "weights"
BEFORE = "runtime before loading"
BESIDE = "buffers beside weights"
KEPT_FREE = "kept free"


def memory_of(
    name: EngineName, deployment: Deployment, layout: Layout, facts: Facts, num_tokens: int
) -> Memory:
    """An engine's memory under its own rule.

    Raises:
        SpecError: where a figure must be given.
        UnsupportedError: where the rule is not known.
    """
    if name not in MEMORIES:
        msg = Message("what {engine} takes beside weights and cache is not known", engine=name)
        raise UnsupportedError(msg)
    return MEMORIES[name](deployment, layout, facts, num_tokens)


def _at_each_end(
    free: Interval,
    parts: Mapping[str, Interval],
    cache: Interval,
    hold: Hold,
    *,
    is_per_rank: bool = True,
) -> Memory:
    """What the cache's bytes hold at each end; less than nothing holds nothing."""
    low, best, high = (hold(max(0, end)) for end in (cache.low, cache.best, cache.high))
    refusal = best.refusal
    if cache.best <= 0:
        refusal = "weights and overheads leave nothing to cache"
    return Memory(
        free_bytes=free,
        parts=tuple(MemoryPart(name, taken) for name, taken in parts.items()),
        cache_bytes=cache,
        low=low,
        best=best,
        high=high,
        is_per_rank=is_per_rank,
        refusal=refusal,
    )


def _contiguous(layout: Layout, num_tokens: int) -> Hold:
    """Requests that each get their own memory, side by side."""
    request = max(1, layout.sequence(num_tokens).total_bytes)
    return lambda num_bytes: Held(num_bytes * num_tokens // request, num_bytes // request)


def _loaded(deployment: Deployment, facts: Facts, parallel: Parallelism) -> Interval:
    """Weights on a device: as stated, else as the architecture has them."""
    stated = deployment.overheads.weights_bytes
    if stated is None:
        weights = weights_bytes(
            deployment.model,
            parallel=parallel,
            dtype=deployment_dtype(deployment),
            quantization=resolve_quantization(deployment.engine.quantization, deployment.model),
        )
        stated = loaded_weights_bytes(weights, facts.overheads)
    return on_device(stated, deployment.weights_on_host_bytes)


def _free(deployment: Deployment) -> Interval:
    return free_bytes(deployment, total_bytes(deployment))


def spread(coefficient: Coefficient) -> Interval:
    """A coefficient in bytes as an interval."""
    return Interval(
        round(coefficient.low), round(coefficient.best), round(coefficient.high), coefficient.source
    )


def _times(one: Interval, count: int) -> Interval:
    return Interval(one.low * count, one.best * count, one.high * count, one.source)


def _beside(reserve: EngineReserve, deployment: Deployment) -> Interval:
    """What SGLang takes beside weights, the cache of images included."""
    beside = spread(reserve.beside_weights_bytes)
    return beside + exact(MULTIMODAL_CACHE_BYTES) if deployment.model.is_multimodal else beside


def _share(whole: Interval, share: float) -> Interval:
    """A fraction of an amount, rounded down."""
    low, best, high = (int(end * share) for end in (whole.low, whole.best, whole.high))
    return Interval(low, best, high, whole.source)


def reserve_of(facts: Facts, name: EngineName) -> EngineReserve:
    """What an engine takes beside weights and cache.

    Raises:
        UnsupportedError: where that is not known.
    """
    if name not in facts.reserves:
        msg = Message("what {engine} takes beside weights and cache is not known", engine=name)
        raise UnsupportedError(msg)
    return facts.reserves[name]


def _ideal(deployment: Deployment, layout: Layout, facts: Facts, num_tokens: int) -> Memory:
    free, loaded = _free(deployment), _loaded(deployment, facts, deployment.parallel)
    return _at_each_end(free, {WEIGHTS: loaded}, free - loaded, _contiguous(layout, num_tokens))


def _vllm(deployment: Deployment, layout: Layout, facts: Facts, num_tokens: int) -> Memory:  # noqa: ARG001
    engine = replace(deployment.engine, max_model_len=num_tokens)
    told = evaluate(replace(deployment, engine=engine), facts.overheads, concurrent_requests=1)
    held, memory = told.capacity, told.budget
    return Memory(
        free_bytes=memory.free_bytes,
        parts=(
            MemoryPart(KEPT_FREE, memory.free_bytes - memory.usable_bytes),
            MemoryPart(WEIGHTS, memory.weights_bytes),
            MemoryPart("activation peak", memory.activation_peak_bytes),
            MemoryPart("outside torch", memory.non_torch_bytes),
            MemoryPart("CUDA graphs", memory.cuda_graph_bytes),
        ),
        cache_bytes=memory.kv_cache_bytes,
        low=Held(held.low.kv_cache_tokens, held.low.max_requests),
        best=Held(held.best.kv_cache_tokens, held.best.max_requests),
        high=Held(held.high.kv_cache_tokens, held.high.max_requests),
        refusal=None if told.fit.verdict.fits else Message.of_all(told.fit.reasons),
    )


def _sglang(deployment: Deployment, layout: Layout, facts: Facts, num_tokens: int) -> Memory:
    """A fraction of what is free at start, less weights; the fraction is the engine's default."""
    if not isinstance(layout, SglangLayout):
        msg = "the layout is another engine's"
        raise SpecError(msg)
    reserve = reserve_of(facts, EngineName.SGLANG)
    free, before = _free(deployment), spread(reserve.before_load_bytes)
    start = free - before
    behaviours = [b for group in deployment.model.layer_groups for b in group.layer]
    fraction = mem_fraction_static(
        layout.settings,
        accelerator=deployment.accelerator,
        parallel=deployment.parallel,
        is_latent=any(isinstance(b, LatentAttention) for b in behaviours),
        is_multimodal=deployment.model.is_multimodal,
        context_length=num_tokens,
    )
    usable = _share(start, fraction)
    loaded, beside = _loaded(deployment, facts, deployment.parallel), _beside(reserve, deployment)
    chunk = chunked_prefill_size(layout.settings, deployment.accelerator)

    def hold(num_bytes: int) -> Held:
        pools = sglang_pools(layout, num_bytes, chunked_prefill_size=chunk)
        return Held(pools.tokens, pools.max_requests(num_tokens), pools.refusal)

    kept_free = Message("kept free (mem_fraction_static {share})", share=f"{fraction:.3f}")
    parts = {
        BEFORE: before,
        kept_free: _share(start, 1 - fraction),
        WEIGHTS: loaded,
        BESIDE: beside,
    }
    return _at_each_end(free, parts, usable - (loaded + beside), hold)


def _tensorrt_llm(deployment: Deployment, layout: Layout, facts: Facts, num_tokens: int) -> Memory:
    """A fraction of what is free beside weights and peak."""
    if not isinstance(layout, TensorrtLlmLayout):
        msg = "the layout is another engine's"
        raise SpecError(msg)
    reserve, settings = reserve_of(facts, EngineName.TENSORRT_LLM), layout.settings
    free, loaded = _free(deployment), _loaded(deployment, facts, deployment.parallel)
    before, beside = spread(reserve.before_load_bytes), spread(reserve.beside_weights_bytes)
    left = free - (loaded + before + beside)
    fraction = settings.free_gpu_memory_fraction

    def hold(num_bytes: int) -> Held:
        pools = tensorrt_llm_pools(layout, num_bytes)
        return Held(pools.tokens, pools.max_requests(num_tokens), pools.refusal)

    kept_free = Message("kept free (free_gpu_memory_fraction {share})", share=f"{fraction:g}")
    parts = {
        WEIGHTS: loaded,
        BEFORE: before,
        BESIDE: beside,
        kept_free: _share(left, 1 - fraction),
    }
    return _at_each_end(free, parts, _share(left, fraction), hold)


def _llama_cpp(deployment: Deployment, layout: Layout, facts: Facts, num_tokens: int) -> Memory:
    """All that is free on all devices, less weights: layers are divided, not split."""
    reserve = reserve_of(facts, EngineName.LLAMA_CPP)
    ranks = deployment.parallel.num_ranks
    before, beside = spread(reserve.before_load_bytes), spread(reserve.beside_weights_bytes)
    free, before, beside = (_times(part, ranks) for part in (_free(deployment), before, beside))
    loaded = _loaded(deployment, facts, Parallelism())
    return _at_each_end(
        free,
        {WEIGHTS: loaded, BEFORE: before, BESIDE: beside},
        free - before - beside - loaded,
        _contiguous(layout, num_tokens),
        is_per_rank=False,
    )


MEMORIES: Mapping[EngineName, Callable[[Deployment, Layout, Facts, int], Memory]] = {
    EngineName.IDEAL: _ideal,
    EngineName.VLLM: _vllm,
    EngineName.SGLANG: _sglang,
    EngineName.TENSORRT_LLM: _tensorrt_llm,
    EngineName.LLAMA_CPP: _llama_cpp,
    EngineName.OLLAMA: _llama_cpp,
}
"""How each engine comes by its cache memory; engines that are not here refuse."""
