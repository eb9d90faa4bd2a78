"""What one request takes in a scenario's engine, and the line through it: fixed and per token."""

from dataclasses import dataclass

from kvsim.analytic.capacity import linear_cost
from kvsim.engines.ideal import IdealLayout
from kvsim.engines.layout import Layout
from kvsim.engines.transformers import TransformersLayout
from kvsim.engines.vllm import vllm_cache_layout
from kvsim.errors import SpecError
from kvsim.planner.layouts import pool_layout, refuse_stages
from kvsim.planner.plan import deployment_cache_dtype, deployment_dtype
from kvsim.specs.deployment import Deployment
from kvsim.specs.engine import EngineName
from kvsim.specs.parallel import Parallelism
from kvsim.specs.scenario import Scenario
from kvsim.specs.transformers import Transformers

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

DIVIDES_LAYERS = (EngineName.LLAMA_CPP, EngineName.OLLAMA)


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestCost:
    """What one request takes on one rank, and the line through it: fixed and per token."""

    request_bytes: int
    bytes_per_token: int
    fixed_bytes: int


def request_cost(layout: Layout, scenario: Scenario, num_tokens: int) -> RequestCost:
    """A request of so many tokens under a layout."""
    line = linear_cost(
        layout,
        scenario.deployment.model,
        max_model_len=num_tokens,
        block_size=BLOCKS[scenario.engine],
    )
    return RequestCost(
        request_bytes=layout.sequence(num_tokens).total_bytes,
        bytes_per_token=line.bytes_per_token,
        fixed_bytes=line.fixed_bytes,
    )


def scenario_layout(scenario: Scenario) -> Layout:
    """How the scenario's engine lays its model's cache out.

    Raises:
        UnsupportedError: for a format or a behaviour whose rule is not known, and for pipeline
            stages where the whole model would be set beside one stage's memory.
    """
    deployment = scenario.deployment
    if scenario.engine == EngineName.VLLM:
        return vllm_cache_layout(
            deployment.model,
            deployment.engine,
            deployment.parallel,
            accelerator=deployment.accelerator,
        )
    refuse_stages(deployment.parallel, scenario.engine)
    if scenario.engine == EngineName.IDEAL:
        return ideal_layout(deployment)
    if scenario.engine == EngineName.TRANSFORMERS:
        return _transformers(deployment)
    settings = scenario.own_settings
    assert settings is not None  # every engine left has settings of its own
    layout, _ = pool_layout(
        deployment.model,
        settings,
        Parallelism() if scenario.engine in DIVIDES_LAYERS else deployment.parallel,
        kv_cache_dtype=deployment.engine.kv_cache_dtype,
        dtype=deployment.engine.dtype,
    )
    return layout


def ideal_layout(deployment: Deployment) -> IdealLayout:
    """Live tokens alone, in the formats that are asked for."""
    return IdealLayout(
        model=deployment.model,
        kv_dtype=deployment_cache_dtype(deployment),
        dtype=deployment_dtype(deployment),
        tensor_parallel_size=deployment.parallel.tensor_parallel_size,
    )


def _transformers(deployment: Deployment) -> TransformersLayout:
    if deployment.engine.kv_cache_dtype != "auto":
        msg = "kv_cache_dtype must be auto: this cache follows dtype"
        raise SpecError(msg)
    return TransformersLayout(
        model=deployment.model,
        settings=Transformers(),
        dtype=deployment_dtype(deployment),
        tensor_parallel_size=deployment.parallel.tensor_parallel_size,
    )
