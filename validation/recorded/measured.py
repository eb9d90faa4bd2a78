"""Replays measured start-up logs: a row's model and settings in, its cache bytes out."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import kvsim
from validation.recorded.frame import Case, RecordError, Verdict, read_lines
from validation.recorded.measured_llama_cpp import llama_cpp_bytes
from validation.recorded.measured_memory import memory_cases, scores
from validation.recorded.measured_models import MECHANISMS, build_model
from validation.recorded.measured_prediction import Prediction, stated
from validation.recorded.measured_vllm import vllm_bytes

Row = Mapping[str, Any]
Predictor = Callable[[Row, Mapping[str, Any]], Prediction]

MODELS_FILE = "models.json"
FP8_NAMES = {"fp8": "fp8_e4m3"}


def replay(path: Path) -> Iterator[Case]:
    """Every row of a file, in its order; the models are in models.json beside it."""
    models = read_models(path)
    for row in read_lines(path):
        yield replay_row(row, models)


def read_models(path: Path) -> dict[str, Any]:
    """The architectures that the rows name.

    Raises:
        RecordError: if models.json is not beside the rows.
    """
    beside = path.parent / MODELS_FILE
    if not beside.exists():
        msg = f"{path.name} needs {MODELS_FILE} beside it"
        raise RecordError(msg)
    loaded = json.loads(beside.read_text(encoding="utf-8"))
    return dict(loaded)


def replay_row(row: Row, models: Mapping[str, Any]) -> Case:
    """The verdict on one row: within the rounding of what was printed, or not."""
    check, arch = row.get("check") or {}, models.get(row.get("arch") or "")
    predicted: dict[str, Any] = {
        "engine": row["engine"],
        "mechanism": MECHANISMS.get(arch["attn"], arch["attn"]) if arch else "not described",
        "naive_bytes": check.get("naive_bytes"),
    }
    if not row.get("scored"):
        verdict, reason = Verdict.SKIPPED, row.get("not_scored_because", "not scored")
    else:
        try:
            prediction = predict(row, arch)
        except kvsim.KvsimError as error:
            verdict, reason = Verdict.REFUSED, str(error)
        else:
            relative = prediction.error(check["measured_bytes"])
            predicted |= {"bytes": prediction.num_bytes, "relative_error": relative}
            verdict, reason = judge(row, prediction)
    return Case(
        id=row["id"],
        verdict=verdict,
        predicted=predicted,
        recorded={"bytes": check.get("measured_bytes")},
        reason=reason,
    )


def summary(path: Path) -> dict[str, list[dict[str, Any]]]:
    """Cache memory from flags alone: how groups of rows came out, and every row."""
    cases = memory_cases(list(read_lines(path)))
    return {
        "cache memory from flags alone, leave-one-out, GiB and shares of device memory": [
            asdict(score) for score in scores(cases)
        ],
        "its rows, GiB per accelerator": [case.as_row() for case in cases],
    }


def predict(row: Row, arch: Mapping[str, Any] | None) -> Prediction:
    """The row's cache bytes under its engine's layout.

    Raises:
        kvsim.UnsupportedError: for a model or an engine that nothing here describes.
    """
    if arch is None:
        msg = f"arch={row.get('arch')} is not in {MODELS_FILE}"
        raise kvsim.UnsupportedError(msg)
    if row["engine"] not in PREDICTORS:
        msg = f"engine={row['engine']} has no layout here"
        raise kvsim.UnsupportedError(msg)
    try:
        return PREDICTORS[row["engine"]](row, arch)
    except KeyError as missing:
        msg = f"the row does not state {missing.args[0]}"
        raise kvsim.UnsupportedError(msg) from None


def judge(row: Row, prediction: Prediction) -> tuple[Verdict, str]:
    """The verdict, and why it is not exact."""
    check = row["check"]
    if prediction.num_bytes == check["measured_bytes"]:
        return Verdict.EXACT, ""
    if prediction.agrees(check):
        return Verdict.WITHIN_ROUNDING, "within the rounding of the print"
    if is_of_another_rank(row) and prediction.error(check["measured_bytes"]) < 0:
        reason = "the printed memory is another rank's than the one that decides the tokens"
        return Verdict.REFUSED, reason
    return Verdict.WRONG, row.get("known_exception") or "differs from what was printed"


def is_of_another_rank(row: Row) -> bool:
    """Whether the source says that tokens and memory are of different ranks."""
    return bool((row.get("extra") or {}).get("min_rank"))


def sglang_bytes(row: Row, arch: Mapping[str, Any]) -> Prediction:
    """The printed pools: one page more than the tokens that are announced."""
    extra = row.get("extra") or {}
    named = row.get("kv_cache_dtype") or "auto"
    layout = kvsim.sglang_layout(
        build_model(row["arch"], arch),
        kvsim.Sglang(page_size=row.get("page_size"), kv_cache_dtype=FP8_NAMES.get(named, named)),
        kvsim.Parallelism(tensor_parallel_size=row.get("tp") or 1),
    )
    held = layout.buffers(
        tokens=extra.get("full_tokens") or stated(row, "kv_tokens"),
        window_tokens=extra.get("swa_tokens") or 0,
    )
    full = held.key_bytes + held.value_bytes + held.index_bytes
    window = held.window_key_bytes + held.window_value_bytes
    printed = {"swa": window, "full": full, "both": full + window}
    return Prediction(printed.get(extra.get("pool"), full))


def tensorrt_llm_bytes(row: Row, arch: Mapping[str, Any]) -> Prediction:
    """The tokens of the pool at their width."""
    layout = kvsim.tensorrt_llm_layout(
        build_model(row["arch"], arch),
        kvsim.TensorrtLlm(dtype=row.get("kv_cache_dtype") or "auto"),
        kvsim.Parallelism(tensor_parallel_size=row.get("tp") or 1),
    )
    return Prediction(layout.token_bytes * stated(row["check"], "tokens"))


def ideal_bytes(row: Row, arch: Mapping[str, Any]) -> Prediction:
    """Live tokens at their width: what a paper, or an engine without a layout here, says."""
    held = kvsim.cache_bytes(
        build_model(row["arch"], arch),
        num_tokens=stated(row["check"], "tokens"),
        kv_cache_dtype=row.get("kv_cache_dtype") or "auto",
        tensor_parallel_size=row.get("tp") or 1,
    )
    return Prediction(held.total_bytes)


PREDICTORS: dict[str, Predictor] = {
    "vllm": vllm_bytes,
    "sglang": sglang_bytes,
    "tensorrt-llm": tensorrt_llm_bytes,
    "llama.cpp": llama_cpp_bytes,
    "ik_llama.cpp": llama_cpp_bytes,
    "ollama": llama_cpp_bytes,
    "lmdeploy": ideal_bytes,
    "published": ideal_bytes,
}
"""Engines of the rows, and whose layout answers for them."""
