"""Scenario: one deployment under one engine; what sets two of them apart, setting by setting."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import TypeVar

from kvsim.errors import SpecError
from kvsim.planner.engine_advice import stated_length
from kvsim.planner.layouts import POOL_ENGINES, PoolSettings
from kvsim.specs.attention import check_positive
from kvsim.specs.deployment import Deployment
from kvsim.specs.engine import EngineName, Vllm
from kvsim.specs.hardware import Accelerator
from kvsim.specs.launch import LaunchCommand
from kvsim.specs.model import ModelSpec
from kvsim.specs.overheads import Interval, Overheads
from kvsim.specs.parallel import Parallelism
from kvsim.specs.sglang import Sglang
from kvsim.specs.tensorrt_llm import TensorrtLlm

T = TypeVar("T")

SHARED = ("max_model_len", "kv_cache_dtype", "dtype", "quantization")
"""vLLM's fields that every engine is asked for; `max_model_len` is the length of a request."""

ON_DEPLOYMENT = (
    *("free_bytes", "other_processes_bytes", "host_memory_bytes"),
    *("weights_on_host_bytes", "cache_on_host_bytes"),
)
PARALLEL = tuple(field.name for field in fields(Parallelism))
OVERHEADS = tuple(field.name for field in fields(Overheads))
VLLM_OWN = tuple(field.name for field in fields(Vllm) if field.name not in SHARED)


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


def setting_values(scenario: Scenario, *, is_alike: bool) -> Mapping[str, object]:
    """What a scenario sets, by name, in the order in which differences are told.

    Args:
        scenario: whose settings.
        is_alike: whether the scenarios compared have one engine; where they do not, an engine and
            its own flags are one setting, for no other engine has them.
    """
    deployment, own = scenario.deployment, scenario.own_settings
    values: dict[str, object] = {
        "model": deployment.model,
        "engine": scenario.engine if is_alike else _engine_text(scenario),
        "gpu": deployment.accelerator,
        "other_gpus": deployment.other_accelerators,
    }
    values |= {name: getattr(deployment.parallel, name) for name in PARALLEL}
    values |= {name: getattr(deployment.engine, name) for name in SHARED}
    if is_alike and scenario.engine == EngineName.VLLM:
        values |= {name: getattr(deployment.engine, name) for name in VLLM_OWN}
    if is_alike and own is not None:
        values |= {f"{scenario.engine}.{f.name}": getattr(own, f.name) for f in fields(own)}
    values |= {name: getattr(deployment.overheads, name) for name in OVERHEADS}
    values |= {name: getattr(deployment, name) for name in ON_DEPLOYMENT}
    return values | {"concurrent_requests": scenario.concurrent_requests}


def _engine_text(scenario: Scenario) -> str:
    """An engine, and those of its own flags that are not its defaults."""
    settings = scenario.own_settings
    if scenario.engine == EngineName.VLLM:
        given: object = scenario.deployment.engine
        default: object = Vllm()
        names: tuple[str, ...] = VLLM_OWN
    elif settings is None:
        return str(scenario.engine)
    else:
        given, default = settings, type(settings)()
        names = tuple(field.name for field in fields(settings))
    changed = [
        f"{name}={value_text(value)}"
        for name in names
        if (value := getattr(given, name)) != getattr(default, name)
    ]
    return " ".join((str(scenario.engine), *changed))


def with_setting(scenario: Scenario, other: Scenario, name: str) -> Scenario:
    """The scenario with one setting of another.

    Raises:
        SpecError: where the setting cannot be without others that it came with.
    """
    if name == "concurrent_requests":
        return replace(scenario, concurrent_requests=other.concurrent_requests)
    if name == "engine":
        return _with_engine(scenario, other)
    if "." in name:
        own = _with_field(scenario.own_settings, other.own_settings, name.rpartition(".")[2])
        return replace(scenario, settings=own)
    deployment = _with_field_of_deployment(scenario.deployment, other.deployment, name)
    return replace(scenario, deployment=deployment)


def _with_field_of_deployment(here: Deployment, there: Deployment, name: str) -> Deployment:
    parts = {
        "parallel": PARALLEL,
        "engine": (*SHARED, *VLLM_OWN),
        "overheads": OVERHEADS,
    }
    for part, names in parts.items():
        if name in names:
            changed = _with_field(getattr(here, part), getattr(there, part), name)
            return replace(here, **{part: changed})
    return _with_field(
        here, there, {"gpu": "accelerator", "other_gpus": "other_accelerators"}.get(name, name)
    )


def _with_field(here: T, there: T, name: str) -> T:
    return replace(here, **{name: getattr(there, name)})  # type: ignore[type-var]


def _with_engine(scenario: Scenario, other: Scenario) -> Scenario:
    """Another's engine and its own flags; what every engine is asked for stays."""
    deployment = scenario.deployment
    if other.engine == EngineName.VLLM:
        kept = {name: getattr(deployment.engine, name) for name in SHARED}
        deployment = replace(deployment, engine=replace(other.deployment.engine, **kept))
    return replace(scenario, deployment=deployment, engine=other.engine, settings=other.settings)


def value_text(value: object) -> str:
    """A setting's value in a few words; `default` where it is left to the engine."""
    if value is None:
        return "default"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, ModelSpec | Accelerator):
        return value.name
    if isinstance(value, Interval):
        return f"{value.best}"
    if isinstance(value, tuple):
        return ",".join(value_text(item) for item in value) or "none"
    return str(value)
