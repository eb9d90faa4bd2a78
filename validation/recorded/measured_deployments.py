"""vLLM's rows as deployments: what was asked for, without what was measured."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import kvsim
from validation.recorded.measured_versions import vllm_version

Row = Mapping[str, Any]

CATALOGUE = {
    "Llama-3-8B": "llama-3.1-8b",
    "Llama-3-70B": "llama-3.3-70b",
    "Llama-3.1-405B": "llama-3.1-405b",
    "Llama-3.2-1B": "llama-3.2-1b",
    "Llama-3.2-3B": "llama-3.2-3b",
    "Llama-2-7B": "llama-2-7b",
    "Llama-2-13B": "llama-2-13b",
    "TinyLlama-1.1B": "tinyllama-1.1b",
    "opt-125m": "opt-125m",
    "OPT-13B": "opt-13b",
    "Mistral-7B-v0.3": "mistral-7b-v0.3",
    "Mistral-Small-3.2-24B": "mistral-small-3.2-24b",
    "Phi-4": "phi-4",
    "Yi-1.5-34B": "yi-1.5-34b",
    "Qwen2.5-0.5B": "qwen2.5-0.5b",
    "Qwen2.5-1.5B": "qwen2.5-1.5b",
    "Qwen2.5-3B": "qwen2.5-3b",
    "Qwen2.5-7B": "qwen2.5-7b",
    "Qwen2.5-14B": "qwen2.5-14b",
    "Qwen2.5-32B": "qwen2.5-32b",
    "Qwen2.5-72B": "qwen2.5-72b",
    "Qwen3-0.6B": "qwen3-0.6b",
    "Qwen3-4B": "qwen3-4b",
    "Qwen3-8B": "qwen3-8b",
    "Qwen3-14B": "qwen3-14b",
    "Qwen3-32B": "qwen3-32b",
    "Qwen3-30B-A3B": "qwen3-30b-a3b",
    "Qwen3-235B-A22B": "qwen3-235b-a22b",
    "Qwen3.5/3.6/3.8-27B": "qwen3.8-27b",
    "Qwen3.5/3.6-35B-A3B": "qwen3.6-35b-a3b",
    "Qwen3.5-9B": "qwen3.5-9b",
    "MiniMax-M2": "minimax-m2",
    "Llama-4-Scout": "llama-4-scout",
    "DeepSeek-V2-Lite": "deepseek-v2-lite",
    "DeepSeek-V2.5": "deepseek-v2.5",
    "DeepSeek-V3": "deepseek-v3",
    "Kimi-K2": "kimi-k2",
    "GLM-5.2": "glm-5.2",
    "Kimi-Linear-48B-A3B": "kimi-linear-48b-a3b",
    "Nemotron-3-Nano-30B-A3B": "nemotron-3-nano-30b-a3b",
    "gemma-3-270m": "gemma-3-270m",
    "gemma-3-27b": "gemma-3-27b",
    "gemma-4-26B-A4B": "gemma-4-26b-a4b",
    "gemma-4-31B": "gemma-4-31b",
    "gpt-oss-20b": "gpt-oss-20b",
    "gpt-oss-120b": "gpt-oss-120b",
    "MiMo-V2-Flash": "mimo-v2-flash",
}
"""Architectures of models.json whose config ships in the catalogue."""

QUANTIZATIONS = {
    "bitsandbytes-4bit": "bitsandbytes",
    "gguf-q8_0": "q8_0",
    "nvfp4 mixed": "nvfp4",
    "awq-4bit": "awq",
    "gptq-4bit": "gptq",
}
NO_CLASS = re.compile(r"class|^\d+ ?gb", re.IGNORECASE)
"""A device given by its size alone is not named."""

HUB_ID = re.compile(r"[\w.-]+/[\w.-]+( |$)")

V1 = (0, 9)
WIDE_BATCHES = (0, 10)  # from here on big devices default to 1,024 sequences
OLD_SEQS = 256
V0_TOKENS, V0_LONG = 2048, 32768  # longer contexts had chunked prefill in v0 too


@dataclass(frozen=True, slots=True)
class Ineligible:
    """Why a row's memory cannot be predicted from what it states."""

    reason: str


def catalogue_model(row: Row) -> kvsim.ModelSpec | None:
    """The catalogue's model of a row; None where its config does not ship.

    A multimodal row is looked up by its own name: `arch` is its language model alone.
    """
    if (row.get("extra") or {}).get("multimodal"):
        name = catalogue_id(row.get("model") or "")
    else:
        name = CATALOGUE.get(row.get("arch") or "")
    return None if name is None else kvsim.load_model(name)


def catalogue_id(text: str) -> str | None:
    """The longest catalogue id that a model's name holds; None without one."""
    wanted = plain_name(text)
    held = [entry.id for entry in kvsim.catalog_models() if plain_name(entry.id) in wanted]
    return max(held, key=len, default=None)


def plain_name(text: str) -> str:
    """Letters and digits of a name, anything between them a hyphen."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower())


def named_device(row: Row) -> kvsim.Accelerator | None:
    """The catalogue's device of a row; None where the row names none."""
    text = re.sub(r"\(.*\)", "", row.get("gpu") or "").strip()
    if not text or NO_CLASS.search(text):
        return None
    plain = re.sub(r"[^a-z0-9]+", "", text.lower())
    for device in kvsim.catalog_accelerators():
        if plain == re.sub(r"[^a-z0-9]+", "", device.name.lower()):
            return device
    for name in (text, re.sub(r"\s*\d+ ?GB$", "", text)):  # a name, or a name and its size
        try:
            return kvsim.accelerator(name)
        except kvsim.UnknownNameError:
            continue
    return None


def device_of(row: Row) -> kvsim.Accelerator | None:
    """The named device, else one of the total that the row prints; None without either."""
    named, total = named_device(row), row.get("total_gpu_gib")
    if named is not None or total is None:
        return named
    num_bytes = round(total * kvsim.GiB)
    return kvsim.Accelerator(
        name=row["gpu"],
        vendor="not stated",
        architecture="not stated",
        nominal_bytes=num_bytes,
        torch_bytes=(num_bytes,),
    )


def deployment_of(row: Row) -> kvsim.Deployment | Ineligible:
    """What the row asked of the engine; defaults are those of its version and device."""
    model, device = catalogue_model(row), device_of(row)
    reasons = {
        "another engine": row["engine"] != "vllm",
        "the model was inferred": not row.get("model_stated"),
        "the source contradicts itself": "source_typo_suspected" in row["flags"],
        "the model's config does not ship": model is None,
        "neither the device nor its memory is stated": device is None,
        "the utilisation is not stated": row.get("gpu_memory_utilization") is None,
        "the precision of the weights is not stated": not is_precision_stated(row),
    }
    reason = next((reason for reason, holds in reasons.items() if holds), None)
    if reason is not None or model is None or device is None:
        return Ineligible(reason or "not stated")
    if (row.get("extra") or {}).get("multimodal"):
        model = replace(model, is_multimodal=True)
    version, quantization = vllm_version(row), row.get("quantization")
    length = row.get("max_model_len") or model.max_model_len or V0_LONG
    return kvsim.Deployment(
        model=replace(model, max_model_len=None),
        accelerator=device,
        engine=kvsim.Vllm(
            **_batches(row, version, length),
            max_model_len=length,
            gpu_memory_utilization=row["gpu_memory_utilization"],
            quantization=QUANTIZATIONS.get(quantization, quantization),
            kv_cache_dtype=row.get("kv_cache_dtype") or "auto",
            enforce_eager=bool(row.get("enforce_eager")),
            engine_version=f"{version[0]}.{version[1]}.0",
        ),
        parallel=kvsim.Parallelism(
            tensor_parallel_size=row.get("tp") or 1, pipeline_parallel_size=row.get("pp") or 1
        ),
    )


def is_precision_stated(row: Row) -> bool:
    """Whether the row names a format, or a published checkpoint by its id, which has one."""
    named = row.get("dtype") or row.get("quantization")
    return bool(named) or HUB_ID.match(row.get("model") or "") is not None


def _batches(row: Row, version: tuple[int, int], length: int) -> dict[str, int | None]:
    """Stated batch limits, else the defaults of older versions; None leaves the newest's.

    Source:
        vLLM `EngineArgs` of 0.6 to 0.10: 256 sequences; steps of 2,048 tokens, or of a whole
        prompt where chunked prefill was off, which v0 kept for contexts up to 32,768.
    """
    seqs, tokens = row.get("max_num_seqs"), row.get("max_num_batched_tokens")
    if seqs is None and version < WIDE_BATCHES:
        seqs = OLD_SEQS
    if tokens is None and version < V1:
        tokens = V0_TOKENS if length > V0_LONG else max(V0_TOKENS, length)
    return {"max_num_seqs": seqs, "max_num_batched_tokens": tokens}
