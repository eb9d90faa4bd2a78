"""What sets two scenarios apart, setting by setting."""

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import TypeVar

from kvsim.specs.deployment import Deployment
from kvsim.specs.engine import EngineName, Vllm
from kvsim.specs.hardware import Accelerator
from kvsim.specs.model import ModelSpec
from kvsim.specs.overheads import Interval, Overheads
from kvsim.specs.parallel import Parallelism
from kvsim.specs.scenario import Scenario

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
