"""llama.cpp's and its fork's rows: the flags that a row states, and the caches they give."""

from collections.abc import Mapping
from typing import Any

import kvsim
from validation.recorded.measured_models import build_model
from validation.recorded.measured_prediction import Prediction, stated

Row = Mapping[str, Any]

FORK = "ik_llama.cpp"
FLASH = {"1": "on", "0": "off"}
FULL_POOL = "full"  # a row that prints the cache of the layers without a window alone
FULL_POOL_NAME = "full attention"
LATENT_MODE = 2  # any mode that prints one figure: the latent alone
EXPANDED_MODE = 0


def llama_cpp_bytes(row: Row, arch: Mapping[str, Any]) -> Prediction:
    """All cells of keys and values that the context allocates.

    A row that states the cells of its window pool, and nothing of the others, is that pool.
    """
    layout = kvsim.llama_cpp_layout(build_model(row["arch"], arch), read_settings(row))
    if row.get("swa_cells") and row.get("full_mib") == 0:
        window = [cache for cache in layout.caches if cache.rows]
        return Prediction(sum(cache.cell_bytes for cache in window) * row["swa_cells"])
    if (row.get("extra") or {}).get("pool") == FULL_POOL:
        return Prediction(sum(c.total_bytes for c in layout.caches if c.pool == FULL_POOL_NAME))
    return Prediction(layout.kv_bytes)


def read_settings(row: Row) -> kvsim.LlamaCpp:
    """The flags of a row; what it does not state is left at the build's default.

    A fork's log names keys and values apart where it expands latents, and the latent alone
    where it stores them: that tells the mode where a row does not.
    """
    is_fork = row["engine"] == FORK
    values: dict[str, Any] = {
        "ctx_size": stated(row, "n_ctx"),
        "parallel": row.get("n_seq") or 1,
        "kv_unified": row.get("kv_unified"),
        "cache_type_k": row.get("cache_type_k") or "f16",
        "cache_type_v": row.get("cache_type_v") or row.get("cache_type_k") or "f16",
    }
    for name, flag in (("n_batch", "batch_size"), ("n_ubatch", "ubatch_size")):
        if row.get(name):
            values[flag] = row[name]
    if row.get("flash_attn") in FLASH:
        values["flash_attn"] = kvsim.FlashAttention(FLASH[row["flash_attn"]])
    if is_fork:
        values["variant"] = kvsim.Variant.IK
        mode = row.get("mla_mode")
        if mode is None:
            mode = EXPANDED_MODE if row.get("k_mib") is not None else LATENT_MODE
        values["mla"] = mode
    elif row.get("date"):
        values["engine_version"] = row["date"]
    return kvsim.LlamaCpp(**values)
