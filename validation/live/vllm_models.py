"""Tiny models for a real vLLM: one of each way to cache, written as a config and a tokenizer."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import kvsim
from validation.live.settings import Settings
from validation.live.vllm_load import Load

CONFIGS = Path(__file__).parents[1] / "golden/vllm/engine_models.json"
ARCHITECTURES = {
    "llama": "LlamaForCausalLM",
    "mistral": "MistralForCausalLM",
    "qwen3": "Qwen3ForCausalLM",
    "gemma3_text": "Gemma3ForCausalLM",
    "gemma2": "Gemma2ForCausalLM",
    "falcon": "FalconForCausalLM",
    "deepseek_v3": "DeepseekV3ForCausalLM",
    "jamba": "JambaForCausalLM",
}
"""Classes that vLLM looks models up by; the recorded configs leave them out."""

UNKNOWN = "<unk>"


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineModel:
    """A tiny model, the settings it is started with, and the requests that it serves.

    The memory holds a few requests only, and no whole number of blocks: some are preempted, and
    what does not make a block must stay unused. `runs_on_cpu` is false where vLLM's CPU build
    starts a model but cannot compute it.
    """

    name: str
    mechanism: str
    settings: Settings
    load: Load = field(default_factory=Load)
    runs_on_cpu: bool = True

    @property
    def config(self) -> dict[str, object]:
        """Its config.json."""
        recorded: dict[str, object] = json.loads(CONFIGS.read_text("utf-8"))[self.name]
        return {"architectures": [ARCHITECTURES[str(recorded["model_type"])]], **recorded}


SHORT = {"max_model_len": 512, "max_num_seqs": 16}
LONG = {"max_model_len": 1024, "max_num_seqs": 16, "max_num_batched_tokens": 256}
LONG_LOAD = Load(num_shared_tokens=300)

ENGINE_MODELS = (
    EngineModel(
        name="llama-gqa",
        mechanism="GQA",
        settings={
            **SHORT,
            "block_size": 32,
            "max_num_batched_tokens": 512,
            "kv_cache_memory_bytes": 1_350_000,
        },
    ),
    EngineModel(
        name="llama-mha",
        mechanism="MHA",
        settings={**SHORT, "kv_cache_memory_bytes": 12_000_000},
    ),
    EngineModel(
        name="falcon-mqa",
        mechanism="MQA",
        settings={**SHORT, "block_size": 32, "kv_cache_memory_bytes": 1_350_000},
    ),
    EngineModel(
        name="deepseek-mla",
        mechanism="MLA",
        settings={**SHORT, "kv_cache_memory_bytes": 3_000_000},
    ),
    EngineModel(
        name="mistral-swa",
        mechanism="sliding",
        settings={**LONG, "block_size": 32, "kv_cache_memory_bytes": 1_600_000},
        load=LONG_LOAD,
    ),
    EngineModel(
        name="gemma2-hybrid",
        mechanism="alternating window",
        settings={**LONG, "block_size": 32, "kv_cache_memory_bytes": 8_000_000},
        load=LONG_LOAD,
    ),
    EngineModel(
        name="gemma3-hybrid",
        mechanism="alternating window, five to one",
        settings={**LONG, "block_size": 32, "kv_cache_memory_bytes": 12_000_000},
        load=LONG_LOAD,
    ),
    EngineModel(
        name="qwen3",
        mechanism="GQA, no prefix cache",
        settings={
            **SHORT,
            "block_size": 32,
            "enable_prefix_caching": False,
            "kv_cache_memory_bytes": 5_000_000,
        },
    ),
    EngineModel(
        name="jamba",
        mechanism="Mamba-1 and GQA",
        settings={"max_model_len": 1024, "max_num_seqs": 8, "kv_cache_memory_bytes": 2_500_000},
        load=Load(num_requests=12, num_shared_tokens=300),
        runs_on_cpu=False,  # IndexError in its `mamba_mixer.py`, 0.32.0
    ),
)


def find(name: str) -> EngineModel:
    """The model of that name.

    Raises:
        UnknownNameError: if none is called so.
    """
    for model in ENGINE_MODELS:
        if model.name == name:
            return model
    raise kvsim.UnknownNameError(what="models", name=name, nearest=[m.name for m in ENGINE_MODELS])


def write_model(folder: Path, config: Mapping[str, object]) -> None:
    """A config.json, and a tokenizer in which token i is the word i."""
    vocabulary = {UNKNOWN: 0} | {str(i): i for i in range(1, int(str(config["vocab_size"])))}
    tokenizer = {
        "version": "1.0",
        "added_tokens": [],
        "pre_tokenizer": {"type": "WhitespaceSplit"},
        "model": {"type": "WordLevel", "vocab": vocabulary, "unk_token": UNKNOWN},
    }
    files = {
        "config.json": dict(config),
        "tokenizer.json": tokenizer,
        "tokenizer_config.json": {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "unk_token": UNKNOWN,
        },
    }
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content), "utf-8")
