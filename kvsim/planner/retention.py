"""What keeping every cache for a while takes: the host and disk tiers of a retention window."""

from dataclasses import dataclass, replace

from kvsim.engines.vllm_offload import vllm_offload
from kvsim.errors import SpecError
from kvsim.planner.plan import Evaluation
from kvsim.sim.prefix_reuse import prefix_reuse
from kvsim.specs.workload import PromptSegment, Request, Workload, output_segment, prompt_segments

Json = dict[str, object]

PROBE_BYTES = 2**46
"""A tier large enough to read the size of a chunk from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """The tier that keeps what requests of a window leave, in a steady state, over all replicas.

    `host_bytes` is what of it the machines' memory takes, where that was stated; the rest is
    for a disk.
    """

    window_s: float
    new_tokens_per_s: float  # that no earlier request had cached
    bytes_per_s: float
    total_bytes: int
    host_bytes: int
    disk_bytes: int

    def as_dict(self) -> Json:
        """Plain values."""
        return {
            "window_s": self.window_s,
            "new_tokens_per_s": self.new_tokens_per_s,
            "bytes_per_s": self.bytes_per_s,
            "total_bytes": self.total_bytes,
            "host_bytes": self.host_bytes,
            "disk_bytes": self.disk_bytes,
        }


def retention(
    evaluation: Evaluation, workload: Workload, *, window_s: float | None, machines: int
) -> Retention | None:
    """The tier of a window, from the tokens that are new and the engine's own chunks.

    Args:
        evaluation: one replica; its host memory, where stated, is that of one machine.
        workload: requests at the rate that counts.
        window_s: seconds for which a cache is kept; None: nothing is asked.
        machines: replicas, each on a machine of its own.

    Raises:
        SpecError: if requests have no rate.
        UnsupportedError: for a version whose offload is not known.
    """
    if window_s is None:
        return None
    rate_per_s = workload.rate_per_s
    if rate_per_s is None:
        msg = f"retention_s={window_s:g} needs requests that arrive over time"
        raise SpecError(msg)
    lengths = [r.num_prompt_tokens + r.num_output_tokens for r in workload]
    mean = sum(lengths) / len(lengths)
    layout = evaluation.layout.cache.start(evaluation.budget.kv_cache_bytes.best)
    held = vllm_offload(
        layout, size_bytes=PROBE_BYTES, engine_version=evaluation.resolved.engine_version
    )
    share = 1.0 - _cached(workload, evaluation.layout.block_size)
    per_request = share * held.chunks(round(mean)) * held.chunk_bytes
    total = round(rate_per_s * window_s * per_request)
    host = evaluation.deployment.host_memory_bytes
    in_host = total if host is None else min(total, host * machines)
    return Retention(
        window_s=window_s,
        new_tokens_per_s=rate_per_s * share * mean,
        bytes_per_s=rate_per_s * per_request,
        total_bytes=total,
        host_bytes=in_host,
        disk_bytes=total - in_host,
    )


def _cached(workload: Workload, block_size: int) -> float:
    """The share of all tokens, answers included, that an earlier request had cached."""
    whole = tuple(_with_answer(request, i) for i, request in enumerate(workload))
    return prefix_reuse(replace(workload, requests=whole), block_size=block_size).token_rate


def _with_answer(request: Request, index: int) -> Request:
    answer = PromptSegment(output_segment(request, index, 0), request.num_output_tokens)
    return replace(
        request,
        num_prompt_tokens=request.num_prompt_tokens + request.num_output_tokens,
        prompt=(*prompt_segments(request, index), answer),
    )
