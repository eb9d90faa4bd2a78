"""Where llama.cpp puts layers, their caches and their weights, and what host memory it keeps."""

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate

from kvsim.engines.llama_cpp import LlamaCppLayout
from kvsim.engines.llama_cpp_cells import Pool
from kvsim.errors import SpecError, UnsupportedError
from kvsim.specs.llama_cpp import LlamaCpp
from kvsim.specs.tensors import Tensor
from kvsim.units import MiB, ceil_div

OUTPUT_LAYERS = 1  # the output head counts as one more layer behind the model's
LOGIT_BYTES = 4  # float32, llama_context::output_reserve

_BLOCK = re.compile(r"blk\.(\d{1,6})\.", re.ASCII)
_EXPERTS = re.compile(r"blk\.\d{1,6}\.ffn_(up|down|gate|gate_up)_(ch|)exps", re.ASCII)
TABLE, HEAD = "token_embd.weight", "output.weight"
_INPUT = ("token_embd", "per_layer_token_embd", "position_embd", "token_types")


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """The device of every layer; None is the CPU. The last entry is the output head's."""

    devices: tuple[int | None, ...]
    num_devices: int

    def layers_on(self, device: int | None) -> int:
        """How many of the model's layers a device holds, the output head left out."""
        return self.devices[:-OUTPUT_LAYERS].count(device)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceBytes:
    """Bytes on every GPU, and on the CPU."""

    devices: tuple[int, ...]
    host: int

    @property
    def total_bytes(self) -> int:
        """All of them."""
        return sum(self.devices) + self.host


@dataclass(frozen=True, slots=True, kw_only=True)
class FileWeights:
    """Bytes of a model's tensors, by where they may lie."""

    inputs: int  # token tables, which stay on the host
    outputs: int  # beside the output head
    output_copy: int  # of a tied table, on the device that holds the output head
    layers: Mapping[int, int]  # by layer, experts left out
    experts: Mapping[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class HostPools:
    """Host memory that llama-server keeps beside a context.

    `prompt_cache_bytes` is a limit that one saved prompt may pass (None: no limit);
    `checkpoint_bytes` is the most that one checkpoint takes.
    """

    prompt_cache_bytes: int | None
    checkpoint_bytes: int
    max_checkpoints: int  # over all slots
    output_bytes: int

    @property
    def max_checkpoints_bytes(self) -> int:
        """All checkpoints of all slots."""
        return self.checkpoint_bytes * self.max_checkpoints


def place_layers(num_layers: int, settings: LlamaCpp, device_bytes: Sequence[int]) -> Placement:
    """The device of every layer and of the output head.

    Args:
        num_layers: the file's layers, draft layers included.
        settings: `gpu_layers` counts from the last layer; `tensor_split` divides them.
        device_bytes: free memory of every GPU when the model loads; none: CPU alone. It divides
            the layers where `tensor_split` does not.

    Raises:
        SpecError: if `tensor_split` does not name a share for every device.

    Source:
        llama.cpp `llama_model_base::load_tensors`, src/llama-model.cpp, 0.5.0-dev.

    Example:
        >>> split = LlamaCpp(tensor_split=(15.0, 12.0, 12.0, 23.0))
        >>> placement = place_layers(61, split, [1, 1, 1, 1])
        >>> [placement.layers_on(i) for i in range(4)]
        [15, 12, 12, 22]
    """
    stated = [Fraction(share) for share in settings.tensor_split]
    shares: Sequence[Fraction | int] = stated or device_bytes
    if settings.tensor_split and len(shares) != len(device_bytes):
        msg = f"tensor_split={settings.tensor_split} must hold {len(device_bytes)} shares"
        raise SpecError(msg)
    if device_bytes and sum(shares) <= 0:
        msg = f"tensor_split={settings.tensor_split} must hold a share above 0"
        raise SpecError(msg)
    slots = num_layers + OUTPUT_LAYERS
    on_gpu = slots if settings.gpu_layers is None else min(settings.gpu_layers, slots)
    on_gpu = on_gpu if device_bytes else 0
    whole = sum(shares)
    ends = [-(-end * on_gpu // whole) for end in accumulate(shares)]  # rounded up
    last = (
        len(shares) - 1
    )  # a device holds the positions below its end, the last one all that are left
    on_device = (min(bisect_right(ends, position), last) for position in range(on_gpu))
    return Placement(
        devices=(*(None,) * (slots - on_gpu), *on_device),
        num_devices=len(device_bytes),
    )


def cache_on_devices(layout: LlamaCppLayout, placement: Placement) -> DeviceBytes:
    """The context's caches on every device: a layer's cache lies where the layer does."""
    by_layer = layout.layer_bytes()
    if not layout.settings.kv_offload:
        return DeviceBytes(devices=(0,) * placement.num_devices, host=sum(by_layer.values()))
    return _sum(placement, [(placement.devices[i], size) for i, size in by_layer.items()])


def weights_on_devices(
    tensors: Sequence[Tensor], settings: LlamaCpp, placement: Placement
) -> DeviceBytes:
    """The file's tensors on every device; experts that `n_cpu_moe` names stay on the host.

    Raises:
        UnsupportedError: without tensors: only a GGUF file says how large they are.

    Source:
        llama.cpp `load_tensors`, src/llama-model.cpp; `--n-cpu-moe` and `--cpu-moe`,
        common/arg.cpp, 0.5.0-dev.
    """
    return place_weights(file_weights(tensors), settings, placement)


def file_weights(tensors: Sequence[Tensor]) -> FileWeights:
    """A file's tensors by where they may lie.

    Raises:
        UnsupportedError: without tensors: only a GGUF file says how large they are.
    """
    if not tensors:
        msg = "weights on devices need the tensors of a GGUF file"
        raise UnsupportedError(msg)
    layers: Counter[int] = Counter()
    experts: Counter[int] = Counter()
    inputs, outputs, table, is_tied = 0, 0, 0, True
    for tensor in tensors:
        name, size = tensor.name, tensor.num_bytes
        match = _BLOCK.match(name)
        if match is not None:
            held = experts if _EXPERTS.match(name) else layers
            held[int(match[1])] += size
        elif name.split(".")[0] in _INPUT:
            inputs += size
            table += size if name == TABLE else 0
        else:
            outputs += size
            is_tied = is_tied and name != HEAD
    copy = table if is_tied else 0
    return FileWeights(
        inputs=inputs, outputs=outputs, output_copy=copy, layers=layers, experts=experts
    )


def place_weights(weights: FileWeights, settings: LlamaCpp, placement: Placement) -> DeviceBytes:
    """Weights on every device; experts that `n_cpu_moe` names stay on the host."""
    head = placement.devices[-1]
    parts: list[tuple[int | None, int]] = [(None, weights.inputs), (head, weights.outputs)]
    if head is not None:
        parts.append((head, weights.output_copy))
    parts += [(placement.devices[layer], size) for layer, size in weights.layers.items()]
    for layer, size in weights.experts.items():
        stays = settings.cpu_moe or layer < settings.n_cpu_moe
        parts.append((None if stays else placement.devices[layer], size))
    return _sum(placement, parts)


def _sum(placement: Placement, parts: Sequence[tuple[int | None, int]]) -> DeviceBytes:
    devices, host = [0] * placement.num_devices, 0
    for device, num_bytes in parts:
        if device is None:
            host += num_bytes
        else:
            devices[device] += num_bytes
    return DeviceBytes(devices=tuple(devices), host=host)


def host_pools(layout: LlamaCppLayout) -> HostPools:
    """What llama-server may keep in host memory beside the context.

    A checkpoint holds one sequence's window cache and recurrent state, snapshots left out; models
    with neither make none.

    Source:
        llama.cpp `--cache-ram`, `--ctx-checkpoints` and `--checkpoint-min-step`, common/arg.cpp;
        `llama_context::output_reserve`, src/llama-context.cpp, 0.5.0-dev.
    """
    settings, context = layout.settings, layout.context
    windows = [cache for cache in layout.caches if cache.pool is Pool.SLIDING]
    one = sum(cache.cells * cache.cell_bytes for cache in windows)
    one += sum(row.num_bytes for state in layout.states for row in state.layers)
    one += sum(c.num_bytes(1) for c in layout.compressors)
    step = settings.checkpoint_min_step
    per_slot = settings.ctx_checkpoints
    if step:
        per_slot = min(per_slot, ceil_div(context.n_ctx_seq, step))
    limit = settings.cache_ram
    return HostPools(
        prompt_cache_bytes=None if limit is None else limit * MiB,
        checkpoint_bytes=one,
        max_checkpoints=per_slot * context.n_seq_max if one else 0,
        output_bytes=LOGIT_BYTES * layout.model.vocab_size * context.n_seq_max,
    )
