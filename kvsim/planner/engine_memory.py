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


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """An engine's cache memory, and what it holds at its least, likely and most."""

    cache_bytes: Interval
    low: Held
    best: Held
    high: Held
    is_per_rank: bool = True
    refusal: str | None = None
    left_out: tuple[str, ...] = ()


Hold = Callable[[int], Held]


def memory_of(
    name: EngineName, deployment: Deployment, layout: Layout, facts: Facts, num_tokens: int
) -> Memory:
    """An engine's memory under its own rule.

    Raises:
        SpecError: where a figure must be given.
        UnsupportedError: where the rule is not known.
    """
    if name not in MEMORIES:
        msg = f"{name}: what it takes beside weights and cache is not known"
        raise UnsupportedError(msg)
    return MEMORIES[name](deployment, layout, facts, num_tokens)


def _at_each_end(cache: Interval, hold: Hold, **more: object) -> Memory:
    """The memory that an interval of bytes holds; less than nothing holds nothing."""
    low, best, high = (hold(max(0, end)) for end in (cache.low, cache.best, cache.high))
    refusal = best.refusal
    if cache.best <= 0:
        refusal = "weights and overheads leave nothing to cache"
    return Memory(cache_bytes=cache, low=low, best=best, high=high, refusal=refusal, **more)  # type: ignore[arg-type]


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


def _spread(coefficient: Coefficient) -> Interval:
    return Interval(
        round(coefficient.low), round(coefficient.best), round(coefficient.high), coefficient.source
    )


def _share(whole: Interval, share: float) -> Interval:
    """A fraction of an amount, rounded down."""
    low, best, high = (int(end * share) for end in (whole.low, whole.best, whole.high))
    return Interval(low, best, high, whole.source)


def _reserve(facts: Facts, name: EngineName) -> EngineReserve:
    if name not in facts.reserves:
        msg = f"{name}: what it takes beside weights and cache is not known"
        raise UnsupportedError(msg)
    return facts.reserves[name]


def _ideal(deployment: Deployment, layout: Layout, facts: Facts, num_tokens: int) -> Memory:
    cache = _free(deployment) - _loaded(deployment, facts, deployment.parallel)
    return _at_each_end(cache, _contiguous(layout, num_tokens))


def _vllm(deployment: Deployment, layout: Layout, facts: Facts, num_tokens: int) -> Memory:  # noqa: ARG001
    engine = replace(deployment.engine, max_model_len=num_tokens)
    told = evaluate(replace(deployment, engine=engine), facts.overheads, concurrent_requests=1)
    held = told.capacity
    return Memory(
        cache_bytes=told.budget.kv_cache_bytes,
        low=Held(held.low.kv_cache_tokens, held.low.max_requests),
        best=Held(held.best.kv_cache_tokens, held.best.max_requests),
        high=Held(held.high.kv_cache_tokens, held.high.max_requests),
        refusal=None if told.fit.verdict.fits else "; ".join(told.fit.reasons),
    )


def _sglang(deployment: Deployment, layout: Layout, facts: Facts, num_tokens: int) -> Memory:
    """A fraction of what is free at start, less weights; the fraction is the engine's default."""
    if not isinstance(layout, SglangLayout):
        msg = "the layout is another engine's"
        raise SpecError(msg)
    reserve = _reserve(facts, EngineName.SGLANG)
    start = _free(deployment) - _spread(reserve.before_load_bytes)
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
    taken = _loaded(deployment, facts, deployment.parallel) + _spread(reserve.beside_weights_bytes)
    if deployment.model.is_multimodal:
        taken = taken + exact(MULTIMODAL_CACHE_BYTES)
    chunk = chunked_prefill_size(layout.settings, deployment.accelerator)

    def hold(num_bytes: int) -> Held:
        pools = sglang_pools(layout, num_bytes, chunked_prefill_size=chunk)
        return Held(pools.tokens, pools.max_requests(num_tokens), pools.refusal)

    return _at_each_end(usable - taken, hold)


def _tensorrt_llm(deployment: Deployment, layout: Layout, facts: Facts, num_tokens: int) -> Memory:
    """A fraction of what is free beside weights and peak."""
    if not isinstance(layout, TensorrtLlmLayout):
        msg = "the layout is another engine's"
        raise SpecError(msg)
    reserve, settings = _reserve(facts, EngineName.TENSORRT_LLM), layout.settings
    taken = _loaded(deployment, facts, deployment.parallel) + _spread(reserve.before_load_bytes)
    left = _free(deployment) - (taken + _spread(reserve.beside_weights_bytes))
    cache = _share(left, settings.free_gpu_memory_fraction)

    def hold(num_bytes: int) -> Held:
        pools = tensorrt_llm_pools(layout, num_bytes)
        return Held(pools.tokens, pools.max_requests(num_tokens), pools.refusal)

    return _at_each_end(cache, hold)


def _llama_cpp(deployment: Deployment, layout: Layout, facts: Facts, num_tokens: int) -> Memory:
    """All that is free on all devices, less weights: layers are divided, not split."""
    reserve = _reserve(facts, EngineName.LLAMA_CPP)
    ranks = deployment.parallel.num_ranks
    one = _spread(reserve.before_load_bytes) + _spread(reserve.beside_weights_bytes)
    free = _free(deployment) - one
    everywhere = Interval(free.low * ranks, free.best * ranks, free.high * ranks, free.source)
    cache = everywhere - _loaded(deployment, facts, Parallelism())
    return _at_each_end(cache, _contiguous(layout, num_tokens), is_per_rank=False)


MEMORIES: Mapping[EngineName, Callable[[Deployment, Layout, Facts, int], Memory]] = {
    EngineName.IDEAL: _ideal,
    EngineName.VLLM: _vllm,
    EngineName.SGLANG: _sglang,
    EngineName.TENSORRT_LLM: _tensorrt_llm,
    EngineName.LLAMA_CPP: _llama_cpp,
    EngineName.OLLAMA: _llama_cpp,
}
"""How each engine comes by its cache memory; engines that are not here refuse."""
