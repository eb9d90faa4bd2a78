"""Replays the recorded census: bytes that transformers' caches held of tiny models.

`total_bytes` counts live tensors, `total_storage` the storage that they pin; a static cache is
scored by the former alone. Lengths that depend on the input are read from the config as the
census's README says.
"""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import kvsim
from validation.recorded.frame import Case, Verdict, compare, files_of, read_lines

NO_FORMULA = frozenset(("reformer", "xlstm"))
"""Recorded as having no formula: naming them in a refusal is the exact answer."""

IGNORES_STATIC_CACHE = frozenset(("rwkv",))
STATIC = "Static"
DECODER_START = 1
"""Tokens from which the decoder of an encoder-decoder starts."""


def replay(path: Path) -> Iterator[Case]:
    """Every measurement of every line."""
    for file in files_of(path, ("*.jsonl", "*.jsonl.gz")):
        for row in read_lines(file):
            yield from replay_row(row)


def replay_row(row: Mapping[str, Any]) -> Iterator[Case]:
    """Every measurement of one architecture."""
    refusal, model = "", None
    try:
        model = kvsim.load_model(row["config"])
    except kvsim.KvsimError as error:
        refusal = str(error)
    for measured in row["measurements"]:
        case_id = name_case(row, measured)
        recorded = scored(measured)
        if measured["cache"] == STATIC and is_one_of(row, IGNORES_STATIC_CACHE):
            verdict, reason = Verdict.SKIPPED, "the model ignores a static cache"
            yield Case(id=case_id, verdict=verdict, predicted={}, recorded=recorded, reason=reason)
        elif model is None:
            yield refused(row, case_id, recorded, refusal)
        else:
            yield replay_measurement(row, measured, model, case_id)


def name_case(row: Mapping[str, Any], measured: Mapping[str, Any]) -> str:
    """A case's name: architecture, variant, cache, dtype, batch, prompt and decoded tokens."""
    length = f"P{measured['P']} D{measured['D']} x{measured['batch']}"
    return f"{row['model_type']}/{row['variant']} {measured['cache']} {measured['dtype']} {length}"


def scored(measured: Mapping[str, Any]) -> dict[str, int]:
    """What counts of a measurement."""
    keys = ("total_bytes",) if measured["cache"] == STATIC else ("total_bytes", "total_storage")
    return {key: measured[key] for key in keys}


def refused(row: Mapping[str, Any], case_id: str, recorded: Mapping[str, Any], reason: str) -> Case:
    """A refusal is exact where the record has no formula and the refusal names the model type."""
    named = is_one_of(row, NO_FORMULA) and reason.startswith(f"model_type={row['model_type']} ")
    return Case(
        id=case_id,
        verdict=Verdict.EXACT if named else Verdict.REFUSED,
        predicted={},
        recorded=recorded,
        reason=reason,
    )


def replay_measurement(
    row: Mapping[str, Any], measured: Mapping[str, Any], model: kvsim.ModelSpec, case_id: str
) -> Case:
    """One measurement against its prediction."""
    recorded = scored(measured)
    try:
        predicted = {
            key: predict(row, measured, model, live_only=key == "total_bytes") for key in recorded
        }
    except kvsim.KvsimError as error:
        return refused(row, case_id, recorded, str(error))
    if is_one_of(row, NO_FORMULA):
        return Case(
            id=case_id,
            verdict=Verdict.WRONG,
            predicted=predicted,
            recorded=recorded,
            reason="the record has no formula for it",
        )
    return compare(case_id, predicted, recorded)


def predict(
    row: Mapping[str, Any],
    measured: Mapping[str, Any],
    model: kvsim.ModelSpec,
    *,
    live_only: bool,
) -> int:
    """Bytes of the whole batch."""
    static = measured["cache"] == STATIC
    settings = kvsim.Transformers(
        cache_implementation=(
            kvsim.CacheImplementation.STATIC if static else kvsim.CacheImplementation.DYNAMIC
        ),
        max_cache_len=measured.get("max_cache_len"),
        num_decoded_tokens=measured["D"],
        live_only=live_only,
    )
    return kvsim.cache_bytes(
        model,
        num_tokens=prompt_tokens(row, measured) + measured["D"],
        batch_size=measured["batch"],
        engine=settings,
        dtype=measured["dtype"],
        num_encoder_tokens=measured.get("encoder_len", 0),
    ).total_bytes


def is_one_of(row: Mapping[str, Any], names: frozenset[str]) -> bool:
    """Whether a row is of one of these architectures."""
    return not names.isdisjoint((row["model_type"],))


def prompt_tokens(row: Mapping[str, Any], measured: Mapping[str, Any]) -> int:
    """Prompt tokens that the decoder caches; some models put tokens of their own before them."""
    config, prompt = row["config"], int(measured["P"])
    own_rule = OWN_PROMPTS.get(row["model_type"])
    if own_rule is not None:
        return own_rule(config, prompt)
    if config.get("is_encoder_decoder") or measured["cache"] == "EncoderDecoderCache":
        return DECODER_START
    return prompt


def _with_chroma(config: Mapping[str, Any], prompt: int) -> int:
    return int(config["chroma_length"]) + prompt + 1


def _without_last(config: Mapping[str, Any], prompt: int) -> int:  # noqa: ARG001
    return prompt - 1


def _with_learnt_prompt(config: Mapping[str, Any], prompt: int) -> int:
    return int(config["prompt_length"]) + prompt


def _with_image(config: Mapping[str, Any], prompt: int) -> int:
    vision = config["vision_config"]
    side = vision["image_size"] // vision["patch_size"]
    return int(prompt + side * side + 1)


OWN_PROMPTS: dict[str, Callable[[Mapping[str, Any], int], int]] = {
    "musicgen_melody": _with_chroma,
    "blip": _without_last,
    "cpmant": _with_learnt_prompt,
    "git": _with_image,
}
"""Prompt tokens that depend on the input, by architecture, as the census's README says."""
