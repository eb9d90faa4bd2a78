"""vLLM's rows: the pool that a printed number of tokens takes, or one request's need."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import kvsim
from validation.recorded.measured_deployments import device_of
from validation.recorded.measured_hybrids import hybrid_layout
from validation.recorded.measured_models import build_model
from validation.recorded.measured_prediction import Prediction, stated
from validation.recorded.measured_versions import vllm_version

Row = Mapping[str, Any]

ANY_DEVICE = "H100-SXM5-80GB"
"""Where a row names none; it decides how many tokens a step has, and so a window's blocks."""

LONGEST = 2**20  # where a row states no length: plain layers do not depend on it
DEFAULT_BLOCK_SIZE = 16
NEEDED = "needed_kv_gib/max_model_len"
CONCURRENCY_SINCE = (0, 12)
"""From here on the printed tokens are concurrency x longest length; before, blocks per group."""

ENOUGH_BYTES = 2**43  # for a request's need the memory does not matter


def vllm_bytes(row: Row, arch: Mapping[str, Any]) -> Prediction:
    """Bytes of the blocks behind a row's tokens, or of one request of the longest length."""
    if arch["attn"].startswith("hybrid"):
        return hybrid_bytes(row)
    model = replace(build_model(row["arch"], arch), max_model_len=None)
    if row["check"]["method"] == NEEDED:
        pool = vllm_pool(row, model)
        return Prediction(pool.request_blocks * pool.block_bytes)
    tokens = stated(row["check"], "tokens") / (row.get("dcp") or 1)
    if vllm_version(row) >= CONCURRENCY_SINCE and arch["attn"] == "swa":
        pool = vllm_pool(row, model)
        blocks = round(tokens / stated(row, "max_model_len") * pool.request_blocks)
        return Prediction(blocks * pool.block_bytes, slack_bytes=pool.block_bytes)
    engine = _engine(row)
    size = engine.block_size or DEFAULT_BLOCK_SIZE
    block = kvsim.cache_bytes(  # one block of every group
        model,
        num_tokens=size,
        engine=engine,
        kv_cache_dtype=engine.kv_cache_dtype,
        tensor_parallel_size=row.get("tp") or 1,
    )
    return Prediction(round(tokens / size * block.total_bytes))


def hybrid_bytes(row: Row) -> Prediction:
    """Bytes behind a hybrid's row, states and padding included.

    The engine prints tokens as concurrency x longest length; memory need not be whole blocks,
    and a block of a hybrid is large.
    """
    if row["check"]["method"] == NEEDED:
        layout = hybrid_layout(row, ENOUGH_BYTES)
        return Prediction(layout.blocks_per_request * layout.bytes_per_block)
    layout = hybrid_layout(row, round(stated(row, "kv_cache_gib") * kvsim.GiB))
    block = layout.bytes_per_block
    if layout.tokens == stated(row, "kv_tokens"):
        return Prediction(layout.num_blocks * block, slack_bytes=block)
    blocks = stated(row, "kv_tokens") / layout.max_model_len * layout.blocks_per_request
    return Prediction(round(blocks) * block, slack_bytes=block)


def vllm_pool(row: Row, model: kvsim.ModelSpec) -> Any:  # noqa: ANN401 - no name of its own
    """How the engine divides the cache memory that the row prints."""
    deployment = kvsim.Deployment(
        model=model,
        accelerator=device_of(row) or kvsim.accelerator(ANY_DEVICE),
        engine=_engine(row),
        parallel=kvsim.Parallelism(
            tensor_parallel_size=row.get("tp") or 1, pipeline_parallel_size=row.get("pp") or 1
        ),
    )
    return kvsim.plan(deployment).evaluation.capacity.best


def _engine(row: Row) -> kvsim.Vllm:
    available = round((row.get("kv_cache_gib") or 1) * kvsim.GiB)
    return kvsim.Vllm(
        max_model_len=row.get("max_model_len") or LONGEST,
        block_size=row.get("block_size"),
        max_num_batched_tokens=row.get("max_num_batched_tokens"),
        kv_cache_dtype=row.get("kv_cache_dtype") or "auto",
        kv_cache_memory_bytes=max(1, available),
    )
