"""Axes of an engine's settings: lengths, batches, formats, shares and blocks."""

from collections.abc import Iterator
from dataclasses import replace

from kvsim.analytic.capacity import Cause
from kvsim.dtypes import cache_dtype, weight_format
from kvsim.planner.axes import Axis, Question, Scenario, refuse, refuse_stated_weights
from kvsim.planner.plan import Evaluation, deployment_dtype
from kvsim.planner.solution import Target, Value
from kvsim.units import GiB

MAX_LENGTH = 2**27
"""Longest context to ask about where the model states none: states do not grow."""

MAX_OFFLOAD_BYTES = 2**46
"""Most host memory to ask about."""

MAX_SEQS = 2**20
"""Most sequences to ask about; engines stop far below, at `max_num_batched_tokens`."""

UTILIZATION_STEPS = 1000
"""Shares of memory are tried in thousandths: the engine reads a float, users write three digits."""

CACHE_FORMATS = ("bfloat16", "fp8", "nvfp4", "int4_per_token_head")
"""vLLM's cache formats, the widest first; of those of 8 bits the narrowest stands for all."""

WEIGHT_METHODS = ("fp8", "int8", "nvfp4", "mxfp4", "awq")
"""vLLM's weight quantisations, the widest first; gptq is as wide as awq."""

FORMAT_WIDTH = 128
"""Values in which formats are compared: a usual head."""


def max_model_len(q: Question) -> Axis:
    """Longest context, from one that the model refuses, or that nobody asks for, down."""
    model = q.deployment.model
    longest = model.vllm.max_model_len or model.max_model_len

    def scenarios(value: Value) -> Iterator[Scenario]:
        yield q.with_engine(max_model_len=value, auto_max_model_len=False)

    return Axis(
        target=Target.MAX_MODEL_LEN,
        goal="largest",
        values=range(MAX_LENGTH if longest is None else longest + 1, 0, -1),
        scenarios=scenarios,
        is_ordered=True,
        notes=() if longest else (f"the model states no maximum: up to {MAX_LENGTH:,} was tried",),
    )


def max_num_seqs(q: Question) -> Axis:
    """Most requests of the longest length that may run at once."""
    refuse(
        q.concurrent_requests is not None,
        f"concurrent_requests={q.concurrent_requests} is what max_num_seqs asks for: "
        "give one of them",
    )
    replicas = q.deployment.parallel.data_parallel_size

    def scenarios(value: Value) -> Iterator[Scenario]:
        yield replace(q.with_engine(max_num_seqs=value), concurrent_requests=replicas * int(value))

    return Axis(
        target=Target.MAX_NUM_SEQS,
        goal="largest",
        values=range(MAX_SEQS, 0, -1),
        scenarios=scenarios,
        is_ordered=True,
        notes=("each of the max_num_seqs requests of a replica holds max_model_len tokens",),
    )


def kv_cache_dtype(q: Question) -> Axis:
    """Widest cache format, from the model's own down."""
    own = deployment_dtype(q.deployment)
    width = own.nbytes(FORMAT_WIDTH)
    narrower = (n for n in CACHE_FORMATS if cache_dtype(n).nbytes(FORMAT_WIDTH) < width)

    def scenarios(value: Value) -> Iterator[Scenario]:
        yield q.with_engine(kv_cache_dtype=value)

    return Axis(
        target=Target.KV_CACHE_DTYPE,
        goal="widest",
        values=("auto", *narrower),
        scenarios=scenarios,
        is_ordered=False,
        notes=("auto is the model's own format; what a narrower one costs in quality, measure",),
    )


def quantization(q: Question) -> Axis:
    """Widest weight format, from the checkpoint's own down."""
    refuse_stated_weights(q)
    own = q.deployment.model.quantization
    stored = deployment_dtype(q.deployment) if own is None else own.format
    name = "none" if own is None else own.method
    width = FORMAT_WIDTH * FORMAT_WIDTH
    narrower = (m for m in WEIGHT_METHODS if weight_format(m).nbytes(width) < stored.nbytes(width))

    def scenarios(value: Value) -> Iterator[Scenario]:
        yield q.with_engine(quantization=None if value == name else value)

    return Axis(
        target=Target.QUANTIZATION,
        goal="widest",
        values=(name, *narrower),
        scenarios=scenarios,
        is_ordered=False,
        notes=("a quantised checkpoint must exist; what it costs in quality, measure",),
    )


def gpu_memory_utilization(q: Question) -> Axis:
    """Smallest share of memory, among those that are free at start."""
    refuse(
        q.deployment.engine.kv_cache_memory_bytes is not None,
        "kv_cache_memory_bytes decides the cache, whatever gpu_memory_utilization says: "
        "leave it out",
    )
    refuse(
        q.deployment.engine.num_gpu_blocks_override is not None,
        "num_gpu_blocks_override decides the blocks, whatever gpu_memory_utilization says: "
        "leave it out",
    )

    def scenarios(value: Value) -> Iterator[Scenario]:
        yield q.with_engine(gpu_memory_utilization=value)

    return Axis(
        target=Target.GPU_MEMORY_UTILIZATION,
        goal="smallest",
        values=tuple(n / UTILIZATION_STEPS for n in range(1, _free_steps(q) + 1)),
        scenarios=scenarios,
        is_ordered=True,
        notes=(f"to the next {1 / UTILIZATION_STEPS:g}",),
    )


def _free_steps(q: Question) -> int:
    """The largest share, in steps, of which that much is free at start; at least one step."""

    def is_free(steps: int) -> bool:
        share = q.with_engine(gpu_memory_utilization=steps / UTILIZATION_STEPS)
        return Cause.NOT_FREE not in q.judge(share.deployment, q.requests).fit.causes

    low, high = 1, UTILIZATION_STEPS
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if is_free(middle) else (low, middle - 1)
    return low


def num_gpu_blocks(q: Question) -> Axis:
    """Fewest blocks, up to those that there is memory for."""
    plain = q.with_engine(num_gpu_blocks_override=None)
    blocks = q.judge(plain.deployment, q.requests).capacity.best.num_gpu_blocks

    def scenarios(value: Value) -> Iterator[Scenario]:
        yield q.with_engine(num_gpu_blocks_override=value)

    return Axis(
        target=Target.NUM_GPU_BLOCKS,
        goal="smallest",
        values=range(1, max(1, blocks) + 1),
        scenarios=scenarios,
        is_ordered=True,
        notes=("the null block is counted", f"there is memory for {blocks:,}"),
    )


def offload_bytes(q: Question) -> Axis:
    """Least host memory of a replica that keeps so many prompts of the longest length."""

    def scenarios(value: Value) -> Iterator[Scenario]:
        size = int(value) / GiB
        yield replace(q.with_engine(kv_offloading_size=size), concurrent_requests=1)

    def lack(evaluation: Evaluation) -> str | None:
        length, held = evaluation.resolved.max_model_len, evaluation.offload
        prompts = 0 if held is None else held.num_prompts(length)
        if prompts >= q.requests:
            return None
        return f"{prompts:,} of {q.requests:,} prompts of {length:,} tokens are kept in host memory"

    return Axis(
        target=Target.OFFLOAD_BYTES,
        goal="smallest",
        values=range(1, MAX_OFFLOAD_BYTES + 1),
        scenarios=scenarios,
        is_ordered=True,
        lack=lack,
        notes=(
            "--kv-offloading-size of one replica, over all its ranks; prompts share nothing, and "
            "what the GPU keeps is not counted",
        ),
    )
