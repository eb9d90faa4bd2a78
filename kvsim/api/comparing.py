"""Every engine side by side for one deployment."""

from collections.abc import Sequence
from dataclasses import replace

from kvsim.io.commands import engine_line
from kvsim.io.overheads import engine_reserves, overhead_model
from kvsim.planner import compare as side_by_side
from kvsim.planner.compare import Comparison
from kvsim.planner.engine_advice import engine_plan
from kvsim.planner.engine_memory import Facts
from kvsim.planner.engine_plan import EnginePlan
from kvsim.planner.layouts import PoolSettings
from kvsim.specs.deployment import Deployment
from kvsim.specs.engine import EngineName


def compare(
    deployment: Deployment,
    *,
    engines: Sequence[str] | None = None,
    num_tokens: int | None = None,
) -> Comparison:
    """Every engine's bytes, capacity and concurrency for one model, device and length.

    Engines run under their own defaults; formats, degrees and memory are the deployment's. An
    engine that refuses says why; a figure whose rule is not known is None.

    Args:
        deployment: model, accelerator, parallelism; its engine settings are vLLM's.
        engines: names; None means all.
        num_tokens: tokens of each request; None means `max_model_len`.

    Raises:
        SpecError: for an unknown engine, or where no length is known.

    Example:
        >>> from kvsim import accelerator, load_model
        >>> h100 = accelerator("H100-SXM5-80GB")
        >>> deployment = Deployment(model=load_model("llama-3.1-8b"), accelerator=h100)
        >>> [answer.cost.bytes_per_token for answer in compare(
        ...     deployment, engines=["vllm", "sglang"], num_tokens=8192).engines]
        [131072, 131072]
    """
    facts = _facts(deployment)
    return side_by_side.compare(deployment, facts, engines=engines, num_tokens=num_tokens)


def plan_engine(
    deployment: Deployment, settings: PoolSettings, *, concurrent_requests: int = 1
) -> EnginePlan:
    """Whether a deployment fits under an engine that is not vLLM, device by device.

    Args:
        deployment: model, accelerator, devices; of its vLLM settings `max_model_len` (the length
            of a request) and the formats count.
        settings: `Sglang`, `TensorrtLlm`, `LlamaCpp` or `Ollama`; what they leave open is the
            engine's default, and llama.cpp's context and slots are what the requests need.
        concurrent_requests: requests that must fit at once.

    Raises:
        SpecError: for settings that no real system can have; the message names them.
        UnsupportedError: for a model, format or rule that is not known.

    Example:
        >>> from kvsim import LlamaCpp, Vllm, accelerator, load_model
        >>> rtx = accelerator("RTX 4090")
        >>> deployment = Deployment(
        ...     model=load_model("llama-3.1-8b"), accelerator=rtx, engine=Vllm(max_model_len=16384))
        >>> plan_engine(deployment, LlamaCpp(cache_type_k="q8_0", cache_type_v="q8_0")).fits
        True
    """
    facts = _facts(deployment)
    planned = engine_plan(deployment, settings, facts, concurrent_requests=concurrent_requests)
    return replace(planned, command=engine_line(deployment, planned.judged.settings))


def _facts(deployment: Deployment) -> Facts:
    return Facts(
        overheads=overhead_model(EngineName.VLLM, deployment.engine.engine_version),
        reserves=engine_reserves(),
    )
