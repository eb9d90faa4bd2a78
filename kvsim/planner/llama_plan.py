"""llama.cpp's and Ollama's verdicts: a context allocated at start, layer by layer over devices."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from kvsim.analytic.capacity import Verdict
from kvsim.analytic.device_memory import SYSTEM_BYTES, free_on_devices
from kvsim.analytic.host_memory import HostMemory
from kvsim.analytic.weights import Part
from kvsim.engines.llama_cpp import LlamaCppLayout
from kvsim.engines.llama_cpp_context import MAX_SLOTS
from kvsim.message import Message
from kvsim.planner.engine_memory import (
    BEFORE,
    BESIDE,
    WEIGHTS,
    Facts,
    Held,
    MemoryPart,
    reserve_of,
    spread,
)
from kvsim.planner.engine_plan import ONLY_LIKELY, DeviceShare, Judged, host_parts, verdict_of
from kvsim.planner.layouts import LLAMA_NAMES
from kvsim.planner.llama_load import Loaded, Read, loader
from kvsim.specs.deployment import Deployment
from kvsim.specs.engine import EngineName
from kvsim.specs.llama_cpp import LlamaCpp, Ollama
from kvsim.specs.overheads import EngineReserve, Interval, exact
from kvsim.units import format_gib


# long: a field of the judgement a line
def judge_llama(
    deployment: Deployment,
    settings: LlamaCpp | Ollama,
    facts: Facts,
    *,
    num_tokens: int,
    concurrent_requests: int,
    read: Read,
) -> Judged:
    """Weights, buffers and the whole context on every device, and what is left to the host.

    Slots and context that no flag states are those that the requests need.

    Raises:
        SpecError: for replicas, or slots and a context that cannot be.
        UnsupportedError: where llama.cpp refuses, or its rule is not known.
    """
    name = EngineName.OLLAMA if isinstance(settings, Ollama) else EngineName.LLAMA_CPP
    settings = _in_format(settings, deployment.engine.kv_cache_dtype)
    reserve = reserve_of(facts, EngineName.LLAMA_CPP)
    free = free_on_devices(deployment)
    load = loader(deployment, settings, free, num_tokens, read)
    loaded = load(concurrent_requests)
    shares = _shares(loaded, free, reserve)
    low, best, high = (
        _held(load, free, reserve, num_tokens=num_tokens, end=end, stated=_is_stated(settings))
        for end in (_low, _best, _high)
    )
    slots = _slots(loaded.layout, num_tokens)
    host, may_grow = _host(deployment, loaded)
    verdict, reasons = _verdict(shares, slots, concurrent_requests, host, may_grow)
    one = loaded.layout if slots == 1 else load(1).layout
    return Judged(
        engine=name,
        engine_version=loaded.layout.engine_version
        if name is EngineName.LLAMA_CPP
        else settings.engine_version,
        settings=settings,
        deployment=deployment,
        num_tokens=num_tokens,
        concurrent_requests=concurrent_requests,
        devices=shares,
        low=low,
        best=best,
        high=high,
        request_bytes=one.total_bytes,
        bytes_per_token=loaded.layout.marginal_bytes,
        is_per_rank=False,
        host=host,
        host_bytes=host_parts(_in_host(loaded) | _grown(loaded)),
        verdict=verdict,
        reasons=reasons,
        not_modeled=loaded.layout.not_modeled,
    )


def llama_fits(
    deployment: Deployment,
    settings: LlamaCpp | Ollama,
    facts: Facts,
    *,
    num_tokens: int,
    concurrent_requests: int,
    read: Read,
) -> bool:
    """Whether `judge_llama` would say that it fits, without what else would."""
    settings = _in_format(settings, deployment.engine.kv_cache_dtype)
    free = free_on_devices(deployment)
    loaded = loader(deployment, settings, free, num_tokens, read)(concurrent_requests)
    shares = _shares(loaded, free, reserve_of(facts, EngineName.LLAMA_CPP))
    slots = _slots(loaded.layout, num_tokens)
    verdict, _ = _verdict(shares, slots, concurrent_requests, *_host(deployment, loaded))
    return verdict.fits


def _is_stated(settings: LlamaCpp | Ollama) -> bool:
    """Whether the number of slots is the flags', not the requests'."""
    if isinstance(settings, Ollama):
        return settings.num_parallel > 1
    return settings.ctx_size is not None or settings.parallel is not None


def _in_format(settings: LlamaCpp | Ollama, kv_cache_dtype: str) -> LlamaCpp | Ollama:
    if kv_cache_dtype == "auto":
        return settings
    name = LLAMA_NAMES.get(kv_cache_dtype, kv_cache_dtype)
    if isinstance(settings, Ollama):
        return replace(settings, kv_cache_type=name)
    return replace(settings, cache_type_k=name, cache_type_v=name)


def _shares(
    loaded: Loaded, free: Sequence[Interval], reserve: EngineReserve
) -> tuple[DeviceShare, ...]:
    """Every device that holds layers; without any, the host alone."""
    before, beside = spread(reserve.before_load_bytes), spread(reserve.beside_weights_bytes)
    return tuple(
        DeviceShare(
            free_bytes=left,
            parts=(
                MemoryPart(WEIGHTS, exact(weights, "tensors on this device")),
                MemoryPart(BEFORE, before),
                MemoryPart(BESIDE, beside),
            ),
            cache_bytes=left - before - beside - exact(weights),
            needed_bytes=needed,
        )
        for left, weights, needed in zip(
            free, loaded.weights.devices, loaded.cache.devices, strict=True
        )
    )


def _low(memory: Interval) -> int:
    return memory.low


def _best(memory: Interval) -> int:
    return memory.best


def _high(memory: Interval) -> int:
    return memory.high


End = Callable[[Interval], int]


def _held(
    load: Callable[[int], Loaded],
    free: Sequence[Interval],
    reserve: EngineReserve,
    *,
    num_tokens: int,
    end: End,
    stated: bool,
) -> Held:
    """Most slots of `num_tokens` whose context fits, at one end of the estimates."""

    def fits(slots: int) -> bool:
        shares = _shares(load(slots), free, reserve)
        return all(share.needed_bytes <= end(share.cache_bytes) for share in shares)

    if stated:
        layout = load(1).layout
        slots = _slots(layout, num_tokens) if fits(1) else 0
        return Held(layout.context.n_ctx if slots else 0, slots)
    low, high = 0, MAX_SLOTS
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(middle) else (low, middle - 1)
    return Held(low * num_tokens, low)


def _slots(layout: LlamaCppLayout, num_tokens: int) -> int:
    """Requests of a length that the context serves at once."""
    context = layout.context
    if context.kv_unified:
        return min(context.n_seq_max, context.n_ctx // num_tokens)
    return context.n_seq_max if context.n_ctx_seq >= num_tokens else 0


def _in_host(loaded: Loaded) -> dict[str, int]:
    """What host memory must hold from the start."""
    return {
        WEIGHTS: loaded.weights.host,
        "cache": loaded.cache.host,
        "output buffers": loaded.pools.output_bytes,
    }


def _grown(loaded: Loaded) -> dict[str, int]:
    """What it may come to hold while serving."""
    return {
        "saved prompts, at most": loaded.pools.prompt_cache_bytes or 0,
        "checkpoints, at most": loaded.pools.max_checkpoints_bytes,
    }


def _host(deployment: Deployment, loaded: Loaded) -> tuple[HostMemory | None, int]:
    """The machine's RAM and what must be there; beside it what may be there later.

    On unified memory the devices' budget is the machine's; nothing is counted twice.
    """
    ram = deployment.host_memory_bytes
    if ram is None or deployment.accelerator.unified_memory:
        return None, 0
    parts = tuple(Part(name, size) for name, size in _in_host(loaded).items() if size)
    system = Interval(*SYSTEM_BYTES, "what a system takes")
    host = HostMemory(total_bytes=ram, system_bytes=system, parts=parts)
    return host, sum(_grown(loaded).values())


def _verdict(
    shares: Sequence[DeviceShare],
    slots: int,
    asked: int,
    host: HostMemory | None,
    may_grow: int,
) -> tuple[Verdict, tuple[str, ...]]:
    """The verdict, and a reason for every limit that is passed."""
    lacking = [
        Message(
            "device {index} lacks {missing}: its weights take {weights}, its layers' cache {cache}",
            index=index,
            missing=format_gib(missing),
            weights=format_gib(share.weights_bytes.best),
            cache=format_gib(share.needed_bytes),
        )
        for index, share in enumerate(shares)
        if (missing := share.missing_bytes) > 0
    ]
    if slots < asked:
        said = "{asked} requests of this length are asked for, {slots} have a slot"
        lacking.append(Message(said, asked=f"{asked:,}", slots=f"{slots:,}"))
    if host is not None and not host.fits:
        lacking.append(
            Message("host memory lacks {missing}", missing=format_gib(-host.left_bytes.best))
        )
    unsure = []
    if any(share.needed_bytes > share.cache_bytes.low for share in shares):
        unsure.append(ONLY_LIKELY)
    if host is not None and host.left_bytes.best < may_grow:
        unsure.append(
            "saved prompts and checkpoints may come to pass host memory: lower --cache-ram"
        )
    verdict = verdict_of(best=not lacking, low=not unsure)
    return verdict, tuple(lacking or unsure)
