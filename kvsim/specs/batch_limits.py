"""Default batch limits of a serving engine by device and use."""

from dataclasses import dataclass
from enum import StrEnum

from kvsim.specs.hardware import Accelerator
from kvsim.units import GiB


class UsageContext(StrEnum):
    """How vLLM is used; batch limits depend on it."""

    API_SERVER = "OPENAI_API_SERVER"
    LLM_CLASS = "LLM_CLASS"
    ENGINE = "ENGINE_CONTEXT"


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchLimits:
    """Default `max_num_batched_tokens` and `max_num_seqs` of a usage context."""

    tokens: int
    seqs: int


BIG_DEVICE_BYTES = 70 * GiB
HUGE_DEVICE_BYTES = 160 * GiB


class Platform(StrEnum):
    """Kinds of devices with rules of their own."""

    GPU = "gpu"
    CPU = "cpu"
    TPU = "tpu"


_PLATFORMS = {"CPU": Platform.CPU, "TPU": Platform.TPU}

OTHER_CONTEXT = BatchLimits(tokens=2048, seqs=128)
"""Where the use is none of those that the engine knows.

Source: vLLM `SchedulerConfig.DEFAULT_MAX_NUM_BATCHED_TOKENS` and `_SEQS`, 0.32.0.
"""

TPU_TOKENS = {"v6e": 2048, "v5e": 1024, "v5p": 512}
"""Tokens per step in the library's use; a server takes half."""


def platform_of(accelerator: Accelerator | None) -> Platform:
    """The kind of a device; one that is not named is taken for a GPU."""
    if accelerator is None:
        return Platform.GPU
    return _PLATFORMS.get(accelerator.architecture, Platform.GPU)


def batch_limits(
    accelerator: Accelerator | None, context: UsageContext, *, world_size: int = 1
) -> BatchLimits:
    """Default batch limits on a device: only its memory and the word "a100" decide.

    Without a device they are those of a usage context that looks at none.

    Args:
        accelerator: the device; its torch-visible total and its name are looked at.
        context: how the engine is used.
        world_size: ranks of tensor and pipeline parallelism; only CPUs count them.

    Source:
        vLLM `EngineArgs.get_batch_defaults`, vllm/engine/arg_utils.py, 0.32.0.

    Example:
        >>> from kvsim.units import GiB
        >>> h100 = Accelerator(name="H100", vendor="NVIDIA", architecture="Hopper",
        ...                    nominal_bytes=80 * GiB)
        >>> batch_limits(h100, UsageContext.API_SERVER)
        BatchLimits(tokens=8192, seqs=1024)
    """
    if accelerator is None or context is UsageContext.ENGINE:
        return OTHER_CONTEXT
    server = context is UsageContext.API_SERVER
    platform = platform_of(accelerator)
    if platform is Platform.CPU:
        return BatchLimits(
            tokens=(2048 if server else 4096) * world_size,
            seqs=(128 if server else 256) * world_size,
        )
    memory, name = accelerator.total_bytes.best, accelerator.name.lower()
    if platform is Platform.TPU:
        tokens = next((n for word, n in TPU_TOKENS.items() if word in name), 2048)
        return BatchLimits(tokens=tokens // 2 if server else tokens, seqs=256)
    if memory >= HUGE_DEVICE_BYTES:
        return BatchLimits(tokens=16384, seqs=1024)
    if memory >= BIG_DEVICE_BYTES and "a100" not in name:
        return BatchLimits(tokens=8192 if server else 16384, seqs=1024)
    return BatchLimits(tokens=2048 if server else 8192, seqs=256)
