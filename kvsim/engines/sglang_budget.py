"""SGLang's memory budget: the default fraction, and what it leaves to the cache."""

import math
from dataclasses import dataclass

from kvsim.errors import SpecError, UnsupportedError
from kvsim.message import Message
from kvsim.specs.hardware import Accelerator
from kvsim.specs.parallel import Parallelism
from kvsim.specs.sglang import Sglang, sglang_version
from kvsim.units import MiB

MULTIMODAL_CACHE_BYTES = 100 * MiB
"""Cache of image embeddings that multimodal models reserve (SGLANG_VLM_CACHE_SIZE_MB)."""

MANY_RANKS = 4
KI = 1024  # MiB: the engine compares its MiB with multiples of 1,024


@dataclass(frozen=True, slots=True)
class DeviceDefaults:
    """Defaults of devices with less than `below` MiB."""

    below: float
    chunked_prefill_size: int
    graph_batch: int
    graph_batch_many_ranks: int


DEVICES = (
    DeviceDefaults(20 * KI, 2048, 8, 8),
    DeviceDefaults(35 * KI, 4096, 48, 160),
    DeviceDefaults(60 * KI, 4096, 32, 160),
    DeviceDefaults(90 * KI, 8192, 256, 512),
    DeviceDefaults(160 * KI, 8192, 256, 512),
    DeviceDefaults(math.inf, 16384, 512, 512),
)
SMALL_UNTIL_0519 = DeviceDefaults(35 * KI, 2048, 24, 80)
"""What 0.5.19 and older did with devices of 20 to 35 Ki MiB."""

PREFILL_BUCKETS = {2048: 42, 4096: 50, 8192: 58, 16384: 74}
"""Prefill graphs captured, by chunk size."""

FIXED_MIB, CHUNK_MIB, RANK_MIB = 512, 1.5, 128
SMALLEST_CHUNK = 2048
GRAPH_BATCH_MIB, PREFILL_GRAPH_MIB, LATENT_PREFILL_MIB = 2, 8, 1536
BIG_DEVICE_MIB, BIG_RESERVE_MIB = 60 * KI, 10240
BIG_BATCH = 300
AITER, AITER_CONTEXT, AITER_SHARE = "aiter", 8192, 0.85
"""SGLang arg_groups/attention_hook.py: longer contexts leave the kernels' workspace aside."""

DRAFT_MIB = {(0, 5, 8): 2 * KI, (0, 5, 12): 4 * KI, (0, 5, 14): 0}
"""Reserved for a draft from a version on; later versions see its weights."""


def device_defaults(accelerator: Accelerator, version: tuple[int, int, int]) -> DeviceDefaults:
    """Chunk and largest graph of a device, by the memory that its driver states.

    Source:
        SGLang `handle_gpu_memory_settings`, arg_groups/memory_hook.py, 0.5.23.
    """
    memory = _memory_mib(accelerator)
    found = next(row for row in DEVICES if memory < row.below)
    if version <= (0, 5, 19) and found.below == SMALL_UNTIL_0519.below:
        return SMALL_UNTIL_0519
    return found


def _memory_mib(accelerator: Accelerator) -> float:
    if accelerator.reported_bytes is None:
        msg = Message(
            "mem_fraction_static must be given: what the driver states for {name} is not known",
            name=accelerator.name,
        )
        raise SpecError(msg)
    return accelerator.reported_bytes / MiB


def chunked_prefill_size(settings: Sglang, accelerator: Accelerator) -> int:
    """The resolved chunk; whole prompts count as the largest prefill batch."""
    if settings.disable_chunked_prefill:
        return settings.max_prefill_tokens
    if settings.chunked_prefill_size is not None:
        return settings.chunked_prefill_size
    version = sglang_version(settings.engine_version)
    return device_defaults(accelerator, version).chunked_prefill_size


def mem_fraction_static(
    settings: Sglang,
    *,
    accelerator: Accelerator,
    parallel: Parallelism,
    is_latent: bool,
    is_multimodal: bool,
    context_length: int | None = None,
) -> float:
    """The fraction of free memory for weights and cache: what was given, or the default.

    AMD's aiter kernels lower even a stated fraction where contexts are long.

    Raises:
        SpecError: where the driver's figure for the device is not known.
        UnsupportedError: where the default depends on what the description lacks.

    Source:
        SGLang `handle_gpu_memory_settings`, arg_groups/memory_hook.py, 0.5.23, and the same
        rule in 0.4.6, 0.5.2, 0.5.8 and 0.5.12.
    """
    context = settings.context_length or context_length or 0
    is_lowered = settings.attention_backend == AITER and context > AITER_CONTEXT
    share = AITER_SHARE if is_lowered else 1.0
    if settings.mem_fraction_static is not None:
        return settings.mem_fraction_static * share
    if is_multimodal:
        msg = "mem_fraction_static must be given: its default depends on the vision tower"
        raise UnsupportedError(msg)
    memory = _memory_mib(accelerator)
    ranks = parallel.tensor_parallel_size * parallel.pipeline_parallel_size
    version = sglang_version(settings.engine_version)
    if version < (0, 5, 0):
        return _fraction_0_4(memory, ranks) * share
    if version < (0, 5, 8):
        reserve = _reserve_0_5_2(memory, ranks, settings)
    else:
        reserve = _reserve(memory, accelerator, settings, parallel, is_latent=is_latent)
    return round((memory - reserve) / memory, 3) * share


def _reserve(
    memory: float,
    accelerator: Accelerator,
    settings: Sglang,
    parallel: Parallelism,
    *,
    is_latent: bool,
) -> float:
    """MiB that the engine leaves to activations, ranks and graphs."""
    version = sglang_version(settings.engine_version)
    chunk = chunked_prefill_size(settings, accelerator)
    ranks = parallel.tensor_parallel_size * parallel.pipeline_parallel_size
    batch = _graph_batch(settings, accelerator, parallel.tensor_parallel_size)
    reserve = FIXED_MIB + CHUNK_MIB * max(chunk, SMALLEST_CHUNK) + RANK_MIB * ranks
    if not settings.disable_cuda_graph:
        reserve += GRAPH_BATCH_MIB * batch
    if settings.enable_dp_attention:
        reserve += 3 * batch * settings.dp_size
        reserve += 1.5 * batch * settings.dp_size if batch > BIG_BATCH else 0
    if version >= (0, 5, 12) and not settings.disable_prefill_cuda_graph:
        reserve += LATENT_PREFILL_MIB if is_latent else PREFILL_GRAPH_MIB * _buckets(chunk)
    if memory > BIG_DEVICE_MIB:
        reserve = max(reserve, BIG_RESERVE_MIB)
    if settings.num_draft_layers:
        reserve += next(mib for since, mib in reversed(DRAFT_MIB.items()) if since <= version)
    return reserve


def _graph_batch(settings: Sglang, accelerator: Accelerator, ranks: int) -> int:
    defaults = device_defaults(accelerator, sglang_version(settings.engine_version))
    many = ranks >= MANY_RANKS
    batch = defaults.graph_batch_many_ranks if many else defaults.graph_batch
    batch = settings.cuda_graph_max_bs or batch
    return min(batch, settings.max_running_requests or batch)


def _buckets(chunk: int) -> int:
    if chunk not in PREFILL_BUCKETS:
        msg = Message(
            "mem_fraction_static must be given: how many prefill graphs are captured for "
            "chunked_prefill_size={chunk} is not known",
            chunk=chunk,
        )
        raise UnsupportedError(msg)
    return PREFILL_BUCKETS[chunk]


def _fraction_0_4(memory: float, ranks: int) -> float:
    """The fraction of 0.4.6: by ranks, and never less than 18 GiB aside on big devices."""
    by_ranks = {1: 0.88, 2: 0.87, 4: 0.85, 8: 0.81, 16: 0.79}
    fraction = by_ranks.get(ranks, 0.88) if memory <= 81920 else 0.88
    if memory > 96 * KI:
        fraction = min(fraction + 48 * KI * (1 - fraction) / memory, (memory - 18 * KI) / memory)
    return fraction


def _reserve_0_5_2(memory: float, ranks: int, settings: Sglang) -> float:
    if memory < 35 * KI:
        reserve = (2.8 + ranks / 10) * KI
    elif memory < 90 * KI:
        reserve = (9.5 + ranks / 2) * KI
    elif memory < 160 * KI:
        reserve = (12 + ranks / 2) * KI
    else:
        reserve = 32 * KI
    reserve += 2 * KI if settings.num_draft_layers else 0
    return reserve + (4 * KI if settings.enable_dp_attention else 0)


def cache_bytes(
    *,
    free_at_start_bytes: int,
    free_after_load_bytes: int,
    mem_fraction_static: float,
    is_multimodal: bool = False,
) -> int:
    """Bytes that the pools get; negative where the weights alone pass the fraction.

    Source:
        SGLang `_profile_available_bytes`, mem_cache/kv_cache_configurator.py, 0.5.23: both
        figures are the minimum over the ranks.
    """
    reserved = math.ceil(free_at_start_bytes * (1 - mem_fraction_static))
    images = MULTIMODAL_CACHE_BYTES if is_multimodal else 0
    return free_after_load_bytes - reserved - images
