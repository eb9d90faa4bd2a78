"""Replays start-ups of vLLM on a CPU: what it logged against what its settings give.

`engine_models.json` beside the record holds the tiny models' configs, as far as their cache
depends on them; the record itself names them only.
"""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import kvsim
from validation.recorded.frame import Case, RecordError, Verdict, compare, read_lines

MODELS = "engine_models.json"
ESTIMATE = re.compile(r"estimated maximum model length is (\d+)")
NO_CACHE_SETTINGS = {"load_format", "seed"}
AUTO_LENGTH = -1

SETTINGS = {
    "block_size": "block_size",
    "cache_dtype": "kv_cache_dtype",
    "max_num_batched_tokens": "max_num_batched_tokens",
    "chunked": "enable_chunked_prefill",
    "async_sched": "async_scheduling",
    "prefix": "enable_prefix_caching",
}
"""Settings as the engine logged them -> their names here."""

CPU = kvsim.Accelerator(name="CPU", vendor="any", architecture="CPU", nominal_bytes=24 * kvsim.GiB)


def replay(path: Path) -> Iterator[Case]:
    """Every start-up of a file, in its order."""
    models = path.parent / MODELS
    if not models.is_file():
        msg = f"{MODELS} must lie beside {path.name}"
        raise RecordError(msg)
    configs = json.loads(models.read_text("utf-8"))
    for number, row in enumerate(read_lines(path)):
        yield replay_case(row, configs[row["model"]], case_id=f"{row['model']}-{number}")


def replay_case(row: Mapping[str, Any], config: Mapping[str, Any], *, case_id: str) -> Case:
    """One start-up against its settings."""
    recorded = comparable(row)
    predicted = predict(row, config)
    if recorded["ok"] and not predicted["ok"]:
        return Case(
            id=case_id,
            verdict=Verdict.REFUSED,
            predicted=predicted,
            recorded=recorded,
            reason=predicted["refusal"],
        )
    return compare(case_id, predicted, recorded)


def comparable(row: Mapping[str, Any]) -> dict[str, Any]:
    """What the engine logged; of a refusal its estimated length."""
    if "error" in row:
        match = ESTIMATE.search(row["error"])
        return {"ok": False, "estimated_max_model_len": int(match[1]) if match else None}
    names = (*SETTINGS, "num_blocks", "hash_block_size", "layout", "max_model_len")
    return {"ok": True, "log": row["log_lines"][-1], **{name: row[name] for name in names}}


def predict(row: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
    """The start-up under the record's names."""
    asked = {key: value for key, value in row["args"].items() if key not in NO_CACHE_SETTINGS}
    if asked.get("max_model_len") == AUTO_LENGTH:
        asked |= {"max_model_len": None, "auto_max_model_len": True}
    try:
        cache = kvsim.vllm_cache(
            kvsim.load_model(config),
            kvsim.Vllm(usage_context=kvsim.UsageContext.LLM_CLASS, **asked),
            accelerator=CPU,
        )
        layout = cache.start(row["available_memory"])
    except kvsim.KvsimError as error:
        estimate = getattr(error, "estimated_max_model_len", None)
        return {"ok": False, "estimated_max_model_len": estimate, "refusal": str(error)}
    return {
        "ok": True,
        "log": (
            f"CPU KV cache size: {layout.tokens:,} tokens, Maximum concurrency for "
            f"{layout.max_model_len:,} tokens per request: {layout.max_concurrency:.2f}x"
        ),
        **{name: getattr(cache.settings, ours) for name, ours in SETTINGS.items()},
        "num_blocks": layout.num_blocks,
        "hash_block_size": layout.hash_block_size,
        "layout": str(cache.config.kv_cache_layout),
        "max_model_len": layout.max_model_len,
    }
