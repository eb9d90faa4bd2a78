"""Every engine side by side: what a request takes, and how many a device holds."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from kvsim.analytic.capacity import linear_cost
from kvsim.engines.ideal import IdealLayout
from kvsim.engines.layout import Layout
from kvsim.engines.transformers import TransformersLayout
from kvsim.engines.vllm import vllm_cache_layout
from kvsim.errors import KvsimError, SpecError
from kvsim.planner.engine_memory import Facts, Held, Memory, memory_of
from kvsim.planner.layouts import POOL_ENGINES, pool_layout
from kvsim.planner.plan import deployment_cache_dtype, deployment_dtype
from kvsim.specs.attention import check_positive
from kvsim.specs.deployment import Deployment
from kvsim.specs.engine import EngineName, resolve_max_model_len
from kvsim.specs.overheads import Interval
from kvsim.specs.parallel import Parallelism
from kvsim.specs.transformers import Transformers

Json = dict[str, object]

BLOCKS = {
    EngineName.IDEAL: 1,
    EngineName.TRANSFORMERS: 1,
    EngineName.VLLM: 16,
    EngineName.SGLANG: 64,
    EngineName.TENSORRT_LLM: 32,
    EngineName.LLAMA_CPP: 256,
    EngineName.OLLAMA: 256,
}
"""Tokens to which a length is rounded down before its cost is drawn as a line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestCost:
    """What one request takes on one rank, and the line through it: fixed and per token."""

    request_bytes: int
    bytes_per_token: int
    fixed_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineAnswer:
    """One engine's figures; `refusal` says why those that are None are not known.

    `cost` and `memory` are per rank, or over all devices where `is_per_rank` is false: an
    engine that divides layers over devices has no rank.
    """

    engine: EngineName
    engine_version: str | None
    cost: RequestCost | None
    cache_bytes: Interval | None
    low: Held | None
    best: Held | None
    high: Held | None
    is_per_rank: bool
    refusal: str | None
    not_modeled: tuple[str, ...]

    def as_dict(self) -> Json:
        """The answer as plain values."""
        cost, cache = self.cost, self.cache_bytes
        return {
            "engine": str(self.engine),
            "engine_version": self.engine_version,
            "bytes_per_token": cost and cost.bytes_per_token,
            "fixed_bytes": cost and cost.fixed_bytes,
            "request_bytes": cost and cost.request_bytes,
            "per_rank": self.is_per_rank,
            "cache_bytes": cache
            and {"low": cache.low, "best": cache.best, "high": cache.high, "source": cache.source},
            "capacity_tokens": self._each("tokens"),
            "max_requests": self._each("requests"),
            "refusal": self.refusal,
            "not_modeled": list(self.not_modeled),
        }

    def _each(self, name: str) -> Json | None:
        if self.low is None or self.best is None or self.high is None:
            return None
        ends = {"low": self.low, "best": self.best, "high": self.high}
        return {end: getattr(held, name) for end, held in ends.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Engines side by side for one model, one kind of device and one length of request."""

    model: str
    accelerator: str
    num_ranks: int
    num_tokens: int
    kv_cache_dtype: str
    engines: tuple[EngineAnswer, ...]

    def as_dict(self) -> Json:
        """The comparison as plain values."""
        return {
            "model": self.model,
            "gpu": self.accelerator,
            "num_gpus": self.num_ranks,
            "num_tokens": self.num_tokens,
            "kv_cache_dtype": self.kv_cache_dtype,
            "engines": [answer.as_dict() for answer in self.engines],
        }


def compare(
    deployment: Deployment,
    facts: Facts,
    *,
    engines: Sequence[str] | None = None,
    num_tokens: int | None = None,
) -> Comparison:
    """Every engine's answer for one model and device; engines that refuse say why.

    Args:
        deployment: model, device and degrees; the formats of its engine settings are asked of
            every engine.
        facts: what the engines take beside weights and cache.
        engines: names; None means all.
        num_tokens: tokens of a request; None means `max_model_len`.

    Raises:
        SpecError: for an unknown engine, or no length.
    """
    asked = tuple(EngineName) if engines is None else tuple(_name(name) for name in engines)
    longest = deployment.engine.max_model_len
    length = num_tokens or resolve_max_model_len(longest, deployment.model)
    check_positive(num_tokens=length)
    return Comparison(
        model=deployment.model.name,
        accelerator=deployment.accelerator.name,
        num_ranks=deployment.parallel.num_ranks,
        num_tokens=length,
        kv_cache_dtype=deployment.engine.kv_cache_dtype,
        engines=tuple(_answer(name, deployment, facts, length) for name in asked),
    )


def _name(text: str) -> EngineName:
    if text not in list(EngineName):
        msg = f"engines={text[:40]} must be all or of {', '.join(EngineName)}"
        raise SpecError(msg)
    return EngineName(text)


def _answer(
    name: EngineName, deployment: Deployment, facts: Facts, num_tokens: int
) -> EngineAnswer:
    """One engine's cost of a request, then its memory; a refusal of either is kept as text."""
    layout: Layout | None = None
    cost = memory = refusal = None
    try:
        _check_stages(name, deployment)
        layout = LAYOUTS[name](deployment)
        line = linear_cost(
            layout, deployment.model, max_model_len=num_tokens, block_size=BLOCKS[name]
        )
        cost = RequestCost(
            request_bytes=layout.sequence(num_tokens).total_bytes,
            bytes_per_token=line.bytes_per_token,
            fixed_bytes=line.fixed_bytes,
        )
        memory = memory_of(name, deployment, layout, facts, num_tokens)
        refusal = memory.refusal
    except KvsimError as error:
        refusal = str(error)
    return _as_answer(name, layout, cost, memory, refusal)


def _as_answer(
    name: EngineName,
    layout: Layout | None,
    cost: RequestCost | None,
    memory: Memory | None,
    refusal: str | None,
) -> EngineAnswer:
    return EngineAnswer(
        engine=name,
        engine_version=layout.engine_version if layout else None,
        cost=cost,
        cache_bytes=memory.cache_bytes if memory else None,
        low=memory.low if memory else None,
        best=memory.best if memory else None,
        high=memory.high if memory else None,
        is_per_rank=memory.is_per_rank if memory else True,
        refusal=refusal,
        not_modeled=(*(layout.not_modeled if layout else ()), *(memory.left_out if memory else ())),
    )


def _check_stages(name: EngineName, deployment: Deployment) -> None:
    """SpecError where the whole model would be set beside one pipeline stage's memory."""
    if deployment.parallel.pipeline_parallel_size > 1 and LAYOUTS[name] is not _vllm:
        msg = "pipeline_parallel_size must be 1: this engine's stages are not known here"
        raise SpecError(msg)


def _ideal(deployment: Deployment) -> Layout:
    return IdealLayout(
        model=deployment.model,
        kv_dtype=deployment_cache_dtype(deployment),
        dtype=deployment_dtype(deployment),
        tensor_parallel_size=deployment.parallel.tensor_parallel_size,
    )


def _vllm(deployment: Deployment) -> Layout:
    return vllm_cache_layout(
        deployment.model,
        deployment.engine,
        deployment.parallel,
        accelerator=deployment.accelerator,
    )


def _transformers(deployment: Deployment) -> Layout:
    if deployment.engine.kv_cache_dtype != "auto":
        msg = "kv_cache_dtype must be auto: this cache follows dtype"
        raise SpecError(msg)
    return TransformersLayout(
        model=deployment.model,
        settings=Transformers(),
        dtype=deployment_dtype(deployment),
        tensor_parallel_size=deployment.parallel.tensor_parallel_size,
    )


def _pools(name: EngineName) -> Callable[[Deployment], Layout]:
    divides_layers = name in (EngineName.LLAMA_CPP, EngineName.OLLAMA)

    def build(deployment: Deployment) -> Layout:
        layout, _ = pool_layout(
            deployment.model,
            POOL_ENGINES[name](),
            Parallelism() if divides_layers else deployment.parallel,
            kv_cache_dtype=deployment.engine.kv_cache_dtype,
            dtype=deployment.engine.dtype,
        )
        return layout

    return build


LAYOUTS: Mapping[EngineName, Callable[[Deployment], Layout]] = {
    EngineName.IDEAL: _ideal,
    EngineName.VLLM: _vllm,
    EngineName.TRANSFORMERS: _transformers,
    **{name: _pools(name) for name in POOL_ENGINES},
}
"""How each engine lays out a deployment's model under its defaults."""
