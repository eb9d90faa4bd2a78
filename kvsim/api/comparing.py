"""Scenarios side by side, and plans under engines that are not vLLM."""

from collections.abc import Sequence
from dataclasses import replace

from kvsim.io.commands import engine_line
from kvsim.io.overheads import engine_reserves, overhead_model
from kvsim.planner import compare as side_by_side
from kvsim.planner import scenario_answer
from kvsim.planner.compare import Comparison
from kvsim.planner.engine_advice import engine_plan
from kvsim.planner.engine_memory import Facts
from kvsim.planner.engine_plan import EnginePlan
from kvsim.planner.scenario_answer import ScenarioAnswer
from kvsim.specs.deployment import Deployment
from kvsim.specs.engine import EngineName
from kvsim.specs.pool_settings import PoolSettings
from kvsim.specs.scenario import Scenario


def answer(scenario: Scenario | Deployment) -> ScenarioAnswer:
    """One scenario's figures: weights, cache, bytes, tokens, requests, the longest, the price.

    What its engine or its rules refuse is kept as text beside the figures that are known.

    Example:
        >>> from kvsim import EngineName, accelerator, load_model
        >>> h100 = accelerator("H100-SXM5-80GB")
        >>> deployment = Deployment(model=load_model("llama-3.1-8b"), accelerator=h100)
        >>> answer(Scenario(deployment=deployment, engine=EngineName.SGLANG)).cost.bytes_per_token
        131072
    """
    asked = _scenario(scenario)
    return scenario_answer.answer(asked, _facts(asked.deployment))


def compare(
    scenarios: Sequence[Scenario | Deployment], *, num_tokens: int | None = None
) -> Comparison:
    """Two to six scenarios side by side: their figures, and which setting makes the difference.

    Each but the first is set against the first, the baseline: one setting that differs after the
    other is changed in the baseline alone, and what that does to a figure is the setting's part.
    What the parts leave of the difference is `interaction`.

    Args:
        scenarios: deployments under vLLM, or scenarios of any engine, model and device.
        num_tokens: tokens of each request in all of them; None means each one's `max_model_len`.

    Raises:
        SpecError: for another number of scenarios, two that are alike, or a length that cannot be.

    Example:
        >>> from dataclasses import replace
        >>> from kvsim import Vllm, accelerator, load_model
        >>> auto = Deployment(
        ...     model=load_model("llama-3.1-8b"), accelerator=accelerator("H100-SXM5-80GB"))
        >>> fp8 = replace(auto, engine=Vllm(kv_cache_dtype="fp8"))
        >>> difference, = compare([auto, fp8], num_tokens=8192).differences
        >>> {f.figure: f.amount for f in difference.figures}["bytes_per_token"]
        -65536
    """
    return side_by_side.compare(
        [_scenario(scenario) for scenario in scenarios], answer, num_tokens=num_tokens
    )


def _scenario(scenario: Scenario | Deployment) -> Scenario:
    return scenario if isinstance(scenario, Scenario) else Scenario(deployment=scenario)


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
    return replace(planned, command=engine_line(deployment, planned.judged.started_settings))


def _facts(deployment: Deployment) -> Facts:
    return Facts(
        overheads=overhead_model(EngineName.VLLM, deployment.engine.engine_version),
        reserves=engine_reserves(),
    )
