"""The catalogue against the recorded configs of the same models: all that decides a prediction."""

import dataclasses
import gzip
import json
from pathlib import Path

import pytest

import kvsim
from kvsim.io.hf_config import model_from_config

GOLDEN = Path(__file__).parents[2] / "validation" / "golden"
TEXT_OF = {"gemma-3-12b-text": "gemma-3-12b", "llama4-maverick-text": "llama-4-maverick"}
"""Recorded without the part for images, and the model that they are of."""

NAMES_ALONE = {"name", "hub_id", "is_multimodal", "decided_by", "layer_groups", "tensors"}
TIED = "the recorded config leaves tying to the class; the parameters count a tied table once"
UNSCALED = "the recorded config leaves out the scaling, YaRN times 40, of the same length"
DIFFERENCES = {
    "deepseek-v2-lite": ({"vllm"}, UNSCALED),
    "deepseek-v3": ({"vllm"}, UNSCALED),
    "deepseek-v3.2": ({"vllm"}, UNSCALED),
    "gemma-3-12b": (
        {"vllm", "vocab_size", "weights"},
        "recorded without scaling and without the vocabulary's 64 tokens for images",
    ),
    "glm-5": ({"vllm"}, "the recorded config leaves out indexer_rope_interleave"),
    "hunyuan-a13b": ({"weights"}, f"{TIED}; it leaves out the shared expert, too"),
    "mamba-2.8b": ({"weights"}, TIED),
    "qwen2.5-0.5b": ({"weights"}, TIED),
    "qwen3-4b": ({"weights"}, TIED),
}
"""Where the catalogue is right, what differs, and why."""


def recorded():
    for path in sorted(GOLDEN.glob("configs/*.json")):
        if path.stem != "truth":
            yield path.stem, json.loads(path.read_text("utf-8"))
    with gzip.open(GOLDEN / "vllm" / "specs.jsonl.gz", "rt", encoding="utf-8") as lines:
        for row in map(json.loads, lines):
            if row["config_kind"] == "published" and "+" not in row["id"]:
                yield TEXT_OF.get(row["id"], row["id"]), row["config"]


KNOWN = {model.id for model in kvsim.catalog_models()}
PAIRS = [(name, config) for name, config in recorded() if name in KNOWN]


def decided(model: kvsim.ModelSpec) -> dict[str, object]:
    fields = {f.name: getattr(model, f.name) for f in dataclasses.fields(model)}
    text = tuple(group for group in model.weights if group.name != "vision tower")
    return {k: v for k, v in fields.items() if k not in NAMES_ALONE} | {"weights": text}


@pytest.mark.parametrize(("name", "config"), PAIRS, ids=[name for name, _ in PAIRS])
def test_a_model_is_as_its_recorded_config_says(name, config):
    """
    Layers, sizes, weights, and what engines make of them, read from one and from the other.
    """
    known, _ = DIFFERENCES.get(name, (set(), ""))
    ours = decided(kvsim.load_model(name))
    theirs = decided(model_from_config(config, name=name))

    differing = {field for field in ours if ours[field] != theirs[field]}
    assert differing <= known


def test_every_known_difference_is_one():
    """
    An exception that is none any more would hide the next.
    """
    for name, (fields, reason) in DIFFERENCES.items():
        assert reason
        seen = set()
        for other, config in PAIRS:
            if other == name:
                ours = decided(kvsim.load_model(name))
                theirs = decided(model_from_config(config, name=name))
                seen |= {field for field in ours if ours[field] != theirs[field]}
        assert seen == fields
