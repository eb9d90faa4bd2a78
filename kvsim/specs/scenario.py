"""Scenario: one deployment under one engine, whichever it is."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from kvsim.errors import SpecError
from kvsim.specs.attention import check_positive
from kvsim.specs.deployment import Deployment
from kvsim.specs.engine import EngineName, Vllm
from kvsim.specs.launch import LaunchCommand
from kvsim.specs.pool_settings import POOL_ENGINES, PoolSettings, stated_length
from kvsim.specs.sglang import Sglang
from kvsim.specs.tensorrt_llm import TensorrtLlm


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A deployment as one engine would run it, and how many requests are asked for at once.

    vLLM's settings are the deployment's own; `settings` are those of SGLang, TensorRT-LLM,
    llama.cpp or Ollama, None for that engine's defaults. `name` is what a comparison calls it;
    without one it is named after what sets it apart.
    """

    deployment: Deployment
    engine: EngineName = EngineName.VLLM
    settings: PoolSettings | None = None
    concurrent_requests: int = 1
    name: str | None = None

    def __post_init__(self) -> None:
        check_positive(concurrent_requests=self.concurrent_requests)
        if self.engine not in list(EngineName):
            msg = f"engine={self.engine!s:.40} must be of {', '.join(EngineName)}"
            raise SpecError(msg)
        if self.settings is not None and type(self.settings) is not POOL_ENGINES.get(self.engine):
            kind = type(self.settings).__name__
            msg = f"settings={kind} must be those of engine={self.engine}"
            raise SpecError(msg)

    @property
    def own_settings(self) -> PoolSettings | None:
        """The engine's settings, its defaults where none are given; None for one without."""
        make: Callable[[], PoolSettings] | None = POOL_ENGINES.get(self.engine)
        return self.settings if self.settings is not None or make is None else make()


def command_scenario(command: LaunchCommand, deployment: Deployment) -> Scenario:
    """The scenario of a launch line on a deployment's model, device and measured figures.

    Example:
        >>> from kvsim import accelerator, load_model, parse_command
        >>> h100 = Deployment(model=load_model("qwen3-8b"), accelerator=accelerator("h100"))
        >>> line = "vllm serve Qwen/Qwen3-8B --max-model-len 8192"
        >>> command_scenario(parse_command(line), h100).deployment.engine.max_model_len
        8192
    """
    settings = command.settings
    if isinstance(settings, Vllm):
        started = replace(deployment, engine=settings, parallel=command.parallel)
        return Scenario(deployment=started)
    shared = Vllm(max_model_len=stated_length(settings))
    if isinstance(settings, Sglang):  # weights are asked of the deployment, whatever the engine
        names = ("kv_cache_dtype", "dtype", "quantization")
        shared = replace(shared, **{name: getattr(settings, name) for name in names})
        settings = replace(
            settings, kv_cache_dtype="auto", dtype="auto", quantization=None, context_length=None
        )
    elif isinstance(settings, TensorrtLlm):
        settings = replace(settings, max_seq_len=None)
    started = replace(deployment, engine=shared, parallel=command.parallel)
    return Scenario(deployment=started, engine=command.engine, settings=settings)
