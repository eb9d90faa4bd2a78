"""Replays llama.cpp's recorded contexts: GGUF metadata and flags in, caches and state out."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import kvsim
from validation.recorded.frame import Case, RecordError, Verdict, read_lines

FLAGS = {
    "n_ctx": "ctx_size",
    "n_seq_max": "parallel",
    "kv_unified": "kv_unified",
    "n_ubatch": "ubatch_size",
    "n_batch": "batch_size",
    "swa_full": "swa_full",
    "type_k": "cache_type_k",
    "type_v": "cache_type_v",
    "flash_attn": "flash_attn",
    "draft_n_max": "spec_draft_n_max",
}
"""The record's names of flags, and those of the server."""

MIB = 2**20
PRINTED_DIGITS = 2
ROUNDING_MIB = 0.5 * 10**-PRINTED_DIGITS + 1e-6  # half the last digit, and float32's own error


def replay(path: Path) -> Iterator[Case]:
    """Every case of a file, in its order; the first line holds the models."""
    lines = read_lines(path)
    models = next(lines, {}).get("models")
    if not isinstance(models, dict):
        msg = f"{path.name}: the first line holds no models"
        raise RecordError(msg)
    for number, case in enumerate(lines, start=1):
        if case.get("model") not in models:
            msg = f"{path.name}, case {number}: its model is not among the models"
            raise RecordError(msg)
        yield replay_case(f"{number} {case['model']}", models[case["model"]], case)


def replay_case(name: str, metadata: Mapping[str, Any], case: Mapping[str, Any]) -> Case:
    """The verdict on one case: refusals must be refusals, every printed figure within rounding."""
    recorded = comparable(case)
    predicted = predict(metadata, case["flags"])
    if recorded["ok"] and not predicted["ok"]:
        verdict, reason = Verdict.REFUSED, predicted["refusal"]
    elif recorded["ok"] != predicted["ok"]:
        verdict, reason = Verdict.WRONG, "answered what llama.cpp refuses"
    else:
        compared = recorded if recorded["ok"] else ("ok",)
        wrong = [key for key in compared if not agrees(predicted[key], recorded[key])]
        verdict = Verdict.WRONG if wrong else Verdict.EXACT
        reason = f"differs in {', '.join(wrong)}" if wrong else ""
    return Case(id=name, verdict=verdict, predicted=predicted, recorded=recorded, reason=reason)


def comparable(case: Mapping[str, Any]) -> dict[str, Any]:
    """What is scored of a record: all figures of a context, of a refusal that it is one."""
    kept = ("n_ctx", "n_ctx_seq", "kv", "rs")
    return {"ok": case["ok"]} | {key: case[key] for key in kept if key in case}


def predict(metadata: Mapping[str, Any], flags: Mapping[str, Any]) -> dict[str, Any]:
    """The context under the record's own names, in unrounded MiB."""
    try:
        model = kvsim.load_model({k: v for k, v in metadata.items() if k != "tensors"})
        settings = read_flags(flags)
        layout = kvsim.llama_cpp_layout(model, settings)
    except kvsim.KvsimError as error:
        return {"ok": False, "refusal": str(error)}
    context = layout.context
    return {
        "ok": True,
        "n_ctx": context.n_ctx,
        "n_ctx_seq": context.n_ctx_seq,
        "kv": [cache_row(cache, n_seq_max=context.n_seq_max) for cache in layout.caches],
        "rs": [state_row(state) for state in layout.states],
    }


def read_flags(flags: Mapping[str, Any]) -> kvsim.LlamaCpp:
    """The settings of a case; SpecError for a flag that this replay cannot hand on."""
    unknown = flags.keys() - FLAGS
    if unknown:
        msg = f"the flags {', '.join(sorted(unknown))} are not known"
        raise kvsim.SpecError(msg)
    values = {FLAGS[name]: value for name, value in flags.items()}
    values["flash_attn"] = kvsim.FlashAttention(values["flash_attn"])
    return kvsim.LlamaCpp(**values)


def cache_row(cache: Any, *, n_seq_max: int) -> dict[str, Any]:  # noqa: ANN401
    """A cache as llama.cpp prints it."""
    return {
        "mib": cache.total_bytes / MIB,
        "cells": cache.cells,
        "layers": cache.num_layers,
        "seqs": f"{n_seq_max}/{cache.num_streams}",
        "type_k": cache.type_k,
        "k_mib": cache.k_bytes / MIB,
        "type_v": cache.type_v,
        "v_mib": cache.v_bytes / MIB,
    }


def state_row(state: Any) -> dict[str, Any]:  # noqa: ANN401
    """Recurrent state as llama.cpp prints it."""
    return {
        "mib": state.total_bytes / MIB,
        "rows": state.rows,
        "layers": state.num_model_layers,
        "seqs": state.rows,
        "rs_seq": state.n_rs_seq,
    }


def agrees(predicted: object, recorded: object) -> bool:
    """Whether a prediction is what was printed: numbers in MiB within their rounding."""
    if isinstance(recorded, Mapping):
        return isinstance(predicted, Mapping) and all(
            key in predicted and agrees(predicted[key], value) for key, value in recorded.items()
        )
    if isinstance(recorded, list):
        return (
            isinstance(predicted, list)
            and len(predicted) == len(recorded)
            and all(agrees(p, r) for p, r in zip(predicted, recorded, strict=True))
        )
    if isinstance(recorded, float) and isinstance(predicted, float):
        return abs(predicted - recorded) <= ROUNDING_MIB
    return predicted == recorded
