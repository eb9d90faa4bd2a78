"""SGLang's and TensorRT-LLM's verdicts: a pool per rank, shared by all requests."""

from dataclasses import replace

from kvsim.analytic.capacity import Verdict, linear_cost
from kvsim.message import Message
from kvsim.planner.engine_memory import Facts, Held, memory_of
from kvsim.planner.engine_plan import ONLY_LIKELY, DeviceShare, Judged, host_parts, verdict_of
from kvsim.planner.layouts import pool_layout, refuse_stages
from kvsim.specs.deployment import Deployment
from kvsim.specs.engine import EngineName
from kvsim.specs.sglang import Sglang
from kvsim.specs.tensorrt_llm import TensorrtLlm
from kvsim.units import ceil_div

NAMES = {Sglang: EngineName.SGLANG, TensorrtLlm: EngineName.TENSORRT_LLM}


# long: a field of the judgement a line
def judge_pools(
    deployment: Deployment,
    settings: Sglang | TensorrtLlm,
    facts: Facts,
    *,
    num_tokens: int,
    concurrent_requests: int,
) -> Judged:
    """The pool of a rank against its share of the requests.

    Raises:
        SpecError: for heads that do not divide.
        UnsupportedError: for a format or a behaviour whose rule is not known, and for stages.
    """
    name, asked = NAMES[type(settings)], deployment.engine
    refuse_stages(deployment.parallel, name)
    layout, _ = pool_layout(
        deployment.model,
        settings,
        deployment.parallel,
        kv_cache_dtype=asked.kv_cache_dtype,
        dtype=asked.dtype,
    )
    memory = memory_of(name, deployment, layout, facts, num_tokens)
    one = layout.sequence(num_tokens).total_bytes
    groups = _groups(deployment, settings)
    share = ceil_div(concurrent_requests, groups)
    verdict = verdict_of(best=memory.best.requests >= share, low=memory.low.requests >= share)
    low, best, high = (
        Held(held.tokens * groups, held.requests * groups)
        for held in (memory.low, memory.best, memory.high)
    )
    line = linear_cost(layout, deployment.model, max_model_len=num_tokens, block_size=64)
    return Judged(
        engine=name,
        engine_version=layout.engine_version,
        settings=settings,
        deployment=deployment,
        num_tokens=num_tokens,
        concurrent_requests=concurrent_requests,
        devices=(
            DeviceShare(
                free_bytes=memory.free_bytes,
                parts=memory.parts,
                cache_bytes=memory.cache_bytes,
                needed_bytes=share * one,
            ),
        ),
        low=low,
        best=best,
        high=high,
        request_bytes=one,
        bytes_per_token=line.bytes_per_token,
        is_per_rank=True,
        host=None,
        host_bytes=host_parts(_host(settings)),
        verdict=verdict,
        reasons=_reasons(verdict, memory.refusal, best, concurrent_requests),
        not_modeled=(*layout.not_modeled, *memory.left_out),
    )


def _groups(deployment: Deployment, settings: Sglang | TensorrtLlm) -> int:
    """Groups of ranks with a pool of their own, each serving its share of the requests."""
    replicas = deployment.parallel.data_parallel_size
    if isinstance(settings, Sglang):
        return replicas * (settings.dp_size if settings.enable_dp_attention else 1)
    ranks = deployment.parallel.tensor_parallel_size
    return replicas * (ranks if settings.enable_attention_dp else 1)


def _host(settings: Sglang | TensorrtLlm) -> dict[str, int]:
    """Pools in host memory whose size a flag states."""
    if isinstance(settings, TensorrtLlm):
        return {"secondary pool of each rank": settings.host_cache_size or 0}
    return {}


def _reasons(verdict: Verdict, refusal: str | None, best: Held, asked: int) -> tuple[str, ...]:
    if refusal is not None:
        return (refusal,)
    if verdict is Verdict.DOES_NOT_FIT:
        return (
            Message(
                "{asked} requests of this length are asked for, {requests} fit",
                asked=f"{asked:,}",
                requests=f"{best.requests:,}",
            ),
        )
    if verdict is Verdict.TIGHT:
        return (ONLY_LIKELY,)
    return ()


def in_smaller_format(settings: Sglang | TensorrtLlm) -> Sglang | TensorrtLlm:
    """The same settings with an 8-bit cache, under the engine's own name for it."""
    if isinstance(settings, Sglang):
        return replace(settings, kv_cache_dtype="fp8_e4m3")
    return replace(settings, dtype="fp8")
