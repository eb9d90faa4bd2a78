"""A plan under an engine that is not vLLM: its verdict, its longest request, single changes."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cache

from kvsim.errors import KvsimError, SpecError
from kvsim.message import Message
from kvsim.planner.advise import Fix, effect
from kvsim.planner.changes import DEGREES
from kvsim.planner.engine_memory import Facts
from kvsim.planner.engine_plan import EnginePlan, Judged
from kvsim.planner.llama_load import Read, read_weights
from kvsim.planner.llama_plan import judge_llama, llama_fits
from kvsim.planner.pool_plan import in_smaller_format, judge_pools
from kvsim.specs.attention import check_positive
from kvsim.specs.deployment import Deployment
from kvsim.specs.engine import resolve_max_model_len
from kvsim.specs.llama_cpp import LlamaCpp, Ollama
from kvsim.specs.pool_settings import PoolSettings, stated_length
from kvsim.specs.sglang import Sglang
from kvsim.specs.tensorrt_llm import TensorrtLlm

SMALLER_TYPES = ("q8_0", "q4_0")
LOSSES = {"q8_0": "8 bits", "q4_0": "4 bits"}
LONGEST = 1 << 24
"""Tokens above which no length is tried where the model states none."""


@dataclass(frozen=True, slots=True)
class Judge:
    """Judges settings for requests of so many tokens, and so many of them.

    All deployments that one judge sees serve the same model: it reads the weights once.
    """

    facts: Facts
    read: Read = field(default_factory=lambda: cache(read_weights))

    def __call__(
        self, deployment: Deployment, settings: PoolSettings, length: int, requests: int
    ) -> Judged:
        """The whole judgement."""
        if isinstance(settings, Sglang | TensorrtLlm):
            return judge_pools(
                deployment, settings, self.facts, num_tokens=length, concurrent_requests=requests
            )
        return judge_llama(
            deployment,
            settings,
            self.facts,
            num_tokens=length,
            concurrent_requests=requests,
            read=self.read,
        )

    def fits(
        self, deployment: Deployment, settings: PoolSettings, length: int, requests: int
    ) -> bool:
        """The verdict alone, which searches ask for many times."""
        if isinstance(settings, Sglang | TensorrtLlm):
            return self(deployment, settings, length, requests).verdict.fits
        return llama_fits(
            deployment,
            settings,
            self.facts,
            num_tokens=length,
            concurrent_requests=requests,
            read=self.read,
        )


def engine_plan(
    deployment: Deployment, settings: PoolSettings, facts: Facts, *, concurrent_requests: int
) -> EnginePlan:
    """What a deployment holds under the settings' engine, and what would make it fit.

    Raises:
        SpecError: for settings that no real system can have, or no length.
        UnsupportedError: for a model, format or rule that is not known.
    """
    judged, judge = judge_engine(
        deployment, settings, facts, concurrent_requests=concurrent_requests
    )
    longest = longest_request(judged, judge)
    return EnginePlan(
        judged=judged,
        longest_model_len=longest,
        fixes=() if judged.verdict.fits else tuple(_fixes(judged, judge, longest)),
    )


def judge_engine(
    deployment: Deployment, settings: PoolSettings, facts: Facts, *, concurrent_requests: int
) -> tuple[Judged, Judge]:
    """The verdict on a deployment under the settings' engine, and what judges others like it.

    Raises:
        SpecError: for settings that no real system can have, or no length.
        UnsupportedError: for a model, format or rule that is not known.
    """
    check_positive(concurrent_requests=concurrent_requests)
    num_tokens = request_tokens(deployment, settings)

    judge = Judge(facts)
    return judge(deployment, settings, num_tokens, concurrent_requests), judge


def request_tokens(deployment: Deployment, settings: PoolSettings) -> int:
    """Tokens of a request: as asked for, else as long as the engine's own flags allow."""
    asked, longest = deployment.engine.max_model_len, stated_length(settings)
    if asked is not None and longest is not None and asked > longest:
        msg = Message(
            "max_model_len={asked} must be <= {longest}, which the engine's own flags allow",
            asked=asked,
            longest=longest,
        )
        raise SpecError(msg)
    return resolve_max_model_len(asked or longest, deployment.model)


def _with_length(settings: PoolSettings, length: int) -> PoolSettings:
    """The settings for requests of another length; llama.cpp's context follows the requests."""
    if isinstance(settings, Sglang):
        return replace(settings, context_length=length)
    if isinstance(settings, TensorrtLlm):
        return replace(settings, max_seq_len=length)
    if isinstance(settings, Ollama):
        return replace(settings, num_ctx=length)
    return replace(settings, ctx_size=None)


def _changed(
    judged: Judged, changed: dict[str, object]
) -> tuple[Deployment, PoolSettings, int, int]:
    asked = {
        "deployment": judged.deployment,
        "settings": judged.settings,
        "length": judged.num_tokens,
        "requests": judged.concurrent_requests,
    } | changed
    return tuple(asked.values())  # type: ignore[return-value]


def _tried(judge: Judge, judged: Judged, **changed: object) -> Judged | None:
    """The judgement of a change; None where the engine or the model cannot do it."""
    try:
        return judge(*_changed(judged, changed))
    except KvsimError:
        return None


def _does(judge: Judge, judged: Judged, **changed: object) -> bool:
    """Whether a change makes it fit; it does not where the engine or the model cannot do it."""
    try:
        return judge.fits(*_changed(judged, changed))
    except KvsimError:
        return False


def _most(low: int, high: int, fits: Callable[[int], bool]) -> int:
    """The largest value above `low` that fits, `low` where none does; smaller ones fit too."""
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(middle) else (low, middle - 1)
    return low


def longest_request(judged: Judged, judge: Judge) -> int:
    """The longest request of which as many as asked for fit; 0 where not even one token does."""
    most = judged.deployment.model.max_model_len or LONGEST

    def fits(length: int) -> bool:
        settings = _with_length(judged.settings, length)
        return _does(judge, judged, settings=settings, length=length)

    longest = max(most, judged.num_tokens)
    return longest if fits(longest) else _most(0, longest - 1, fits)


def _fixes(judged: Judged, judge: Judge, longest: int) -> Iterator[Fix]:
    """Single changes that make it fit, those that cost least first."""
    if isinstance(judged.settings, LlamaCpp | Ollama):
        yield from _llama_fixes(judged, judge)
    else:
        smaller = in_smaller_format(judged.settings)
        name = "kv_cache_dtype" if isinstance(smaller, Sglang) else "dtype"
        cost = "cached values are rounded to 8 bits; measure your task"
        tried = _tried(judge, judged, settings=smaller)
        yield from _fix(judged, name, getattr(smaller, name), tried, cost)
    if 0 < longest < judged.num_tokens:
        settings = _with_length(judged.settings, longest)
        tried = _tried(judge, judged, settings=settings, length=longest)
        yield from _fix(judged, "max_model_len", longest, tried, "longer requests are refused")
    fewer = judged.best.requests
    if 1 <= fewer < judged.concurrent_requests:
        tried = _tried(judge, judged, requests=fewer)
        yield from _fix(judged, "concurrent_requests", fewer, tried, "the others wait in the queue")
    if isinstance(judged.settings, Sglang | TensorrtLlm):
        yield from _wider(judged, judge)


def _llama_fixes(judged: Judged, judge: Judge) -> Iterator[Fix]:
    """Smaller cache types, experts in host memory, fewer layers on the devices."""
    settings = judged.settings
    for name in SMALLER_TYPES:
        if isinstance(settings, Ollama):
            smaller: PoolSettings = replace(settings, kv_cache_type=name)
            flag = "kv_cache_type"
        else:
            smaller = replace(settings, cache_type_k=name, cache_type_v=name)  # type: ignore[arg-type]
            flag = "cache_type_k and cache_type_v"
        tried = _tried(judge, judged, settings=smaller)
        cost = f"cached values are rounded to {LOSSES[name]}; measure your task"
        if found := list(_fix(judged, flag, name, tried, cost)):
            yield from found
            break
    num_layers = judged.deployment.model.num_layers
    if isinstance(settings, LlamaCpp):
        yield from _least_on_host(judged, judge, settings, num_layers)
    field = "num_gpu" if isinstance(settings, Ollama) else "gpu_layers"

    def fits(count: int) -> bool:
        fewer = replace(settings, **{field: count})  # type: ignore[arg-type]
        return _does(judge, judged, settings=fewer)

    if fits(0):
        count = _most(0, num_layers, fits)
        fewer = replace(settings, **{field: count})  # type: ignore[arg-type]
        cost = "the other layers run on the CPU, much slower"
        yield from _fix(judged, field, count, _tried(judge, judged, settings=fewer), cost)


def _least_on_host(
    judged: Judged, judge: Judge, settings: LlamaCpp, num_layers: int
) -> Iterator[Fix]:
    """The fewest layers whose experts must stay in host memory; none where there are none."""
    has_experts = any(group.name == "experts" for group in judged.deployment.model.weights)
    if not has_experts or settings.cpu_moe:
        return

    def fits(count: int) -> bool:
        return _does(judge, judged, settings=replace(settings, n_cpu_moe=count))

    if fits(num_layers):
        left = _most(0, num_layers - settings.n_cpu_moe, lambda kept: fits(num_layers - kept))
        count = num_layers - left
        cost = "these layers' experts run on the CPU, slower"
        tried = _tried(judge, judged, settings=replace(settings, n_cpu_moe=count))
        yield from _fix(judged, "n_cpu_moe", count, tried, cost)


def _wider(judged: Judged, judge: Judge) -> Iterator[Fix]:
    """The fewest devices over which a split fits."""
    deployment = judged.deployment
    if deployment.overheads.weights_bytes is not None:
        return  # stated per accelerator: how it would divide is not known
    for size in DEGREES:
        if size > deployment.parallel.tensor_parallel_size:
            parallel = replace(deployment.parallel, tensor_parallel_size=size)
            wider = replace(deployment, parallel=parallel)
            cost = f"{parallel.num_ranks} accelerators in place of {deployment.parallel.num_ranks}"
            tried = _tried(judge, judged, deployment=wider)
            if found := list(_fix(judged, "tensor_parallel_size", size, tried, cost)):
                yield from found
                return


def _fix(
    judged: Judged, setting: str, value: object, tried: Judged | None, cost: str
) -> Iterator[Fix]:
    """The change as advice, if it fits."""
    if tried is not None and tried.verdict.fits:
        yield Fix(
            setting=setting,
            value=str(value),
            max_requests=tried.best.requests,
            max_concurrency=tried.best.tokens / tried.num_tokens,
            kv_cache_tokens=tried.best.tokens,
            num_gpus=tried.deployment.parallel.num_ranks,
            effect=effect(
                tried.best.requests,
                tried.num_tokens,
                before=judged.best.requests,
                before_tokens=judged.num_tokens,
            ),
            cost=cost,
        )
