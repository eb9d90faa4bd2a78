"""A model as llama.cpp loads it with one context: flags, placement, tensors, caches."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache

from kvsim.analytic.weights import group_format, resolve_quantization
from kvsim.engines.llama_cpp import LlamaCppLayout, llama_cpp_layout
from kvsim.engines.llama_cpp_devices import (
    DeviceBytes,
    HostPools,
    Placement,
    cache_on_devices,
    host_pools,
    place_layers,
    weights_on_devices,
)
from kvsim.engines.ollama import llama_server_flags
from kvsim.errors import SpecError
from kvsim.planner.plan import deployment_dtype
from kvsim.specs.deployment import Deployment
from kvsim.specs.llama_cpp import LlamaCpp, Ollama
from kvsim.specs.model import Place
from kvsim.specs.overheads import Interval
from kvsim.specs.tensors import Tensor


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
) -> Callable[[int], Loaded]:
    """What loads the model for so many requests; what was loaded once is kept."""

    @cache  # they do not depend on the context
    def weights(flags: LlamaCpp, placement: Placement) -> DeviceBytes:
        return _weights(deployment, flags, placement)

    @cache  # every end of the estimates asks for the same numbers of requests
    def load(requests: int) -> Loaded:
        flags = _flags(deployment, settings, num_tokens=num_tokens, requests=requests)
        return _load(deployment, flags, free, weights)

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
    weights: Callable[[LlamaCpp, Placement], DeviceBytes],
) -> Loaded:
    model = deployment.model
    layout = llama_cpp_layout(model, flags)
    placement = place_layers(model.num_layers, flags, [device.best for device in free])
    return Loaded(
        layout=layout,
        weights=weights(replace(flags, ctx_size=None, parallel=None), placement),
        cache=cache_on_devices(layout, placement),
        pools=host_pools(layout),
    )


def _weights(deployment: Deployment, flags: LlamaCpp, placement: Placement) -> DeviceBytes:
    """The file's tensors; without a file each role's parameters in the asked format."""
    model, stated = deployment.model, deployment.overheads.weights_bytes
    if stated is not None:
        return DeviceBytes(devices=(stated.best,) * placement.num_devices, host=0)
    tensors: Sequence[Tensor] = model.tensors
    if not any(tensor.name.startswith("blk.") for tensor in tensors):
        tensors = _as_file(deployment)
    return weights_on_devices(tensors, flags, placement)


def _as_file(deployment: Deployment) -> list[Tensor]:
    """The tensors that a GGUF file of the model would hold, a role of a layer as one.

    Raises:
        SpecError: if the config does not determine the weights.
    """
    model = deployment.model
    if not model.weights:
        msg = f"weights_bytes must be given: {model.weights_unknown or 'no weights are described'}"
        raise SpecError(msg)
    dtype = deployment_dtype(deployment)
    quantization = resolve_quantization(deployment.engine.quantization, model)
    tensors = []
    for group in model.weights:
        fmt = group_format(group, quantization, dtype)
        size = fmt.nbytes(group.num_params)
        if group.place is Place.FIRST:
            names = ["token_embd.weight"]
        elif group.place is Place.LAST:
            names = ["output.weight" if group.num_params > model.hidden_size else "output_norm"]
        else:
            role = "ffn_up_exps" if group.name == "experts" else group.name
            names = [f"blk.{layer}.{role}" for layer in group.layers]
        tensors += [Tensor(name, fmt.name, (group.num_params,), size) for name in names]
    return tensors
