"""A model as llama.cpp loads it with one context: flags, placement, tensors, caches."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache

from kvsim.analytic.weights import group_format, resolve_quantization
from kvsim.engines.llama_cpp import LlamaCppLayout, llama_cpp_layout
from kvsim.engines.llama_cpp_devices import (
    DeviceBytes,
    FileWeights,
    HostPools,
    Placement,
    cache_on_devices,
    file_weights,
    host_pools,
    place_layers,
    place_weights,
)
from kvsim.engines.ollama import llama_server_flags
from kvsim.errors import SpecError
from kvsim.message import Message
from kvsim.planner.plan import deployment_dtype
from kvsim.specs.deployment import Deployment
from kvsim.specs.llama_cpp import LlamaCpp, Ollama
from kvsim.specs.model import Place
from kvsim.specs.overheads import Interval

Read = Callable[[Deployment], FileWeights]
"""Reads a deployment's weights; searches remember what it read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A model loaded with one context: what lies on every device, and in host memory."""

    layout: LlamaCppLayout
    weights: DeviceBytes
    cache: DeviceBytes
    pools: HostPools


def loader(
    deployment: Deployment,
    settings: LlamaCpp | Ollama,
    free: Sequence[Interval],
    num_tokens: int,
    read: Read,
) -> Callable[[int], Loaded]:
    """What loads the model for so many requests; what was loaded once is kept."""

    @cache  # every end of the estimates asks for the same numbers of requests
    def load(requests: int) -> Loaded:
        flags = _flags(deployment, settings, num_tokens=num_tokens, requests=requests)
        return _load(deployment, flags, free, read)

    return load


def _flags(
    deployment: Deployment, settings: LlamaCpp | Ollama, *, num_tokens: int, requests: int
) -> LlamaCpp:
    """llama-server's flags; slots and context that none states are those that requests need."""
    replicas = deployment.parallel.data_parallel_size
    if replicas > 1:
        msg = f"data_parallel_size={replicas} must be 1: llama.cpp divides layers over devices"
        raise SpecError(msg)
    if deployment.weights_on_host_bytes:
        msg = (
            f"weights_on_host={deployment.weights_on_host_bytes} must be 0: gpu_layers and "
            "n_cpu_moe say what llama.cpp keeps in host memory"
        )
        raise SpecError(msg)
    if isinstance(settings, Ollama):
        asked = replace(
            settings,
            num_ctx=settings.num_ctx or num_tokens,
            num_parallel=max(settings.num_parallel, requests),
        )
        totals = [device.total_bytes.best for device in deployment.accelerators]
        return llama_server_flags(deployment.model, asked, gpu_bytes=totals)
    if settings.ctx_size is None:
        slots = settings.parallel or requests
        return replace(settings, ctx_size=num_tokens * slots, parallel=slots)
    return settings if settings.parallel else replace(settings, parallel=requests)


def _load(
    deployment: Deployment,
    flags: LlamaCpp,
    free: Sequence[Interval],
    read: Read,
) -> Loaded:
    model = deployment.model
    layout = llama_cpp_layout(model, flags)
    placement = place_layers(model.num_layers, flags, [device.best for device in free])
    return Loaded(
        layout=layout,
        weights=_weights(deployment, flags, placement, read),
        cache=cache_on_devices(layout, placement),
        pools=host_pools(layout),
    )


def _weights(
    deployment: Deployment, flags: LlamaCpp, placement: Placement, read: Read
) -> DeviceBytes:
    stated = deployment.overheads.weights_bytes
    if stated is not None:
        return DeviceBytes(devices=(stated.best,) * placement.num_devices, host=0)
    return place_weights(read(deployment), flags, placement)


def read_weights(deployment: Deployment) -> FileWeights:
    """The file's tensors; without a file each role's parameters in the asked format.

    Raises:
        SpecError: if the config does not determine the weights.
    """
    model = deployment.model
    if any(tensor.name.startswith("blk.") for tensor in model.tensors):
        return file_weights(model.tensors)
    if not model.weights:
        msg = Message("weights_bytes must be given: {why}", why=model.why_weights_are_unknown)
        raise SpecError(msg)
    dtype = deployment_dtype(deployment)
    quantization = resolve_quantization(deployment.engine.quantization, model)
    layers: Counter[int] = Counter()
    experts: Counter[int] = Counter()
    inputs, outputs, is_tied = 0, 0, True
    for group in model.weights:
        size = group_format(group, quantization, dtype).nbytes(group.num_params)
        if group.place is Place.FIRST:
            inputs += size
        elif group.place is Place.LAST:
            outputs += size
            is_tied = is_tied and group.num_params <= model.hidden_size  # a norm is no head
        else:
            held = experts if group.name == "experts" else layers
            for layer in group.layers:
                held[layer] += size
    copy = inputs if is_tied else 0
    return FileWeights(
        inputs=inputs, outputs=outputs, output_copy=copy, layers=layers, experts=experts
    )
