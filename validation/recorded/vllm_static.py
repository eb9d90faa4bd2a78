"""Replays vLLM's recorded layouts: layers and settings in, groups and capacity out."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import kvsim

SPEC_TYPES = {
    "full": "FullAttentionSpec",
    "mla": "MLAAttentionSpec",
    "swa": "SlidingWindowSpec",
    "swa_mla": "SlidingWindowMLASpec",
    "chunked": "ChunkedLocalAttentionSpec",
    "cross": "CrossAttentionSpec",
    "circular": "CircularBufferSpec",
    "mamba": "MambaSpec",
}
DTYPES = {
    "bf16": "bfloat16",
    "fp16": "float16",
    "fp32": "float32",
    "fp8": "float8_e4m3fn",
    "u8": "uint8",
    "int8": "int8",
}
SETTINGS = {
    "tp": "tensor_parallel_size",
    "pp": "pipeline_parallel_size",
    "dcp": "decode_context_parallel_size",
    "layout": "kv_cache_layout",
}
SCHEDULING = {
    "max_num_seqs",
    "max_num_active_seqs",
    "enable_chunked_prefill",
    "long_prefill_token_threshold",
    "policy",
    "prefix_cache_retention_interval",
    "scheduler_reserve_full_isl",
    "watermark",
}
"""Settings that decide what is scheduled, never how the cache is laid out."""

ESTIMATE = re.compile(r"estimated maximum model length is (\d+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One recorded case against its prediction."""

    id: str
    verdict: str  # exact, wrong, refused
    predicted: Mapping[str, Any]
    recorded: Mapping[str, Any]
    reason: str = ""


class UnknownInputError(Exception):
    """The case says something that this replay cannot hand on."""


def replay(path: Path) -> Iterator[Case]:
    """Every case of a file, in its order."""
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            if line.strip():
                yield replay_case(json.loads(line))


def replay_case(case: Mapping[str, Any]) -> Case:
    """The verdict on one case: recorded refusals must be refused with the same estimate."""
    recorded = comparable(case["outputs"])
    try:
        predicted = predict(case["inputs"])
    except UnknownInputError as error:
        return Case(
            id=case["id"], verdict="refused", predicted={}, recorded=recorded, reason=str(error)
        )
    # Where both refuse, what the refusal kept us from computing is not compared.
    judged = recorded if predicted["ok"] else recorded.keys() & predicted
    wrong = [key for key in judged if predicted.get(key) != recorded[key]]
    if not wrong:
        verdict, reason = "exact", ""
    elif recorded["ok"] and not predicted["ok"]:
        verdict, reason = "refused", predicted["refusal"]
    else:
        verdict, reason = "wrong", f"differs in {', '.join(sorted(wrong))}"
    return Case(
        id=case["id"], verdict=verdict, predicted=predicted, recorded=recorded, reason=reason
    )


def comparable(outputs: Mapping[str, Any]) -> dict[str, Any]:
    """What is scored of a record: all of it, but of an error text its estimated length alone."""
    kept = {key: value for key, value in outputs.items() if key not in ("error", "error_type")}
    if not outputs["ok"]:
        match = ESTIMATE.search(outputs.get("error", ""))
        kept["estimated_max_model_len"] = int(match[1]) if match else None
    return kept


def predict(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The outputs under the record's own names."""
    predicted: dict[str, Any] = {}
    try:
        config = read_config(inputs)
        layers, rank_layers = read_layers(inputs, config.block_size)
        pages = [(type(spec).__name__, spec.page_size_bytes) for spec in layers]
        predicted["layer_page_sizes"] = distinct(pages)
        most = [(type(spec).__name__, spec.max_memory_usage_bytes(config)) for spec in layers]
        predicted["layer_max_memory_bytes"] = distinct(most)
        layout = kvsim.vllm_layout(
            layers, config, available_bytes=inputs["available_memory"], rank_layers=rank_layers
        )
    except kvsim.KvsimError as error:
        estimate = getattr(error, "estimated_max_model_len", None)
        return predicted | {
            "ok": False,
            "estimated_max_model_len": estimate,
            "refusal": str(error),
        }
    return predicted | {
        "ok": True,
        "num_blocks": layout.num_blocks,
        "groups": [read_group(group) for group in layout.groups],
        "tensor_bytes_total": layout.num_blocks * layout.bytes_per_block,
        "bytes_per_block": layout.bytes_per_block,
        "tokens": layout.tokens,
        "max_concurrency": layout.max_concurrency,
        "max_concurrency_2dp": f"{layout.max_concurrency:.2f}",
        "max_model_len": layout.max_model_len,
        "max_in_flight_tokens": config.max_in_flight_tokens,
        "kv_tp_replicas": layout.kv_tp_replicas,
        "scheduler_block_size": layout.scheduler_block_size,
        "hash_block_size": layout.hash_block_size,
        "max_request_bytes": layout.max_request_bytes,
    }


def read_config(inputs: Mapping[str, Any]) -> kvsim.VllmCacheConfig:
    """The settings of a case; prefix caching is off and scheduling sync unless it says so."""
    settings = {
        SETTINGS.get(key, key): value
        for key, value in inputs["config"].items()
        if key not in SCHEDULING
    }
    known = {field.name for field in fields(kvsim.VllmCacheConfig)}
    if unknown := settings.keys() - known:
        msg = f"the settings {', '.join(sorted(unknown))} are not known"
        raise UnknownInputError(msg)
    settings.setdefault("enable_prefix_caching", False)
    return kvsim.VllmCacheConfig(
        auto_max_model_len=bool(inputs.get("auto_max_model_len")), **settings
    )


def read_layers(inputs: Mapping[str, Any], block_size: int) -> tuple[list[Any], list[range] | None]:
    """The model's layers in order, and which of them each rank holds (None: all)."""
    if "workers" not in inputs:
        return expand(inputs["layers"], block_size), None
    workers = [expand(layers, block_size) for layers in inputs["workers"]]
    if not inputs.get("pp"):
        if any(layers != workers[0] for layers in workers):
            msg = "ranks of one pipeline stage must hold the same layers"
            raise UnknownInputError(msg)
        return workers[0], None
    ends = [sum(map(len, workers[: i + 1])) for i in range(len(workers))]
    stages = [range(end - len(layers), end) for end, layers in zip(ends, workers, strict=True)]
    return [spec for layers in workers for spec in layers], stages


def expand(runs: Sequence[Mapping[str, Any]], block_size: int) -> list[Any]:
    """One layer spec per layer of a run-length list; equal runs share their spec."""
    layers: list[Any] = []
    for run in runs:
        if "pattern" in run:
            layers += expand(run["pattern"], block_size) * run["repeat"]
        else:
            layers += [read_spec(run, block_size)] * run["n"]
    return layers


def read_spec(run: Mapping[str, Any], block_size: int) -> Any:  # noqa: ANN401
    """One run's layer spec; its block size is the engine's unless it has its own."""
    values = {key: value for key, value in run.items() if key not in ("type", "n")}
    if run["type"] not in SPEC_TYPES:
        msg = f"the layer type {run['type']} is not known"
        raise UnknownInputError(msg)
    if "dtype" in values:
        values["dtype"] = DTYPES.get(values["dtype"], values["dtype"])
    if "dtypes" in values:
        values["dtypes"] = [DTYPES.get(dtype, dtype) for dtype in values["dtypes"]]
    return kvsim.vllm_layer_spec(SPEC_TYPES[run["type"]], **{"block_size": block_size} | values)


def read_group(group: Any) -> dict[str, Any]:  # noqa: ANN401
    """A group under the record's names; what does not apply is left out, as there."""
    row = {
        "type": group.type_name,
        "page_size_bytes": group.page_size_bytes,
        "block_size": group.block_size,
        "unpadded_page_size_bytes": group.unpadded_page_size_bytes,
        "sliding_window": group.sliding_window,
        "attention_chunk_size": group.attention_chunk_size,
        "per_layer_page_sizes": list(group.per_layer_page_sizes) or None,
        "n_layers": len(group.layers),
        "layers": list(group.layers),
    }
    return {key: value for key, value in row.items() if value is not None}


def distinct(pairs: Sequence[tuple[str, int]]) -> list[list[Any]]:
    """Every pair once, in order."""
    return [list(pair) for pair in sorted(set(pairs))]
