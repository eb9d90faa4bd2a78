"""A vLLM that runs already: its metrics page is read, nothing is sent to it."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace

import kvsim
from validation.live.served import Outcome
from validation.live.server import checked, fetch, metrics
from validation.live.settings import Setting, Settings
from validation.live.vllm_case import Case, judge, predict, start_figures
from validation.live.vllm_predicted import CPU
from validation.live.vllm_readings import config_of, start_of, usage_of

NO_VALUE = "None"
READ = {"kv_cache_memory_bytes": int, "num_gpu_blocks_override": int, "cache_dtype": str}
"""Settings that the metrics page states, and their types."""

RENAMED = {"cache_dtype": "kv_cache_dtype"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Attached:
    """How a running server compares, and its versions."""

    outcome: Outcome
    versions: Mapping[str, str]


def attach(url: str, case: Case, *, gpu: str | None) -> Attached:
    """Blocks, tokens and concurrency of a running server; its counters as they stand.

    Raises:
        SpecError: for an address of another scheme.
        UnsupportedError: if it cannot be reached, or is no vLLM.
    """
    root = checked(url).rstrip("/").removesuffix("/metrics")
    page = metrics(root)
    length = longest(fetch(f"{root}/v1/models"))
    start = start_of(page, None, max_model_len=length)
    case = replace(case, settings={"max_model_len": length, **stated(page), **case.settings})
    accelerator = CPU if gpu is None else kvsim.accelerator(gpu)
    predicted = predict(case.subject(accelerator), case, start)
    usage = {name: float(value) for name, value in asdict(usage_of(page)).items()}
    versions = {"vllm": str(json.loads(fetch(f"{root}/version"))["version"])}
    outcome = judge(case, predicted, start_figures(start), notes=usage)
    return Attached(outcome=outcome, versions=versions)


def longest(models: str) -> int:
    """The longest request that a server's list of models states.

    Raises:
        UnsupportedError: if it states none.
    """
    try:
        return int(json.loads(models)["data"][0]["max_model_len"])
    except (ValueError, KeyError, IndexError, TypeError):
        msg = "the list of models states no max_model_len: is this vLLM?"
        raise kvsim.UnsupportedError(msg) from None


def stated(page: kvsim.MetricsPage) -> Settings:
    """Settings that the metrics page states, as far as they were given to the server."""
    found = config_of(page)
    settings: dict[str, Setting] = {
        RENAMED.get(name, name): kind(found[name])
        for name, kind in READ.items()
        if found.get(name, NO_VALUE) != NO_VALUE
    }
    settings["enable_prefix_caching"] = found["enable_prefix_caching"] == "True"
    if found.get("user_specified_block_size") == "True":
        settings["block_size"] = int(found["block_size"])
    return settings


def device_of(gpu: str | None) -> dict[str, object]:
    """The device of another process: what the user says of it."""
    return {"kind": "unknown" if gpu is None else "cuda", "name": gpu or "not stated"}
