"""Replays vLLM's recorded configurations: a config.json in; settings, specs and capacity out."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, fields
from enum import Enum
from pathlib import Path
from typing import Any

import kvsim
from validation.recorded.frame import Case, Verdict, compare, read_lines

ESTIMATE = re.compile(r"estimated maximum model length is (\d+)")
AUTO_LENGTH = -1

REQUESTED = {
    "max_model_len": "max_model_len",
    "mnbt": "max_num_batched_tokens",
    "async_s": "async_scheduling",
    "prefix": "enable_prefix_caching",
}
"""The record's short names -> the engine's settings."""

SPECULATIVE = {
    "method": "speculative_method",
    "num_speculative_tokens": "num_speculative_tokens",
}

SETTINGS = {
    "block_size_effective": "block_size",
    "block_size_after_plan": "block_size",
    "cache_dtype_effective": "kv_cache_dtype",
    "model_dtype": "dtype",
    "chunked_prefill": "enable_chunked_prefill",
    "hybrid_manager_disabled": "disable_hybrid_kv_cache_manager",
    **{
        name: name
        for name in (
            "max_model_len",
            "max_num_batched_tokens",
            "max_num_seqs",
            "enable_prefix_caching",
            "async_scheduling",
            "mamba_cache_mode",
            "mamba_block_size",
            "mamba_page_size_padded",
            "max_in_flight_tokens",
        )
    },
}
"""Resolved settings that are scored -> their names here."""

UNSCORED = {"layer_class", "backend", "class", "unpadded_page_size_bytes"}
"""What a record says of a layer beyond its spec; the unpadded size stands there twice."""

DRAFT_SETTINGS = {"prompt_lookup_max", "prompt_lookup_min"}
"""Settings of a drafter that never touch the cache."""


class UnknownInputError(Exception):
    """The case says something that this replay cannot hand on."""


def replay(path: Path) -> Iterator[Case]:
    """Every case of a file, in its order."""
    for row in read_lines(path):
        yield replay_case(row)


def replay_case(row: Mapping[str, Any]) -> Case:
    """The verdict on one row: a recorded refusal must be refused, with the same estimate."""
    recorded = comparable(row)
    try:
        predicted = predict(row)
    except UnknownInputError as error:
        return refused(row["id"], {}, recorded, str(error))
    if recorded["ok"] and not predicted["ok"]:
        return refused(row["id"], predicted, recorded, predicted["refusal"])
    return compare(row["id"], predicted, recorded, reason=predicted.get("refusal", ""))


def refused(
    case_id: str, predicted: Mapping[str, Any], recorded: Mapping[str, Any], reason: str
) -> Case:
    """A case that was not answered though the record has an answer."""
    return Case(
        id=case_id,
        verdict=Verdict.REFUSED,
        predicted=predicted,
        recorded=recorded,
        reason=reason,
    )


def comparable(row: Mapping[str, Any]) -> dict[str, Any]:
    """What is scored of a record; of an error text its estimated length alone."""
    outputs, scored = row["outputs"], {}
    if "layers" in row:  # it was built, even if it did not start
        scored["settings"] = {
            key: row["settings"][key] for key in SETTINGS if key in row["settings"]
        }
        scored["layers"] = [
            {key: value for key, value in layer.items() if key not in UNSCORED}
            for layer in row["layers"]
        ]
    if outputs["ok"]:
        return scored | outputs
    match = ESTIMATE.search(outputs["error"])
    return scored | {"ok": False, "estimated_max_model_len": int(match[1]) if match else None}


def predict(row: Mapping[str, Any]) -> dict[str, Any]:
    """Settings, layers and outputs under the record's own names."""
    inputs, predicted = row["inputs"], dict[str, Any]()
    settings = read_settings(inputs)
    try:
        cache = kvsim.vllm_cache(
            kvsim.load_model(row["config"]),
            kvsim.Vllm(**settings),
            accelerator=kvsim.accelerator(inputs["device"]),
            parallel=kvsim.Parallelism(tensor_parallel_size=inputs["tp"]),
        )
        predicted["settings"] = {
            key: getattr(cache.settings, ours) for key, ours in SETTINGS.items()
        }
        predicted["layers"] = read_layers(cache.caches)
        layout = cache.start(inputs["available_memory"])
    except kvsim.KvsimError as error:
        estimate = getattr(error, "estimated_max_model_len", None)
        refusal = {"ok": False, "estimated_max_model_len": estimate, "refusal": str(error)}
        return predicted | refusal
    places = [i for i, one in enumerate(cache.caches) if one.spec is not None]
    return predicted | {
        "ok": True,
        "layout": str(cache.config.kv_cache_layout),
        "num_blocks": layout.num_blocks,
        "tokens": layout.tokens,
        "max_concurrency": layout.max_concurrency,
        "bytes_per_block": layout.bytes_per_block,
        "max_request_bytes": layout.max_request_bytes,
        "groups": [read_group(group, places) for group in layout.groups],
    }


def read_settings(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The engine's settings that a case asks for."""
    asked = dict(inputs["requested"])
    settings = {
        "kv_cache_dtype": inputs["kv_cache_dtype"],
        "block_size": inputs["block_size"],
        "usage_context": kvsim.UsageContext(inputs["usage_context"]),
    }
    settings |= dict(asked.pop("extra", {}))
    for key, value in asked.pop("spec", {}).items():
        if key not in DRAFT_SETTINGS:
            settings[SPECULATIVE.get(key, key)] = value
    settings |= {REQUESTED.get(key, key): value for key, value in asked.items()}
    if settings.get("max_model_len") == AUTO_LENGTH:
        settings |= {"max_model_len": None, "auto_max_model_len": True}
    known = {field.name for field in fields(kvsim.Vllm)}
    if unknown := settings.keys() - known:
        msg = f"the settings {', '.join(sorted(unknown))} are not known"
        raise UnknownInputError(msg)
    return {key: tuple(v) if isinstance(v, list) else v for key, v in settings.items()}


def read_layers(caches: Sequence[Any]) -> list[dict[str, Any]]:
    """The distinct specs in registration order, with the indices that have them."""
    seen: dict[str, tuple[dict[str, Any], list[int]]] = {}
    for i, one in enumerate(caches):
        layer = read_cache(one)
        seen.setdefault(repr(layer), (layer, []))[1].append(i)
    return [layer | {"n": len(where), "indices": ranges(where)} for layer, where in seen.values()]


def read_cache(one: Any) -> dict[str, Any]:  # noqa: ANN401
    """One registered cache under the record's names; fields at their default are left out."""
    if one.spec is None:
        if one.shares_with is None:
            return {"type": "none"}
        return {"type": "shared", "shares_with": one.shares_with}
    return read_spec(one.spec) | ({"draft": True} if one.is_draft else {})


def read_spec(spec: Any) -> dict[str, Any]:  # noqa: ANN401
    """A layer spec under the record's names."""
    row: dict[str, Any] = {"type": type(spec).__name__}
    for field in fields(spec):
        value = getattr(spec, field.name)
        if field.default is not MISSING and value == field.default:
            continue
        if field.name == "kernel_block_multiple":
            row["block_stride_alignment"] = f"MultipleOf({value})"
        else:
            row[field.name] = plain(value)
    row["page_size_bytes"] = spec.page_size_bytes
    if spec.unpadded_page_size_bytes != spec.page_size_bytes:
        row["real_page_size_bytes"] = spec.unpadded_page_size_bytes
    return row


def plain(value: object) -> object:
    """A value as JSON holds it."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, tuple):
        return [plain(item) for item in value]
    return value


def read_group(group: Any, places: Sequence[int]) -> dict[str, Any]:  # noqa: ANN401
    """A group under the record's names; `places` are the stored layers' own indices."""
    padded = None if group.is_uniform_type else getattr(group.spec, "page_size_padded", None)
    row = {
        "type": group.type_name,
        "block_size": group.block_size,
        "page_size_bytes": group.page_size_bytes,
        "page_size_padded": padded,
        "sliding_window": group.sliding_window,
        "attention_chunk_size": group.attention_chunk_size,
        "n_layers": len(group.layers),
        "layers": ranges([places[layer] for layer in group.layers]),
    }
    return {key: value for key, value in row.items() if value is not None}


def ranges(indices: Sequence[int]) -> list[Any]:
    """Ascending indices, neighbours joined to [first, last].

    Example:
        >>> ranges([0, 1, 2, 5])
        [[0, 2], 5]
    """
    runs: list[list[int]] = []
    for i in indices:
        if runs and runs[-1][1] == i - 1:
            runs[-1][1] = i
        else:
            runs.append([i, i])
    return [run[0] if run[0] == run[1] else run for run in runs]
