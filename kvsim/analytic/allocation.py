"""What loading takes beside the tensors' own bytes: rotary tables, and blocks left whole."""

from bisect import bisect_left, insort
from collections.abc import Iterator, Sequence
from functools import lru_cache

from kvsim.analytic.weights import group_format, rank_share, stage_count
from kvsim.dtypes import FP32, DType
from kvsim.message import Message
from kvsim.specs.model import ModelSpec, Quantization, Shard, WeightGroup
from kvsim.specs.overheads import Interval, exact
from kvsim.specs.parallel import Parallelism
from kvsim.units import MiB, ceil_div

UNIT_BYTES = 512
SMALL_BYTES = MiB  # up to here tensors share blocks of their own, cut to the unit
SEGMENT_BYTES = 20 * MiB  # what is fetched from the device for tensors below a large one
LARGE_BYTES = 10 * MiB
LARGE_UNIT_BYTES = 2 * MiB
"""Sizes of torch's allocator.

Source:
    `kMinBlockSize`, `kSmallSize`, `large_segment_size_`, `kMinLargeAlloc`, `kRoundLarge`,
    c10/core/AllocatorConfig.h, PyTorch 2.13.0 (cf30153c), which vLLM 0.32.0 requires. Before, the
    third was `kLargeBuffer`, of the same size.
"""


def padding_bytes(sizes: Sequence[int]) -> int:
    """What torch counts as allocated beyond tensors of these sizes, allocated in this order.

    A block is cut to a tensor only where more than 1 MiB would be left; else the tensor has
    all of it.

    Source:
        `round_size`, `should_split`, `get_allocation_size` and `get_free_block`,
        c10/cuda/CUDACachingAllocator.cpp, read in a copy of PyTorch's main (001074d2); expandable
        segments are off by default. What vLLM prints is `torch.cuda.max_memory_allocated`, by
        `get_current_memory_usage`, platforms/cuda.py, 0.32.0. On ROCm builds from February 2025
        on (pull request 12624) printed what the device reports as used; 0.32.0 no longer does.
    """
    left_over: list[int] = []
    padding = 0
    for size in sizes:
        taken = ceil_div(size, UNIT_BYTES) * UNIT_BYTES
        if taken > SMALL_BYTES:
            rest = _block(left_over, taken) - taken
            if rest > SMALL_BYTES:
                insort(left_over, rest)
            else:
                taken += rest
        padding += taken - size
    return padding


def _block(left_over: list[int], size: int) -> int:
    """The smallest left-over block that holds a tensor, else a fresh one."""
    at = bisect_left(left_over, size)
    if at < len(left_over):
        return left_over.pop(at)
    if size < LARGE_BYTES:
        return SEGMENT_BYTES
    return ceil_div(size, LARGE_UNIT_BYTES) * LARGE_UNIT_BYTES


def rotary_bytes(model: ModelSpec, dtype: DType, *, is_eager_cuda: bool = False) -> Interval:
    """The tables of a model's rotations, whole on every rank.

    DeepSeek's are in float32 where FlashInfer rotates: the class asks for it on CUDA, and is
    itself off where the model is compiled, the default.

    Source:
        vLLM `RotaryEmbeddingBase`, model_executor/layers/rotary_embedding/base.py, and
        `DeepseekScalingRotaryEmbedding`, deepseek_scaling_rope.py there; `custom_ops` in
        `VllmConfig.__post_init__`, config/vllm.py, 0.32.0.
    """
    low = best = 0
    for table in model.vllm.rotary_tables:
        elems = table.num_positions * table.width
        known = (FP32 if table.is_float32 else dtype).nbytes(elems)
        low += known
        best += FP32.nbytes(elems) if is_eager_cuda and table.is_float32_in_eager else known
    source = Message("no rotary tables")
    if best:
        source = Message("{size} of rotary tables", size=f"{best / MiB:.1f} MiB")
    return Interval(min(low, best), best, best, source)


@lru_cache(maxsize=256)
def beside_tensors(
    model: ModelSpec,
    *,
    parallel: Parallelism,
    dtype: DType,
    quantization: Quantization | None,
    is_eager_cuda: bool = False,
) -> tuple[Interval, ...]:
    """Rotary tables and padding on one rank of every pipeline stage.

    Quantised tensors count without padding: their kernels repack them. Blocks that computing a
    long table leaves are not handed to later tensors here, which would spare some their padding:
    tried on thirteen recorded logs, that brought one of Qwen2.5-14B's architecture from 3.7 MiB
    off to 0.3, took another 0.5 MiB further off, and left eleven as they are.
    """
    tables = rotary_bytes(model, dtype, is_eager_cuda=is_eager_cuda)
    return tuple(
        tables + exact(padding_bytes(sizes), tables.source)
        for sizes in _stage_tensors(model, parallel, dtype, quantization)
    )


def _stage_tensors(
    model: ModelSpec, parallel: Parallelism, dtype: DType, quantization: Quantization | None
) -> Iterator[tuple[int, ...]]:
    """Bytes of every known tensor on one rank of each stage, in the order of creation."""
    known = [g for g in model.weights if g.pieces]
    plain = [g for g in known if group_format(g, quantization, dtype) is dtype]
    stages = parallel.stage_layers(model.num_layers)
    for stage, layers in enumerate(stages):
        outside = [g for g in plain if g.place and stage_count(g, layers, stage, len(stages))]
        first = [g for g in outside if g.name != "output head"]
        last = [g for g in outside if g.name == "output head"]
        by_layer: dict[int, list[WeightGroup]] = {i: [] for i in layers}
        for group in plain:
            for i in group.layers:
                if i in by_layer:
                    by_layer[i].append(group)
        order = [first, *by_layer.values(), last]
        yield tuple(dtype.nbytes(n) for groups in order for n in _rank_tensors(groups, parallel))


def _rank_tensors(groups: Sequence[WeightGroup], parallel: Parallelism) -> list[int]:
    """Parameters of the tensors of some groups on one rank; keys and values join the queries.

    Source:
        vLLM `QKVParallelLinear`, model_executor/layers/linear.py, 0.32.0.
    """
    tensors: list[int] = []
    queries = 0
    for group in groups:
        shares = [rank_share(n, group, parallel) for n in group.pieces]
        if group.shard is Shard.KV_HEADS:
            tensors[queries] += sum(shares)
        else:
            queries = len(tensors)
            tensors += shares
    return tensors
